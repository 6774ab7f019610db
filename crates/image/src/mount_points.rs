//! The layer below every image's: what a container's mounts need to be mounted on.
//!
//! Docker makes such a layer for each container, on top of the image. Ours lies at the very bottom and is the same for
//! all: an image that has `/etc/hosts`, or `/etc` as a symlink, or `/dev` with other attributes, wins by itself, and
//! since it is a lower layer nothing of it ever shows in `diff`.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};

use crate::Result;
use crate::layers::{INIT, INIT_LINK, Layers, io_error, set_mode};

const DIRECTORIES: [&str; 6] = ["dev", "dev/pts", "dev/shm", "proc", "sys", "etc"];
const FILES: [&str; 5] = [
    ".dockerenv",
    "dev/console",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
];

/// Makes it, or whatever of it is missing.
pub(crate) fn ensure(layers: &Layers) -> Result<()> {
    let root = layers.diff(INIT);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&root)
        .map_err(io_error("make", &root))?;
    set_mode(&root, 0o755)?;
    for name in DIRECTORIES {
        let path = root.join(name);
        tolerate_existing(fs::DirBuilder::new().mode(0o755).create(&path))
            .map_err(io_error("make", &path))?;
        set_mode(&path, 0o755)?;
    }
    for name in FILES {
        let path = root.join(name);
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&path);
        tolerate_existing(made.map(drop)).map_err(io_error("create", &path))?;
        set_mode(&path, 0o755)?;
    }
    let mtab = root.join("etc/mtab");
    tolerate_existing(symlink("/proc/mounts", &mtab)).map_err(io_error("make link", &mtab))?;
    layers.ensure_link(INIT_LINK, INIT)
}

fn tolerate_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
