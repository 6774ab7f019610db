//! `tmpcopyup`: a tmpfs that starts with what it covers.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use linux::file::{self, Mode, OFlags};

/// Copies what is in the folder `from` into `to`: files, folders, symlinks, with mode and owner. Other kinds of
/// files, and what is mounted below, are left out.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> linux::Result<()> {
    let listed = file::open_at(from, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let device = file::stat(from)?.st_dev;
    for name in file::list(listed)? {
        let name = Path::new(&name);
        let entry = file::open_at(from, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let stat = file::stat(&entry)?;
        if stat.st_dev != device {
            continue;
        }
        if file::is_dir(&stat) {
            file::make_dir(to, name, 0o700)?;
            copy(
                &entry,
                &file::open_at(to, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?,
            )?;
        } else if file::is_symlink(&stat) {
            file::symlink(&file::read_link(&entry, "")?.to_string_lossy(), to, name)?;
        } else if file::is_regular(&stat) {
            copy_file(&entry, to, name)?;
        } else {
            continue;
        }
        file::change_owner(to, name, stat.st_uid, stat.st_gid)?;
        if !file::is_symlink(&stat) {
            file::change_mode(to, name, stat.st_mode & 0o7777)?;
        }
    }
    Ok(())
}

fn copy_file(from: &OwnedFd, to: impl AsFd, name: &Path) -> linux::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY;
    let target = file::open_at(to, name, flags, Mode::from_raw_mode(0o600))?;
    file::copy(file::reopen(from, OFlags::RDONLY)?, target)
}
