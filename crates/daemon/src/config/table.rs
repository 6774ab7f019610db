//! The one table of options: dockerd's flags, their keys in `daemon.json`, and whether this daemon honours them.
//!
//! An option that is in Docker's table but that nothing here can honour is refused by its name, so that nobody
//! believes in a setting that does nothing. A refused switch may still be turned off: that is what happens anyway.

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--debug`, `--debug=false`; `true` or `false` in the file.
    Switch,
    /// One word; a later one replaces an earlier one.
    Text,
    /// A whole number.
    Number,
    /// May be given often; an array of strings in the file.
    List,
    /// `--log-opt max-size=1m`; an object of strings in the file.
    Map,
    /// A list on the command line, an object of objects in the file (`runtimes`, `default-ulimits`).
    Table,
}

/// Whether the option does something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    Yes,
    /// Docker has it and this daemon does not; the text says what is missing.
    No(&'static str),
}

/// One option of the daemon.
#[derive(Debug)]
pub(crate) struct Opt {
    /// The long flag without dashes; empty for options that only the file has.
    pub(crate) flag: &'static str,
    pub(crate) short: Option<char>,
    /// The key in `daemon.json`; empty for options that only the command line has.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) support: Support,
    pub(crate) help: &'static str,
}

impl Opt {
    /// The name used as key of the merged settings: the flag, or the key where there is no flag.
    pub(crate) fn name(&self) -> &'static str {
        if self.flag.is_empty() {
            self.key
        } else {
            self.flag
        }
    }
}

const fn yes(flag: &'static str, key: &'static str, kind: Kind, help: &'static str) -> Opt {
    Opt {
        flag,
        short: None,
        key,
        kind,
        support: Support::Yes,
        help,
    }
}

const fn short(
    short: char,
    flag: &'static str,
    key: &'static str,
    kind: Kind,
    help: &'static str,
) -> Opt {
    Opt {
        flag,
        short: Some(short),
        key,
        kind,
        support: Support::Yes,
        help,
    }
}

const fn no(flag: &'static str, key: &'static str, kind: Kind, why: &'static str) -> Opt {
    Opt {
        flag,
        short: None,
        key,
        kind,
        support: Support::No(why),
        help: "",
    }
}

const NETWORK: &str = "this part of networking is not built yet";
const TLS: &str = "TLS is not built yet";
const CONTAINERD: &str = "there is no containerd here";
const SWARM: &str = "there is no swarm mode here";
const DNS: &str = "containers' resolver follows the host's /etc/resolv.conf";
const REALTIME: &str = "real-time scheduling limits are not built yet";
const BUILD: &str = "building images is not built yet";

use Kind::{List, Map, Number, Switch, Table, Text};

/// Every option, in the order in which `--help` shows them.
pub(crate) static OPTIONS: &[Opt] = &[
    yes(
        "add-runtime",
        "runtimes",
        Table,
        "Register an additional OCI compatible runtime, as NAME=PATH",
    ),
    yes(
        "bip",
        "bip",
        Text,
        "Address and subnet of the default bridge, as 192.0.2.1/24 (default: a free subnet)",
    ),
    yes(
        "bip6",
        "bip6",
        Text,
        "IPv6 address and subnet of the default bridge",
    ),
    short(
        'b',
        "bridge",
        "bridge",
        Text,
        "A bridge that is there already for the default network, or \"none\" for no default network",
    ),
    yes(
        "default-address-pool",
        "default-address-pools",
        Table,
        "Where subnets are taken from, as base=10.0.0.0/8,size=24",
    ),
    yes(
        "default-network-opt",
        "default-network-opts",
        Table,
        "Options of new networks by driver, as bridge=com.docker.network.driver.mtu=1400",
    ),
    yes(
        "default-gateway",
        "default-gateway",
        Text,
        "Gateway of containers on the default bridge (default: the bridge)",
    ),
    yes(
        "default-gateway-v6",
        "default-gateway-v6",
        Text,
        "IPv6 gateway of containers on the default bridge (default: the bridge)",
    ),
    yes(
        "firewall-backend",
        "firewall-backend",
        Text,
        "Always nftables",
    ),
    yes(
        "fixed-cidr",
        "fixed-cidr",
        Text,
        "Part of the default bridge's subnet that addresses are taken from",
    ),
    yes("fixed-cidr-v6", "fixed-cidr-v6", Text, "The same for IPv6"),
    yes(
        "icc",
        "icc",
        Switch,
        "Containers on the default bridge reach each other (default true)",
    ),
    yes(
        "ip",
        "ip",
        Text,
        "Host address of ports that containers on the default bridge publish (default 0.0.0.0)",
    ),
    yes(
        "ip-forward",
        "ip-forward",
        Switch,
        "Let the host forward packets where a network needs it (default true)",
    ),
    yes(
        "ip-masq",
        "ip-masq",
        Switch,
        "What leaves the default bridge gets the host's address (default true)",
    ),
    yes(
        "ip6tables",
        "ip6tables",
        Switch,
        "Always on: rules for IPv6",
    ),
    yes("iptables", "iptables", Switch, "Always on: rules for IPv4"),
    yes("ipv6", "ipv6", Switch, "Give the default bridge IPv6"),
    yes(
        "allow-direct-routing",
        "allow-direct-routing",
        Switch,
        "Let others reach published ports by the containers' own addresses",
    ),
    yes(
        "publish-mode",
        "publish-mode",
        Text,
        "How published ports lead to containers (\"auto\"|\"nat\"|\"host-socket\") (default \"auto\")",
    ),
    yes(
        "userland-proxy",
        "userland-proxy",
        Switch,
        "Carry on what the kernel cannot translate: ::1, and IPv6 to containers without (default true)",
    ),
    yes(
        "mtu",
        "mtu",
        Number,
        "MTU of the default bridge (default 1500)",
    ),
    yes(
        "cgroup-parent",
        "cgroup-parent",
        Text,
        "Set parent cgroup for all containers (default \"/tare\")",
    ),
    yes(
        "certs-dir",
        "certs-dir",
        Text,
        "Certificates and hosts.toml of registries (default \"/etc/tare/certs.d\", then \"/etc/docker/certs.d\")",
    ),
    yes(
        "config-file",
        "",
        Text,
        "Daemon configuration file (default \"/etc/tare/daemon.json\")",
    ),
    yes(
        "data-root",
        "data-root",
        Text,
        "Root directory of persistent state (default \"/var/lib/tare\")",
    ),
    short('D', "debug", "debug", Switch, "Enable debug mode"),
    yes(
        "default-cgroupns-mode",
        "default-cgroupns-mode",
        Text,
        "Default mode for containers cgroup namespace (\"host\" | \"private\")",
    ),
    yes(
        "default-ipc-mode",
        "default-ipc-mode",
        Text,
        "Default mode for containers ipc (\"shareable\" | \"private\")",
    ),
    yes(
        "default-registry",
        "default-registry",
        Text,
        "Registry where names without one are looked for first (default docker.io)",
    ),
    yes(
        "default-runtime",
        "default-runtime",
        Text,
        "Default OCI runtime for containers (default \"tare-runtime\")",
    ),
    yes(
        "default-shm-size",
        "default-shm-size",
        Text,
        "Default shm size for containers (default 64MiB)",
    ),
    yes(
        "default-stop-timeout",
        "default-stop-timeout",
        Number,
        "Seconds a container has to stop before it is killed (default 10)",
    ),
    yes(
        "default-ulimit",
        "default-ulimits",
        Table,
        "Default ulimits for containers, as NAME=SOFT[:HARD]",
    ),
    yes(
        "dns",
        "dns",
        List,
        "Name server for containers; may be given often",
    ),
    yes(
        "dns-opt",
        "dns-opts",
        List,
        "Option for the resolver of containers",
    ),
    yes(
        "dns-search",
        "dns-search",
        List,
        "Domain in which containers look names up",
    ),
    yes(
        "exec-opt",
        "exec-opts",
        List,
        "Runtime execution options (native.cgroupdriver=cgroupfs)",
    ),
    yes(
        "exec-root",
        "exec-root",
        Text,
        "Root directory for execution state files (default \"/run/tare\")",
    ),
    short(
        'G',
        "group",
        "group",
        Text,
        "Group for the unix socket (default \"docker\", where there is one)",
    ),
    yes("help", "", Switch, "Print usage"),
    short(
        'H',
        "host",
        "hosts",
        List,
        "Daemon socket(s) to connect to (default \"unix:///run/tare/tare.sock\")",
    ),
    yes(
        "host-names",
        "host-names",
        Text,
        "Loopback address at which the host itself finds containers by name, as 127.0.0.153 or 127.0.0.153:5353",
    ),
    yes(
        "host-names-domain",
        "host-names-domain",
        Text,
        "Domain that these names end in (default \"tare\")",
    ),
    yes(
        "http-proxy",
        "http-proxy",
        Text,
        "HTTP proxy URL to reach registries",
    ),
    yes(
        "https-proxy",
        "https-proxy",
        Text,
        "HTTPS proxy URL to reach registries",
    ),
    yes(
        "init",
        "init",
        Switch,
        "Run an init in the container to forward signals and reap processes",
    ),
    yes(
        "insecure-registry",
        "insecure-registries",
        List,
        "Registry (host or network) to reach without a valid certificate",
    ),
    yes(
        "label",
        "labels",
        List,
        "Set key=value labels to the daemon",
    ),
    yes(
        "live-restore",
        "live-restore",
        Switch,
        "Always on: containers outlive the daemon (default true)",
    ),
    yes(
        "log-driver",
        "log-driver",
        Text,
        "Default driver for container logs (\"json-file\"|\"local\"|\"none\") (default \"json-file\")",
    ),
    yes(
        "log-format",
        "log-format",
        Text,
        "Set the logging format (\"text\"|\"json\") (default \"text\")",
    ),
    short(
        'l',
        "log-level",
        "log-level",
        Text,
        "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\") (default \"info\")",
    ),
    yes(
        "log-opt",
        "log-opts",
        Map,
        "Default log driver options for containers",
    ),
    yes(
        "max-concurrent-downloads",
        "max-concurrent-downloads",
        Number,
        "Layers that are pulled at once (default 3)",
    ),
    yes(
        "max-concurrent-uploads",
        "max-concurrent-uploads",
        Number,
        "Layers that are pushed at once (default 5)",
    ),
    yes(
        "max-layer-size",
        "max-layer-size",
        Text,
        "Most that one layer of an image may hold, unpacked (default: what the disk can take)",
    ),
    yes(
        "max-download-attempts",
        "max-download-attempts",
        Number,
        "Tries before a request to a registry has failed (default 5)",
    ),
    yes(
        "no-new-privileges",
        "no-new-privileges",
        Switch,
        "Set no-new-privileges by default for new containers",
    ),
    yes(
        "no-proxy",
        "no-proxy",
        Text,
        "Hosts and networks to reach without a proxy, separated by commas",
    ),
    short(
        'p',
        "pidfile",
        "pidfile",
        Text,
        "Path to use for daemon PID file (default \"/run/tare/tare.pid\")",
    ),
    yes("raw-logs", "raw-logs", Switch, "Log without ANSI colouring"),
    yes(
        "ready-fd",
        "",
        Number,
        "Leave the session that started it, and write a line to this descriptor when ready",
    ),
    yes(
        "registry-mirror",
        "registry-mirrors",
        List,
        "Mirror of Docker Hub, or HOST=URL for another registry, or *=URL for all",
    ),
    yes(
        "search-registry",
        "search-registries",
        List,
        "Registry where search, and names without a registry behind the default one, are looked for",
    ),
    yes(
        "seccomp-profile",
        "seccomp-profile",
        Text,
        "Path to seccomp profile, or \"unconfined\" (default \"builtin\")",
    ),
    yes(
        "shim",
        "",
        Text,
        "Path of tare-shim (default: beside this file, else on PATH)",
    ),
    yes(
        "shutdown-timeout",
        "shutdown-timeout",
        Number,
        "Seconds that open requests have to finish at shutdown (default 15)",
    ),
    short(
        's',
        "storage-driver",
        "storage-driver",
        Text,
        "Storage driver of new containers (\"overlay2\", \"vfs\")",
    ),
    yes(
        "validate",
        "",
        Switch,
        "Validate daemon configuration and exit",
    ),
    short(
        'v',
        "version",
        "",
        Switch,
        "Print version information and quit",
    ),
    yes("", "proxies", Table, ""),
    yes("", "min-api-version", Text, ""),
    no(
        "authorization-plugin",
        "authorization-plugins",
        List,
        "there are no plugins here",
    ),
    no(
        "bridge-accept-fwmark",
        "bridge-accept-fwmark",
        Text,
        NETWORK,
    ),
    no(
        "cdi-spec-dir",
        "cdi-spec-dirs",
        List,
        "CDI devices are not built yet",
    ),
    no("containerd", "containerd", Text, CONTAINERD),
    no(
        "containerd-namespace",
        "containerd-namespace",
        Text,
        CONTAINERD,
    ),
    no(
        "containerd-plugins-namespace",
        "containerd-plugin-namespace",
        Text,
        CONTAINERD,
    ),
    no("cpu-rt-period", "cpu-rt-period", Number, REALTIME),
    no("cpu-rt-runtime", "cpu-rt-runtime", Number, REALTIME),
    no("cri-containerd", "cri-containerd", Switch, CONTAINERD),
    no(
        "experimental",
        "experimental",
        Switch,
        "there are no experimental features",
    ),
    no(
        "feature",
        "features",
        Table,
        "there are no optional features",
    ),
    no("host-gateway-ip", "host-gateway-ips", List, NETWORK),
    no("", "host-gateway-ip", Text, NETWORK),
    no(
        "init-path",
        "init-path",
        Text,
        "the init of containers is part of tare-shim",
    ),
    no("ip-forward-no-drop", "ip-forward-no-drop", Switch, NETWORK),
    no(
        "metrics-addr",
        "metrics-addr",
        Text,
        "metrics are not built yet",
    ),
    no(
        "network-control-plane-mtu",
        "network-control-plane-mtu",
        Number,
        SWARM,
    ),
    no(
        "network-diagnostic-port",
        "network-diagnostic-port",
        Number,
        SWARM,
    ),
    no(
        "node-generic-resource",
        "node-generic-resources",
        List,
        SWARM,
    ),
    no(
        "nri-opts",
        "nri-opts",
        Table,
        "NRI plugins are not built yet",
    ),
    no("resolv-conf", "resolv-conf", Text, DNS),
    no(
        "rootless",
        "rootless",
        Switch,
        "running without root is not built yet",
    ),
    no(
        "selinux-enabled",
        "selinux-enabled",
        Switch,
        "SELinux labels are not built yet",
    ),
    no(
        "storage-opt",
        "storage-opts",
        List,
        "the overlay2 driver takes no options yet",
    ),
    no(
        "swarm-default-advertise-addr",
        "swarm-default-advertise-addr",
        Text,
        SWARM,
    ),
    no(
        "swarm-raft-election-tick",
        "swarm-raft-election-tick",
        Number,
        SWARM,
    ),
    no(
        "swarm-raft-heartbeat-tick",
        "swarm-raft-heartbeat-tick",
        Number,
        SWARM,
    ),
    no("tls", "tls", Switch, TLS),
    no("tlscacert", "tlscacert", Text, TLS),
    no("tlscert", "tlscert", Text, TLS),
    no("tlskey", "tlskey", Text, TLS),
    no("tlsverify", "tlsverify", Switch, TLS),
    no("userland-proxy-path", "userland-proxy-path", Text, NETWORK),
    no(
        "userns-remap",
        "userns-remap",
        Text,
        "remapped user namespaces are not built yet",
    ),
    no("", "builder", Table, BUILD),
    yes(
        "",
        "gc",
        Table,
        "Keep disk space free: enabled, keep-free, policy, min-age",
    ),
];

/// The option with this long flag.
pub(crate) fn by_flag(flag: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|o| !o.flag.is_empty() && o.flag == flag)
}

/// The option with this one-letter flag.
pub(crate) fn by_short(short: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.short == Some(short))
}

/// The option with this key in the file.
pub(crate) fn by_key(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| !o.key.is_empty() && o.key == key)
}
