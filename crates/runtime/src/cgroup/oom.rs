//! Hearing of processes that are killed for want of memory, when it happens.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use linux::eventfd::EventFd;
use linux::file::{self, OFlags};
use linux::inotify::{Inotify, WatchFlags};

use super::{Cgroup, Folder, field};
use crate::Result;
use crate::error::Context as _;

/// Readable when the container has run out of memory.
#[derive(Debug)]
pub struct OomWatch(Source);

#[derive(Debug)]
enum Source {
    /// Version 1: the kernel raises a counter each time, before it kills. It does so, too, when the cgroup goes.
    Counter(EventFd),
    /// Version 2: the file that counts has changed. It also counts what is no kill, so its number decides.
    File {
        inotify: Inotify,
        folder: Folder,
        seen: u64,
    },
}

impl OomWatch {
    /// Takes what has happened; true when the container has run out of memory since the last time.
    pub fn take(&mut self) -> bool {
        match &mut self.0 {
            Source::Counter(counter) => counter.take().unwrap_or(false),
            Source::File {
                inotify,
                folder,
                seen,
            } => {
                let _changes = inotify.read();
                let before = std::mem::replace(seen, kills(folder));
                *seen > before
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Source::Counter(counter) => counter.as_fd(),
            Source::File { inotify, .. } => inotify.as_fd(),
        }
    }
}

impl Cgroup {
    /// `None` where no hierarchy has the memory controller.
    pub(crate) fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let watch = match (self.controller("memory"), &self.unified) {
            (Some(folder), _) => count(folder)?,
            (None, Some(folder)) if folder.has("memory.events") => watch(folder)?,
            _ => return Ok(None),
        };
        Ok(Some(OomWatch(watch)))
    }
}

/// The kernel's Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
fn count(folder: &Folder) -> Result<Source> {
    let describe = || format!("watch memory.oom_control in {}", folder.path.display());
    let counter = EventFd::new().context(describe)?;
    let control = folder.path.join("memory.oom_control");
    let control = file::open(&control, OFlags::RDONLY).context(describe)?;
    let line = format!("{} {}", counter.as_fd().as_raw_fd(), control.as_raw_fd());
    folder.write("cgroup.event_control", &line)?;
    Ok(Source::Counter(counter))
}

fn watch(folder: &Folder) -> Result<Source> {
    let describe = || format!("watch memory.events in {}", folder.path.display());
    let inotify = Inotify::new().context(describe)?;
    let path = folder.path.join("memory.events");
    inotify.watch(&path, WatchFlags::MODIFY).context(describe)?;
    let folder = Folder::open(folder.path.clone())?;
    let seen = kills(&folder);
    Ok(Source::File {
        inotify,
        folder,
        seen,
    })
}

fn kills(folder: &Folder) -> u64 {
    let text = file::read_at(&folder.fd, "memory.events", 4096).unwrap_or_default();
    let count = std::str::from_utf8(&text).ok();
    count.and_then(|text| field(text, "oom_kill")).unwrap_or(0)
}
