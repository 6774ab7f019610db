//! `<root>/<id>/`: `state.json`, the start gate `exec.fifo`, and `failure`, where the first process says why its
//! execve failed. Made by `create`, removed by `delete`; nobody else writes there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use linux::Errno;
use linux::file::{self, Mode, OFlags};
use linux::pidfd::PidFd;
use oci::runtime::{Linux, Spec, Status};
use serde::{Deserialize, Serialize};

use crate::cgroup::{Cgroup, Layout};
use crate::container::Parts;
use crate::error::Context as _;
use crate::{Container, Error, Kind, Result, seccomp};

const VERSION: u32 = 1;

/// The folder of all containers.
pub(super) struct Store {
    root: PathBuf,
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    pub(super) id: String,
    pub(super) pid: u32,
    /// Of the process, in clock ticks since boot: tells it from another of the same number.
    start_time: u64,
    pub(super) created: String,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    pub(super) cgroup_path: PathBuf,
    pub(super) spec: Spec,
}

impl Store {
    pub(super) fn new(root: &str) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn dir(&self, id: &str) -> Result<PathBuf> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id == "." || id == ".." || id.len() > 1024 || !id.bytes().all(is_valid)
        {
            return Err(Error::invalid(format!(
                "invalid container ID format: {id:?}"
            )));
        }
        Ok(self.root.join(id))
    }

    /// A folder for a new container.
    pub(super) fn reserve(&self, id: &str) -> Result<PathBuf> {
        let dir = self.dir(id)?;
        let describe = || format!("failed to make {}", dir.display());
        std::fs::create_dir_all(&self.root)
            .map_err(|error| Error::invalid(format!("{}: {error}", describe())))?;
        match file::make_dir(file::CURRENT, &dir, 0o711) {
            Err(error) if error.errno() == Errno::EXIST => Err(Error::new(
                Kind::WrongState,
                format!("container with given ID already exists: {id}"),
            )),
            result => result.map(|()| dir.clone()).context(describe),
        }
    }

    pub(super) fn load(&self, id: &str) -> Result<Saved> {
        let path = self.dir(id)?.join("state.json");
        let text = match file::read_at(file::CURRENT, &path, 16 << 20) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => {
                return Err(Error::new(
                    Kind::NoSuchContainer,
                    format!("container does not exist: {id}"),
                ));
            }
            result => result.context(|| format!("failed to read {}", path.display()))?,
        };
        let saved: Saved = serde_json::from_slice(&text)
            .map_err(|error| Error::invalid(format!("{} is broken: {error}", path.display())))?;
        if saved.version != VERSION {
            return Err(Error::invalid(format!(
                "{} is of another version",
                path.display()
            )));
        }
        Ok(saved)
    }

    pub(super) fn save(&self, saved: &Saved) -> Result<()> {
        let describe = || format!("failed to save the state of {}", saved.id);
        let text = serde_json::to_vec(saved)
            .map_err(|error| Error::invalid(format!("{}: {error}", describe())))?;
        let dir = file::open(&self.dir(&saved.id)?, OFlags::DIRECTORY | OFlags::RDONLY)
            .context(describe)?;
        linux::durable::replace_in(dir, Path::new("state.json"), &text, 0o600).context(describe)
    }

    pub(super) fn remove(&self, id: &str) -> Result<()> {
        match std::fs::remove_dir_all(self.dir(id)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::invalid(
                format!("failed to remove the state of {id}: {error}"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten();
        let mut ids: Vec<_> = entries
            .map(|entry| entry.file_name())
            .filter_map(|name: OsString| name.into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// `running` only once the gate is gone.
    pub(super) fn status(&self, saved: &Saved) -> Result<Status> {
        if saved.process().is_none() {
            return Ok(Status::Stopped);
        }
        if saved.cgroup()?.is_frozen() {
            return Ok(Status::Paused);
        }
        let is_held = self.dir(&saved.id)?.join(FIFO).exists();
        Ok(if is_held {
            Status::Created
        } else {
            Status::Running
        })
    }

    /// A container whose first process lives.
    pub(super) fn container(&self, saved: Saved) -> Result<Container> {
        let missing = || Error::new(Kind::NoSuchContainer, "container not running");
        let pidfd = saved.process().ok_or_else(missing)?;
        let cgroup = saved.cgroup()?;
        let linux = saved.spec.linux.unwrap_or_default();
        let filter = seccomp::filter(linux.seccomp.as_ref(), None)?.map(Rc::new);
        Ok(Container::new(Parts {
            id: saved.id,
            bundle: saved.bundle,
            pid: saved.pid,
            pidfd,
            cgroup,
            mounts: None,
            filter,
            hooks: saved.spec.hooks,
            annotations: saved.spec.annotations,
            personality: Linux {
                personality: linux.personality,
                ..Linux::default()
            },
        }))
    }
}

pub(super) const FIFO: &str = "exec.fifo";
pub(super) const FAILURE: &str = "failure";

/// The two sides of a start gate.
pub(super) fn make_gate(dir: &Path) -> Result<(OwnedFd, OwnedFd)> {
    let make = || {
        let folder = file::open(dir, OFlags::PATH | OFlags::DIRECTORY)?;
        file::make_node(&folder, FIFO, file::Node::Fifo, 0o600)?;
        let fifo = file::open_at(&folder, FIFO, OFlags::RDWR, Mode::empty())?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND;
        Ok((
            fifo,
            file::open_at(&folder, FAILURE, flags, Mode::from_raw_mode(0o600))?,
        ))
    };
    make().context(|| "failed to make the start gate")
}

impl Saved {
    pub(super) fn new(
        container: &Container,
        id: &str,
        bundle: &Path,
        rootfs: &Path,
        spec: &Spec,
    ) -> Self {
        let none = Linux::default();
        Self {
            version: VERSION,
            id: id.to_owned(),
            pid: container.pid(),
            start_time: start_time(container.pid()).map_or(0, |(time, _)| time),
            created: super::time::now(),
            bundle: bundle.to_owned(),
            rootfs: rootfs.to_owned(),
            cgroup_path: crate::plan::cgroup_path(spec.linux.as_ref().unwrap_or(&none), id),
            spec: spec.clone(),
        }
    }

    /// The first process, unless it has ended; a zombie has.
    fn process(&self) -> Option<PidFd> {
        let pidfd = PidFd::open(self.pid).ok()?;
        let (time, state) = start_time(self.pid)?;
        (time == self.start_time && !matches!(state, 'Z' | 'X')).then_some(pidfd)
    }

    pub(super) fn cgroup(&self) -> Result<Cgroup> {
        Ok(Cgroup::open(&Layout::detect()?, &self.cgroup_path))
    }

    pub(super) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.spec.annotations
    }
}

/// Start time and state letter of a process (proc_pid_stat(5), fields 22 and 3; the name before them may hold
/// anything).
fn start_time(pid: u32) -> Option<(u64, char)> {
    let text = file::read_at(file::CURRENT, format!("/proc/{pid}/stat"), 4096).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.nth(18)?.parse().ok()?, state))
}
