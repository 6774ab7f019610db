//! A container as `inspect` shows it: what the client said, completed by what the engine made of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::types::container::{ContainerConfig, ContainerInspect, GraphDriver, HealthConfig, State};
use api::types::host_config::{HostConfig, LogConfig};
use api::types::mount::MountPoint;
use api::types::network::{NetworkSettings, PortBinding, PortMap};
use api::types::{Set, StrSlice};
use engine::options::Healthcheck;
use engine::{ContainerView, GraphView, MountView, PortView, StateView, Status};

use image::DriverKind;

use super::{network, time};
use crate::http::failure::Failure;

/// The whole document.
pub(crate) fn container(view: &ContainerView) -> Result<ContainerInspect, Failure> {
    let echoed = |error| {
        Failure::internal(format!(
            "the record of container {} is damaged: {error}",
            view.id
        ))
    };
    let config: ContainerConfig = serde_json::from_str(view.echo.config.get()).map_err(echoed)?;
    let host: HostConfig = serde_json::from_str(view.echo.host_config.get()).map_err(echoed)?;
    Ok(ContainerInspect {
        id: view.id.to_string(),
        created: time::text(Some(view.created)),
        path: view.path.clone(),
        args: view.args.clone(),
        state: Some(state(&view.state)),
        image: view
            .image
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        resolv_conf_path: shown(&view.resolv_conf_path),
        hostname_path: shown(&view.hostname_path),
        hosts_path: shown(&view.hosts_path),
        log_path: shown(&view.log_path),
        name: format!("/{}", view.name),
        restart_count: i64::from(view.restart_count),
        driver: view.graph.driver.name().to_owned(),
        platform: "linux".to_owned(),
        exec_ids: (!view.exec_ids.is_empty()).then(|| view.exec_ids.clone()),
        host_config: Some(host_config(host, view)),
        graph_driver: Some(graph(view.id.as_str(), &view.graph)),
        size_rw: view.size.map(|s| signed(s.rw)),
        size_root_fs: view.size.map(|s| signed(s.root_fs)),
        mounts: mounts(view),
        config: Some(self::config(config, view)),
        network_settings: Some(network_settings(view)),
        ..Default::default()
    })
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Sizes are signed on the wire.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn state(state: &StateView) -> State {
    State {
        status: state.status.as_str().to_owned(),
        running: state.running,
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: i64::from(state.pid),
        exit_code: i64::from(state.exit_code),
        error: state.error.clone(),
        started_at: time::text(state.started_at),
        finished_at: time::text(state.finished_at),
        health: None,
    }
}

fn graph(id: &str, graph: &GraphView) -> GraphDriver {
    let data = BTreeMap::from([
        ("ID".to_owned(), id.to_owned()),
        ("LowerDir".to_owned(), joined(&graph.lower)),
        ("MergedDir".to_owned(), shown(&graph.merged)),
        ("UpperDir".to_owned(), shown(&graph.upper)),
        ("WorkDir".to_owned(), shown(&graph.work)),
    ]);
    driver(graph.driver, data)
}

/// `GraphDriver`: only overlay2 has directories to tell of.
pub(crate) fn driver(kind: DriverKind, data: BTreeMap<String, String>) -> GraphDriver {
    GraphDriver {
        data: (kind == DriverKind::Overlay2).then_some(data),
        name: kind.name().to_owned(),
    }
}

/// The layers below, as overlayfs takes them.
pub(crate) fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| shown(p)).collect::<Vec<_>>().join(":")
}

/// `Mounts`: all but what `--tmpfs` made, which Docker shows in `HostConfig.Tmpfs` alone.
pub(crate) fn mounts(view: &ContainerView) -> Vec<MountPoint> {
    let by_flag = |m: &&MountView| view.options.host.tmpfs.contains_key(&m.destination);
    view.mounts
        .iter()
        .filter(|m| !by_flag(m))
        .map(mount)
        .collect()
}

/// One line of `Mounts`.
pub(crate) fn mount(mount: &MountView) -> MountPoint {
    MountPoint {
        r#type: mount.kind.as_str().to_owned(),
        name: mount.name.clone(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        driver: mount.driver.clone(),
        mode: mount.mode.clone(),
        rw: mount.read_write,
        propagation: mount.propagation.clone(),
    }
}

/// The request's `Config` with the image's merged in.
fn config(mut config: ContainerConfig, view: &ContainerView) -> ContainerConfig {
    let options = &view.options;
    config.hostname = match (
        options.hostname.as_str(),
        options.host.network_mode.as_str(),
    ) {
        ("", "host") => crate::host::hostname(),
        ("", _) => view.id.short().to_owned(),
        (asked, _) => asked.to_owned(),
    };
    config.domainname.clone_from(&options.domainname);
    config.user.clone_from(&options.user);
    config.working_dir.clone_from(&options.working_dir);
    config.stop_signal.clone_from(&options.stop_signal);
    config.env = Some(options.env.clone()).filter(|env| !env.is_empty() || config.env.is_some());
    config.cmd = options.cmd.clone().map(StrSlice);
    config.entrypoint = options.entrypoint.clone().map(StrSlice);
    config.labels = Some(options.labels.clone());
    config.exposed_ports = set(&options.exposed_ports);
    config.volumes =
        Some(set(&options.volumes)).filter(|v| !v.is_empty() || config.volumes.is_some());
    config.healthcheck = options.healthcheck.as_ref().map(healthcheck);
    config.shell = StrSlice(options.shell.clone().unwrap_or_default());
    config
}

fn set(names: &std::collections::BTreeSet<String>) -> Set {
    names
        .iter()
        .map(|name| (name.clone(), Default::default()))
        .collect()
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

/// The request's `HostConfig` with the choices that the daemon made where the request left them open.
fn host_config(mut host: HostConfig, view: &ContainerView) -> HostConfig {
    let made = &view.options.host;
    host.log_config = LogConfig {
        r#type: view.log.driver.clone(),
        config: Some(view.log.options.clone()),
    };
    host.network_mode = network_mode(view).to_owned();
    host.runtime.clone_from(&view.runtime);
    host.ipc_mode = or(&made.ipc_mode, "private");
    host.cgroupns_mode = or(&made.cgroupns_mode, "private");
    host.restart_policy.name = or(&made.restart.name, "no");
    host.shm_size = made.shm_size;
    host.links = Some(view.links.clone()).filter(|links| !links.is_empty());
    host.init = made.init;
    host.masked_paths.clone_from(&made.masked_paths);
    host.readonly_paths.clone_from(&made.readonly_paths);
    host.memory_swap = made.resources.memory_swap;
    host.pids_limit = made.resources.pids_limit;
    host.oom_kill_disable = made.resources.oom_kill_disable;
    let settled =
        |asked: &Option<StrSlice>, made: &[String]| asked.as_ref().map(|_| StrSlice(made.to_vec()));
    host.cap_add = settled(&host.cap_add, &made.cap_add);
    host.cap_drop = settled(&host.cap_drop, &made.cap_drop);
    host.security_opt =
        Some(made.security_opt.clone()).filter(|o| !o.is_empty() || host.security_opt.is_some());
    if view.published != view.options.host.published {
        host.port_bindings = Some(bindings(&view.published));
    }
    host.port_bindings.get_or_insert_default();
    host
}

/// What is to be published, by the container's port.
fn bindings(published: &[engine::options::PortBinding]) -> PortMap {
    let mut map = PortMap::new();
    for one in published {
        let all = map.entry(one.port.clone()).or_default();
        all.get_or_insert_default().push(PortBinding {
            host_ip: one.host_ip.clone(),
            host_port: one.host_port.clone(),
        });
    }
    map
}

fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default } else { text }.to_owned()
}

/// The network mode in force.
pub(crate) fn network_mode(view: &ContainerView) -> &str {
    &view.options.host.network_mode
}

fn port(view: &PortView) -> (String, Option<Vec<PortBinding>>) {
    let binding = |(address, number): &(std::net::IpAddr, Option<u16>)| PortBinding {
        host_ip: address.to_string(),
        host_port: number.map(|number| number.to_string()).unwrap_or_default(),
    };
    let bindings: Vec<_> = view.bindings.iter().map(binding).collect();
    (
        view.port.clone(),
        Some(bindings).filter(|bindings| !bindings.is_empty()),
    )
}

fn network_settings(view: &ContainerView) -> NetworkSettings {
    let places = &view.networks;
    let has_own = view.state.running && places.iter().any(|place| place.endpoint.is_some());
    let sandbox = if has_own { view.id.as_str() } else { "" };
    NetworkSettings {
        sandbox_id: sandbox.to_owned(),
        sandbox_key: match has_own {
            true => format!("/proc/{}/ns/net", view.state.pid),
            false => String::new(),
        },
        ports: Some(view.ports.iter().map(port).collect()),
        networks: Some(network::places(&view.networks)),
        ..Default::default()
    }
}
