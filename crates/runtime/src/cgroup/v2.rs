//! What is special to cgroup version 2.

use std::path::Path;
use std::time::{Duration, Instant};

use linux::file::{self, Mode, OFlags};
use linux::{Errno, fd};

use super::{Folder, field, join, make_folder, refuse_occupied};
use crate::error::Context as _;
use crate::{Error, Kind, Result};

pub(super) fn make(mount: &Path, path: &Path) -> Result<Folder> {
    let path = join(mount, path);
    let is_new =
        make_folder(&path).context(|| format!("failed to create the cgroup {}", path.display()))?;
    let folder = Folder::open(path)?;
    if is_new {
        enable_controllers(mount, &folder)?;
    } else {
        refuse_occupied(&folder)?;
    }
    Ok(folder)
}

/// Every controller of the root, down to the folder's parent. One that cannot be had (a real-time process keeps the
/// cpu controller away) is noticed when its limit is set.
fn enable_controllers(mount: &Path, folder: &Folder) -> Result<()> {
    let read = |path: &Path| {
        file::read_at(file::CURRENT, path, 4096)
            .context(|| format!("failed to read {}", path.display()))
    };
    let available = read(&mount.join("cgroup.controllers"))?;
    let available = String::from_utf8_lossy(&available);
    if available.trim().is_empty()
        || read(&folder.path.join("cgroup.controllers"))? == available.as_bytes()
    {
        return Ok(());
    }
    let parents: Vec<_> = folder
        .path
        .ancestors()
        .skip(1)
        .take_while(|parent| parent.starts_with(mount))
        .collect();
    for parent in parents.into_iter().rev() {
        let control = parent.join("cgroup.subtree_control");
        for controller in available.split_whitespace() {
            let _ = file::write_at(file::CURRENT, &control, format!("+{controller}").as_bytes());
        }
    }
    Ok(())
}

/// False when the kernel (before 5.2) cannot.
pub(super) fn set_frozen(folder: &Folder, frozen: bool) -> Result<bool> {
    let describe = || format!("failed to freeze {}", folder.path.display());
    match file::write_at(
        &folder.fd,
        "cgroup.freeze",
        if frozen { b"1" } else { b"0" },
    ) {
        Err(error) if error.errno() == Errno::NOENT => return Ok(false),
        result => result.context(describe)?,
    }
    let wait =
        wait_for(folder, "frozen", u64::from(frozen), Duration::from_secs(10)).context(describe)?;
    if !wait {
        let _ = folder.write("cgroup.freeze", "0");
        return Err(Error::new(
            Kind::System,
            "unable to freeze the container within 10 seconds",
        ));
    }
    Ok(true)
}

/// Waits until `cgroup.events` says `name value`; false after `timeout`. The kernel wakes us when the file changes.
pub(super) fn wait_for(
    folder: &Folder,
    name: &str,
    value: u64,
    timeout: Duration,
) -> linux::Result<bool> {
    let deadline = Instant::now() + timeout;
    let events = file::open_at(&folder.fd, "cgroup.events", OFlags::RDONLY, Mode::empty())?;
    loop {
        let text = file::read_start(&events, 4096)?;
        if field(&String::from_utf8_lossy(&text), name) == Some(value) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !fd::wait_priority(&events, Some(left))? {
            return Ok(false);
        }
    }
}
