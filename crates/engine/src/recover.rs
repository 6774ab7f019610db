//! Opening an engine: what an earlier daemon left is met, caught up with, or collected.
//!
//! ```text
//! record, shim answers             -> it runs; its owner listens to it
//! record, shim is silent           -> it is taken to run; its owner waits for the answer
//! record, exit record              -> it ended meanwhile; the owner takes the end as if it had just been told
//! record says running, neither     -> its shim was killed: kill the rest, exit code 137
//! no record                        -> half-made or half-removed: folder, bundle, cgroup and snapshot are removed
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oci::ContainerId;
use shim::protocol::{Hello, Kind, Op, Phase as ShimPhase, Role, State, Value, encode};

use crate::cgroups::Cgroups;
use crate::config::Config;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Context as _, Result};
use crate::exec;
use crate::launch::{self, remove_folder};
use crate::lifecycle::{Event, Life, Phase};
use crate::link::Link;
use crate::networks::{Connection, Networks};
use crate::owner;
use crate::ports;
use crate::shared::Shared;
use crate::state::{PhaseRecord, Record};
use crate::volumes::Volumes;

/// How long the daemon waits for the shims of its containers before it serves.
const MEETING: Duration = Duration::from_secs(3);

/// What was found.
pub(crate) struct Found {
    pub(crate) shared: Arc<Shared>,
    pub(crate) containers: Vec<FoundContainer>,
    /// What the keeper of the earlier daemon keeps.
    pub(crate) kept: shim::keeping::Kept,
}

/// A container with a record.
pub(crate) struct FoundContainer {
    container: Container,
    auto_remove: bool,
    /// What the record says of its last run.
    recorded: PhaseRecord,
    /// A connection to its shim, if that lives.
    control: Option<std::os::unix::net::UnixStream>,
}

/// Reads everything and removes what has no record. Blocks.
pub(crate) fn look(config: Config) -> Result<Found> {
    let shared = Arc::new(open(config)?);
    let mut containers = Vec::new();
    let mut known = HashSet::new();
    for id in folders(&shared.paths.containers())? {
        match Record::read(&shared.paths.record(&id)) {
            Ok(record) => {
                known.insert(id);
                match found(&shared, record) {
                    Ok(found) => containers.push(found),
                    Err(error) => {
                        tracing::error!(error = error.chain(), "a container cannot be taken in");
                    }
                }
            }
            Err(error) if is_written(&shared.paths.record(&id)) => {
                // A record that cannot be read is kept for a person to look at; so is all that belongs to it.
                tracing::error!(error = error.chain(), "a container's record cannot be read");
                known.insert(id);
            }
            Err(_) => collect(
                &remove_folder(&shared.paths.container(&id)),
                "a half-made container",
                &id,
            ),
        }
    }
    let uses = containers.iter().filter(|one| one.control.is_some());
    let uses = uses.flat_map(|one| {
        let birth = &one.container.birth;
        let mounts = birth.mounts.iter();
        mounts.map(|mount| (mount.name.as_str(), birth.id.as_str()))
    });
    shared.volumes.adopt(uses);
    let kept = shared.keeper.find();
    let host_names = shared.config.host_names.clone();
    shared.keeper.serve_host(host_names)?;
    let running = running_endpoints(&containers);
    let all: Vec<&Container> = containers.iter().map(|one| &one.container).collect();
    let links = crate::links::all(&all);
    if let Err(error) = shared.networks.adopt(running, &links) {
        // Containers without networks run all the same.
        tracing::error!(error = error.chain(), "cannot take networks over");
    }
    ports::adopt(&shared, &running_connections(&shared, &containers));
    sweep(&shared, &known)?;
    Ok(Found {
        shared,
        containers,
        kept,
    })
}

/// The same with their networks, container by container.
fn running_connections(
    shared: &Shared,
    containers: &[FoundContainer],
) -> BTreeMap<ContainerId, Vec<Connection>> {
    let of = |found: &FoundContainer| {
        let joined = shared.networks.joined(&found.container.live().places);
        (found.container.birth.id.clone(), joined)
    };
    containers.iter().map(of).collect()
}

/// The endpoints of the containers that run; those of others are over.
fn running_endpoints(
    containers: &[FoundContainer],
) -> Vec<(ContainerId, network::Identity, network::Endpoint)> {
    let mut running = Vec::new();
    for found in containers {
        for place in &mut found.container.live().places {
            let endpoint = place.endpoint.take();
            if let (Some(network), Some(endpoint), true) =
                (&place.network, endpoint, found.control.is_some())
            {
                place.endpoint = Some(endpoint.clone());
                running.push((found.container.birth.id.clone(), network.clone(), endpoint));
            }
        }
    }
    running
}

/// An empty record is that of a container with `--rm` whose bytes had not reached the disk when the power went.
fn is_written(record: &Path) -> bool {
    fs::metadata(record).is_ok_and(|metadata| metadata.len() > 0)
}

fn open(config: Config) -> Result<Shared> {
    for folder in [&config.data_root, &config.exec_root] {
        fs::create_dir_all(folder).context(|| format!("make {}", folder.display()))?;
    }
    let images = image::Store::open_with(&config.data_root, config.storage_driver)?;
    images.look_at(&config.registries.unqualified);
    // Its layer is ours, and as large as it is: the limit is for those of others.
    images.ensure_hello(&config.shim_path)?;
    images.limit_layers(config.max_layer_size);
    let volumes = Volumes::open(&config.data_root)?;
    let networks = Networks::open(&config)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")
        .context(|| "read /proc/self/mountinfo".to_owned())?;
    let shared = Shared::new(config, images, volumes, networks, Cgroups::find(&mounts));
    own_cgroup_parent(&shared)?;
    // Another version may compile them otherwise.
    remove_folder(&shared.paths.filters())?;
    for folder in [
        shared.paths.containers(),
        shared.paths.bundles(),
        shared.paths.filters(),
    ] {
        fs::create_dir_all(&folder).context(|| format!("make {}", folder.display()))?;
    }
    // Only a hint, and only ext4 has it.
    let _ = linux::file::spread_out(&shared.paths.containers());
    Ok(shared)
}

/// Notes that the cgroup that containers go below is made by this engine, if it is not there yet: one that the administrator
/// has made, with limits of his own, is not ours to remove in the end.
fn own_cgroup_parent(shared: &Shared) -> Result<()> {
    let parent = shared.config.cgroup_parent.as_str();
    if shared.cgroups.has_parent(parent) {
        return Ok(());
    }
    let note = shared.paths.cgroup_parent();
    fs::write(&note, parent).context(|| format!("write {}", note.display()))
}

/// The ids that a folder has subfolders for.
fn folders(folder: &Path) -> Result<Vec<ContainerId>> {
    let listing = fs::read_dir(folder).context(|| format!("list {}", folder.display()))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

fn found(shared: &Shared, record: Record) -> Result<FoundContainer> {
    let id = record.birth.id.clone();
    let snapshot = shared.images.snapshot(&id)?;
    let auto_remove = record.birth.options.host.auto_remove;
    let life = Life {
        phase: match record.life.phase {
            PhaseRecord::Created => Phase::Created,
            _ => Phase::Exited,
        },
        auto_remove,
        started_at: record.life.started_at,
        finished_at: record.life.finished_at,
        exit_code: record.life.exit_code,
        oom_killed: record.life.oom_killed,
        error: record.life.error,
    };
    shared.registry().reserve(&record.name, &id)?;
    let container = Container::new(record.birth, snapshot, record.name, life);
    container.live().places = record.places;
    container.live().published = record.published;
    container.live().links = record.links;
    // No folder, no socket, nobody behind it: all mean that there is no shim.
    let control = launch::greet_shim(&shared.paths.bundle(&id), &hello()).ok();
    Ok(FoundContainer {
        container,
        auto_remove,
        recorded: record.life.phase,
        control,
    })
}

fn hello() -> Vec<u8> {
    let mut frame = Vec::new();
    encode(Kind::Hello, &Hello::new(Role::Control), &mut frame);
    frame
}

/// Removes bundles, cgroups and snapshots that belong to no container.
fn sweep(shared: &Shared, known: &HashSet<ContainerId>) -> Result<()> {
    let parent = shared.config.cgroup_parent.as_str();
    let bundles = folders(&shared.paths.bundles())?;
    for id in shared
        .cgroups
        .containers(parent)
        .difference(&known.iter().cloned().collect())
    {
        // Another engine may use the same parent: only what has a bundle of ours, or had, is ours to end.
        if bundles.contains(id) {
            let path = format!("{}/{id}", parent.trim_end_matches('/'));
            collect(
                &shared.cgroups.destroy(&path),
                "a cgroup without a container",
                id,
            );
        }
    }
    for id in bundles.iter().filter(|id| !known.contains(*id)) {
        shut_down(&shared.paths.bundle(id));
        collect(
            &remove_folder(&shared.paths.bundle(id)),
            "a bundle without a container",
            id,
        );
    }
    for id in shared.images.retain_snapshots(known)? {
        tracing::info!(%id, "collected a snapshot without a container");
    }
    for name in shared.volumes.collect(known)? {
        tracing::info!(name, "collected a volume without its container");
    }
    Ok(())
}

/// Tells a shim that never started its container to go.
fn shut_down(bundle: &Path) {
    let mut frames = hello();
    encode(
        Kind::Request,
        &shim::protocol::Request {
            seq: 1,
            op: Op::Shutdown,
        },
        &mut frames,
    );
    if let Ok(mut stream) = launch::greet_shim(bundle, &frames) {
        let _sent = stream.flush();
    }
}

fn collect(result: &Result<()>, what: &str, id: &ContainerId) {
    match result {
        Ok(()) => tracing::info!(%id, "collected {what}"),
        Err(error) => tracing::error!(%id, error = error.chain(), "cannot collect {what}"),
    }
}

/// Takes a container in, in the state it really is in.
pub(crate) async fn take_in(engine: &Engine, found: FoundContainer) {
    let FoundContainer {
        container,
        auto_remove,
        recorded,
        control,
    } = found;
    match meet(control).await {
        Some(Met::Answers(link, state)) if state.phase != ShimPhase::Created => {
            adopt(engine.shared(), &container, &state);
            container.tell(|news| news.active = true);
            engine.take_in(container, Some(link));
        }
        Some(Met::Silent(link)) => {
            tracing::warn!(id = %container.birth.id, "a shim does not answer; its container is taken to run");
            container.live().life.phase = match recorded {
                PhaseRecord::Paused => Phase::Paused { pid: 0 },
                _ => Phase::Running { pid: 0 },
            };
            exec::take_in(engine.shared(), &container, Some(&[]));
            container.tell(|news| news.active = true);
            engine.take_in(container, Some(link));
        }
        _ => catch_up(engine, container, recorded, auto_remove).await,
    }
}

/// A shim that lives.
enum Met {
    Answers(Link, Box<State>),
    /// It is stopped, or the machine is very busy: its owner hears the answer, should it come.
    Silent(Link),
}

/// Asks a shim what it knows.
async fn meet(control: Option<std::os::unix::net::UnixStream>) -> Option<Met> {
    let mut link = Link::new(control?, 0).ok()?;
    let seq = link.ask(Op::State).await.ok()?;
    match tokio::time::timeout(MEETING, link.reply_to(seq)).await {
        Ok(Ok(Ok(Value::State(state)))) => Some(Met::Answers(link, state)),
        Ok(_) => None,
        Err(_) => Some(Met::Silent(link)),
    }
}

/// What a shim says of its container is so.
pub(crate) fn adopt(shared: &Shared, container: &Container, state: &State) {
    let mut live = container.live();
    live.life.phase = match state.phase {
        ShimPhase::Paused => Phase::Paused { pid: state.pid },
        _ => Phase::Running { pid: state.pid },
    };
    live.life.oom_killed = state.oom_killed;
    live.life.started_at = state
        .started_at
        .map(owner::timestamp)
        .or(live.life.started_at);
    live.execs = state.execs.iter().map(|(id, _)| id.clone()).collect();
    drop(live);
    exec::take_in(shared, container, Some(&state.execs));
}

/// A container without a shim: if it was running, it has ended, one way or the other.
async fn catch_up(engine: &Engine, container: Container, recorded: PhaseRecord, auto_remove: bool) {
    exec::take_in(engine.shared(), &container, None);
    if owner::was_running(recorded) {
        let shared = Arc::clone(engine.shared());
        let container = crate::blocking(move || {
            let exit = owner::exit_record(&shared.paths.exit_record(&container.birth.id));
            shut_down(&shared.paths.bundle(&container.birth.id));
            // Even with an exit record something may be left, if the machine went down at that moment.
            owner::kill_rest(&shared, &container);
            shared.leave_volumes(&container.birth);
            owner::leave_all(&shared, &container);
            settle(&shared, &container, &exit.unwrap_or_else(owner::killed));
            container
        })
        .await;
        let handle = engine.take_in(container, None);
        shared_die(engine, &handle);
        if auto_remove {
            let id = handle.birth.id.to_string();
            let options = crate::RemoveOptions {
                volumes: true,
                ..Default::default()
            };
            if let Err(error) = engine.remove(&id, options).await {
                tracing::error!(
                    id,
                    error = error.chain(),
                    "cannot remove a container that has ended"
                );
            }
        }
    } else {
        let bundle = engine.shared().paths.bundle(&container.birth.id);
        let id = container.birth.id.clone();
        if bundle.exists() {
            shut_down(&bundle);
            collect(
                &remove_folder(&bundle),
                "the bundle of a start that never was",
                &id,
            );
        }
        engine.take_in(container, None);
    }
}

fn settle(shared: &Shared, container: &Container, end: &Event) {
    let Event::Ended {
        code,
        at,
        oom_killed,
    } = *end
    else {
        return;
    };
    {
        let mut live = container.live();
        live.life.exit_code = code;
        live.life.finished_at = Some(at);
        live.life.oom_killed = oom_killed;
    }
    container.tell(|news| news.code = code);
    let id = &container.birth.id;
    collect(
        &remove_folder(&shared.paths.bundle(id)),
        "the bundle of a container that has ended",
        id,
    );
    collect(
        &container.record().save(&shared.paths.record(id)),
        "the end of a container",
        id,
    );
}

fn shared_die(engine: &Engine, handle: &crate::container::Handle) {
    let extra = owner::exit_attributes(&handle.live().life);
    engine.shared().announce(handle, "die", &extra);
}
