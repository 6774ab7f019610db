//! Holds a layer's directory against its tar: contents by digest, attributes entry by entry, and nothing besides.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;

use oci::Digest;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::Store;
use crate::apply::{open_parent, parse_path};
use crate::layers::open_directory;
use crate::state::LayerRecord;
use crate::tar::{Entry, EntryKind, Walker};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What is wrong with a layer, if anything. The error is one of looking, which says nothing about the layer.
pub(super) fn fault(
    store: &Store,
    diff_id: &Digest,
    record: &LayerRecord,
) -> io::Result<Option<String>> {
    let found = match entries(store, diff_id, record) {
        Ok(entries) => {
            let diff = store.inner.layers.diff(&record.cache_id);
            compare(&diff, &entries)
        }
        Err(error) => Err(error),
    };
    match found {
        Err(error) if !is_of_looking(&error) => Ok(Some(error.to_string())),
        found => found,
    }
}

/// Whether we lacked descriptors or memory: a repair must take no image away for that.
fn is_of_looking(error: &io::Error) -> bool {
    let lacks = |errno| matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM);
    if Errno::from_io_error(error).is_some_and(lacks) {
        return true;
    }
    let mut cause = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = cause {
        let io = error
            .downcast_ref::<io::Error>()
            .and_then(Errno::from_io_error);
        if io.or(error.downcast_ref().copied()).is_some_and(lacks) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Makes the layer's tar again, which is held against its digest, and lists what it holds; later entries win.
fn entries(
    store: &Store,
    diff_id: &Digest,
    record: &LayerRecord,
) -> io::Result<BTreeMap<Vec<u8>, Entry>> {
    let (reader, mut writer) = io::pipe()?;
    thread::scope(|scope| {
        let making = scope.spawn(move || store.write_layer(diff_id, record, &mut writer));
        let listed = list(reader);
        let made = making
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the checking thread panicked")));
        made.and(listed)
    })
}

fn list(mut tar: impl Read) -> io::Result<BTreeMap<Vec<u8>, Entry>> {
    let mut entries = BTreeMap::new();
    let mut walker = Walker::new(io::BufReader::with_capacity(256 * 1024, &mut tar));
    while let Some(entry) = walker.next_entry().map_err(io::Error::other)? {
        let Some(path) = parse_path(&entry.path) else {
            continue;
        };
        if entry.kind != EntryKind::Directory {
            // What was a directory before went with all that was in it.
            let below = [&path[..], b"/"].concat();
            let gone: Vec<Vec<u8>> = entries
                .range(below.clone()..)
                .map(|(path, _): (&Vec<u8>, &Entry)| path.clone())
                .take_while(|path| path.starts_with(&below))
                .collect();
            gone.iter().for_each(|path| drop(entries.remove(path)));
        }
        entries.insert(path, entry);
    }
    Ok(entries)
}

fn compare(diff: &Path, entries: &BTreeMap<Vec<u8>, Entry>) -> io::Result<Option<String>> {
    let root = open_directory(diff).map_err(io::Error::other)?;
    let mut known = HashSet::new();
    for (path, entry) in entries {
        let (parent, name) = split(path);
        if path.is_empty() || name.starts_with(b".wh.") {
            continue;
        }
        let shown = String::from_utf8_lossy(path);
        let stat = match look(&root, parent, name) {
            Err(error) if is_of_looking(&error.into()) => return Err(error.into()),
            Err(_) => return Ok(Some(format!("{shown:?} is missing"))),
            Ok(stat) => stat,
        };
        known.insert(stat.st_ino);
        if let Some(what) = differs(entry, &stat) {
            return Ok(Some(format!("{shown:?} has another {what}")));
        }
    }
    Ok(besides(&root, &known)?.map(|path| format!("{path:?} is not of this layer")))
}

fn look(root: &OwnedFd, parent: &[u8], name: &[u8]) -> rustix::io::Result<Stat> {
    let parent = open_parent(root.as_fd(), parent)?;
    statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn differs(entry: &Entry, stat: &Stat) -> Option<&'static str> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let wanted = match entry.kind {
        // The attributes are those of what it is linked to.
        EntryKind::HardLink => return None,
        EntryKind::Regular => FileType::RegularFile,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::CharDevice => FileType::CharacterDevice,
        EntryKind::BlockDevice => FileType::BlockDevice,
        EntryKind::Fifo => FileType::Fifo,
    };
    if kind != wanted {
        return Some("type");
    }
    if (stat.st_uid, stat.st_gid) != (entry.uid, entry.gid) {
        return Some("owner");
    }
    let mode = stat.st_mode & 0o7777;
    if entry.kind != EntryKind::Symlink && mode != entry.mode & 0o7777 {
        return Some("mode");
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    (entry.kind == EntryKind::Regular && size != entry.size).then_some("size")
}

/// Something in the directory that no entry made. Directories and whiteouts may be there without one. Goes from one
/// directory to the next by descriptor, and back by `..`: an archive's links lead to paths longer than open(2) takes.
fn besides(root: &OwnedFd, known: &HashSet<u64>) -> io::Result<Option<String>> {
    let mut here = openat(root, ".", DIRECTORY, Mode::empty())?;
    let mut path: Vec<Vec<u8>> = Vec::new();
    let mut below = vec![match look_through(&here, known)? {
        Looked::Below(names) => names,
        Looked::Stranger(name) => return Ok(Some(shown(&path, &name))),
    }];
    while let Some(names) = below.last_mut() {
        let Some(name) = names.pop() else {
            below.pop();
            if path.pop().is_some() {
                here = openat(&here, "..", DIRECTORY, Mode::empty())?;
            }
            continue;
        };
        here = openat(&here, &*name, DIRECTORY, Mode::empty())?;
        path.push(name);
        match look_through(&here, known)? {
            Looked::Below(names) => below.push(names),
            Looked::Stranger(name) => return Ok(Some(shown(&path, &name))),
        }
    }
    Ok(None)
}

enum Looked {
    /// The directories in it.
    Below(Vec<Vec<u8>>),
    Stranger(Vec<u8>),
}

fn look_through(directory: &OwnedFd, known: &HashSet<u64>) -> io::Result<Looked> {
    let mut below = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let whiteout = kind == FileType::CharacterDevice && stat.st_rdev == 0;
        if kind == FileType::Directory {
            below.push(name.to_bytes().to_vec());
        } else if !whiteout && !known.contains(&stat.st_ino) {
            return Ok(Looked::Stranger(name.to_bytes().to_vec()));
        }
    }
    Ok(Looked::Below(below))
}

fn shown(directories: &[Vec<u8>], name: &[u8]) -> String {
    let mut path = directories.join(&b'/');
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    String::from_utf8_lossy(&path).into_owned()
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_no_damage() {
        let lack = || io::Error::from(Errno::MFILE);
        assert!(is_of_looking(&lack()));
        assert!(is_of_looking(&io::Error::other(lack())));
        assert!(!is_of_looking(&io::Error::from(Errno::IO)));
        assert!(!is_of_looking(&io::Error::other("another digest")));
    }
}
