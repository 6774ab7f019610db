//! What is special to cgroup version 1.

use std::path::Path;
use std::time::{Duration, Instant};

use linux::file;

use super::{Folder, Hierarchy, join, make_folder, refuse_occupied};
use crate::error::Context as _;
use crate::{Error, Kind, Result};

pub(super) fn make(hierarchy: &Hierarchy, path: &Path) -> Result<Folder> {
    let path = join(&hierarchy.mount, path);
    let describe = || format!("failed to create the cgroup {}", path.display());
    if hierarchy.has("cpuset") {
        prepare_cpuset_parents(&hierarchy.mount, &path)?;
    }
    let is_new = make_folder(&path).context(describe)?;
    let folder = Folder::open(path.clone())?;
    if hierarchy.has("cpuset") {
        inherit_cpuset(&folder)?;
    }
    if !is_new {
        refuse_occupied(&folder)?;
    }
    Ok(folder)
}

/// A cpuset can hold no process until it has CPUs and memory nodes, which come from its parent: each folder on the
/// way down gets them when it is made.
fn prepare_cpuset_parents(mount: &Path, path: &Path) -> Result<()> {
    let Some(parent) = path
        .parent()
        .filter(|parent| *parent != mount && parent.starts_with(mount))
    else {
        return Ok(());
    };
    if file::open_path(parent).is_ok() {
        return Ok(());
    }
    prepare_cpuset_parents(mount, parent)?;
    make_folder(parent).context(|| format!("failed to create the cgroup {}", parent.display()))?;
    let folder = Folder::open(parent.to_owned())?;
    inherit_cpuset(&folder)?;
    // From now on the kernel copies the values into each new child.
    folder.write("cgroup.clone_children", "1")
}

fn inherit_cpuset(folder: &Folder) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let describe = || format!("failed to read {name} of {}", folder.path.display());
        if !file::read_at(&folder.fd, name, 1 << 16)
            .context(describe)?
            .trim_ascii()
            .is_empty()
        {
            continue;
        }
        let parent =
            file::read_at(&folder.fd, Path::new("..").join(name), 1 << 16).context(describe)?;
        folder.write(name, String::from_utf8_lossy(&parent).trim())?;
    }
    Ok(())
}

/// The freezer of version 1 has no event for "frozen": its state is read until it says so.
pub(super) fn set_frozen(folder: &Folder, frozen: bool) -> Result<()> {
    let word = if frozen { "FROZEN" } else { "THAWED" };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // Writing again lets the kernel catch processes that were forked meanwhile.
        folder.write("freezer.state", word)?;
        let state =
            file::read_at(&folder.fd, "freezer.state", 64).context(|| "read freezer.state")?;
        if state.trim_ascii() == word.as_bytes() {
            return Ok(());
        }
        if Instant::now() > deadline {
            // A half-frozen container helps nobody.
            let _ = folder.write("freezer.state", "THAWED");
            return Err(Error::new(
                Kind::System,
                "unable to freeze the container within 10 seconds",
            ));
        }
        #[expect(clippy::disallowed_methods, reason = "version 1 has no event for it")]
        std::thread::sleep(Duration::from_micros(500));
    }
}
