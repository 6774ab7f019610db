//! The program file of the process itself, kept out of a container's reach.
//!
//! A container can make us execute `/proc/self/exe` inside it, keep a handle on the file and write to it once nothing
//! runs it any more (CVE-2019-5736). A process started from a sealed file has nothing to write to.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::error::Context as _;
use crate::mount::{self, Attributes, Depth};
use crate::{Errno, Result, file};

/// A handle on the program at `path` that cannot be written through: a detached read-only mount of the file, which
/// shares its pages, or before Linux 5.12 a sealed copy in memory. To be executed with
/// [`crate::spawn::Command::executable`] or [`crate::process::Program::exec_fd`].
pub fn sealed(path: &Path) -> Result<OwnedFd> {
    match readonly_mount(path) {
        Err(error) if matches!(error.errno(), Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            sealed_copy(path)
        }
        result => result,
    }
}

fn readonly_mount(path: &Path) -> Result<OwnedFd> {
    let tree = mount::clone_tree(file::open_path(path)?, Depth::One)?;
    mount::set_attributes(
        &tree,
        Depth::One,
        Attributes::READ_ONLY | Attributes::NO_SUID,
        Attributes::empty(),
    )?;
    Ok(tree)
}

fn sealed_copy(path: &Path) -> Result<OwnedFd> {
    let describe = || format!("memfd_create({path:?})");
    let mut from = std::fs::File::open(path).context(|| format!("open({path:?})"))?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut to =
        std::fs::File::from(rustix::fs::memfd_create("tare-shim", flags).context(describe)?);
    std::io::copy(&mut from, &mut to).context(describe)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&to, seals).context(|| "fcntl(F_ADD_SEALS)")?;
    // A file that is open for writing cannot be executed (ETXTBSY).
    file::reopen(&to, file::OFlags::RDONLY)
}

/// Whether this process was started from a file that nobody can write to through `/proc/self/exe`.
pub fn is_sealed() -> Result<bool> {
    let exe = file::open(Path::new("/proc/self/exe"), file::OFlags::RDONLY)?;
    if file::is_on_readonly_mount(&exe)? {
        return Ok(true);
    }
    Ok(rustix::fs::fcntl_get_seals(&exe).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_sealed_file_cannot_be_written() {
        let mut program = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        program.write_all(b"#!/bin/true\n").unwrap();
        for seal in [sealed, readonly_mount, sealed_copy] {
            let handle = seal(program.path()).unwrap();
            assert!(
                file::reopen(&handle, file::OFlags::WRONLY).is_err() || {
                    let writer = file::reopen(&handle, file::OFlags::WRONLY).unwrap();
                    file::write_once(writer, b"x").is_err()
                }
            );
        }
    }
}
