//! `linux.sysctl`: kernel parameters, as far as they are of the container's own namespaces.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linux::file::{self, Mode, OFlags, PROC_MAGIC};
use linux::ns::Kinds;

use crate::error::Context as _;
use crate::namespaces::Namespaces;
use crate::{Error, Result};

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The file of each parameter with its value.
pub(crate) fn check<'a>(
    sysctl: &'a BTreeMap<String, String>,
    namespaces: &Namespaces,
) -> Result<Vec<(PathBuf, &'a str)>> {
    let mut checked = Vec::new();
    for (key, value) in sysctl {
        let key = normalised(key);
        let needed = namespace_of(&key).ok_or_else(|| {
            Error::invalid(format!(
                "sysctl {key:?} is not in a separate kernel namespace"
            ))
        })?;
        if !namespaces.has(needed) {
            let message =
                format!("sysctl {key:?} is not allowed in the hosts {needed:?} namespace");
            return Err(Error::invalid(message));
        }
        if key.split('.').any(|part| part.is_empty() || part == "..") {
            return Err(Error::invalid(format!("invalid sysctl {key:?}")));
        }
        checked.push((
            PathBuf::from(key.replace('.', "/").replace('\u{1}', ".")),
            value.as_str(),
        ));
    }
    Ok(checked)
}

/// With dots between the parts. The first separator says which of `.` and `/` it is; the other one stands for a dot
/// inside a name (`net/ipv4/conf/eth0.1/forwarding`) and becomes a placeholder.
fn normalised(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'/' => key.replace('.', "\u{1}").replace('/', "."),
        _ => key.replace('/', "\u{1}"),
    }
}

fn namespace_of(key: &str) -> Option<Kinds> {
    if IPC.contains(&key) || key.starts_with("fs.mqueue.") {
        return Some(Kinds::IPC);
    }
    if key.starts_with("net.") {
        return Some(Kinds::NETWORK);
    }
    (key == "kernel.domainname" || key == "kernel.hostname").then_some(Kinds::UTS)
}

/// In the child, while `/proc` is still the host's: the kernel picks the namespace by who writes.
pub(crate) fn write(parameters: &[(PathBuf, &str)]) -> Result<()> {
    if parameters.is_empty() {
        return Ok(());
    }
    let describe = |path: &Path| format!("failed to write sysctl {}", path.display());
    let top = file::open(Path::new("/proc/sys"), OFlags::PATH | OFlags::DIRECTORY)
        .context(|| "open /proc/sys")?;
    if file::filesystem_magic(&top).context(|| "statfs /proc/sys")? != PROC_MAGIC {
        return Err(Error::invalid("/proc/sys is not procfs"));
    }
    for (path, value) in parameters {
        let fd = file::open_at(&top, path, OFlags::WRONLY | OFlags::NOFOLLOW, Mode::empty())
            .context(|| describe(path))?;
        file::write_once(fd, value.as_bytes()).context(|| describe(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(keys: &[&str]) -> Result<Vec<String>> {
        let sysctl = keys
            .iter()
            .map(|key| ((*key).to_owned(), "1".to_owned()))
            .collect();
        let namespaces = Namespaces {
            new: Kinds::IPC | Kinds::NETWORK,
            joined: Vec::new(),
        };
        Ok(check(&sysctl, &namespaces)?
            .into_iter()
            .map(|(path, _)| path.display().to_string())
            .collect())
    }

    #[test]
    fn names_become_paths() {
        assert_eq!(
            paths(&["net.ipv4.ip_forward"]).unwrap(),
            ["net/ipv4/ip_forward"]
        );
        assert_eq!(
            paths(&["net/ipv4/conf/eth0.1/forwarding"]).unwrap(),
            ["net/ipv4/conf/eth0.1/forwarding"]
        );
    }

    #[test]
    fn the_hosts_own_are_refused() {
        assert!(
            paths(&["kernel.panic"])
                .unwrap_err()
                .to_string()
                .contains("not in a separate kernel namespace")
        );
        assert!(
            paths(&["kernel.hostname"])
                .unwrap_err()
                .to_string()
                .contains("not allowed")
        );
        assert!(paths(&["net..x"]).is_err());
        assert!(paths(&["net.../../../etc/passwd"]).is_err());
    }
}
