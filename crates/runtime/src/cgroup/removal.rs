//! Ending a cgroup: killing who is left, then removing the folders.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use linux::Errno;
use linux::file::{self, Mode, OFlags};
use linux::pidfd::PidFd;
use linux::signal::Signal;

use super::{Cgroup, Folder, read_pids, v2};
use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// How long killed processes get to be gone: one in the middle of a write to a dead disk may take its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A fork bomb is outrun by freezing it first; SIGKILL reaches frozen processes on version 2, and on version 1 once
/// thawed.
pub(super) fn kill_each(cgroup: &Cgroup) -> Result<()> {
    let frozen = cgroup.set_frozen(true).is_ok();
    let signalled = cgroup.signal_each(Signal::KILL);
    if frozen {
        cgroup.set_frozen(false)?;
    }
    signalled
}

pub(super) fn remove(cgroup: &Cgroup) -> Result<()> {
    let mut first = Ok(());
    for folder in cgroup.folders() {
        let removed = remove_tree(cgroup, folder);
        first = first.and(removed);
    }
    first
}

fn remove_tree(cgroup: &Cgroup, folder: &Folder) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file::remove_dir(file::CURRENT, &folder.path) {
            Ok(()) => return Ok(()),
            Err(error) if error.errno() == Errno::NOENT => return Ok(()),
            Err(error) if error.errno() == Errno::BUSY => {}
            Err(error) => return Err(error).context(|| "failed to remove the cgroup"),
        }
        // Either the container made cgroups of its own, or somebody is not quite dead.
        remove_children(&folder.fd).context(|| "failed to remove the container's own cgroups")?;
        wait_until_empty(cgroup, folder).context(|| "wait for the last process")?;
        if Instant::now() > deadline {
            let message = format!(
                "unable to remove {}: processes in it do not die",
                folder.path.display()
            );
            return Err(Error::new(Kind::System, message));
        }
    }
}

fn wait_until_empty(cgroup: &Cgroup, folder: &Folder) -> linux::Result<()> {
    if let Some(unified) = &cgroup.unified
        && v2::wait_for(unified, "populated", 0, PATIENCE).unwrap_or(false)
        && read_pids(&folder.fd)?.is_empty()
    {
        return Ok(());
    }
    for pid in read_pids(&folder.fd)? {
        if let Ok(pidfd) = PidFd::open(pid) {
            pidfd.wait_readable(Some(PATIENCE))?;
        }
    }
    // A zombie that its parent has yet to reap counts as a member of a version 1 cgroup for a moment.
    #[expect(clippy::disallowed_methods, reason = "version 1 has no event for it")]
    std::thread::sleep(Duration::from_micros(200));
    Ok(())
}

/// Depth first. What still has processes in it stays, for the caller's next round.
fn remove_children(dir: &OwnedFd) -> linux::Result<()> {
    for (name, child) in children(dir)? {
        remove_children(&child)?;
        match file::remove_dir(dir, &name) {
            Err(error) if !matches!(error.errno(), Errno::NOENT | Errno::BUSY) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Calls `visit` with the folder and every one below it.
pub(super) fn each_below(
    dir: &OwnedFd,
    visit: &mut impl FnMut(&OwnedFd) -> linux::Result<()>,
) -> linux::Result<()> {
    visit(dir)?;
    for (_, child) in children(dir)? {
        each_below(&child, visit)?;
    }
    Ok(())
}

fn children(dir: &OwnedFd) -> linux::Result<Vec<(std::ffi::OsString, OwnedFd)>> {
    // A cgroup's link count is its number of child folders and two.
    if file::stat(dir)?.st_nlink == 2 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in file::list(file::open_at(
        dir,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )?)? {
        match file::open_at(
            dir,
            &name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(child) => found.push((name, child)),
            Err(error) if matches!(error.errno(), Errno::NOTDIR | Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
