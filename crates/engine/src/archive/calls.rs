//! What the engine's callers ask for.

use std::sync::Arc;

use crate::archive::{Files, Overlay, PathStat, PutOptions, Unpack};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::shared::Shared;
use crate::stream::ByteReceiver;
use crate::volumes::HeldVolumes;
use crate::{blocking, lookup};

impl Engine {
    /// The whole file system as a tar.
    pub async fn export(&self, name: &str) -> Result<ByteReceiver> {
        let handle = self.shared().find(name)?;
        self.shared().announce(&handle, "export", &[]);
        Ok(files(self.shared(), &handle, name).await?.export())
    }

    pub async fn archive_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let files = files(self.shared(), &*self.shared().find(name)?, name).await?;
        let path = path.to_owned();
        blocking(move || files.stat(&path)).await
    }

    /// A file or folder as a tar, its last component at the top.
    pub async fn archive_get(&self, name: &str, path: &str) -> Result<(PathStat, ByteReceiver)> {
        let handle = self.shared().find(name)?;
        let files = files(self.shared(), &handle, name).await?;
        let archive = files.get(path.to_owned()).await?;
        self.shared().announce(&handle, "archive-path", &[]);
        Ok(archive)
    }

    /// Unpacks a tar (plain, gzip, zstd, bzip2, xz) into a folder of the container.
    pub async fn archive_put(
        &self,
        name: &str,
        path: &str,
        options: PutOptions,
        tar: ByteReceiver,
    ) -> Result<()> {
        let handle = self.shared().find(name)?;
        let files = files(self.shared(), &handle, name).await?;
        let (container, path) = (std::sync::Arc::clone(&handle.container), path.to_owned());
        blocking(move || {
            let owner = if options.copy_uid_gid {
                owner(&container)?
            } else {
                None
            };
            let unpack = Unpack {
                no_overwrite_dir_non_dir: options.no_overwrite_dir_non_dir,
                owner,
            };
            files.put(&path, unpack, tar)
        })
        .await?;
        self.shared().announce(&handle, "extract-to-dir", &[]);
        Ok(())
    }
}

/// Where the container's files are now; `name` is the one it was asked for by.
async fn files(shared: &Arc<Shared>, container: &Container, name: &str) -> Result<Files> {
    let snapshot = &container.snapshot;
    let pid = container.phase().pid();
    let held = match pid {
        Some(_) => None,
        None => HeldVolumes::take(shared, &container.birth.mounts).await?,
    };
    Ok(Files {
        name: name.to_owned(),
        pid,
        _held: held.map(Arc::new),
        overlay: Overlay {
            lower: snapshot.lower.clone(),
            upper: snapshot.upper.clone(),
            work: snapshot.work.clone(),
        },
        mounts: container.birth.mounts.clone(),
        read_only: container.birth.options.host.readonly_rootfs,
    })
}

/// The ids of the container's user; `None` when it has none set, and then the archive's ids hold.
fn owner(container: &Container) -> Result<Option<(u32, u32)>> {
    let user = &container.birth.options.user;
    if user.is_empty() {
        return Ok(None);
    }
    let identity = lookup::identity(&container.snapshot, user, &[])?;
    Ok(Some((identity.uid, identity.gid)))
}
