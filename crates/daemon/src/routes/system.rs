//! What the daemon says about itself and its machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::types::prune::BuildCachePruned;
use api::types::system::{Commit, Component, Info, Platform, Plugins, Runtime, Swarm, Version};
use api::types::usage::{DiskUsage, DiskUsageByKind, Usage};
use api::types::volume::Volume;
use engine::EventQuery;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;

use super::{Call, Reply, containers, volumes};
use ::image::DriverKind;

use crate::app::App;
use crate::config::Config;
use crate::convert::event::{self, Framing};
use crate::convert::inspect::signed;
use crate::convert::registries::{self, shown_proxy};
use crate::convert::{compat, image, time};
use crate::host::{self, Cgroups};
use crate::http::body;
use crate::http::failure::Failure;
use crate::http::filters::Filters;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn ping(_call: Call) -> Reply {
    let mut answer = body::with(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        body::full("OK"),
    );
    let headers = answer.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    // No builder is here yet: version 1 keeps clients from trying BuildKit's.
    headers.insert("builder-version", HeaderValue::from_static("1"));
    Ok(answer)
}

pub(super) async fn version(call: Call) -> Reply {
    let min = call.app.config().min_api_version.to_string();
    let detail = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let kernel = host::kernel_version();
    let details = BTreeMap::from([
        detail("ApiVersion", api::MAX_VERSION),
        detail("Arch", host::go_arch()),
        detail("BuildTime", ""),
        detail("Experimental", "false"),
        detail("GitCommit", ""),
        detail("GoVersion", ""),
        detail("KernelVersion", &kernel),
        detail("MinAPIVersion", &min),
        detail("Os", "linux"),
    ]);
    body::json(&Version {
        platform: Platform {
            name: "Tare".to_owned(),
        },
        components: vec![
            Component {
                name: "Engine".to_owned(),
                version: VERSION.to_owned(),
                details,
            },
            Component {
                name: engine::RUNTIME.to_owned(),
                version: VERSION.to_owned(),
                details: BTreeMap::new(),
            },
        ],
        version: VERSION.to_owned(),
        api_version: api::MAX_VERSION.to_owned(),
        min_api_version: min,
        os: "linux".to_owned(),
        arch: host::go_arch().to_owned(),
        kernel_version: kernel,
        ..Default::default()
    })
}

pub(super) async fn plugins(_call: Call) -> Reply {
    body::json(&[(); 0])
}

/// Without a builder there is no cache; `docker system prune` asks all the same.
pub(super) async fn prune_build_cache(_call: Call) -> Reply {
    body::json(&BuildCachePruned::default())
}

pub(super) async fn info(call: Call) -> Reply {
    let app = Arc::clone(&call.app);
    let mut document = engine::blocking(move || gather(&app)).await?;
    compat::info(call.version, &mut document);
    body::json(&document)
}

fn gather(app: &App) -> Result<Info, Failure> {
    let (config, cgroups, counts) = (app.config(), Cgroups::read(), app.engine.counts());
    let images = app.engine.images().image_count()?;
    let proxies = &config.registries.client.proxies;
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(Info {
        id: app.id.clone(),
        containers: number(counts.running + counts.paused + counts.stopped),
        containers_running: number(counts.running),
        containers_paused: number(counts.paused),
        containers_stopped: number(counts.stopped),
        images: i64::try_from(images).unwrap_or(i64::MAX),
        driver: app.engine.images().driver().name().to_owned(),
        driver_status: driver_status(&config),
        plugins: plugin_lists(),
        memory_limit: cgroups.has("memory"),
        swap_limit: cgroups.limits_swap(),
        cpu_cfs_period: cgroups.has("cpu"),
        cpu_cfs_quota: cgroups.has("cpu"),
        cpu_shares: cgroups.has("cpu"),
        cpu_set: cgroups.has("cpuset"),
        pids_limit: cgroups.has("pids"),
        ipv4_forwarding: host::ipv4_forwarding(),
        debug: config.debug,
        n_fd: host::open_files(),
        oom_kill_disable: !cgroups.v2 && cgroups.has("memory"),
        n_goroutines: host::threads(),
        system_time: Timestamp::now().to_string(),
        logging_driver: config.log_driver.clone(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: if cgroups.v2 { "2" } else { "1" }.to_owned(),
        n_events_listener: number(app.event_listeners()),
        kernel_version: host::kernel_version(),
        operating_system: host::operating_system(),
        os_type: "linux".to_owned(),
        architecture: host::machine().to_owned(),
        index_server_address: registries::index_server(&config.registries),
        registry_config: Some(registries::config(&config.registries)),
        http_proxy: shown_proxy(proxies.http.as_deref()),
        https_proxy: shown_proxy(proxies.https.as_deref()),
        no_proxy: proxies.none.clone(),
        ncpu: host::cpus(),
        mem_total: host::memory(),
        docker_root_dir: config.data_root.to_string_lossy().into_owned(),
        name: host::hostname(),
        labels: Some(config.labels.clone()),
        server_version: VERSION.to_owned(),
        runtimes: runtimes(&config),
        default_runtime: config.default_runtime.clone(),
        swarm: Swarm {
            local_node_state: "inactive".to_owned(),
            ..Default::default()
        },
        live_restore_enabled: true,
        init_binary: "tare-shim".to_owned(),
        runc_commit: Commit {
            id: VERSION.to_owned(),
            ..Default::default()
        },
        security_options: security_options(&config, &cgroups),
        warnings: warnings(&cgroups, &app.engine.obstacles()),
        ..Default::default()
    })
}

/// The storage driver's lines, and one for the bound of logs, which clients show in the same place.
fn driver_status(config: &Config) -> Vec<[String; 2]> {
    let line = |name: &str, value: String| [name.to_owned(), value];
    let mut lines = vec![line(
        "Backing Filesystem",
        host::backing_filesystem(&config.data_root),
    )];
    if config.storage_driver == DriverKind::Overlay2 {
        lines.extend([
            line("Supports d_type", "true".to_owned()),
            line("Using metacopy", "false".to_owned()),
            line("Native Overlay Diff", "true".to_owned()),
            line("userxattr", "false".to_owned()),
        ]);
    }
    lines.push(line("Default log limits", log_limits(config)));
    lines
}

fn log_limits(config: &Config) -> String {
    let option = |name: &str, default: &str| {
        config
            .log_opts
            .get(name)
            .map_or(default, String::as_str)
            .to_owned()
    };
    match config.log_driver.as_str() {
        "none" => "nothing is kept".to_owned(),
        _ => format!(
            "max-size={} max-file={}",
            option("max-size", "10m"),
            option("max-file", "5")
        ),
    }
}

fn plugin_lists() -> Plugins {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Plugins {
        volume: list(&["local"]),
        network: list(&["bridge", "host", "ipvlan", "macvlan", "null"]),
        authorization: None,
        log: list(&["json-file", "local", "none"]),
    }
}

fn runtimes(config: &Config) -> BTreeMap<String, Runtime> {
    let built_in = engine::OWN_RUNTIMES.map(|name| {
        let wire = Runtime {
            path: engine::RUNTIME.to_owned(),
            ..Default::default()
        };
        (name.to_owned(), wire)
    });
    let others = config.runtimes.iter().map(|(name, runtime)| {
        let wire = Runtime {
            path: runtime.path.clone(),
            runtime_args: runtime.args.clone(),
            ..Default::default()
        };
        (name.clone(), wire)
    });
    built_in.into_iter().chain(others).collect()
}

fn security_options(config: &Config, cgroups: &Cgroups) -> Vec<String> {
    let mut options = vec![format!("name=seccomp,profile={}", config.seccomp_profile)];
    if cgroups.v2 {
        options.push("name=cgroupns".to_owned());
    }
    if config.no_new_privileges {
        options.push("name=no-new-privileges".to_owned());
    }
    options
}

/// Docker's texts for limits that the machine cannot set, and what its firewall keeps from containers.
fn warnings(cgroups: &Cgroups, obstacles: &[String]) -> Option<Vec<String>> {
    let checks = [
        (cgroups.has("memory"), "WARNING: No memory limit support"),
        (cgroups.limits_swap(), "WARNING: No swap limit support"),
        (cgroups.has("cpu"), "WARNING: No cpu cfs quota support"),
        (cgroups.has("cpuset"), "WARNING: No cpuset support"),
        (cgroups.has("pids"), "WARNING: No pids limit support"),
    ];
    let limits = checks.into_iter().filter(|(has, _)| !has);
    let warnings: Vec<String> = limits
        .map(|(_, text)| text.to_owned())
        .chain(obstacles.iter().map(|text| format!("WARNING: {text}")))
        .collect();
    (!warnings.is_empty()).then_some(warnings)
}

pub(super) async fn events(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    let query = EventQuery {
        since: time::unix(call.query.text("since"))?,
        until: time::unix(call.query.text("until"))?,
        filters: filters.into_map(),
    };
    if let (Some(since), Some(until)) = (query.since, query.until)
        && until < since
    {
        let message = format!(
            "`since` time ({}) cannot be after `until` time ({})",
            since.as_second(),
            until.as_second()
        );
        return Err(Failure::bad_request(message));
    }
    let mut stream = call.app.engine.events(query)?;
    let accept = call
        .headers
        .get(header::ACCEPT)
        .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let framing = Framing::accepted(&accept.unwrap_or_default());
    let (version, listening) = (call.version, call.app.listening());
    Ok(body::produced(framing.media_type(), |sender| async move {
        let _listening = listening;
        while let Some(next) = stream.next().await {
            let bytes = match next {
                Ok(event) => framing.frame(&event::event(event, version)),
                Err(error) => framing.frame(&serde_json::json!({ "message": error.chain() })),
            };
            if sender.send(Ok(bytes.into())).await.is_err() {
                return;
            }
        }
    }))
}

/// Which kinds `system/df` was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kinds {
    containers: bool,
    images: bool,
    volumes: bool,
    build_cache: bool,
}

impl Kinds {
    fn of(call: &Call) -> Result<Self, Failure> {
        let types = call.query.all("type");
        if let Some(unknown) = types
            .iter()
            .find(|t| !matches!(**t, "container" | "image" | "volume" | "build-cache"))
        {
            return Err(Failure::bad_request(format!(
                "unknown object type: {unknown}"
            )));
        }
        let wanted = |kind| types.is_empty() || types.contains(&kind);
        Ok(Self {
            containers: wanted("container"),
            images: wanted("image"),
            volumes: wanted("volume"),
            build_cache: wanted("build-cache"),
        })
    }
}

pub(super) async fn disk_usage(call: Call) -> Reply {
    let kinds = Kinds::of(&call)?;
    let usage = call.app.engine.disk_usage().await?;
    let store = call.app.engine.images().clone();
    let (images, layers) = engine::blocking(move || -> ::image::Result<_> {
        Ok((
            store.list(&::image::ListQuery::default())?,
            store.disk_usage()?,
        ))
    })
    .await?;
    let counted = |image: &::image::Image| {
        let users = call.app.engine.users_of_image(&image.id).len();
        let shared = layers.shared.get(&image.id).copied().unwrap_or(0);
        image::summary(
            image,
            i64::try_from(users).unwrap_or(i64::MAX),
            signed(shared),
        )
    };
    let images: Vec<_> = images.iter().map(counted).collect();
    let running = usage.containers.iter().filter(|c| c.state.running).count();
    let containers = containers::summaries(&call.app, call.version, usage.containers).await;
    let volumes: Vec<_> = usage.volumes.iter().map(volumes::used).collect();
    let legacy = DiskUsage {
        layers_size: signed(layers.layers_size),
        images: Some(images).filter(|_| kinds.images),
        containers: Some(containers).filter(|_| kinds.containers),
        volumes: Some(volumes).filter(|_| kinds.volumes),
        build_cache: Some(Vec::new()).filter(|_| kinds.build_cache),
    };
    if call.version.at_least(52) {
        body::json(&by_kind(legacy, running, call.query.on("verbose")))
    } else {
        body::json(&legacy)
    }
}

/// The same in the form of 1.52: sums, and the things themselves only if asked for.
fn by_kind(usage: DiskUsage, running: usize, verbose: bool) -> DiskUsageByKind {
    let layers_size = usage.layers_size;
    DiskUsageByKind {
        image_usage: usage.images.map(|images| {
            let used = images.iter().filter(|i| i.containers > 0);
            let (active, held) = used.fold((0, 0), |(n, sum), image| {
                (n + 1, sum + image.size - image.shared_size)
            });
            sums(
                images,
                verbose,
                active,
                layers_size,
                (layers_size - held).max(0),
            )
        }),
        container_usage: usage.containers.map(|containers| {
            let total = containers.iter().map(|c| c.size_rw).sum();
            let live = |state: &str| matches!(state, "running" | "paused" | "restarting");
            let free = containers
                .iter()
                .filter(|c| !live(&c.state))
                .map(|c| c.size_rw)
                .sum();
            let active = i64::try_from(running).unwrap_or(i64::MAX);
            sums(containers, verbose, active, total, free)
        }),
        volume_usage: usage.volumes.map(|volumes| {
            let size = |v: &Volume| v.usage_data.as_ref().map_or(0, |u| u.size.max(0));
            let unused = |v: &&Volume| v.usage_data.as_ref().is_some_and(|u| u.ref_count == 0);
            let total = volumes.iter().map(size).sum();
            let free = volumes.iter().filter(unused).map(size).sum();
            let active = volumes.iter().filter(|v| !unused(v)).count();
            sums(
                volumes,
                verbose,
                i64::try_from(active).unwrap_or(i64::MAX),
                total,
                free,
            )
        }),
        build_cache_usage: usage.build_cache.map(|cache| sums(cache, verbose, 0, 0, 0)),
    }
}

fn sums<T>(
    items: Vec<T>,
    verbose: bool,
    active: i64,
    total_size: i64,
    reclaimable: i64,
) -> Usage<T> {
    Usage {
        active_count: active,
        total_count: i64::try_from(items.len()).unwrap_or(i64::MAX),
        total_size,
        reclaimable,
        items: verbose.then_some(items),
    }
}
