//! Who may import whom (ARCHITECTURE.md, "Crates"), and who never reaches what, however far round.

use super::Findings;
use crate::metadata::Graph;

/// Each package with the packages of this workspace that it may name. What is not listed may not exist.
const LAYERS: &[(&str, &[&str])] = &[
    // floor
    ("oci", &[]),
    ("linux", &[]),
    ("database", &[]),
    ("api", &["oci"]),
    // resource
    ("image", &["database", "linux", "oci"]),
    ("network", &["linux", "oci"]),
    ("registry", &["database", "oci"]),
    // process
    ("runtime", &["linux", "oci"]),
    // The keeper, one of the shim's roles, answers names out of `network::dns`.
    ("shim", &["runtime", "network", "linux", "oci"]),
    // domain
    (
        "engine",
        &["image", "network", "registry", "shim", "linux", "oci"],
    ),
    // work
    ("build", &["engine", "image", "oci"]),
    // doors
    ("cri", &["engine", "oci"]),
    (
        "daemon",
        &[
            "api", "cri", "build", "engine", "registry", "image", "network", "oci",
        ],
    ),
    // client
    ("compose", &["api", "oci"]),
    ("cli", &["compose", "api", "registry", "oci"]),
    // the file that picks the role
    ("tare", &["cli", "daemon"]),
    // tools
    ("xtask", &[]),
    ("tests", &["network"]),
    ("bench", &["tests"]),
    (
        "replay",
        &["api", "image", "network", "oci", "registry", "shim"],
    ),
];

/// What the process once per container must stay free of.
const HEAVY: &[&str] = &[
    "tokio",
    "hyper",
    "rustls",
    "reqwest",
    "tonic",
    "async-std",
    "smol",
    "ring",
    "openssl",
    "clap",
];

/// Packages with what they never reach, even transitively.
const NEVER: &[(&str, &[&str])] = &[
    ("oci", HEAVY),
    ("linux", HEAVY),
    ("runtime", HEAVY),
    ("shim", HEAVY),
    // A domain type never is a wire type; HTTP it reaches through the registry's client alone.
    ("engine", &["api", "clap"]),
    (
        "image",
        &["api", "hyper", "http", "clap", "network", "registry"],
    ),
    ("network", &["api", "image", "registry"]),
    ("registry", &["api", "image", "network"]),
    // The client runs where no engine is.
    (
        "cli",
        &[
            "engine", "image", "shim", "runtime", "linux", "daemon", "network",
        ],
    ),
    (
        "compose",
        &[
            "engine", "image", "shim", "runtime", "linux", "daemon", "network",
        ],
    ),
];

pub(super) fn check(graph: &Graph, findings: &mut Findings) {
    for member in graph.members() {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == member.name) else {
            findings.fault(format!(
                "package {} has no row in the layer table (xtask/src/tidy/layers.rs)",
                member.name
            ));
            continue;
        };
        for dependency in graph.own_dependencies(member) {
            if !allowed.contains(&dependency) {
                findings.fault(format!(
                    "{} may not import {dependency}: it may import {allowed:?}",
                    member.name
                ));
            }
        }
        let never = NEVER
            .iter()
            .find(|(name, _)| *name == member.name)
            .map_or(&[][..], |(_, never)| never);
        let reach = graph.reach(member);
        for package in never.iter().filter(|package| reach.contains(**package)) {
            findings.fault(format!(
                "{} reaches {package} (cargo tree -e normal -p {} -i {package})",
                member.name, member.name
            ));
        }
    }
}
