//! Files that are either the old or the new, whatever happens in between.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::Context as _;
use crate::{Errno, Result, file};

/// Replaces the file at `path`, mode 0600: temporary file beside it, fsync, rename, fsync of the folder. A crash
/// leaves at most a `.NAME.new` behind, which the next call overwrites. One writer a path at a time.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let (dir, name) = split(path)?;
    let dir = file::open(dir, OFlags::DIRECTORY | OFlags::RDONLY)?;
    replace_in(&dir, Path::new(name), bytes, 0o600)?;
    sync(&dir)
}

/// As [`replace`], below an open folder and with a mode; without the folder's own fsync, so the new name may be lost
/// with the power, but never half a file seen.
pub fn replace_in(dir: impl AsFd, name: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = temporary_name(name)?;
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW;
    let new = file::open_at(&dir, &temporary, flags, Mode::from_raw_mode(mode))?;
    let done = file::write_all(&new, bytes)
        .and_then(|()| sync(&new))
        .and_then(|()| {
            rustix::fs::renameat(&dir, &temporary, &dir, name)
                .context(|| format!("renameat({temporary:?}, {name:?})"))
        });
    if done.is_err() {
        // The first error is the one to tell; a left-over is overwritten next time.
        let _ = file::remove_file(&dir, &temporary);
    }
    done
}

/// fsync of an open file or folder.
pub fn sync(fd: impl AsFd) -> Result<()> {
    rustix::fs::fsync(fd).context(|| "fsync()")
}

/// fsync of a folder by path: makes names in it last.
pub fn sync_dir(path: &Path) -> Result<()> {
    sync(file::open_at(
        CWD,
        path,
        OFlags::DIRECTORY | OFlags::RDONLY,
        Mode::empty(),
    )?)
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr)> {
    let name = path
        .file_name()
        .ok_or(Errno::INVAL)
        .context(|| format!("replace({path:?})"))?;
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    Ok((dir, name))
}

fn temporary_name(name: &Path) -> Result<OsString> {
    let last = name
        .file_name()
        .ok_or(Errno::INVAL)
        .context(|| format!("replace({name:?})"))?;
    let mut temporary = OsString::from(".");
    temporary.push(last);
    temporary.push(".new");
    Ok(temporary)
}

/// Appends a line to a file of lines that is open for reading and appending. One that a kill or a full disk has cut off
/// costs only itself: this one begins anew. Does not wait for the disk.
pub fn append_line(file: &mut std::fs::File, line: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;
    let length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.read_exact_at(&mut last, length - 1)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("taken")).unwrap();
        let error = replace(&dir.path().join("taken"), b"x").unwrap_err();
        assert_eq!(error.errno(), Errno::ISDIR);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
