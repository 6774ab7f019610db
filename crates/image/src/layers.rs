//! Layer directories: made in `tmp`, adopted by renaming, removed through `tmp` again.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::{Algorithm, ContainerId};

use crate::apply::{self, Applied, ApplyError, Limits, Target};
use crate::driver::DriverKind;
use crate::skeleton;
use crate::state::LayerRecord;
use crate::{Error, Result};

/// Names in `tmp` that are ours to remove at open.
const TMP_PREFIX: &str = "image-";

/// The layer below all others; see [`crate::mount_points`].
pub(crate) const INIT: &str = "init";
pub(crate) const INIT_LINK: &str = "0";

/// The folders of one data root.
pub(crate) struct Layers {
    overlay: PathBuf,
    vfs: PathBuf,
    tmp: PathBuf,
    in_use: InUse,
    next_link: AtomicU64,
    /// Bytes of file content that one layer may hold.
    most: AtomicU64,
}

/// A directory in `tmp` that goes away with this value unless it is adopted.
pub(crate) struct Staging {
    path: PathBuf,
    in_use: InUse,
}

impl Staging {
    /// Takes it away now, and says if that fails.
    fn remove(self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &self.path)(e)),
            _ => Ok(()),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next open.
        let _ = fs::remove_dir_all(&self.path);
        self.in_use.lock().remove(&self.path);
    }
}

/// Directories in `tmp` that work under way owns.
#[derive(Clone, Default)]
struct InUse(Arc<Mutex<HashSet<PathBuf>>>);

impl InUse {
    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        // A panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer that is applied, and nobody's yet.
pub(crate) struct Staged {
    staging: Staging,
    pub(crate) applied: Applied,
}

/// A file or directory that nobody owns.
pub(crate) struct Stray {
    pub(crate) path: PathBuf,
}

impl Stray {
    pub(crate) fn remove(&self) -> Result<()> {
        let is_dir = fs::symlink_metadata(&self.path).is_ok_and(|m| m.is_dir());
        let removed = match is_dir {
            true => fs::remove_dir_all(&self.path),
            false => fs::remove_file(&self.path),
        };
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &self.path)(e)),
            _ => Ok(()),
        }
    }
}

/// Puts what is staged on disk while more is being staged, so that the sync at the end finds little left to do. One
/// at a time; what comes while it works is the next one's.
#[derive(Default)]
pub(crate) struct SyncAhead {
    running: Option<std::thread::JoinHandle<()>>,
}

impl SyncAhead {
    pub(crate) fn start(&mut self, staged: &Staged) {
        if self
            .running
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            return;
        }
        let Ok(home) = open_directory(&staged.staging.path) else {
            return;
        };
        let sync = std::thread::Builder::new().name("sync".to_owned());
        // Only a head start: the sync that counts tells of errors.
        let sync = sync.spawn(move || {
            let _ = rustix::fs::syncfs(&home);
        });
        self.running = sync.ok();
    }
}

impl Drop for SyncAhead {
    fn drop(&mut self) {
        if let Some(thread) = self.running.take() {
            let _ = thread.join();
        }
    }
}

impl Staged {
    /// Puts all of it on disk, so that a record may say that it is there. One syncfs(2) for all files: thousands of
    /// fsync(2) take many times as long, and most of what it waits for is on its way to the disk by then.
    pub(crate) fn sync(&self) -> Result<()> {
        let home = open_directory(&self.staging.path)?;
        rustix::fs::syncfs(&home)
            .map_err(io::Error::from)
            .map_err(io_error("sync", &self.staging.path))
    }
}

impl Layers {
    pub(crate) fn open(data_root: &Path) -> Result<Layers> {
        let layers = Layers {
            overlay: data_root.join("overlay2"),
            vfs: data_root.join("vfs"),
            tmp: data_root.join("tmp"),
            in_use: InUse::default(),
            next_link: AtomicU64::new(1),
            most: AtomicU64::new(u64::MAX),
        };
        for dir in [&layers.tmp, &layers.overlay, &layers.links()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o710)
                .create(dir)
                .map_err(io_error("make", dir))?;
        }
        for dir in [&layers.tmp, &layers.overlay] {
            // Only a hint, and only ext4 has it.
            let _ = linux::file::spread_out(dir);
        }
        Ok(layers)
    }

    fn links(&self) -> PathBuf {
        self.overlay.join("l")
    }

    /// Where a driver has containers' directories.
    pub(crate) fn containers(&self, driver: DriverKind) -> PathBuf {
        match driver {
            DriverKind::Overlay2 => self.overlay.clone(),
            DriverKind::Vfs => self.vfs.clone(),
        }
    }

    pub(crate) fn container(&self, id: &ContainerId, driver: DriverKind) -> PathBuf {
        self.containers(driver).join(id.as_str())
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.overlay.join(name)
    }

    pub(crate) fn diff(&self, name: &str) -> PathBuf {
        self.overlay.join(name).join("diff")
    }

    pub(crate) fn link(&self, link: &str) -> PathBuf {
        self.overlay.join("l").join(link)
    }

    /// An empty directory in `tmp`.
    pub(crate) fn stage(&self) -> Result<Staging> {
        let staging = self.reserve();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&staging.path)
            .map_err(io_error("make", &staging.path))?;
        Ok(staging)
    }

    /// A name in `tmp` that is in use as long as the value lives.
    fn reserve(&self) -> Staging {
        let name = format!("{TMP_PREFIX}{}", ContainerId::random());
        let path = self.tmp.join(name);
        self.in_use.lock().insert(path.clone());
        Staging {
            path,
            in_use: self.in_use.clone(),
        }
    }

    /// Applies an uncompressed tar to a new directory in `tmp`.
    pub(crate) fn apply(&self, input: &mut dyn Read) -> Result<Staged> {
        self.apply_as(input, Algorithm::Sha256)
    }

    /// The same with a diff ID of another algorithm.
    pub(crate) fn apply_as(&self, input: &mut dyn Read, algorithm: Algorithm) -> Result<Staged> {
        let staging = self.stage()?;
        let diff = staging.path.join("diff");
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&diff)
            .map_err(io_error("make", &diff))?;
        set_mode(&diff, 0o755)?;
        let target = Target {
            diff: open_directory(&diff)?,
            home: open_directory(&staging.path)?,
        };
        let skeleton_path = staging.path.join("skeleton.zst");
        let skeleton =
            fs::File::create(&skeleton_path).map_err(io_error("create", &skeleton_path))?;
        let limits = Limits {
            bytes: self.most.load(Ordering::Relaxed),
            ..Limits::default()
        };
        let (applied, _) =
            apply::apply(input, algorithm, &target, skeleton, limits).map_err(apply_error)?;
        Ok(Staged { staging, applied })
    }

    /// Gives a staged layer its place; it is still nobody's until the record that comes back is committed.
    pub(crate) fn adopt(&self, staged: Staged) -> Result<LayerRecord> {
        // Dropping `staging` later finds its directory gone.
        let Staged { staging, applied } = staged;
        let cache_id = ContainerId::random().to_string();
        let home = self.home(&cache_id);
        fs::rename(&staging.path, &home).map_err(io_error("rename to", &home))?;
        let link = self.make_link(&cache_id)?;
        let Applied { size, tar_size, .. } = applied;
        Ok(LayerRecord {
            cache_id,
            link,
            size,
            tar_size,
            awaiting: None,
            damaged: false,
            replaced: Vec::new(),
        })
    }

    fn make_link(&self, cache_id: &str) -> Result<String> {
        loop {
            let name = base36(self.next_link.fetch_add(1, Ordering::Relaxed));
            let path = self.link(&name);
            match symlink(format!("../{cache_id}/diff"), &path) {
                Ok(()) => return Ok(name),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io_error("make link", &path)(e)),
            }
        }
    }

    /// Removes a container's directory: out of sight first, so that a crash leaves only something in `tmp`.
    pub(crate) fn remove_at(&self, home: &Path) -> Result<()> {
        self.retire(home)?.map_or(Ok(()), Staging::remove)
    }

    /// Takes a directory out of sight; nothing if it is not there. Its files go with the result.
    fn retire(&self, home: &Path) -> Result<Option<Staging>> {
        let away = self.reserve();
        match fs::rename(home, &away.path) {
            Ok(()) => Ok(Some(away)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("rename", home)(e)),
        }
    }

    pub(crate) fn remove_layer(&self, record: &LayerRecord) -> Result<()> {
        let trash = self.retire_layer(record)?;
        trash.into_iter().try_for_each(Staging::remove)
    }

    /// See [`Layers::retire`].
    pub(crate) fn retire_layer(&self, record: &LayerRecord) -> Result<Vec<Staging>> {
        self.remove_link(record)?;
        let mut trash = Vec::new();
        for dir in record.directories() {
            trash.extend(self.retire(&self.home(dir))?);
        }
        Ok(trash)
    }

    pub(crate) fn remove_link(&self, record: &LayerRecord) -> Result<()> {
        let link = self.link(&record.link);
        match fs::remove_file(&link) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &link)(e)),
            _ => Ok(()),
        }
    }

    /// Removes what no record and no container owns, and mends links. `owned` says whose a name under `overlay2` is.
    pub(crate) fn collect_garbage(
        &self,
        layers: &[LayerRecord],
        owned: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        for stray in self.strays(layers, owned)? {
            stray.remove()?;
        }
        for layer in layers {
            self.ensure_link(&layer.link, &layer.cache_id)?;
        }
        Ok(())
    }

    /// What no record, no container and no work under way owns.
    pub(crate) fn strays(
        &self,
        layers: &[LayerRecord],
        owned: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Stray>> {
        let mut strays = Vec::new();
        for name in names(&self.tmp)? {
            let path = self.tmp.join(&name);
            let ours = name.starts_with(TMP_PREFIX);
            // Listed first: what is not in use now was not made meanwhile, and what is gone now never was stray.
            if ours && !self.in_use.lock().contains(&path) && path.exists() {
                strays.push(Stray { path });
            }
        }
        let cache_ids: HashSet<&str> = layers.iter().flat_map(LayerRecord::directories).collect();
        for name in names(&self.overlay)? {
            if name != "l" && name != INIT && !cache_ids.contains(&*name) && !owned(&name) {
                strays.push(Stray {
                    path: self.home(&name),
                });
            }
        }
        for name in names(&self.vfs)? {
            if !owned(&name) {
                strays.push(Stray {
                    path: self.vfs.join(&name),
                });
            }
        }
        let links: HashSet<&str> = layers.iter().map(|l| &*l.link).collect();
        for name in names(&self.links())? {
            if name != INIT_LINK && !links.contains(&*name) {
                strays.push(Stray {
                    path: self.link(&name),
                });
            }
        }
        Ok(strays)
    }

    /// Whether a layer's link leads to it.
    pub(crate) fn has_link(&self, layer: &LayerRecord) -> bool {
        let target = fs::read_link(self.link(&layer.link));
        target.is_ok_and(|target| target == Path::new(&format!("../{}/diff", layer.cache_id)))
    }

    /// How many bytes of file content one layer may hold from now on.
    pub(crate) fn limit(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// An error if so many bytes more, of which a manifest speaks, are too much for the disk.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        let space = rustix::fs::statvfs(&self.overlay)
            .map_err(io::Error::from)
            .map_err(io_error("statvfs", &self.overlay))?;
        let room = apply::room(&space);
        if bytes <= room {
            return Ok(());
        }
        let what = format!(
            "no space left on device: its manifest says that {bytes} bytes more are to come, and {room} may be taken"
        );
        Err(Error::Stream {
            what: "fetch the layer",
            source: io::Error::new(io::ErrorKind::StorageFull, what),
        })
    }

    /// Bytes that are free for the daemon, and that there are.
    pub(crate) fn space(&self) -> Result<(u64, u64)> {
        let space = rustix::fs::statvfs(&self.overlay)
            .map_err(io::Error::from)
            .map_err(io_error("statvfs", &self.overlay))?;
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        Ok((bytes(space.f_bavail), bytes(space.f_blocks)))
    }

    /// Makes the link, in place of whatever is there.
    pub(crate) fn renew_link(&self, link: &str, name: &str) -> Result<()> {
        let path = self.link(link);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(e)),
            _ => self.ensure_link(link, name),
        }
    }

    /// Makes the link if it is missing.
    pub(crate) fn ensure_link(&self, link: &str, name: &str) -> Result<()> {
        let path = self.link(link);
        match symlink(format!("../{name}/diff"), &path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(io_error("make link", &path)(e))
            }
            _ => Ok(()),
        }
    }

    /// Writes a layer's tar as it came.
    pub(crate) fn write_tar(
        &self,
        record: &LayerRecord,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let home = self.home(&record.cache_id);
        let diff = open_directory(&home.join("diff")).map_err(io::Error::other)?;
        let replaced: std::collections::HashSet<String> = names(&home.join("replaced"))
            .unwrap_or_default()
            .into_iter()
            .collect();
        let skeleton = fs::File::open(home.join("skeleton.zst"))?;
        skeleton::rebuild(skeleton, out, |ordinal, path| {
            let name = ordinal.to_string();
            if replaced.contains(&name) {
                return fs::File::open(home.join("replaced").join(name));
            }
            apply::open_file(&diff, path)
        })
    }
}

/// A disk that is full is not the archive's fault.
fn apply_error(error: ApplyError) -> Error {
    let what = "apply layer";
    let is_full = |source: &io::Error| source.kind() == io::ErrorKind::StorageFull;
    match error {
        ApplyError::Room(source) => Error::Stream { what, source },
        ApplyError::Skeleton(source) if is_full(&source) => Error::Stream { what, source },
        ApplyError::Entry { ref source, .. } if is_full(source) => Error::Stream {
            what,
            source: io::Error::new(io::ErrorKind::StorageFull, error),
        },
        error => Error::Archive {
            what: "failed to apply layer".to_owned(),
            source: Some(Box::new(error)),
        },
    }
}

pub(crate) fn io_error<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Names in a directory; none if it does not exist.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io_error("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io_error("list", dir))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    fs::File::open(path)
        .map(OwnedFd::from)
        .map_err(io_error("open", path))
}

/// The umask of the process has no say in what containers see.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error("chmod", path))
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    loop {
        text.push(DIGITS[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            text.reverse();
            return String::from_utf8_lossy(&text).into_owned();
        }
    }
}
