//! What is left of containers whose shim has died: their cgroups, and whoever still runs in them.
//!
//! A shim removes its container's cgroup itself. Only when it was killed is it up to the engine to end the processes and
//! to remove the cgroup from every hierarchy, v1 and v2, nested ones first.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linux::pidfd::PidFd;
use linux::signal::Signal;
use oci::ContainerId;

use crate::error::{Context, Error, Result};

/// How long killed processes may take to end: one may sit in the kernel, waiting for a disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the processes of a cgroup are killed anew: a fork may slip between the list and the signal.
const ROUNDS: usize = 64;

/// The mounted cgroup hierarchies.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    mounts: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the hierarchies in the text of `/proc/self/mountinfo` (proc(5)).
    pub(crate) fn find(mountinfo: &str) -> Self {
        let mut mounts: Vec<PathBuf> = mountinfo
            .lines()
            .filter_map(mount_point)
            .map(PathBuf::from)
            .collect();
        mounts.dedup();
        Self { mounts }
    }

    /// Containers that have a cgroup below `parent` anywhere.
    pub(crate) fn containers(&self, parent: &str) -> BTreeSet<ContainerId> {
        let entries = self
            .mounts
            .iter()
            .filter_map(|mount| fs::read_dir(below(mount, parent)).ok());
        entries
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Kills every process in the cgroup `path`, waits for their end, and removes the cgroup from all hierarchies.
    /// Goes on after an error; one that is not there is none.
    pub(crate) fn destroy(&self, path: &str) -> Result<()> {
        let folders: Vec<PathBuf> = self
            .mounts
            .iter()
            .flat_map(|mount| nested(&below(mount, path)))
            .collect();
        let killed = kill(&folders);
        let removed = folders
            .iter()
            .map(|folder| remove(folder))
            .fold(Ok(()), Result::and);
        killed.and(removed)
    }

    /// The shim of container `id`, which is the parent of one of the processes in the cgroup `path`.
    pub(crate) fn parent(&self, path: &str, id: &str) -> Option<PidFd> {
        let mut pids = self
            .mounts
            .iter()
            .flat_map(|mount| nested(&below(mount, path)))
            .flat_map(|folder| processes(&folder));
        pids.find_map(|pid| {
            let parent = PidFd::open(parent_of(pid)?).ok()?;
            // Looked at once its pid cannot be another's any more.
            let words = fs::read(format!("/proc/{}/cmdline", parent_of(pid)?)).ok()?;
            let words = String::from_utf8_lossy(&words);
            (words.starts_with("tare-shim") && words.contains(id)).then_some(parent)
        })
    }

    /// Whether `parent` is there in any hierarchy.
    pub(crate) fn has_parent(&self, parent: &str) -> bool {
        let mut mounts = self.mounts.iter();
        mounts.any(|mount| below(mount, parent).exists())
    }

    /// Removes `parent` itself where no container is left below it.
    pub(crate) fn remove_parent(&self, parent: &str) {
        for mount in &self.mounts {
            // Not empty, or in use by another engine: then it stays.
            let _ = fs::remove_dir(below(mount, parent));
        }
    }
}

fn mount_point(line: &str) -> Option<&str> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let kind = filesystem.split(' ').next()?;
    let point = mount.split(' ').nth(4)?;
    (kind == "cgroup" || kind == "cgroup2").then_some(point)
}

fn below(mount: &Path, path: &str) -> PathBuf {
    mount.join(path.trim_start_matches('/'))
}

/// A cgroup and those in it, innermost first; empty when it is not there.
fn nested(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| nested(&entry.path()))
        .collect();
    found.push(folder.to_owned());
    found
}

fn kill(folders: &[PathBuf]) -> Result<()> {
    for _ in 0..ROUNDS {
        let pids: BTreeSet<u32> = folders
            .iter()
            .flat_map(|folder| processes(folder))
            .collect();
        if pids.is_empty() {
            return Ok(());
        }
        // A process that is gone by now has no pidfd and needs none.
        let doomed: Vec<PidFd> = pids
            .iter()
            .filter_map(|&pid| PidFd::open(pid).ok())
            .collect();
        for process in &doomed {
            let _ = process.signal(Signal::KILL);
        }
        // A frozen process dies only once it is thawed.
        for folder in folders {
            let _ = write_existing(&folder.join("freezer.state"), "THAWED");
            let _ = write_existing(&folder.join("cgroup.freeze"), "0");
        }
        for process in &doomed {
            let ended = process
                .wait_readable(Some(PATIENCE))
                .context(|| "wait for a killed process".into())?;
            if !ended {
                return Err(Error::system(format!(
                    "a process in {} does not die",
                    folders[0].display()
                )));
            }
        }
    }
    Err(Error::system(format!(
        "processes in {} fork faster than they die",
        folders[0].display()
    )))
}

fn processes(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for processes of a pid namespace that is not ours.
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|&pid| pid != 0)
        .collect()
}

/// From `/proc/PID/stat` (proc(5)): the second field after the name, which may hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

fn write_existing(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(text.as_bytes())
}

fn remove(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {}
            Err(error) => {
                return Err(error).context(|| format!("remove the cgroup {}", folder.display()));
            }
        }
        // A process that is no longer listed is a member until the kernel is done with it.
        #[expect(clippy::disallowed_methods, reason = "version 1 has no event for it")]
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn finds_hierarchies() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
                    33 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
        let found = Cgroups::find(text).mounts;
        assert_eq!(
            found,
            [
                Path::new("/sys/fs/cgroup/cpu"),
                Path::new("/sys/fs/cgroup/unified")
            ]
        );
    }

    #[test]
    fn ends_what_still_runs_and_leaves_nothing() {
        let cgroups = Cgroups::find(&fs::read_to_string("/proc/self/mountinfo").unwrap());
        let mounts: Vec<&PathBuf> = cgroups
            .mounts
            .iter()
            .filter(|m| m.ends_with("pids") || m.ends_with("freezer"))
            .collect();
        assert!(
            !mounts.is_empty(),
            "this test needs root and a cgroup v1 pids or freezer hierarchy"
        );
        let id = ContainerId::random();
        let parent = format!("/tare-test-{}", id.short());
        let path = format!("{parent}/{id}");
        let mut child = Command::new("sleep")
            .arg("100")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        for mount in &mounts {
            let folder = below(mount, &path);
            fs::create_dir_all(folder.join("nested")).unwrap();
            fs::write(folder.join("nested/cgroup.procs"), child.id().to_string()).unwrap();
            let _ = write_existing(&folder.join("freezer.state"), "FROZEN");
        }
        assert_eq!(cgroups.containers(&parent), [id].into());

        cgroups.destroy(&path).unwrap();
        cgroups.remove_parent(&parent);

        assert!(!child.wait().unwrap().success());
        assert!(mounts.iter().all(|mount| !below(mount, &parent).exists()));
        cgroups.destroy(&path).unwrap();
    }
}
