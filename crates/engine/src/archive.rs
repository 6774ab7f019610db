//! Files into and out of a container: `cp`, `export`, `diff`.
//!
//! A container's files are looked at through a *view*: a detached copy of its mounts, made in a throw-away mount
//! namespace (see [`view`]). Nothing is mounted where the host sees it, and the view is gone with its descriptor. Paths
//! in it are resolved as if its root were `/`, whatever the container does meanwhile.

mod calls;
mod pack;
mod path;
mod unpack;
mod view;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use linux::file;
use linux::rootfs::Root;

use crate::error::{Context as _, Error, Result};
use crate::mounts::{Access, MountPoint};
use crate::stream::{ByteReceiver, pipe};
use crate::volumes::HeldVolumes;
use path::Place;
pub(crate) use view::root_of;

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

/// Where a container's files are. Every call is blocking work; the functions that are `async` do it elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The container's name, for messages.
    pub(crate) name: String,
    /// The first process, while the container runs (or is paused).
    pub(crate) pid: Option<u32>,
    pub(crate) overlay: Overlay,
    /// Bound into the container beside the image: volumes, binds, and the engine's own `/etc/hosts` and the like.
    pub(crate) mounts: Vec<MountPoint>,
    /// `--read-only`.
    pub(crate) read_only: bool,
    /// Keeps volumes mounted that a container which does not run would have.
    pub(crate) _held: Option<Arc<HeldVolumes>>,
}

/// The layers of a container's root filesystem.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    /// Topmost first.
    pub(crate) lower: Vec<PathBuf>,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
}

/// How an archive is unpacked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unpack {
    pub(crate) no_overwrite_dir_non_dir: bool,
    /// Owner and group of everything made, in place of the archive's.
    pub(crate) owner: Option<(u32, u32)>,
}

impl Files {
    /// What `path` is. The last component is not followed, unless a slash follows it.
    pub(crate) fn stat(&self, path: &str) -> Result<PathStat> {
        let place = Place::parse(path)?;
        self.stat_in(&view::open(self)?, &place)
    }

    /// A file or folder as a tar with its last component at the top; the stat comes first.
    pub(crate) async fn get(self, path: String) -> Result<(PathStat, ByteReceiver)> {
        let (told, stat) = tokio::sync::oneshot::channel();
        let (mut out, tar) = pipe(4);
        tokio::task::spawn_blocking(move || {
            let opened = Place::parse(&path).and_then(|place| {
                let root = view::open(&self)?;
                let stat = self.stat_in(&root, &place)?;
                Ok((place, root, stat))
            });
            let (place, root, stat) = match opened {
                Ok(opened) => opened,
                // Whoever asked has gone, or gets the error.
                Err(error) => return drop(told.send(Err(error))),
            };
            if told.send(Ok(stat)).is_err() {
                return;
            }
            match pack::pack(&root, &place.source(), place.base(), &mut out)
                .and_then(|()| out.flush())
            {
                Ok(()) => {}
                Err(error) => out.fail(error),
            }
        });
        let stat = stat
            .await
            .map_err(|_| Error::system("the copying thread ended early"))??;
        Ok((stat, tar))
    }

    /// Unpacks a tar (plain, gzip, zstd, bzip2, xz) into the folder `path`.
    pub(crate) fn put(&self, path: &str, options: Unpack, tar: impl Read + Send) -> Result<()> {
        let place = Place::parse(path)?;
        let root = view::open(self)?;
        let folder = root
            .resolve(place.path())
            .map_err(|error| self.lost(&place, error))?;
        if !file::is_dir(&file::stat(&folder).context(|| "look at the folder".to_owned())?) {
            return Err(Error::invalid("extraction point is not a directory"));
        }
        let folder = root
            .path_of(&folder)
            .context(|| "find the folder".to_owned())?;
        self.check_writable(&folder)?;
        let (result, stream) =
            image::decompress(tar, |tar| unpack::unpack(&root, &folder, options, tar));
        result?;
        stream.context(|| "read the archive".to_owned())
    }

    /// The whole root filesystem, without what is mounted into it.
    pub(crate) fn export(self) -> ByteReceiver {
        let (mut out, tar) = pipe(4);
        tokio::task::spawn_blocking(move || {
            let packed = view::bare(&self)
                .map_err(|error| io::Error::other(error.chain()))
                .and_then(|root| pack::pack(&root, "/".as_ref(), "", &mut out))
                .and_then(|()| out.flush());
            if let Err(error) = packed {
                out.fail(error);
            }
        });
        tar
    }

    fn stat_in(&self, root: &Root, place: &Place) -> Result<PathStat> {
        let handle = root
            .resolve_nofollow(place.path())
            .map_err(|error| self.lost(place, error))?;
        let stat = file::stat(&handle).context(|| "look at the file".to_owned())?;
        let mtime = Timestamp::new(
            stat.st_mtime,
            i32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        );
        let is_link = stat.st_mode & 0o170_000 == 0o120_000;
        Ok(PathStat {
            name: place.base().to_owned(),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mode: stat.st_mode,
            mtime: mtime.unwrap_or_default(),
            link_target: if is_link {
                path::link_target(root, place.path())
            } else {
                String::new()
            },
        })
    }

    /// The error for a path that does not resolve, in Docker's words.
    fn lost(&self, place: &Place, error: linux::Error) -> Error {
        let path = place.path().display();
        match error.errno() {
            linux::Errno::NOENT => Error::not_found(format!(
                "Could not find the file {path} in container {}",
                self.name
            )),
            linux::Errno::NOTDIR => Error::system(format!("lstat {path}: not a directory")),
            _ => Error::system(format!("lstat {path}")).caused_by(error),
        }
    }

    /// Whether the container may be written there.
    fn check_writable(&self, folder: &std::path::Path) -> Result<()> {
        let mounts = self
            .mounts
            .iter()
            .filter(|mount| folder.starts_with(&mount.destination));
        match mounts.max_by_key(|mount| mount.destination.len()) {
            Some(mount) if mount.access == Access::Full => Ok(()),
            Some(_) => Err(Error::invalid("mounted volume is marked read-only")),
            None if self.read_only => Err(Error::invalid("container rootfs is marked read-only")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
