//! What the machine is, for `info` and `version`. Read when asked for; `/proc` costs nothing.

use std::fs;
use std::path::Path;

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

pub(crate) fn kernel_version() -> String {
    line("/proc/sys/kernel/osrelease")
}

pub(crate) fn hostname() -> String {
    line("/proc/sys/kernel/hostname")
}

pub(crate) fn ipv4_forwarding() -> bool {
    line("/proc/sys/net/ipv4/ip_forward") == "1"
}

/// As `uname -m` says it.
pub(crate) fn machine() -> &'static str {
    std::env::consts::ARCH
}

/// As Go says it.
pub(crate) fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `PRETTY_NAME` of os-release.
pub(crate) fn operating_system() -> String {
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    pretty_name(&text.unwrap_or_default()).unwrap_or_else(|| "Linux".to_owned())
}

fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Bytes.
pub(crate) fn memory() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = text.lines().find_map(|l| {
        l.strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    });
    kilobytes.unwrap_or(0_i64) * 1024
}

pub(crate) fn cpus() -> i64 {
    std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(i64::MAX))
}

/// Descriptors that this process holds.
pub(crate) fn open_files() -> i64 {
    fs::read_dir("/proc/self/fd").map_or(-1, |all| i64::try_from(all.count()).unwrap_or(i64::MAX))
}

/// Threads of this process, which is as near to goroutines as we have.
pub(crate) fn threads() -> i64 {
    fs::read_dir("/proc/self/task").map_or(-1, |all| i64::try_from(all.count()).unwrap_or(i64::MAX))
}

/// The name of the file system under a path, as `info` shows it.
pub(crate) fn backing_filesystem(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kind = deepest_mount(&mounts, path).unwrap_or("unknown");
    if kind.starts_with("ext") {
        "extfs".to_owned()
    } else {
        kind.to_owned()
    }
}

fn deepest_mount<'t>(mounts: &'t str, path: &Path) -> Option<&'t str> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(target, _)| path.starts_with(target))
        .max_by_key(|(target, _)| target.len())
        .map(|(_, kind)| kind)
}

/// Which cgroup controllers the machine has, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroups {
    /// Everything is in the unified hierarchy.
    pub(crate) v2: bool,
    controllers: Vec<String>,
}

impl Cgroups {
    pub(crate) fn read() -> Self {
        let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if v2 {
            let text = line("/sys/fs/cgroup/cgroup.controllers");
            return Self {
                v2,
                controllers: text.split_whitespace().map(str::to_owned).collect(),
            };
        }
        Self {
            v2,
            controllers: mounted_v1(&fs::read_to_string("/proc/self/mounts").unwrap_or_default()),
        }
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    /// Whether swap can be limited: without swap accounting the kernel does not show the file.
    pub(crate) fn limits_swap(&self) -> bool {
        self.has("memory")
            && (self.v2 || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists())
    }
}

fn mounted_v1(mounts: &str) -> Vec<String> {
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.get(2) == Some(&"cgroup"))
        .filter_map(|fields| {
            fields
                .get(3)
                .map(|options| options.split(',').map(str::to_owned).collect::<Vec<_>>())
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        assert_eq!(
            pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux\"\n").as_deref(),
            Some("Debian GNU/Linux")
        );
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /var tmpfs rw 0 0\ncg /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        assert_eq!(
            deepest_mount(mounts, Path::new("/var/lib/x")),
            Some("tmpfs")
        );
        assert_eq!(deepest_mount(mounts, Path::new("/usr")), Some("ext4"));
        assert_eq!(mounted_v1(mounts), ["rw", "memory"]);
    }
}
