//! Files into and out of a container: `cp`, `export`, `diff`.

use jiff::Timestamp;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stream::ByteReceiver;

/// A file as `docker cp` sees it (the `X-Docker-Container-Path-Stat` header).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last component.
    pub name: String,
    pub size: u64,
    /// `st_mode` as Linux has it; Go's bits are the wire's business.
    pub mode: u32,
    pub mtime: Timestamp,
    /// Where a symbolic link leads inside the container, resolved; empty otherwise.
    pub link_target: String,
}

/// How an archive is put in.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions {
    /// Refuse to replace a directory by a file and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Give what is made to the container's user.
    pub copy_uid_gid: bool,
}

/// How a path differs from the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// One line of `diff`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute in the container.
    pub path: String,
    pub kind: ChangeKind,
}

impl Engine {
    /// The whole file system as a tar.
    pub async fn export(&self, name: &str) -> Result<ByteReceiver> {
        self.shared().find(name)?;
        Err(Error::unsupported("exporting a container"))
    }

    pub async fn archive_stat(&self, name: &str, _path: &str) -> Result<PathStat> {
        self.shared().find(name)?;
        Err(Error::unsupported("looking at a file of a container"))
    }

    /// A file or folder as a tar, its last component at the top.
    pub async fn archive_get(&self, name: &str, _path: &str) -> Result<(PathStat, ByteReceiver)> {
        self.shared().find(name)?;
        Err(Error::unsupported("copying out of a container"))
    }

    /// Unpacks a tar (plain, gzip, zstd) into a folder of the container.
    pub async fn archive_put(
        &self,
        name: &str,
        _path: &str,
        _options: PutOptions,
        _tar: ByteReceiver,
    ) -> Result<()> {
        self.shared().find(name)?;
        Err(Error::unsupported("copying into a container"))
    }
}
