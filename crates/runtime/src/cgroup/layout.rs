//! Where which cgroup hierarchy is mounted.

use std::path::{Path, PathBuf};

use linux::file;

use crate::Result;
use crate::error::Context as _;

/// Every hierarchy of the machine, as this process sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) v1: Vec<Hierarchy>,
    /// Where version 2 is mounted.
    pub(crate) unified: Option<PathBuf>,
}

/// One hierarchy of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) mount: PathBuf,
    /// Controllers, or `name=NAME` for one without.
    pub(crate) controllers: Vec<String>,
}

impl Hierarchy {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|held| held == controller)
    }

    /// The options that mount this hierarchy again.
    pub(crate) fn mount_options(&self) -> Vec<String> {
        let none = self
            .controllers
            .iter()
            .all(|held| held.starts_with("name="))
            .then(|| "none".to_owned());
        none.into_iter()
            .chain(self.controllers.iter().cloned())
            .collect()
    }
}

impl Layout {
    /// Reads the mount table, unless all is version 2 at the usual place.
    pub(crate) fn detect() -> Result<Self> {
        let usual = Path::new("/sys/fs/cgroup");
        let is_unified =
            file::open_path(usual).and_then(file::filesystem_magic) == Ok(file::CGROUP2_MAGIC);
        if is_unified {
            return Ok(Self {
                v1: Vec::new(),
                unified: Some(usual.to_owned()),
            });
        }
        let fd = file::open(Path::new("/proc/self/mountinfo"), file::OFlags::RDONLY)
            .context(|| "find the cgroup hierarchies")?;
        let table = file::read_all(fd, 64 << 20).context(|| "find the cgroup hierarchies")?;
        Ok(Self::parse(&String::from_utf8_lossy(&table)))
    }

    /// From lines of `/proc/PID/mountinfo` (proc(5)). The first mount of a hierarchy counts, and only one of its
    /// whole: a bind mount of a part would lead elsewhere.
    fn parse(mountinfo: &str) -> Self {
        let mut layout = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut right = right.split(' ');
            let (kind, options) = (
                right.next().unwrap_or_default(),
                right.nth(1).unwrap_or_default(),
            );
            let Some(mount) = left
                .split(' ')
                .nth(4)
                .map(|path| PathBuf::from(unescape(path)))
            else {
                continue;
            };
            match kind {
                "cgroup2" if layout.unified.is_none() => layout.unified = Some(mount),
                "cgroup" => layout.add(mount, options),
                _ => {}
            }
        }
        layout
    }

    fn add(&mut self, mount: PathBuf, options: &str) {
        const NOT_CONTROLLERS: [&str; 8] = [
            "rw",
            "ro",
            "xattr",
            "clone_children",
            "cpuset_v2_mode",
            "noprefix",
            "none",
            "favordynmods",
        ];
        let is_controller = |option: &&str| {
            !NOT_CONTROLLERS.contains(option) && !option.starts_with("release_agent=")
        };
        let controllers: Vec<_> = options
            .split(',')
            .filter(is_controller)
            .map(str::to_owned)
            .collect();
        let known = self
            .v1
            .iter()
            .any(|hierarchy| hierarchy.controllers == controllers);
        if !controllers.is_empty() && !known {
            self.v1.push(Hierarchy { mount, controllers });
        }
    }
}

/// Undoes the octal escapes of the mount table.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid() {
        let table = "\
30 20 0:25 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
33 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
34 30 0:26 / /mnt/a\\040b rw,relatime - cgroup cgroup rw,cpu,cpuacct
";
        let layout = Layout::parse(table);
        assert_eq!(
            layout.unified.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
        assert_eq!(layout.v1.len(), 2);
        assert!(layout.v1[0].has("cpuacct") && !layout.v1[0].has("rw"));
        assert_eq!(layout.v1[1].mount_options(), ["none", "name=systemd"]);
    }

    #[test]
    fn nothing_mounted() {
        assert_eq!(
            Layout::parse("1 1 0:1 / / rw - ext4 /dev/vda rw\ngarbage\n"),
            Layout::default()
        );
    }
}
