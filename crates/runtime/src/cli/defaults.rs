//! `spec` and `features`.

use std::path::Path;

use oci::runtime::Spec;

use super::Context;
use super::args::{Args, Flag};
use super::inspect::print_json;
use crate::error::Context as _;
use crate::{Error, Result};

pub(super) const SPEC_FLAGS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::switch("rootless", None),
];

/// What `runc spec` writes.
const SPEC: &str = include_str!("spec.json");

pub(super) fn spec(_: &Context, args: &Args) -> Result<u8> {
    if args.has("rootless") {
        return Err(Error::invalid("--rootless is not supported"));
    }
    let path = Path::new(args.value("bundle").unwrap_or(".")).join("config.json");
    let spec: Spec =
        serde_json::from_str(SPEC).map_err(|error| Error::invalid(error.to_string()))?;
    let text =
        serde_json::to_string_pretty(&spec).map_err(|error| Error::invalid(error.to_string()))?;
    let describe = || format!("failed to write {}", path.display());
    let flags =
        linux::file::OFlags::CREATE | linux::file::OFlags::EXCL | linux::file::OFlags::WRONLY;
    let mode = linux::file::Mode::from_raw_mode(0o666);
    let file = linux::file::open_at(linux::file::CURRENT, &path, flags, mode).context(describe)?;
    linux::file::write_all(file, text.as_bytes()).context(describe)?;
    Ok(0)
}

/// OCI runtime-spec 1.2, features.md.
pub(super) fn features(_: &Context, _: &Args) -> Result<u8> {
    let capabilities: Vec<_> = linux::caps::NAMES
        .iter()
        .map(|name| format!("CAP_{name}"))
        .collect();
    print_json(&serde_json::json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": oci::runtime::VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": [
            "async", "atime", "bind", "defaults", "dev", "diratime", "exec", "noatime", "nodev", "nodiratime", "noexec",
            "nostrictatime", "nosuid", "nosymfollow", "private", "rbind", "rdev", "relatime", "rexec", "rnoatime",
            "rnodev", "rnoexec", "rnosuid", "ro", "rprivate", "rro", "rrw", "rshared", "rslave", "rsuid",
            "runbindable", "rw", "shared", "slave", "strictatime", "suid", "symfollow", "tmpcopyup", "unbindable",
        ],
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true},
            "seccomp": {
                "enabled": true,
                "actions": [
                    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                    "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
                ],
                "operators": [
                    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                    "SCMP_CMP_NE",
                ],
                "archs": if cfg!(target_arch = "aarch64") { vec!["SCMP_ARCH_AARCH64"] } else {
                    vec!["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]
                },
                "knownFlags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
                "supportedFlags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": false}},
        },
    }))
}
