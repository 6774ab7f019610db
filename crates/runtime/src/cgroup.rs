//! The container's folders in the cgroup hierarchies: version 1, version 2, or both at once, each controller where
//! it is mounted.
//!
//! On a hybrid machine the almost empty version 2 hierarchy is used, too: for `clone3(CLONE_INTO_CGROUP)`, for
//! freezing, for killing all at once and for knowing when the last process is gone.

mod devices;
mod layout;
mod limits;
mod oom;
mod removal;
mod v1;
mod v2;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use linux::Errno;
use linux::file::{self, Mode, OFlags};
use linux::signal::Signal;
use oci::runtime::Resources;

pub(crate) use layout::{Hierarchy, Layout};
pub use oom::OomWatch;

use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// The container's folders, opened once.
#[derive(Debug)]
pub(crate) struct Cgroup {
    v1: Vec<V1Folder>,
    unified: Option<Folder>,
}

#[derive(Debug)]
struct V1Folder {
    hierarchy: Hierarchy,
    folder: Folder,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Cgroup {
    /// Makes (or takes over, when nobody is in it) the version 2 folder, which `clone3` needs. The others follow
    /// with [`Cgroup::make_rest`].
    pub(crate) fn make_unified(layout: &Layout, path: &Path) -> Result<Self> {
        let unified = match &layout.unified {
            Some(mount) => Some(v2::make(mount, path)?),
            None => None,
        };
        Ok(Self {
            v1: Vec::new(),
            unified,
        })
    }

    /// Makes the version 1 folders. What was made stays in `self` even on failure, for [`Cgroup::remove`].
    pub(crate) fn make_rest(&mut self, layout: &Layout, path: &Path) -> Result<()> {
        for hierarchy in &layout.v1 {
            let folder = v1::make(hierarchy, path)?;
            self.v1.push(V1Folder {
                hierarchy: hierarchy.clone(),
                folder,
            });
        }
        Ok(())
    }

    /// The folders of a container that exists; hierarchies in which it has none are passed over.
    pub(crate) fn open(layout: &Layout, path: &Path) -> Self {
        let open = |mount: &Path| Folder::open(join(mount, path)).ok();
        let folders = layout.v1.iter().filter_map(|hierarchy| {
            Some(V1Folder {
                folder: open(&hierarchy.mount)?,
                hierarchy: hierarchy.clone(),
            })
        });
        Self {
            v1: folders.collect(),
            unified: layout.unified.as_deref().and_then(open),
        }
    }

    /// Puts a process into the version 1 folders that may not do so by itself.
    pub(crate) fn add(&self, pid: u32) -> Result<()> {
        self.v1
            .iter()
            .try_for_each(|folder| folder.folder.write("cgroup.procs", &pid.to_string()))
    }

    /// For `CLONE_INTO_CGROUP`.
    pub(crate) fn unified_fd(&self) -> Option<&OwnedFd> {
        self.unified.as_ref().map(|folder| &folder.fd)
    }

    /// Folders and their files of members, for the child to enter by itself.
    pub(crate) fn v1_fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.v1.iter().map(|folder| &folder.folder.fd)
    }

    /// All folders, one a hierarchy.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.folders().map(|folder| folder.path.clone()).collect()
    }

    fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.v1
            .iter()
            .map(|folder| &folder.folder)
            .chain(&self.unified)
    }

    fn controller(&self, name: &str) -> Option<&Folder> {
        self.v1
            .iter()
            .find(|folder| folder.hierarchy.has(name))
            .map(|folder| &folder.folder)
    }

    /// Sets every limit but the device rules.
    pub(crate) fn set_limits(&self, resources: &Resources) -> Result<()> {
        limits::set(self, resources)
    }

    /// Sets which devices may be used; last, because the container's own nodes are made before.
    pub(crate) fn set_device_rules(&self, resources: &Resources) -> Result<()> {
        devices::set(self, &resources.devices)
    }

    /// Every process in the container's cgroup and below it.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        let Some(folder) = self
            .unified
            .as_ref()
            .or_else(|| self.v1.first().map(|first| &first.folder))
        else {
            return Ok(Vec::new());
        };
        let mut pids = Vec::new();
        removal::each_below(&folder.fd, &mut |dir| {
            pids.extend(read_pids(dir)?);
            Ok(())
        })
        .context(|| format!("list the processes of {}", folder.path.display()))?;
        Ok(pids)
    }

    /// Kills every process, newborn ones included.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Some(folder) = &self.unified {
            match file::write_at(&folder.fd, "cgroup.kill", b"1") {
                // Before Linux 5.14.
                Err(error) if error.errno() == Errno::NOENT => {}
                result => {
                    return result.context(|| format!("kill all in {}", folder.path.display()));
                }
            }
        }
        removal::kill_each(self)
    }

    /// Signals every process once.
    pub(crate) fn signal_each(&self, signal: Signal) -> Result<()> {
        for pid in self.pids()? {
            match linux::signal::kill(pid.cast_signed(), signal) {
                Err(error) if error.errno() == Errno::SRCH => {}
                result => result.context(|| format!("signal process {pid}"))?,
            }
        }
        Ok(())
    }

    /// Freezes all processes and returns once they are, or thaws them.
    pub(crate) fn set_frozen(&self, frozen: bool) -> Result<()> {
        if let Some(folder) = &self.unified
            && v2::set_frozen(folder, frozen)?
        {
            return Ok(());
        }
        match self.controller("freezer") {
            Some(folder) => v1::set_frozen(folder, frozen),
            None => Err(Error::new(
                Kind::Invalid,
                "pausing needs the freezer cgroup, which is not mounted",
            )),
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        let says = |folder: Option<&Folder>, name: &str, word: &[u8]| {
            folder
                .and_then(|folder| file::read_at(&folder.fd, name, 4096).ok())
                .is_some_and(|text| text.starts_with(word))
        };
        says(self.unified.as_ref(), "cgroup.freeze", b"1")
            || says(self.controller("freezer"), "freezer.state", b"FR")
    }

    /// How many processes the kernel has killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let count = |folder: &Folder, name: &str| {
            let text = file::read_at(&folder.fd, name, 4096).ok()?;
            field(std::str::from_utf8(&text).ok()?, "oom_kill")
        };
        let found = match self.controller("memory") {
            Some(folder) => count(folder, "memory.oom_control"),
            None => self
                .unified
                .as_ref()
                .and_then(|folder| count(folder, "memory.events")),
        };
        found.unwrap_or(0)
    }

    /// Removes all folders with all below them, going on after an error and reporting the first. They must be empty
    /// of processes or about to be.
    pub(crate) fn remove(&self) -> Result<()> {
        removal::remove(self)
    }
}

impl Folder {
    fn open(path: PathBuf) -> Result<Self> {
        let fd =
            file::open(&path, OFlags::PATH | OFlags::DIRECTORY).context(|| "open the cgroup")?;
        Ok(Self { path, fd })
    }

    fn write(&self, name: &str, value: &str) -> Result<()> {
        file::write_at(&self.fd, name, value.as_bytes()).context(|| {
            format!(
                "failed to write {value:?} to {}",
                self.path.join(name).display()
            )
        })
    }

    fn has(&self, name: &str) -> bool {
        file::stat_at(&self.fd, name).is_ok()
    }
}

/// The calling process enters the container's version 1 folders, which have been made meanwhile.
pub(crate) fn enter_v1(layout: &Layout, path: &Path) -> Result<()> {
    for hierarchy in &layout.v1 {
        enter(file::CURRENT, &join(&hierarchy.mount, path))
            .context(|| format!("failed to enter the cgroup {:?}", hierarchy.controllers))?;
    }
    Ok(())
}

/// The process that writes enters the folder at a path below `dir`. Its only thread writes itself into `tasks`, for
/// which the kernel needs no lock over all processes; on version 2, and where there is no such file, `cgroup.procs`.
pub(crate) fn enter(dir: impl AsFd, path: &Path) -> linux::Result<()> {
    match file::write_at(&dir, path.join("tasks"), b"0") {
        Err(error) if error.errno() == Errno::NOENT => {
            file::write_at(dir, path.join("cgroup.procs"), b"0")
        }
        result => result,
    }
}

/// A path of the specification below a mount point; `..` in it stays inside.
pub(crate) fn join(mount: &Path, path: &Path) -> PathBuf {
    let mut joined = mount.to_owned();
    let mut depth = 0;
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => {
                joined.push(name);
                depth += 1;
            }
            std::path::Component::ParentDir if depth > 0 => {
                joined.pop();
                depth -= 1;
            }
            _ => {}
        }
    }
    joined
}

/// Makes a folder with all its parents; true when it is new.
fn make_folder(path: &Path) -> linux::Result<bool> {
    match file::make_dir(file::CURRENT, path, 0o755) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Errno::EXIST => Ok(false),
        Err(error) if error.errno() == Errno::NOENT => {
            make_folder(path.parent().unwrap_or_else(|| Path::new("/")))?;
            make_folder(path)
        }
        Err(error) => Err(error),
    }
}

fn read_pids(dir: &OwnedFd) -> linux::Result<Vec<u32>> {
    const LIMIT: u64 = 64 << 20;
    let fd = file::open_at(dir, "cgroup.procs", OFlags::RDONLY, Mode::empty())?;
    let text = match file::read_all(fd, LIMIT) {
        // A threaded cgroup of version 2 has no list of its own.
        Err(error) if error.errno() == Errno::OPNOTSUPP => return Ok(Vec::new()),
        result => result?,
    };
    let text = String::from_utf8_lossy(&text);
    Ok(text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid != 0)
        .collect())
}

/// The number after `name` in a file of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// An existing folder is taken over only when nobody is in it.
fn refuse_occupied(folder: &Folder) -> Result<()> {
    let pids = read_pids(&folder.fd).context(|| "look into the cgroup")?;
    if pids.is_empty() {
        return Ok(());
    }
    let message = format!(
        "container's cgroup is not empty: {} process(es) found in {}",
        pids.len(),
        folder.path.display()
    );
    Err(Error::new(Kind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_mount() {
        let check = |path: &str, expect: &str| {
            assert_eq!(
                join(Path::new("/sys/fs/cgroup/cpu"), Path::new(path)),
                Path::new(expect),
                "{path}"
            );
        };
        check("/tare/abc", "/sys/fs/cgroup/cpu/tare/abc");
        check("tare/abc", "/sys/fs/cgroup/cpu/tare/abc");
        check("/../../etc/x", "/sys/fs/cgroup/cpu/etc/x");
        check("/a/../../b/./c", "/sys/fs/cgroup/cpu/b/c");
    }

    #[test]
    fn fields_are_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(3));
        assert_eq!(field(text, "oom"), None);
    }
}
