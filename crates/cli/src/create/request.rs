//! From the flags of `run` and `create` to the document that the daemon is sent.

use std::collections::BTreeSet;

use api::types::container::{ContainerConfig, CreateRequest, HealthConfig};
use api::types::host_config::{HostConfig, LogConfig, RestartPolicy, Ulimit};
use api::types::mount::Mount;
use api::types::network::{EndpointSettings, NetworkingConfig};
use api::types::{Set, StrSlice};

use crate::failure::Failure;
use crate::flags::Matches;
use crate::options::volume::Volume;
use crate::options::{
    block, device, environment, key_values, mount, network, numbers, ports, security, size, ulimit,
    volume,
};
use crate::terminal;

/// Reads the flags and the arguments: the image, then the command.
pub(crate) fn read(matches: &Matches) -> Result<CreateRequest, Failure> {
    let mut config = config(matches)?;
    let mut host = host(matches)?;
    let (mut anonymous, mut binds) = (Set::new(), Vec::new());
    for volume in volumes(matches)? {
        match volume {
            Volume::Anonymous(path) => drop(anonymous.insert(path, Default::default())),
            Volume::Bind(text) => binds.push(text),
        }
    }
    config.volumes = Some(anonymous);
    let published = ports::publish(matches.list("publish")).map_err(Failure::new)?;
    config.exposed_ports = ports::expose(matches.list("expose")).map_err(Failure::new)?;
    let bound = published
        .keys()
        .map(|port| (port.clone(), Default::default()));
    config.exposed_ports.extend(bound);
    host.port_bindings = Some(published);
    host.publish_all_ports = matches.flag("publish-all");
    host.binds = non_empty(binds);
    let (mode, networking) = networks(matches)?;
    // Elsewhere they are the network's.
    host.links = non_empty(links(matches)?).filter(|_| !is_user_defined(&mode));
    host.network_mode = mode;
    Ok(CreateRequest {
        config,
        host_config: host,
        networking_config: networking,
    })
}

fn config(matches: &Matches) -> Result<ContainerConfig, Failure> {
    let mut words = matches.args.iter().cloned();
    let image = words.next().unwrap_or_default();
    let attached: Vec<_> = matches.list("attach").map(str::to_lowercase).collect();
    let attached = |name: &str| attached.iter().any(|stream| stream == name);
    let all_output = !matches.given("attach");
    let interactive = matches.flag("interactive");
    let attach_stdin = attached("stdin") || interactive;
    let env = environment::variables(
        matches.list("env-file"),
        matches.list("env"),
        &environment::own,
    )?;
    let labels = environment::labels(matches.list("label-file"), matches.list("label"))?;
    Ok(ContainerConfig {
        hostname: matches.text_or_empty("hostname").to_owned(),
        domainname: matches.text_or_empty("domainname").to_owned(),
        user: matches.text_or_empty("user").to_owned(),
        attach_stdin,
        attach_stdout: all_output || attached("stdout"),
        attach_stderr: all_output || attached("stderr"),
        tty: matches.flag("tty"),
        open_stdin: interactive,
        // Without a client on stdin from the start, it stays open for the next one.
        stdin_once: interactive && attach_stdin,
        env: non_empty(env),
        healthcheck: matches.flag("no-healthcheck").then(|| HealthConfig {
            test: vec!["NONE".to_owned()],
            ..HealthConfig::default()
        }),
        cmd: non_empty(words.collect()).map(StrSlice),
        image,
        working_dir: matches.text_or_empty("workdir").to_owned(),
        // An empty entrypoint takes the image's away, and so must be sent.
        entrypoint: matches
            .text("entrypoint")
            .map(|program| StrSlice(vec![program.to_owned()])),
        labels: Some(key_values(labels.iter().map(String::as_str))),
        stop_signal: matches.text_or_empty("stop-signal").to_owned(),
        stop_timeout: matches.int("stop-timeout"),
        ..ContainerConfig::default()
    })
}

fn host(matches: &Matches) -> Result<HostConfig, Failure> {
    let mut host = HostConfig {
        container_id_file: matches.text_or_empty("cidfile").to_owned(),
        log_config: logging(matches)?,
        restart_policy: restart_policy(matches)?,
        auto_remove: matches.flag("rm"),
        volume_driver: matches.text_or_empty("volume-driver").to_owned(),
        volumes_from: non_empty(matches.texts("volumes-from")),
        annotations: key_values(matches.list("annotation")),
        group_add: non_empty(matches.texts("group-add")),
        tmpfs: tmpfs(matches),
        runtime: matches.text_or_empty("runtime").to_owned(),
        init: matches.given("init").then(|| matches.flag("init")),
        readonly_rootfs: matches.flag("read-only"),
        mounts: mounts(matches)?,
        ..HostConfig::default()
    };
    if matches.flag("tty") {
        host.console_size = terminal::size();
    }
    set_resources(&mut host, matches)?;
    set_isolation(&mut host, matches)?;
    Ok(host)
}

fn set_resources(host: &mut HostConfig, matches: &Matches) -> Result<(), Failure> {
    let bytes = |name: &str| {
        matches
            .text(name)
            .map_or(Ok(0), size::bytes_or_unlimited)
            .map_err(Failure::new)
    };
    let number = |name: &str| matches.int(name).unwrap_or(0);
    let swappiness = matches
        .int("memory-swappiness")
        .filter(|value| *value != -1);
    if let Some(value) = swappiness.filter(|value| !(0..=100).contains(value)) {
        return Err(Failure::new(format!(
            "invalid value: {value}. Valid memory swappiness range is 0-100"
        )));
    }
    host.cgroup_parent = matches.text_or_empty("cgroup-parent").to_owned();
    host.blkio_weight = number("blkio-weight").try_into().unwrap_or_default();
    host.blkio_weight_device = Some(each(matches, "blkio-weight-device", block::weight)?);
    host.blkio_device_read_bps = Some(each(matches, "device-read-bps", block::bytes)?);
    host.blkio_device_write_bps = Some(each(matches, "device-write-bps", block::bytes)?);
    host.blkio_device_read_iops = Some(each(matches, "device-read-iops", block::operations)?);
    host.blkio_device_write_iops = Some(each(matches, "device-write-iops", block::operations)?);
    host.cpu_realtime_period = number("cpu-rt-period");
    host.cpu_realtime_runtime = number("cpu-rt-runtime");
    host.cpu_period = number("cpu-period");
    host.cpu_quota = number("cpu-quota");
    host.cpu_shares = number("cpu-shares");
    host.cpuset_cpus = matches.text_or_empty("cpuset-cpus").to_owned();
    host.cpuset_mems = matches.text_or_empty("cpuset-mems").to_owned();
    host.nano_cpus = matches
        .text("cpus")
        .map_or(Ok(0), numbers::nano_cpus)
        .map_err(Failure::new)?;
    host.memory = bytes("memory")?;
    host.memory_reservation = bytes("memory-reservation")?;
    host.memory_swap = bytes("memory-swap")?;
    host.memory_swappiness = Some(swappiness.unwrap_or(-1));
    host.oom_kill_disable = Some(matches.flag("oom-kill-disable"));
    host.oom_score_adj = number("oom-score-adj");
    host.pids_limit = Some(number("pids-limit"));
    host.shm_size = bytes("shm-size")?;
    host.ulimits = Some(ulimits(matches)?);
    Ok(())
}

/// Capabilities by their full names, sorted. `ALL` trumps the others of its list, and adding goes before dropping.
fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let full = |name: &String| {
        let name = name.trim().to_uppercase();
        let known = name.starts_with("CAP_") || name == "ALL" || name == "RESET";
        if known { name } else { format!("CAP_{name}") }
    };
    let set = |names: &[String]| {
        let names: BTreeSet<String> = names.iter().map(full).collect();
        match names.get("ALL") {
            Some(all) => BTreeSet::from([all.clone()]),
            None => names,
        }
    };
    let (add, drop) = (set(add), set(drop));
    let drop = drop.difference(&add).cloned().collect();
    (add.into_iter().collect(), drop)
}

fn set_isolation(host: &mut HostConfig, matches: &Matches) -> Result<(), Failure> {
    let text = |name: &str| matches.text_or_empty(name).to_owned();
    let security = security::read(matches.list("security-opt")).map_err(Failure::new)?;
    if security.system_paths_unconfined {
        host.masked_paths = Some(Vec::new());
        host.readonly_paths = Some(Vec::new());
    }
    host.security_opt = non_empty(security.options);
    host.extra_hosts = non_empty(extra_hosts(matches)?);
    let (add, drop) = capabilities(&matches.texts("cap-add"), &matches.texts("cap-drop"));
    host.cap_add = non_empty(add).map(StrSlice);
    host.cap_drop = non_empty(drop).map(StrSlice);
    host.devices = Some(each(matches, "device", device::parse)?);
    host.device_cgroup_rules = non_empty(matches.texts("device-cgroup-rule"));
    host.dns = Some(matches.texts("dns"));
    let options = ["dns-option", "dns-opt"].map(|flag| matches.texts(flag));
    host.dns_options = Some(options.concat());
    host.dns_search = Some(matches.texts("dns-search"));
    host.privileged = matches.flag("privileged");
    host.sysctls = key_values(matches.list("sysctl"));
    host.ipc_mode = text("ipc");
    host.isolation = text("isolation");
    host.pid_mode = mode(matches, "pid", "PID", |mode| {
        mode == "host" || names_container(mode)
    })?;
    host.uts_mode = mode(matches, "uts", "UTS", |mode| mode == "host")?;
    host.userns_mode = mode(matches, "userns", "USER", |mode| mode == "host")?;
    host.cgroupns_mode = mode(matches, "cgroupns", "CGROUP", |mode| {
        matches!(mode, "host" | "private")
    })?;
    Ok(())
}

/// A namespace's mode: empty for the daemon's default, or one that Docker knows.
fn mode(
    matches: &Matches,
    flag: &str,
    name: &str,
    known: impl Fn(&str) -> bool,
) -> Result<String, Failure> {
    match matches.text_or_empty(flag) {
        mode if mode.is_empty() || known(mode) => Ok(mode.to_owned()),
        _ => Err(Failure::new(format!("--{flag}: invalid {name} mode"))),
    }
}

fn names_container(mode: &str) -> bool {
    mode.strip_prefix("container:")
        .is_some_and(|name| !name.is_empty())
}

/// The networks to join, the one that the mode names first, and what the container is to be like there.
fn networks(matches: &Matches) -> Result<(String, NetworkingConfig), Failure> {
    let given = matches.list("network").chain(matches.list("net"));
    let mut all = given
        .map(network::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::new)?;
    let is_said = !all.is_empty();
    if !is_said {
        all.push(network::Attachment {
            name: "default".to_owned(),
            ..network::Attachment::default()
        });
    }
    let first = &mut all[0];
    let mode = first.name.clone();
    one_network(matches, first)?;
    let config = network::settings_by_name(all).map_err(Failure::new)?;
    let is_plain = config
        .values()
        .all(|settings| *settings == EndpointSettings::default());
    let needed = config.len() > 1 || !is_plain;
    let networking = NetworkingConfig {
        endpoints_config: needed.then(|| {
            let wire = |(name, settings)| (name, Some(settings));
            config.into_iter().map(wire).collect()
        }),
    };
    Ok((mode, networking))
}

fn is_user_defined(mode: &str) -> bool {
    !matches!(mode, "default" | "bridge" | "host" | "none") && !mode.starts_with("container:")
}

fn links(matches: &Matches) -> Result<Vec<String>, Failure> {
    let links = matches.texts("link");
    let why = |link: &String| match link.split(':').count() {
        _ if link.is_empty() => Some("empty string specified for links".to_owned()),
        1 | 2 => None,
        _ => Some(format!("bad format for links: {link}")),
    };
    match links.iter().find_map(|link| Some((link, why(link)?))) {
        None => Ok(links),
        Some((link, why)) => Err(Failure::new(format!(
            "invalid argument {link:?} for \"--link\" flag: {why}"
        ))),
    }
}

/// The flags that are about the first network.
fn one_network(matches: &Matches, first: &mut network::Attachment) -> Result<(), Failure> {
    let aliases: Vec<String> = matches
        .list("network-alias")
        .chain(matches.list("net-alias"))
        .map(str::to_owned)
        .collect();
    if !aliases.is_empty() {
        if !is_user_defined(&first.name) {
            return Err(Failure::new(
                "network-scoped aliases are only supported for user-defined networks",
            ));
        }
        if first.settings.aliases.is_some() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --network-alias and per-network alias",
            ));
        }
        first.settings.aliases = Some(aliases);
    }
    if is_user_defined(&first.name) {
        first.settings.links = non_empty(links(matches)?);
    }
    for (flag, is_v4) in [("ip", true), ("ip6", false)] {
        let Some(text) = matches.text(flag).filter(|text| !text.is_empty()) else {
            continue;
        };
        let ipam = network::ipam(&mut first.settings);
        let place = if is_v4 {
            &mut ipam.ipv4_address
        } else {
            &mut ipam.ipv6_address
        };
        if !place.is_empty() {
            return Err(Failure::new(format!(
                "conflicting options: cannot specify both --{flag} and per-network IP{} address",
                if is_v4 { "v4" } else { "v6" }
            )));
        }
        text.clone_into(place);
    }
    let link_local = matches.texts("link-local-ip");
    if !link_local.is_empty() {
        network::ipam(&mut first.settings).link_local_ips = link_local;
    }
    if let Some(text) = matches.text("mac-address").filter(|text| !text.is_empty()) {
        if !first.settings.mac_address.is_empty() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --mac-address and per-network MAC address",
            ));
        }
        first.settings.mac_address = network::mac(text).map_err(Failure::new)?;
    }
    Ok(())
}

fn restart_policy(matches: &Matches) -> Result<RestartPolicy, Failure> {
    let text = matches.text_or_empty("restart");
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    let count = match count {
        "" => 0,
        count => count.parse().map_err(|_| {
            Failure::new("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    if matches.flag("rm") && !matches!(name, "" | "no") {
        return Err(Failure::new(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    let name = if name.is_empty() { "no" } else { name };
    Ok(RestartPolicy {
        name: name.to_owned(),
        maximum_retry_count: count,
    })
}

fn logging(matches: &Matches) -> Result<LogConfig, Failure> {
    let driver = matches.text_or_empty("log-driver");
    let options = key_values(matches.list("log-opt"));
    if driver == "none" && !options.is_empty() {
        return Err(Failure::new("invalid logging opts for driver none"));
    }
    Ok(LogConfig {
        r#type: driver.to_owned(),
        config: Some(options),
    })
}

fn extra_hosts(matches: &Matches) -> Result<Vec<String>, Failure> {
    each(matches, "add-host", network::host)
}

/// Every value of a flag, read.
fn each<T>(
    matches: &Matches,
    flag: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Failure> {
    matches
        .list(flag)
        .map(|text| read(text).map_err(Failure::new))
        .collect()
}

/// The last of each name counts.
fn ulimits(matches: &Matches) -> Result<Vec<Ulimit>, Failure> {
    let mut limits = std::collections::BTreeMap::new();
    for text in matches.list("ulimit") {
        let limit = ulimit::parse(text).map_err(Failure::new)?;
        limits.insert(limit.name.clone(), limit);
    }
    Ok(limits.into_values().collect())
}

fn mounts(matches: &Matches) -> Result<Vec<Mount>, Failure> {
    matches
        .list("mount")
        .map(|text| mount::parse(text).map_err(Failure::new))
        .collect()
}

fn tmpfs(matches: &Matches) -> std::collections::BTreeMap<String, String> {
    let split = |text: &str| {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        (path.to_owned(), options.to_owned())
    };
    matches.list("tmpfs").map(split).collect()
}

fn volumes(matches: &Matches) -> Result<Vec<Volume>, Failure> {
    matches
        .list("volume")
        .map(|text| volume::parse(text, &std::env::current_dir).map_err(Failure::new))
        .collect()
}

/// `null` in place of an empty list, where Docker's client has it; elsewhere it sends the empty list.
fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests;
