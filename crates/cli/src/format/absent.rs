//! What `null` and absent members of the daemon's documents are in Go, whose structs have a type and a zero value for each.
//! Templates see the difference: `{{.Config.Entrypoint}}` prints `[]`, `{{if .State.Health}}` is no error.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

/// A Go type's zero value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Pointer,
    List,
    Map,
    Text,
    Number,
    Bool,
}

/// Members that are lists where they are `null`.
const LISTS: &[&str] = &[
    "Aliases",
    "Authorization",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "DNSNames",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GenericResources",
    "GroupAdd",
    "Layers",
    "Links",
    "MaskedPaths",
    "Mirrors",
    "OnBuild",
    "ReadonlyPaths",
    "RemoteManagers",
    "RepoDigests",
    "RepoTags",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
    "SecurityOpt",
    "Ulimits",
    "VolumesFrom",
    "Warnings",
];

/// Members that are maps where they are `null`.
const MAPS: &[&str] = &[
    "DriverOpts",
    "Labels",
    "Options",
    "PortBindings",
    "Ports",
    "Volumes",
];

/// Maps whose keys are users' own, beside [`MAPS`].
const OWN_KEYS: &[&str] = &["Annotations", "Containers", "Networks", "Sysctls", "Tmpfs"];

/// Fields that Go calls otherwise than the JSON does. Templates know both: Docker's client tries them on its structs first.
const GO_NAMES: &[(&str, &str)] = &[
    ("AuxiliaryAddresses", "AuxAddress"),
    ("CpuPeriod", "CPUPeriod"),
    ("CpuQuota", "CPUQuota"),
    ("CpuRealtimePeriod", "CPURealtimePeriod"),
    ("CpuRealtimeRuntime", "CPURealtimeRuntime"),
    ("CpuShares", "CPUShares"),
    ("Dns", "DNS"),
    ("DnsOptions", "DNSOptions"),
    ("DnsSearch", "DNSSearch"),
    ("Id", "ID"),
    ("NanoCpus", "NanoCPUs"),
];

/// The other names of the members of what is called so.
pub(super) fn go_names(of: &str) -> &'static [(&'static str, &'static str)] {
    if MAPS.contains(&of) || OWN_KEYS.contains(&of) {
        &[]
    } else {
        GO_NAMES
    }
}

/// Members that Go leaves out of the JSON of a struct when they are zero, by the struct's member name, and by a member that
/// tells it from others of that name.
type Omitted = (&'static str, &'static str, &'static [(&'static str, Zero)]);

const OMITTED: &[Omitted] = &[
    (
        "",
        "HostConfig",
        &[
            ("SizeRw", Zero::Pointer),
            ("SizeRootFs", Zero::Pointer),
            ("GraphDriver", Zero::Pointer),
        ],
    ),
    (
        "",
        "RootFS",
        &[
            ("Created", Zero::Text),
            ("Variant", Zero::Text),
            ("OsVersion", Zero::Text),
            ("Parent", Zero::Text),
            ("DockerVersion", Zero::Text),
        ],
    ),
    ("State", "Pid", &[("Health", Zero::Pointer)]),
    (
        "Config",
        "Cmd",
        &[
            ("ExposedPorts", Zero::Map),
            ("Healthcheck", Zero::Pointer),
            ("ArgsEscaped", Zero::Bool),
            ("NetworkDisabled", Zero::Bool),
            ("MacAddress", Zero::Text),
            ("StopSignal", Zero::Text),
            ("StopTimeout", Zero::Pointer),
            ("Shell", Zero::List),
        ],
    ),
    (
        "HostConfig",
        "NetworkMode",
        &[
            ("Annotations", Zero::Map),
            ("StorageOpt", Zero::Map),
            ("Tmpfs", Zero::Map),
            ("Sysctls", Zero::Map),
            ("Runtime", Zero::Text),
            ("Init", Zero::Pointer),
            ("Mounts", Zero::List),
            ("KernelMemory", Zero::Number),
            ("KernelMemoryTCP", Zero::Number),
        ],
    ),
    (
        "",
        "Mountpoint",
        &[
            ("Status", Zero::Map),
            ("UsageData", Zero::Pointer),
            ("ClusterVolume", Zero::Pointer),
        ],
    ),
    // Entries of a list have no name of their own.
    (
        "",
        "Propagation",
        &[
            ("Type", Zero::Text),
            ("Name", Zero::Text),
            ("Driver", Zero::Text),
        ],
    ),
    ("RootFS", "Type", &[("Layers", Zero::List)]),
    (
        "",
        "DriverStatus",
        &[
            ("ProductLicense", Zero::Text),
            ("SystemStatus", Zero::List),
            ("FirewallBackend", Zero::Pointer),
            ("Containerd", Zero::Pointer),
            ("DefaultAddressPools", Zero::List),
        ],
    ),
];

/// What a member that is `null` is to a template.
pub(super) fn null(name: &str) -> Value {
    if LISTS.contains(&name) {
        value(Zero::List)
    } else if MAPS.contains(&name) {
        value(Zero::Map)
    } else {
        Value::Nil
    }
}

/// What the object that is the member `name` lacks.
pub(super) fn members_of(
    name: &str,
    members: &BTreeMap<Arc<str>, Value>,
) -> impl Iterator<Item = (&'static str, Zero)> + use<> {
    let found: Vec<_> = OMITTED
        .iter()
        .filter(|(owner, mark, _)| *owner == name && members.contains_key(*mark))
        .flat_map(|(_, _, omitted)| omitted.iter().copied())
        .filter(|(member, _)| !members.contains_key(*member))
        .collect();
    found.into_iter()
}

/// The zero value; lists and maps are each an allocation of their own, because they are known by their address.
pub(super) fn value(zero: Zero) -> Value {
    match zero {
        Zero::Pointer => Value::Nil,
        Zero::List => Value::List(Vec::new().into()),
        Zero::Map => Value::Map(Arc::new(BTreeMap::new())),
        Zero::Text => Value::String("".into()),
        Zero::Number => Value::Int(0),
        Zero::Bool => Value::Bool(false),
    }
}
