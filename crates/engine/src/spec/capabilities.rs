//! `--cap-add`, `--cap-drop`, `--privileged`.

use linux::caps;

use crate::error::{Error, Result};
use crate::options::HostOptions;

/// What a container gets by default, in Docker's order.
const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Everything this process can give away.
pub(crate) fn all() -> Vec<String> {
    let held = caps::bounding();
    let known = caps::NAMES.iter().enumerate();
    known
        .filter(|(bit, _)| held & (1 << bit) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect()
}

/// The capabilities of a container, `available` being what can be given.
pub(super) fn of(host: &HostOptions, available: &[String]) -> Result<Vec<String>> {
    let added = names(&host.cap_add, "CapAdd", available)?;
    let dropped = names(&host.cap_drop, "CapDrop", available)?;
    if host.privileged {
        return Ok(available.to_vec());
    }
    let base: Vec<String> = if added.iter().any(|name| name == "ALL") {
        available.to_vec()
    } else if dropped.iter().any(|name| name == "ALL") {
        Vec::new()
    } else {
        DEFAULT
            .iter()
            .map(|name| (*name).to_owned())
            .filter(|name| available.contains(name))
            .collect()
    };
    let mut set: Vec<String> = base
        .into_iter()
        .filter(|name| !dropped.contains(name))
        .collect();
    for name in added.into_iter().filter(|name| name != "ALL") {
        if !set.contains(&name) {
            set.push(name);
        }
    }
    Ok(set)
}

/// Refuses names nobody knows and capabilities that cannot be given, and writes the rest in full: `CAP_SYS_TIME`.
pub(crate) fn settle(host: &mut HostOptions, available: &[String]) -> Result<()> {
    host.cap_add = names(&host.cap_add, "CapAdd", available)?;
    host.cap_drop = names(&host.cap_drop, "CapDrop", available)?;
    Ok(())
}

fn names(asked: &[String], field: &str, available: &[String]) -> Result<Vec<String>> {
    asked
        .iter()
        .map(|name| normal(name, field, available))
        .collect()
}

fn normal(name: &str, field: &str, available: &[String]) -> Result<String> {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" || upper == "CAP_ALL" {
        return Ok("ALL".to_owned());
    }
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    if caps::bit(&full).is_none() {
        return Err(Error::invalid(format!(
            "invalid {field}: unknown capability: \"{full}\""
        )));
    }
    if field == "CapAdd" && !available.contains(&full) {
        return Err(Error::invalid(format!(
            "invalid {field}: capability not supported by your kernel or not available in the current environment: \
             \"{full}\""
        )));
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(add: &[&str], drop: &[&str]) -> Result<Vec<String>, String> {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let host = HostOptions {
            cap_add: list(add),
            cap_drop: list(drop),
            ..Default::default()
        };
        let available: Vec<String> = caps::NAMES[..38]
            .iter()
            .map(|n| format!("CAP_{n}"))
            .collect();
        of(&host, &available).map_err(|e| e.to_string())
    }

    #[test]
    fn adds_and_drops() {
        assert_eq!(check(&[], &[]).unwrap(), DEFAULT);
        assert_eq!(check(&["sys_admin"], &["ALL"]).unwrap(), ["CAP_SYS_ADMIN"]);
        assert_eq!(check(&["ALL"], &["CAP_CHOWN"]).unwrap().len(), 37);
        assert_eq!(check(&[], &["chown"]).unwrap().len(), 13);
        assert_eq!(
            check(&["FOO"], &[]).unwrap_err(),
            "invalid CapAdd: unknown capability: \"CAP_FOO\""
        );
        assert!(
            check(&["BPF"], &[])
                .unwrap_err()
                .contains("not supported by your kernel")
        );
        assert_eq!(check(&[], &["BPF"]).unwrap(), DEFAULT);
    }
}
