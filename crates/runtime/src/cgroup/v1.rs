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
    let is_new = make_folder(&path).context(describe)?;
    let folder = Folder::open(path.clone())?;
    if hierarchy.has("cpuset") {
        fill_cpuset(&hierarchy.mount, &folder)?;
    }
    if !is_new {
        refuse_occupied(&folder)?;
    }
    Ok(folder)
}

/// A cpuset can hold no process until it has CPUs and memory nodes, which come from its parent. One on the way down may
/// have none either: it is new, another start has made it a moment ago, or whoever made it was killed before it went on.
fn fill_cpuset(mount: &Path, folder: &Folder) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if !read_cpuset(folder, name)?.is_empty() {
            continue;
        }
        let above = folder.path.parent().unwrap_or(mount);
        let parent = Folder::open(above.to_owned())?;
        if above != mount && read_cpuset(&parent, name)?.is_empty() {
            fill_cpuset(mount, &parent)?;
            // From now on the kernel copies the values into each new child.
            parent.write("cgroup.clone_children", "1")?;
        }
        folder.write(name, &read_cpuset(&parent, name)?)?;
    }
    Ok(())
}

fn read_cpuset(folder: &Folder, name: &str) -> Result<String> {
    let text = file::read_at(&folder.fd, name, 1 << 16)
        .context(|| format!("failed to read {name} of {}", folder.path.display()))?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
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
