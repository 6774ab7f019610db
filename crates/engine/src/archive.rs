//! Files into and out of a container: `cp`, `export`, `diff`.

use jiff::Timestamp;

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
