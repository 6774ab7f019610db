//! A tree of files, copied with all that belongs to them: what a new volume gets from the image below its mount point.

use std::collections::HashMap;
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use linux::file::Node;

use crate::error::{Context, Result};

/// Copies what is in the folder `from` into the folder `to`, then gives `to` the owner, mode and times of `from`:
/// contents, owners, modes, times, extended attributes, hard links, symlinks, devices and fifos. Nothing is followed.
/// Sockets are left out, as a copy of one is of no use.
pub(crate) fn tree(from: &Path, to: &Path) -> Result<()> {
    Copy::default().folder(from, to)
}

#[derive(Default)]
struct Copy {
    /// Files with several names, and where the first of them went.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copy {
    fn folder(&mut self, from: &Path, to: &Path) -> Result<()> {
        for entry in fs::read_dir(from).context(|| format!("read {}", from.display()))? {
            let entry = entry.context(|| format!("read {}", from.display()))?;
            self.entry(&entry.path(), &to.join(entry.file_name()))?;
        }
        let found = fs::symlink_metadata(from).context(|| format!("look at {}", from.display()))?;
        keep_attributes(from, to, &found)
    }

    fn entry(&mut self, from: &Path, to: &Path) -> Result<()> {
        let found = fs::symlink_metadata(from).context(|| format!("look at {}", from.display()))?;
        let kind = found.file_type();
        if kind.is_socket() {
            return Ok(());
        }
        if kind.is_dir() {
            fs::create_dir(to).context(|| format!("create {}", to.display()))?;
            return self.folder(from, to);
        }
        if found.nlink() > 1 {
            if let Some(first) = self.linked.get(&(found.dev(), found.ino())) {
                return fs::hard_link(first, to).context(|| format!("link {}", to.display()));
            }
            self.linked
                .insert((found.dev(), found.ino()), to.to_owned());
        }
        make(from, to, &found)
            .context(|| format!("copy {} to {}", from.display(), to.display()))?;
        keep_attributes(from, to, &found)
    }
}

fn make(from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    if kind.is_file() {
        // On Linux a reflink or copy_file_range where the filesystem has them.
        return io::copy(&mut File::open(from)?, &mut File::create_new(to)?).map(drop);
    }
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    let (major, minor) = linux::file::device_numbers(found.rdev());
    let node = match kind {
        kind if kind.is_fifo() => Node::Fifo,
        kind if kind.is_block_device() => Node::Block { major, minor },
        _ => Node::Char { major, minor },
    };
    let folder = File::open(to.parent().unwrap_or(Path::new("/")))?;
    linux::file::make_node(folder, to.file_name().unwrap_or_default(), node, 0o600)
        .map_err(io::Error::other)
}

/// Owner before mode, since a change of owner clears setuid; attributes before times.
fn keep_attributes(from: &Path, to: &Path, found: &Metadata) -> Result<()> {
    lchown(to, Some(found.uid()), Some(found.gid()))
        .context(|| format!("change the owner of {}", to.display()))?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = fs::Permissions::from_mode(found.mode() & 0o7777);
    fs::set_permissions(to, mode).context(|| format!("change the mode of {}", to.display()))?;
    keep_xattrs(from, to).context(|| format!("copy the attributes of {}", from.display()))?;
    if found.is_file() || found.is_dir() {
        let times = FileTimes::new()
            .set_accessed(found.accessed().unwrap_or(std::time::UNIX_EPOCH))
            .set_modified(found.modified().unwrap_or(std::time::UNIX_EPOCH));
        let set = File::open(to).and_then(|file| file.set_times(times));
        set.context(|| format!("set the times of {}", to.display()))?;
    }
    Ok(())
}

/// `trusted.overlay.*` stays behind: it belongs to the layer, not to the file.
fn keep_xattrs(from: &Path, to: &Path) -> linux::Result<()> {
    for name in linux::xattr::list(from)? {
        if name.as_bytes().starts_with(b"trusted.overlay.") {
            continue;
        }
        if let Some(value) = linux::xattr::get(from, &name)? {
            linux::xattr::set(to, &name, &value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_everything_that_belongs_to_files() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(from.join("sub/file"), from.join("again")).unwrap();
        symlink("/etc/shadow", from.join("link")).unwrap();
        lchown(from.join("sub"), Some(7), Some(8)).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o1777)).unwrap();
        linux::xattr::set(&from.join("again"), c"user.note", b"kept").unwrap();
        linux::file::make_node(File::open(&from).unwrap(), "fifo", Node::Fifo, 0o600).unwrap();

        tree(&from, &to).unwrap();

        let at = |path: &str| fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(fs::read(to.join("sub/file")).unwrap(), b"text");
        assert_eq!(at("sub/file").mode() & 0o7777, 0o4755);
        assert_eq!(at("sub/file").ino(), at("again").ino());
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("/etc/shadow")
        );
        assert_eq!((at("sub").uid(), at("sub").gid()), (7, 8));
        assert_eq!(at("").mode() & 0o7777, 0o1777);
        assert!(at("fifo").file_type().is_fifo());
        let modified = fs::metadata(from.join("sub/file"))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(at("sub/file").modified().unwrap(), modified);
        assert_eq!(
            linux::xattr::get(&to.join("again"), c"user.note")
                .unwrap()
                .unwrap(),
            b"kept"
        );
    }
}
