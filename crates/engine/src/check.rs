//! The door of `create`: what makes no sense is refused in Docker's words, what this engine cannot honour yet by name.
//!
//! Nothing passes here that would be ignored later.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::mode::{CgroupNs, Ipc, Network, Pid, UserNs, Uts};
use crate::options::{ContainerOptions, HostOptions, ResourceOptions, RestartPolicy};
use crate::spec::Host;
use crate::{OWN_RUNTIMES, signal};

/// Docker's least memory for a container.
const MINIMUM_MEMORY: i64 = 6 << 20;

/// What setrlimit(2) knows.
const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Checks a request before the image's configuration is merged in.
pub(crate) fn check(options: &ContainerOptions, config: &Config) -> Result<()> {
    process(options)?;
    unsupported_process(options)?;
    let host = &options.host;
    hosts(&options.host)?;
    resolver(&options.host)?;
    modes(options)?;
    unsupported_host(host)?;
    restart(&host.restart, host.auto_remove)?;
    resources(&host.resources)?;
    unsupported_resources(&host.resources)?;
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        let value = host.oom_score_adj;
        return Err(Error::invalid(format!(
            "Invalid value {value}, range for oom score adj is [-1000, 1000]"
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    runtime(&host.runtime, config)?;
    crate::logging::check(&host.log)
}

fn process(options: &ContainerOptions) -> Result<()> {
    if !options.working_dir.is_empty() && !options.working_dir.starts_with('/') {
        return Err(Error::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            options.working_dir
        )));
    }
    if let Some(bad) = options
        .env
        .iter()
        .find(|e| e.is_empty() || e.starts_with('='))
    {
        return Err(Error::invalid(format!(
            "invalid environment variable: {bad}"
        )));
    }
    let texts = options.env.iter().chain(options.cmd.iter().flatten());
    if texts
        .chain(options.entrypoint.iter().flatten())
        .any(|t| t.contains('\0'))
    {
        return Err(Error::invalid(
            "the command and the environment must not hold NUL bytes",
        ));
    }
    host_name("hostname", &options.hostname)?;
    host_name("domainname", &options.domainname)?;
    if !options.stop_signal.is_empty() {
        signal::number(&options.stop_signal)?;
    }
    Ok(())
}

/// The kernel takes 64 bytes; what goes into /etc/hosts must not break its lines.
fn host_name(what: &str, name: &str) -> Result<()> {
    let good = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
    if good {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "invalid {what} {name:?}: at most 64 printable characters are allowed"
        )))
    }
}

fn unsupported_process(options: &ContainerOptions) -> Result<()> {
    refuse(options.args_escaped, "ArgsEscaped (Windows)")?;
    let runs_check = options
        .healthcheck
        .as_ref()
        .is_some_and(|h| !h.test.is_empty() && h.test[0] != "NONE");
    refuse(runs_check, "a health check (--health-cmd)")
}

/// What goes into the hosts file, a line each: `name:address`.
fn hosts(host: &HostOptions) -> Result<()> {
    for entry in &host.extra_hosts {
        let (name, address) = entry
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Error::invalid(format!("bad format for add-host: {entry:?}")))?;
        let bare = address.trim_matches(['[', ']']);
        let is_address = address == "host-gateway" || bare.parse::<IpAddr>().is_ok();
        if !is_address {
            return Err(Error::invalid(format!(
                "invalid IP address in add-host: {address:?}"
            )));
        }
        if name.contains(|c: char| c.is_control()) {
            return Err(Error::invalid(format!(
                "bad format for add-host: {entry:?}"
            )));
        }
    }
    Ok(())
}

/// What goes into resolv.conf, a line each.
fn resolver(host: &HostOptions) -> Result<()> {
    let is_address = |text: &String| {
        let address = text.split('%').next().unwrap_or_default();
        address.parse::<IpAddr>().is_ok()
    };
    if let Some(wrong) = host.dns.iter().find(|text| !is_address(text)) {
        return Err(Error::invalid(format!("bad nameserver address {wrong:?}")));
    }
    let mut words = host.dns_options.iter().chain(&host.dns_search);
    match words.find(|word| word.contains(|c: char| c.is_whitespace() || c.is_control())) {
        None => Ok(()),
        Some(wrong) => Err(Error::invalid(format!(
            "invalid resolver option or search domain {wrong:?}"
        ))),
    }
}

fn modes(options: &ContainerOptions) -> Result<()> {
    let host = &options.host;
    let network: Network = host.network_mode.parse()?;
    let _: Pid = host.pid_mode.parse()?;
    let _: Ipc = host.ipc_mode.parse()?;
    let uts: Uts = host.uts_mode.parse()?;
    let _: CgroupNs = host.cgroupns_mode.parse()?;
    let _: UserNs = host.userns_mode.parse()?;
    let joins = matches!(network, Network::Container(_));
    let is_connected = matches!(network, Network::Named(_));
    refuse(
        !is_connected && !options.mac_address.is_empty(),
        "a MAC address (--mac-address) without a network",
    )?;
    let named = !options.hostname.is_empty();
    let conflicts = [
        (
            joins && !host.links.is_empty(),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (joins && !host.dns.is_empty(), "dns and the network mode"),
        (
            joins && (!host.published.is_empty() || host.publish_all_ports),
            "port publishing and the container type network mode",
        ),
        (
            joins && !options.exposed_ports.is_empty(),
            "port exposing and the container type network mode",
        ),
        (
            joins && !host.extra_hosts.is_empty(),
            "custom host-to-IP mapping and the network mode",
        ),
        (joins && named, "hostname and the network mode"),
        (
            matches!(uts, Uts::Host) && named,
            "hostname and the UTS mode",
        ),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, what)) => Err(Error::invalid(format!("conflicting options: {what}"))),
        None => Ok(()),
    }
}

/// What a request asks of the machine's processors and memory nodes, against what the machine has.
pub(crate) fn machine(resources: &ResourceOptions, host: &Host) -> Result<()> {
    let check = |wanted: &str, available: &str, what: &str| {
        let Some(numbers) = numbers(wanted) else {
            return Err(Error::invalid(format!(
                "Invalid value {wanted} for cpuset {what}"
            )));
        };
        let has = self::numbers(available).unwrap_or_default();
        if has.is_empty() || numbers.is_subset(&has) {
            return Ok(());
        }
        let noun = if what == "cpus" {
            "CPUs"
        } else {
            "memory nodes"
        };
        Err(Error::invalid(format!(
            "Requested {noun} are not available - requested {wanted}, available: {available}"
        )))
    };
    check(&resources.cpuset_cpus, &host.cpus, "cpus")?;
    check(&resources.cpuset_mems, &host.memory_nodes, "mems")
}

/// Reads the kernel's list form, `0-3,5`.
fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // The kernel's own limit of numbers is far below.
        if first > last || last > 1 << 16 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn unsupported_host(host: &HostOptions) -> Result<()> {
    host.published
        .iter()
        .try_for_each(|binding| crate::ports::wish(binding).map(drop))?;
    refuse(!host.cgroup.is_empty(), "the Cgroup field")?;
    refuse(
        !host.storage_opt.is_empty(),
        "a storage option (--storage-opt)",
    )?;
    refuse(
        !matches!(host.isolation.as_str(), "" | "default"),
        format_args!("the isolation {:?} (Windows)", host.isolation),
    )
}

fn restart(policy: &RestartPolicy, auto_remove: bool) -> Result<()> {
    match policy.name.as_str() {
        "" | "no" if policy.maximum_retry_count != 0 => Err(Error::invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        )),
        "" | "no" => Ok(()),
        "always" | "unless-stopped" | "on-failure" if auto_remove => Err(Error::invalid(
            "can't create 'AutoRemove' container with restart policy",
        )),
        name @ ("always" | "unless-stopped" | "on-failure") => Err(Error::unsupported(
            format_args!("the restart policy {name:?} (--restart)"),
        )),
        name => Err(Error::invalid(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ))),
    }
}

fn resources(wanted: &ResourceOptions) -> Result<()> {
    memory(wanted)?;
    cpu(wanted)?;
    if let Some(limit) = wanted
        .ulimits
        .iter()
        .find(|u| u.hard != -1 && (u.soft == -1 || u.soft > u.hard))
    {
        return Err(Error::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        )));
    }
    if let Some(limit) = wanted
        .ulimits
        .iter()
        .find(|u| !ULIMITS.contains(&u.name.as_str()))
    {
        return Err(Error::invalid(format!(
            "invalid ulimit type: {}",
            limit.name
        )));
    }
    if wanted
        .memory_swappiness
        .is_some_and(|s| !(-1..=100).contains(&s))
    {
        return Err(Error::invalid(format!(
            "Invalid value: {}, valid memory swappiness range is 0-100",
            wanted.memory_swappiness.unwrap_or_default()
        )));
    }
    if wanted.blkio_weight != 0 && !(10..=1000).contains(&wanted.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    Ok(())
}

fn memory(wanted: &ResourceOptions) -> Result<()> {
    let ResourceOptions {
        memory,
        memory_swap,
        memory_reservation,
        ..
    } = *wanted;
    let refused = if memory < 0 || (1..MINIMUM_MEMORY).contains(&memory) {
        "Minimum memory limit allowed is 6MB"
    } else if memory == 0 && memory_swap > 0 {
        "You should always set the Memory limit when using Memoryswap limit, see usage"
    } else if memory > 0 && memory_swap > 0 && memory_swap < memory {
        "Minimum memoryswap limit should be larger than memory limit, see usage"
    } else if memory_reservation < 0 || (1..MINIMUM_MEMORY).contains(&memory_reservation) {
        "Minimum memory reservation allowed is 6MB"
    } else if memory > 0 && memory_reservation > memory {
        "Minimum memory limit can not be less than memory reservation limit, see usage"
    } else {
        return Ok(());
    };
    Err(Error::invalid(refused))
}

fn cpu(wanted: &ResourceOptions) -> Result<()> {
    if wanted.nano_cpus != 0 {
        // Reads the cgroup's files, so only when it matters.
        let count = std::thread::available_parallelism().map_or(1, usize::from) as i64;
        if !(10_000_000..=count * 1_000_000_000).contains(&wanted.nano_cpus) {
            return Err(Error::invalid(format!(
                "range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
            )));
        }
    }
    if wanted.nano_cpus > 0 && wanted.cpu_period > 0 {
        return Err(Error::invalid(
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ));
    }
    if wanted.nano_cpus > 0 && wanted.cpu_quota > 0 {
        return Err(Error::invalid(
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ));
    }
    if wanted.cpu_shares < 0 {
        return Err(Error::invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            wanted.cpu_shares
        )));
    }
    if wanted.cpu_period != 0 && !(1000..=1_000_000).contains(&wanted.cpu_period) {
        return Err(Error::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if wanted.cpu_quota > 0 && wanted.cpu_quota < 1000 {
        return Err(Error::invalid(
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        ));
    }
    Ok(())
}

fn unsupported_resources(wanted: &ResourceOptions) -> Result<()> {
    refuse(
        !wanted.device_requests.is_empty(),
        "a device request (--gpus)",
    )?;
    refuse(
        wanted.kernel_memory != 0,
        "a kernel memory limit (--kernel-memory)",
    )?;
    refuse(wanted.kernel_memory_tcp != 0, "a kernel TCP memory limit")?;
    refuse(
        wanted.cpu_count != 0 || wanted.cpu_percent != 0,
        "CpuCount and CpuPercent (Windows)",
    )?;
    refuse(
        wanted.io_maximum_iops != 0 || wanted.io_maximum_bandwidth != 0,
        "IOMaximumIOps and IOMaximumBandwidth (Windows)",
    )
}

fn runtime(name: &str, config: &Config) -> Result<()> {
    if name.is_empty() || OWN_RUNTIMES.contains(&name) || config.runtimes.contains_key(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "unknown or invalid runtime name: {name}"
    )))
}

fn refuse(present: bool, what: impl std::fmt::Display) -> Result<()> {
    if present {
        return Err(Error::unsupported(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
