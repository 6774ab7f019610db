//! `create`: from a request to a container that exists.
//!
//! Everything is checked before anything is made, and the record comes last: until it is committed, whatever was made is
//! undone here, or collected at the next open.

use std::sync::Arc;

use image::Snapshot;
use linux::rootfs::Root;
use oci::{ContainerId, ImageConfig};

use crate::config::Config;
use crate::container::Container;
use crate::engine::{CreateRequest, Created, Engine};
use crate::error::{Context as _, Error, Result};
use crate::lifecycle::Life;
use crate::mounts::{self, MountPoint};
use crate::networks::BRIDGE;
use crate::options::{ContainerOptions, Healthcheck, HostOptions};
use crate::owner::first_places;
use crate::shared::Shared;
use crate::state::Birth;
use crate::volumes::NewVolume;
use crate::{RUNTIME, blocking, check, copy, launch, links, logging, names, ports, spec};

/// How many random names are tried.
const NAME_ATTEMPTS: u32 = 1000;

impl Engine {
    pub async fn create(&self, request: CreateRequest) -> Result<Created> {
        let shared = Arc::clone(self.shared());
        let id = ContainerId::random();
        let name = reserve(&shared, request.name.as_deref(), &id)?;
        let (work, made_id, made_name) = (Arc::clone(&shared), id.clone(), name.clone());
        let made = blocking(move || make(&work, &made_id, made_name, request)).await;
        match made {
            Ok((container, warnings)) => {
                shared.announce(&container, "create", &[]);
                self.take_in(container, None);
                Ok(Created { id, warnings })
            }
            Err(error) => {
                shared.registry().release(&name, &id);
                Err(error)
            }
        }
    }
}

fn reserve(shared: &Shared, wanted: Option<&str>, id: &ContainerId) -> Result<String> {
    let mut registry = shared.registry();
    if let Some(name) = wanted.filter(|name| !name.is_empty()) {
        let name = names::checked(name)?;
        registry.reserve(name, id)?;
        return Ok(name.to_owned());
    }
    for attempt in 0..NAME_ATTEMPTS {
        let name = names::random(attempt);
        if registry.reserve(&name, id).is_ok() {
            return Ok(name);
        }
    }
    Err(Error::system("no free random name was found"))
}

/// Checks, then makes. Blocks for the disk.
fn make(
    shared: &Arc<Shared>,
    id: &ContainerId,
    name: String,
    request: CreateRequest,
) -> Result<(Container, Vec<String>)> {
    let mut options = request.options;
    check::check(&options, &shared.config)?;
    check::machine(&options.host.resources, &shared.host)?;
    let platform = platform(&options)?;
    let image = shared.images.provided(&options.image, platform.as_ref())?;
    let mut warnings = merge(&mut options, &image.config);
    ports::wishes(&options, &options.host.published)?;
    if options.host.network_mode == "host" && !options.host.published.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    let (path, args) = command(&options)?;
    check_host(shared, &mut options.host)?;
    settle_network(&mut options, &shared.config);
    links::settle(shared, &mut options)?;
    let places = first_places(shared, &options)?;
    let mut points = mounts::collect(&options, inherited(shared, &options.host)?)?;
    check_sources(&points)?;
    let log = logging::effective(&options.host.log, &shared.config);
    logging::limits(&log)?;
    let runtime = match options.host.runtime.as_str() {
        "" => shared.config.default_runtime.clone(),
        name => name.to_owned(),
    };
    if shared.config.runtimes.contains_key(&runtime) && points.iter().any(|p| !p.subpath.is_empty())
    {
        let what = format!("a volume-subpath with the runtime {runtime:?}");
        return Err(Error::unsupported(what));
    }
    let mut undo = Undo {
        shared,
        id,
        volumes: Vec::new(),
        done: false,
    };
    let snapshot = shared.images.prepare(id, Some(&image.id))?;
    make_volumes(shared, &mut points, &snapshot, &mut undo)?;
    let birth = Birth {
        id: id.clone(),
        created: jiff::Timestamp::now(),
        path,
        args,
        image: Some(image.id),
        image_name: options.image.clone(),
        runtime: if runtime.is_empty() {
            RUNTIME.to_owned()
        } else {
            runtime
        },
        log,
        mounts: points,
        echo: Arc::new(request.echo),
        options: Arc::new(options),
    };
    let life = Life::new(birth.options.host.auto_remove);
    let container = Container::new(Arc::new(birth), snapshot, name, life);
    container.live().places = places;
    commit(shared, &container)?;
    undo.done = true;
    Ok((container, warnings))
}

/// The container exists once this has returned.
fn commit(shared: &Shared, container: &Container) -> Result<()> {
    let id = &container.birth.id;
    let folder = shared.paths.container(id);
    let made = if container.birth.log.driver == "local" {
        std::fs::create_dir_all(folder.join("local-logs"))
    } else {
        std::fs::create_dir(&folder)
    };
    made.context(|| format!("make {}", folder.display()))?;
    container.record().commit(&shared.paths.record(id))
}

/// Takes back what was made for a container that will not be.
struct Undo<'a> {
    shared: &'a Shared,
    id: &'a ContainerId,
    /// Anonymous volumes.
    volumes: Vec<String>,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut results = vec![
            launch::remove_folder(&self.shared.paths.container(self.id)),
            self.shared.images.release(self.id).map_err(Into::into),
        ];
        results.extend(
            self.volumes
                .iter()
                .map(|name| self.shared.volumes.remove(name, true, &[]).map(drop)),
        );
        for error in results.into_iter().filter_map(Result::err) {
            tracing::error!(id = %self.id, error = error.chain(), "cannot undo a failed create");
        }
    }
}

/// Puts the image's configuration below the request's. Returns warnings.
fn merge(options: &mut ContainerOptions, image: &ImageConfig) -> Vec<String> {
    let config = &image.config;
    if options.user.is_empty() {
        options.user.clone_from(&config.user);
    }
    if options.working_dir.is_empty() {
        options.working_dir.clone_from(&config.working_dir);
    }
    if options.stop_signal.is_empty() {
        options.stop_signal = config.stop_signal.clone().unwrap_or_default();
    }
    merge_command(options, config);
    merge_environment(&mut options.env, config.env.as_deref().unwrap_or_default());
    for (key, value) in config.labels.iter().flatten() {
        options
            .labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    options.exposed_ports.extend(
        config
            .exposed_ports
            .iter()
            .flat_map(|set| set.0.iter().cloned()),
    );
    options
        .volumes
        .extend(config.volumes.iter().flat_map(|set| set.0.iter().cloned()));
    options.shell = options.shell.take().or_else(|| config.shell.clone());
    options.on_build = options.on_build.take().or_else(|| config.on_build.clone());
    merge_health(options, config)
}

/// A request's entrypoint takes the image's command away too; an empty one counts as none.
fn merge_command(options: &mut ContainerOptions, config: &oci::ContainerConfig) {
    if options.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if options.cmd.as_ref().is_none_or(Vec::is_empty) {
            options.cmd.clone_from(&config.cmd);
        }
        if options.entrypoint.is_none() {
            options.entrypoint.clone_from(&config.entrypoint);
        }
    }
}

/// The image's variables that the request does not name come first, as Docker puts them last; order means nothing to
/// programs, and `inspect` shows the request's first.
fn merge_environment(own: &mut Vec<String>, of_image: &[String]) {
    let name = |entry: &str| {
        entry
            .split_once('=')
            .map_or(entry, |(name, _)| name)
            .to_owned()
    };
    let set: Vec<String> = own.iter().map(|entry| name(entry)).collect();
    own.extend(
        of_image
            .iter()
            .filter(|entry| !set.contains(&name(entry)))
            .cloned(),
    );
}

/// An image's health check is kept and shown, but said not to run.
fn merge_health(options: &mut ContainerOptions, config: &oci::ContainerConfig) -> Vec<String> {
    let Some(health) = config
        .healthcheck
        .as_ref()
        .filter(|_| options.healthcheck.is_none())
    else {
        return Vec::new();
    };
    let runs = !health.test.is_empty() && health.test[0] != "NONE";
    options.healthcheck = Some(Healthcheck {
        test: health.test.clone(),
        interval: health.interval,
        timeout: health.timeout,
        start_period: health.start_period,
        start_interval: health.start_interval,
        retries: health.retries,
    });
    if runs {
        vec!["The image has a health check; this engine does not run health checks yet.".to_owned()]
    } else {
        Vec::new()
    }
}

/// The program and its arguments.
fn command(options: &ContainerOptions) -> Result<(String, Vec<String>)> {
    let entrypoint = options.entrypoint.iter().flatten().cloned();
    let mut words = entrypoint.chain(options.cmd.iter().flatten().cloned());
    // `--entrypoint ""` clears: its one empty word is none.
    let first = words
        .by_ref()
        .find(|word| !word.is_empty())
        .ok_or_else(|| Error::invalid("no command specified"))?;
    Ok((first, words.collect()))
}

/// The platform that the request names, if it names one.
fn platform(options: &ContainerOptions) -> Result<Option<oci::Platform>> {
    let text = options.platform.as_deref().filter(|text| !text.is_empty());
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|e: oci::InvalidPlatform| Error::invalid(e.to_string()))
}

/// The mount points taken over from other containers.
fn inherited(shared: &Shared, host: &HostOptions) -> Result<Vec<MountPoint>> {
    let mut points = Vec::new();
    for from in &host.volumes_from {
        let (name, mode) = from.split_once(':').unwrap_or((from, ""));
        points.extend(mounts::inherit(&shared.find(name)?.birth.mounts, mode)?);
    }
    Ok(points)
}

/// Checks that need the machine or other containers, and settles names of those to ids.
fn check_host(shared: &Shared, host: &mut HostOptions) -> Result<()> {
    spec::settle_capabilities(host, &shared.host.capabilities)?;
    spec::check_device_rules(host)?;
    spec::check_security(host)?;
    for mode in [&mut host.pid_mode, &mut host.ipc_mode] {
        if let Some(name) = mode.strip_prefix("container:") {
            *mode = format!("container:{}", shared.find(name)?.birth.id);
        }
    }
    if let Some(other) = host
        .network_mode
        .strip_prefix("container:")
        .and_then(|name| shared.find(name).ok())
    {
        host.network_mode = format!("container:{}", other.birth.id);
    }
    settle(shared, host);
    Ok(())
}

/// Without a choice it is the default bridge, where there is one.
fn settle_network(options: &mut ContainerOptions, config: &Config) {
    let is_default = matches!(options.host.network_mode.as_str(), "" | "default" | BRIDGE);
    if options.network_disabled || is_default && !config.networking.has_bridge() {
        "none".clone_into(&mut options.host.network_mode);
    } else if is_default {
        BRIDGE.clone_into(&mut options.host.network_mode);
    }
}

/// Fills in what the request leaves open and `inspect` shows.
fn settle(shared: &Shared, host: &mut HostOptions) {
    if host.ipc_mode.is_empty() {
        "private".clone_into(&mut host.ipc_mode);
    }
    if host.cgroupns_mode.is_empty() {
        let private = shared.host.unified && !host.privileged;
        host.cgroupns_mode = if private { "private" } else { "host" }.to_owned();
    }
    if host.shm_size == 0 {
        host.shm_size = i64::try_from(shared.config.shm_size).unwrap_or(i64::MAX);
    }
    let resources = &mut host.resources;
    if shared.host.unified {
        // Version 2 has no such switch, and Docker shows none there; its client sends a false unasked.
        resources.oom_kill_disable = resources.oom_kill_disable.filter(|disable| *disable);
    } else {
        resources.oom_kill_disable.get_or_insert(false);
    }
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    if !host.privileged {
        let (masked, readonly) = spec::system_paths(host);
        host.masked_paths = Some(masked);
        host.readonly_paths = Some(readonly);
    }
}

/// `--mount` wants its source to be there; `-v` makes it at the start.
fn check_sources(points: &[MountPoint]) -> Result<()> {
    let missing = |p: &&MountPoint| {
        p.kind == mounts::Kind::Bind && !p.create_source && std::fs::metadata(&p.source).is_err()
    };
    points
        .iter()
        .find(missing)
        .map_or(Ok(()), |point| Err(launch::missing_source(point)))
}

/// Makes the volumes that are not there yet, filled with what the image has at their place.
fn make_volumes(
    shared: &Shared,
    points: &mut [MountPoint],
    snapshot: &Snapshot,
    undo: &mut Undo<'_>,
) -> Result<()> {
    for point in points.iter_mut().filter(|p| p.kind == mounts::Kind::Volume) {
        let volume = shared.volumes.ensure(NewVolume {
            name: (!point.name.is_empty()).then(|| point.name.clone()),
            owner: Some(undo.id.clone()),
            driver: point.driver.clone(),
            labels: point.labels.clone(),
            options: point.driver_options.clone(),
        })?;
        if volume.anonymous && volume.made {
            undo.volumes.push(volume.name.clone());
        }
        if volume.made {
            shared.announce_volume("create", &volume.name);
        }
        point.name = volume.name;
        point.source = volume.data.to_string_lossy().into_owned();
        if !point.no_copy && point.subpath.is_empty() {
            fill_new(shared, point, &volume.data, snapshot, undo.id)?;
        }
    }
    Ok(())
}

/// Fills a volume that holds nothing yet. One with a device is looked into while it is mounted.
fn fill_new(
    shared: &Shared,
    point: &MountPoint,
    data: &std::path::Path,
    snapshot: &Snapshot,
    user: &ContainerId,
) -> Result<()> {
    shared.volumes.enter(&point.name, user.as_str())?;
    let filled = if is_empty(data) {
        fill(data, &point.destination, snapshot)
    } else {
        Ok(())
    };
    shared.volumes.leave(&point.name, user.as_str());
    filled
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Copies what the image has at `destination` into a new volume. The layers are put together in a mount that is seen
/// nowhere and gone with its descriptor.
fn fill(data: &std::path::Path, destination: &str, snapshot: &Snapshot) -> Result<()> {
    let tree = crate::archive::root_of(&snapshot.lower, &snapshot.upper, &snapshot.work)
        .context(|| "put the container's layers together".to_owned())?;
    let root = Root::from_fd(tree);
    let Ok(source) = root.resolve(std::path::Path::new(destination)) else {
        return Ok(());
    };
    if !linux::file::stat(&source).is_ok_and(|stat| linux::file::is_dir(&stat)) {
        return Ok(());
    }
    // The dot is the folder itself; without it the link in /proc would be looked at.
    copy::tree(&linux::fd::proc_path(&source).join("."), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|w| (*w).to_owned()).collect())
    }

    #[test]
    fn entrypoint_and_command_merge_as_in_docker() {
        let image = oci::ContainerConfig {
            entrypoint: words(&["e"]),
            cmd: words(&["c"]),
            ..Default::default()
        };
        let check = |entrypoint: Option<Vec<String>>, cmd: Option<Vec<String>>, want: &[&str]| {
            let mut options = ContainerOptions {
                entrypoint,
                cmd,
                ..Default::default()
            };
            merge_command(&mut options, &image);
            let got = command(&options)
                .map(|(path, args)| [vec![path], args].concat())
                .unwrap_or_default();
            assert_eq!(got, want);
        };
        check(None, None, &["e", "c"]);
        check(None, words(&["x", "y"]), &["e", "x", "y"]);
        check(words(&["f"]), None, &["f"]);
        check(words(&["f"]), words(&["x"]), &["f", "x"]);
        check(words(&[""]), words(&["x"]), &["x"]);
        check(words(&[""]), None, &[]);
    }

    #[test]
    fn the_request_s_environment_wins() {
        let mut own = vec!["A=1".to_owned(), "GONE".to_owned()];
        merge_environment(
            &mut own,
            &["A=0".to_owned(), "B=2".to_owned(), "GONE=x".to_owned()],
        );
        assert_eq!(own, ["A=1", "GONE", "B=2"]);
    }
}
