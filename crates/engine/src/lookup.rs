//! A file of a container that does not run, without mounting anything: `/etc/passwd` and `/etc/group` of its layers.
//!
//! Walks the layers as overlayfs would. What it does not decide by itself (symlinks, redirected folders) it leaves to
//! overlayfs, mounted nowhere and for a moment.

use std::os::fd::AsFd;
use std::path::Path;

use image::Snapshot;
use linux::file::{self, OFlags};
use linux::rootfs::Root;
use linux::{Errno, xattr};

use crate::error::{Context as _, Result};
use crate::users::{self, Identity};

/// More than any honest passwd file.
const MAX_FILE: u64 = 1 << 20;

/// Resolves a user against the files of a container that does not run.
pub(crate) fn identity(snapshot: &Snapshot, user: &str, added: &[String]) -> Result<Identity> {
    let passwd = text(snapshot, "passwd")?;
    let group = text(snapshot, "group")?;
    users::resolve(user, added, &passwd, &group)
}

/// Resolves a user against the files of a running container.
pub(crate) fn identity_in(pid: u32, user: &str, added: &[String]) -> Result<Identity> {
    let root = Root::of_process(pid).context(|| "look into the container".to_owned())?;
    let read = |name: &str| read_in(&root, Path::new("/etc").join(name).as_path());
    users::resolve(user, added, &read("passwd")?, &read("group")?)
}

/// What one layer says about a file.
enum Found {
    Text(String),
    /// Nothing: the layer below decides.
    NotHere,
    /// It is gone, whatever lies below.
    Gone,
    /// Overlayfs has to say.
    Unclear,
}

fn text(snapshot: &Snapshot, name: &str) -> Result<String> {
    // Where nothing is mounted, the container's own directory holds everything.
    let below = match snapshot.is_plain() {
        true => &[][..],
        false => &snapshot.lower_dirs,
    };
    for layer in std::iter::once(&snapshot.upper).chain(below) {
        let found = in_layer(layer, name)
            .context(|| format!("look for etc/{name} in {}", layer.display()))?;
        match found {
            Found::Text(text) => return Ok(text),
            Found::NotHere => {}
            Found::Gone => return Ok(String::new()),
            Found::Unclear => return through_overlay(snapshot, name),
        }
    }
    Ok(String::new())
}

fn in_layer(layer: &Path, name: &str) -> linux::Result<Found> {
    let dir = file::open(layer, OFlags::PATH | OFlags::DIRECTORY)?;
    let etc = match entry(&dir, "etc")? {
        Entry::Missing => return Ok(Found::NotHere),
        Entry::Whiteout => return Ok(Found::Gone),
        Entry::Folder => file::open_at(
            &dir,
            "etc",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW,
            file::Mode::empty(),
        )?,
        Entry::File | Entry::Other => return Ok(Found::Unclear),
    };
    if xattr::get_of(&etc, c"trusted.overlay.redirect")?.is_some() {
        return Ok(Found::Unclear);
    }
    match entry(&etc, name)? {
        Entry::Missing
            if xattr::get_of(&etc, c"trusted.overlay.opaque")?.as_deref() == Some(b"y") =>
        {
            Ok(Found::Gone)
        }
        Entry::Missing => Ok(Found::NotHere),
        Entry::Whiteout => Ok(Found::Gone),
        Entry::File => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = file::open_at(&etc, name, flags, file::Mode::empty())?;
            let bytes = file::read_all(file, MAX_FILE)?;
            Ok(Found::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Entry::Folder | Entry::Other => Ok(Found::Unclear),
    }
}

enum Entry {
    Missing,
    Whiteout,
    Folder,
    File,
    Other,
}

fn entry(dir: impl AsFd, name: &str) -> linux::Result<Entry> {
    let stat = match file::stat_at(dir, name) {
        Err(error) if error.errno() == Errno::NOENT => return Ok(Entry::Missing),
        result => result?,
    };
    Ok(if file::is_dir(&stat) {
        Entry::Folder
    } else if file::is_char_device(&stat) && file::device_numbers(stat.st_rdev) == (0, 0) {
        Entry::Whiteout
    } else if stat.st_mode & 0o170_000 == 0o100_000 {
        Entry::File
    } else {
        Entry::Other
    })
}

fn through_overlay(snapshot: &Snapshot, name: &str) -> Result<String> {
    let tree = crate::archive::root_of(&snapshot.lower, &snapshot.upper, &snapshot.work)
        .context(|| "put the container's layers together".to_owned())?;
    read_in(&Root::from_fd(tree), Path::new("/etc").join(name).as_path())
}

fn read_in(root: &Root, path: &Path) -> Result<String> {
    let file = match root.open_file(path, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
        Ok(file) => file,
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return Ok(String::new());
        }
        Err(error) => {
            return Err(error).context(|| format!("open {} in the container", path.display()));
        }
    };
    let regular = file::stat(&file).is_ok_and(|stat| stat.st_mode & 0o170_000 == 0o100_000);
    if !regular {
        return Ok(String::new());
    }
    let bytes = file::read_all(file, MAX_FILE)
        .context(|| format!("read {} in the container", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn upper_layers_hide_lower_ones() {
        let root = tempfile::tempdir().unwrap();
        let layer = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.join("etc")).unwrap();
            path
        };
        let (upper, middle, bottom) = (layer("upper"), layer("middle"), layer("bottom"));
        fs::write(bottom.join("etc/passwd"), "bottom").unwrap();
        fs::write(bottom.join("etc/group"), "bottom").unwrap();
        fs::write(middle.join("etc/passwd"), "middle").unwrap();
        let snapshot = Snapshot {
            lower: vec![middle.clone(), bottom.clone()],
            lower_dirs: vec![middle, bottom],
            upper: upper.clone(),
            work: root.path().join("work"),
            merged: root.path().join("merged"),
            home: std::path::PathBuf::new(),
            driver: image::DriverKind::Overlay2,
        };
        assert_eq!(text(&snapshot, "passwd").unwrap(), "middle");
        assert_eq!(text(&snapshot, "group").unwrap(), "bottom");
        assert_eq!(text(&snapshot, "shadow").unwrap(), "");
        let etc = fs::File::open(upper.join("etc")).unwrap();
        linux::file::make_node(
            &etc,
            "group",
            linux::file::Node::Char { major: 0, minor: 0 },
            0,
        )
        .unwrap();
        assert_eq!(
            text(&snapshot, "group").unwrap(),
            "",
            "a whiteout hides the file (needs root)"
        );
        xattr::set_of(&etc, c"trusted.overlay.opaque", b"y").unwrap();
        assert_eq!(
            text(&snapshot, "passwd").unwrap(),
            "",
            "an opaque folder hides what is below (needs root)"
        );
    }
}
