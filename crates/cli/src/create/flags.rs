//! The flags of `run` and `create`.

use crate::command::Flag;
use crate::command::Takes::{Nothing, Value};
use crate::options::{block, environment, mount, network, numbers, size, sysctl, ulimit};
use crate::trust;

/// What the process is and how one talks to it.
pub(crate) static PROCESS: &[Flag] = &[
    Flag::checked_list(
        "attach",
        Some('a'),
        "list",
        stream,
        "Attach to stdin, stdout or stderr only",
    ),
    Flag::text(
        "entrypoint",
        None,
        "Program to run in place of the image's entrypoint; empty for none",
    ),
    Flag::checked_list(
        "env",
        Some('e'),
        "list",
        environment::check_variable,
        "Set a variable: NAME=VALUE, or NAME to pass the client's on",
    ),
    Flag::list("env-file", None, "Read variables from a file"),
    Flag::list("group-add", None, "Join a further group"),
    Flag::bool(
        "init",
        None,
        "Run a small init that passes signals on and reaps processes",
    ),
    Flag::bool(
        "interactive",
        Some('i'),
        "Keep stdin open, also when nobody is attached",
    ),
    Flag::text(
        "stop-signal",
        None,
        "Signal that asks the container to stop",
    ),
    Flag::int(
        "stop-timeout",
        None,
        "Seconds from that signal until the container is killed",
    ),
    Flag::bool(
        "no-healthcheck",
        None,
        "Do without the health check of the image",
    ),
    Flag::bool("tty", Some('t'), "Give the process a terminal"),
    Flag::text(
        "user",
        Some('u'),
        "User, and group: <name|uid>[:<group|gid>]",
    ),
    Flag::text("workdir", Some('w'), "Folder the process starts in"),
];

/// The container's name, marks and image.
pub(crate) static IDENTITY: &[Flag] = &[
    Flag::list(
        "annotation",
        None,
        "Add an annotation for the OCI runtime: NAME=VALUE",
    ),
    Flag::text("cidfile", None, "Write the container's id into a new file"),
    Flag::text("domainname", None, "The container's NIS domain"),
    Flag::text("hostname", Some('h'), "The container's host name"),
    Flag::checked_list(
        "label",
        Some('l'),
        "list",
        environment::check_label,
        "Set a label: NAME=VALUE",
    ),
    Flag::list("label-file", None, "Read labels from a file"),
    Flag::text("name", None, "Give the container a name"),
    Flag::text("platform", None, "Platform of the image"),
    Flag::text(
        "pull",
        None,
        "Pull the image: always, missing (default), never",
    ),
    Flag::bool("quiet", Some('q'), "Do not tell about pulling"),
    Flag::text(
        "restart",
        None,
        "When to start it again after it ended: no (on-failure, always and unless-stopped are not built yet)",
    ),
    Flag::bool(
        "rm",
        None,
        "Remove the container and its anonymous volumes when it has ended",
    ),
    Flag::text("runtime", None, "OCI runtime to use"),
    trust::FLAG,
];

/// What of the host's files it sees.
pub(crate) static STORAGE: &[Flag] = &[
    Flag::checked_list(
        "mount",
        None,
        "mount",
        mount::check,
        "Mount something: type=bind|volume|tmpfs,source=...,target=...,...",
    ),
    Flag::bool("read-only", None, "Mount the root filesystem read-only"),
    Flag::checked(
        "shm-size",
        None,
        "bytes",
        size::check_bytes,
        "Size of /dev/shm",
    ),
    Flag::list("tmpfs", None, "Mount a tmpfs: PATH[:OPTIONS]"),
    Flag::list(
        "volume",
        Some('v'),
        "Mount a path or a volume: [SOURCE:]TARGET[:OPTIONS]",
    ),
    Flag::text("volume-driver", None, "Driver of the volumes that it names"),
    Flag::list("volumes-from", None, "Mount what another container mounts"),
];

/// How much it may use.
pub(crate) static RESOURCES: &[Flag] = &[
    Flag::checked(
        "blkio-weight",
        None,
        "uint16",
        block::check_weight,
        "Weight among those that want the disk, 10 to 1000; 0 for none",
    ),
    Flag::checked_list(
        "blkio-weight-device",
        None,
        "list",
        block::check_weight_device,
        "The same for one device: PATH:WEIGHT",
    ),
    Flag::checked_list(
        "device-read-bps",
        None,
        "list",
        block::check_bytes,
        "Bytes a second it may read from a device: PATH:SIZE",
    ),
    Flag::checked_list(
        "device-read-iops",
        None,
        "list",
        block::check_operations,
        "How often a second it may read from a device: PATH:NUMBER",
    ),
    Flag::checked_list(
        "device-write-bps",
        None,
        "list",
        block::check_bytes,
        "Bytes a second it may write to a device: PATH:SIZE",
    ),
    Flag::checked_list(
        "device-write-iops",
        None,
        "list",
        block::check_operations,
        "How often a second it may write to a device: PATH:NUMBER",
    ),
    // The kernel has it no more; Docker's client reads it and says nothing.
    Flag::no_op("kernel-memory", None, Value),
    Flag::text(
        "cgroup-parent",
        None,
        "Control group to put the container's below",
    ),
    Flag::int(
        "cpu-period",
        None,
        "Period of the CPU quota in microseconds",
    ),
    Flag::int("cpu-quota", None, "CPU time in each period in microseconds"),
    Flag::int(
        "cpu-rt-period",
        None,
        "Period of the real-time CPU time in microseconds",
    ),
    Flag::int(
        "cpu-rt-runtime",
        None,
        "Real-time CPU time in each period in microseconds",
    ),
    Flag::int(
        "cpu-shares",
        Some('c'),
        "Weight among the containers that want the CPU",
    ),
    Flag::checked(
        "cpus",
        None,
        "decimal",
        numbers::check_cpus,
        "How many CPUs it may use, such as 1.5",
    ),
    Flag::text("cpuset-cpus", None, "CPUs it may run on: 0-3 or 0,1"),
    Flag::text("cpuset-mems", None, "Memory nodes it may use: 0-3 or 0,1"),
    Flag::checked(
        "memory",
        Some('m'),
        "bytes",
        size::check_bytes,
        "Memory limit",
    ),
    Flag::checked(
        "memory-reservation",
        None,
        "bytes",
        size::check_bytes,
        "Memory it is pushed back to when the host is short",
    ),
    Flag::checked(
        "memory-swap",
        None,
        "bytes",
        size::check_swap,
        "Memory and swap together; -1 for no limit",
    ),
    Flag::int(
        "memory-swappiness",
        None,
        "How readily its memory is swapped out, 0 to 100",
    ),
    Flag::bool(
        "oom-kill-disable",
        None,
        "Let it wait in place of being killed when its memory is used up",
    ),
    Flag::int(
        "oom-score-adj",
        None,
        "How readily the kernel kills it, -1000 to 1000",
    ),
    Flag::int(
        "pids-limit",
        None,
        "How many processes it may have; -1 for no limit",
    ),
    Flag::checked_list(
        "ulimit",
        None,
        "ulimit",
        ulimit::check,
        "Limit of its processes: NAME=SOFT[:HARD]",
    ),
];

/// What it may do, and which namespaces it shares.
pub(crate) static ISOLATION: &[Flag] = &[
    Flag::checked_list(
        "add-host",
        None,
        "list",
        network::check_host,
        "Add a line to /etc/hosts: NAME:ADDRESS, or NAME:host-gateway",
    ),
    Flag::list("cap-add", None, "Add a capability"),
    Flag::list("cap-drop", None, "Drop a capability"),
    Flag::text("cgroupns", None, "Cgroup namespace: host or private"),
    Flag::list("device", None, "Give it a device: HOST[:CONTAINER][:rwm]"),
    Flag::list(
        "device-cgroup-rule",
        None,
        "Allow a kind of device: 'c 1:3 rwm'",
    ),
    Flag::checked_list(
        "dns",
        None,
        "list",
        network::check_server,
        "Name server to use",
    ),
    Flag::list("dns-option", None, "Option of the resolver"),
    Flag::hidden_list("dns-opt", |_| Ok(())),
    Flag::checked_list(
        "dns-search",
        None,
        "list",
        network::check_domain,
        "Domain to search names in",
    ),
    Flag::text(
        "ipc",
        None,
        "IPC namespace: none, private, shareable, host or container:NAME",
    ),
    Flag::text("isolation", None, "Isolation technology: default"),
    Flag::checked_list(
        "network",
        None,
        "network",
        network::check,
        "Network to join: NAME, name=NAME,alias=NAME,ip=ADDRESS..., none, host or container:NAME",
    ),
    Flag::hidden_list("net", network::check),
    Flag::text("ip", None, "IPv4 address in the first network"),
    Flag::text("ip6", None, "IPv6 address in the first network"),
    Flag::list(
        "link-local-ip",
        None,
        "Further address in the first network, such as a link-local one",
    ),
    Flag::text("mac-address", None, "Hardware address in the first network"),
    Flag::list("network-alias", None, "Further name in the first network"),
    Flag::hidden_list("net-alias", |_| Ok(())),
    Flag::list(
        "publish",
        Some('p'),
        "Port of the host that leads to one of the container: [[IP:]HOST:]PORT[/PROTOCOL], with ranges",
    ),
    Flag::bool(
        "publish-all",
        Some('P'),
        "Publish every exposed port on a free port of the host",
    ),
    Flag::list(
        "expose",
        None,
        "Port or range that is exposed, without being published",
    ),
    Flag::text("pid", None, "PID namespace: host or container:NAME"),
    Flag::bool(
        "privileged",
        None,
        "Give it every capability and device, and hide nothing",
    ),
    Flag::list(
        "security-opt",
        None,
        "seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined",
    ),
    Flag::checked_list(
        "sysctl",
        None,
        "map",
        sysctl::check,
        "Set a kernel parameter of its namespaces: NAME=VALUE",
    ),
    Flag::text("userns", None, "User namespace: host"),
    Flag::text("uts", None, "UTS namespace: host"),
];

/// Where its output goes.
pub(crate) static LOGGING: &[Flag] = &[
    Flag::text(
        "log-driver",
        None,
        "Where the output goes: json-file, local or none",
    ),
    Flag::list(
        "log-opt",
        None,
        "Option of the log driver, such as max-size=10m",
    ),
];

/// What Docker has and this version does not.
pub(crate) static NOT_BUILT: &[Flag] = &[
    Flag::not_built("cpu-count", None, Value),
    Flag::not_built("cpu-percent", None, Value),
    Flag::not_built("gpus", None, Value),
    Flag::not_built("health-cmd", None, Value),
    Flag::not_built("health-interval", None, Value),
    Flag::not_built("health-retries", None, Value),
    Flag::not_built("health-start-interval", None, Value),
    Flag::not_built("health-start-period", None, Value),
    Flag::not_built("health-timeout", None, Value),
    Flag::not_built("io-maxbandwidth", None, Value),
    Flag::not_built("io-maxiops", None, Value),
    Flag::list(
        "link",
        None,
        "Know another container by a name of one's own: CONTAINER[:ALIAS]",
    ),
    Flag::not_built("storage-opt", None, Value),
    Flag::not_built("use-api-socket", None, Nothing),
];

fn stream(name: &str) -> Result<(), String> {
    match name.to_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}
