//! Extended attributes, by path or by descriptor; never through a symlink.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::Result;
use crate::error::Context as _;

/// The kernel's own limits: `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const MAX: usize = 65536;

/// The value of `name` at `path` itself; `None` when there is none or the filesystem has no attributes.
pub fn get(path: &Path, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(256);
    let mut result = rustix::fs::lgetxattr(path, name, spare_capacity(&mut value));
    if result == Err(Errno::RANGE) {
        value.reserve(MAX);
        result = rustix::fs::lgetxattr(path, name, spare_capacity(&mut value));
    }
    optional(result.map(|_| value)).context(|| format!("lgetxattr({path:?}, {name:?})"))
}

/// The value of `name` of an open file. A handle (`O_PATH`) cannot be asked: use [`get`] with its
/// [`crate::fd::proc_path`] joined by `.` or reopen it.
pub fn get_of(fd: impl AsFd, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(256);
    let mut result = rustix::fs::fgetxattr(&fd, name, spare_capacity(&mut value));
    if result == Err(Errno::RANGE) {
        value.reserve(MAX);
        result = rustix::fs::fgetxattr(&fd, name, spare_capacity(&mut value));
    }
    optional(result.map(|_| value)).context(|| format!("fgetxattr({name:?})"))
}

/// The names at `path` itself; none when the filesystem has no attributes.
pub fn list(path: &Path) -> Result<Vec<CString>> {
    let mut names = Vec::with_capacity(1024);
    let mut result = rustix::fs::llistxattr(path, spare_capacity(&mut names));
    if result == Err(Errno::RANGE) {
        names.reserve(MAX);
        result = rustix::fs::llistxattr(path, spare_capacity(&mut names));
    }
    let names = optional(result.map(|_| names)).context(|| format!("llistxattr({path:?})"))?;
    Ok(split_names(&names.unwrap_or_default()))
}

/// The names of an open file.
pub fn list_of(fd: impl AsFd) -> Result<Vec<CString>> {
    let mut names = Vec::with_capacity(1024);
    let mut result = rustix::fs::flistxattr(&fd, spare_capacity(&mut names));
    if result == Err(Errno::RANGE) {
        names.reserve(MAX);
        result = rustix::fs::flistxattr(&fd, spare_capacity(&mut names));
    }
    let names = optional(result.map(|_| names)).context(|| "flistxattr()")?;
    Ok(split_names(&names.unwrap_or_default()))
}

pub fn set(path: &Path, name: &CStr, value: &[u8]) -> Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
        .context(|| format!("lsetxattr({path:?}, {name:?}, {} bytes)", value.len()))
}

pub fn set_of(fd: impl AsFd, name: &CStr, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
        .context(|| format!("fsetxattr({name:?}, {} bytes)", value.len()))
}

pub fn remove(path: &Path, name: &CStr) -> Result<()> {
    rustix::fs::lremovexattr(path, name).context(|| format!("lremovexattr({path:?}, {name:?})"))
}

fn optional<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn split_names(list: &[u8]) -> Vec<CString> {
    list.split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_lists_gets_and_removes() {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        let (path, name) = (file.path(), c"user.tare");
        assert_eq!(get(path, name).unwrap(), None);
        let long = vec![7; 3000];
        set(path, name, &long).unwrap();
        assert_eq!(get(path, name).unwrap(), Some(long.clone()));
        assert_eq!(get_of(file.as_file(), name).unwrap(), Some(long));
        assert!(list(path).unwrap().contains(&name.to_owned()));
        remove(path, name).unwrap();
        assert!(!list_of(file.as_file()).unwrap().contains(&name.to_owned()));
    }
}
