//! Containers' writable layers: directories beside those of images' layers, mounted by others.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use oci::{ContainerId, Digest};

use crate::driver::{Driver, DriverKind};
use crate::layers::{INIT, INIT_LINK, Layers, io_error, names};
use crate::state::{ImageRecord, NOTED};
use crate::store::{is_snapshot_name, missing_layer, topmost_first};
use crate::{Error, ImageId, Result, Store};

/// A container's writable layer and what lies below it. Nothing of it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// For the overlay mount: short links, topmost first. Empty if there is nothing to mount, and never otherwise.
    pub lower: Vec<PathBuf>,
    /// The same directories as inspect shows them.
    pub lower_dirs: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// Where Docker would mount these; not there, since only the container sees them mounted.
    pub merged: PathBuf,
    /// The directory that holds these.
    pub home: PathBuf,
    pub driver: DriverKind,
}

impl Snapshot {
    /// Whether the root file system is `upper` as it is, and nothing is to be mounted below it.
    pub fn is_plain(&self) -> bool {
        self.driver.driver().is_plain()
    }
}

/// A snapshot as the store keeps it in mind.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Diff IDs, topmost first.
    pub(crate) below: Vec<Digest>,
    pub(crate) driver: DriverKind,
}

/// The file in a snapshot's directory that names the layers below, topmost first, a diff ID a line. It is written last:
/// a directory without it is half made.
const LOWER: &str = "lower";

/// All snapshots on disk.
pub(crate) fn read_all(layers: &Layers) -> Result<HashMap<ContainerId, Kept>> {
    let mut all = HashMap::new();
    for driver in DriverKind::ALL {
        all.extend(read_those_of(layers, driver)?);
    }
    Ok(all)
}

fn read_those_of(layers: &Layers, driver: DriverKind) -> Result<HashMap<ContainerId, Kept>> {
    let mut all = HashMap::new();
    for name in names(&layers.containers(driver))?
        .into_iter()
        .filter(|name| is_snapshot_name(name))
    {
        let path = layers.containers(driver).join(&name).join(LOWER);
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(io_error("read", &path))?,
        };
        let below = text
            .lines()
            .map(str::parse)
            .collect::<Result<Vec<Digest>, _>>();
        let below = below.map_err(|e| Error::Damaged(format!("{}: {e}", path.display())))?;
        if let Ok(id) = name.parse() {
            all.insert(id, Kept { below, driver });
        }
    }
    Ok(all)
}

impl Store {
    /// Makes a container's writable layer on top of `image` (on nothing without one).
    pub fn prepare(&self, container: &ContainerId, image: Option<&ImageId>) -> Result<Snapshot> {
        let kept = self.hold(container, image)?;
        self.tell_growth();
        let made = self.make(container, &kept);
        if made.is_err() {
            self.holders().let_go(container);
            let home = self.inner.layers.container(container, kept.driver);
            let _ = self.inner.layers.remove_at(&home);
        }
        made
    }

    /// From here on, no removal of the image takes its layers away.
    fn hold(&self, container: &ContainerId, image: Option<&ImageId>) -> Result<Kept> {
        let mut holders = self.holders();
        let below = match image {
            None => Vec::new(),
            Some(id) => {
                let record = self
                    .read()?
                    .image(id)?
                    .ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
                self.note_use(id, &record)?;
                topmost_first(&record.layers).into_iter().cloned().collect()
            }
        };
        if holders.snapshots().contains_key(container) {
            return Err(Error::Conflict(format!(
                "container {container} has a writable layer already"
            )));
        }
        let driver = self.inner.driver;
        let kept = Kept { below, driver };
        holders.keep(container.clone(), kept.clone());
        Ok(kept)
    }

    /// For who collects the longest unused first.
    fn note_use(&self, id: &ImageId, record: &ImageRecord) -> Result<()> {
        let now = jiff::Timestamp::now();
        let recent = |last: jiff::Timestamp| now.duration_since(last).abs() < NOTED;
        if record.last_used.is_some_and(recent) {
            return Ok(());
        }
        let mut record = record.clone();
        record.last_used = Some(now);
        self.inner
            .database
            .write(|tables| tables.put_image(id, &record))
    }

    fn make(&self, container: &ContainerId, kept: &Kept) -> Result<Snapshot> {
        let snapshot = self.describe(container, kept)?;
        let driver = kept.driver.driver();
        driver.make(&snapshot.home, &snapshot.lower_dirs)?;
        let lines: String = kept.below.iter().map(|id| format!("{id}\n")).collect();
        let path = snapshot.home.join(LOWER);
        fs::write(&path, lines).map_err(io_error("write", &path))?;
        Ok(snapshot)
    }

    fn describe(&self, container: &ContainerId, kept: &Kept) -> Result<Snapshot> {
        let layers = &self.inner.layers;
        let (mut lower, mut lower_dirs) = (Vec::new(), Vec::new());
        let reader = self.read()?;
        for diff_id in &kept.below {
            let record = reader
                .layer(diff_id)?
                .ok_or_else(|| missing_layer(diff_id))?;
            lower.push(layers.link(&record.link));
            lower_dirs.push(layers.diff(&record.cache_id));
        }
        lower.push(layers.link(INIT_LINK));
        lower_dirs.push(layers.diff(INIT));
        let home = layers.container(container, kept.driver);
        if kept.driver.driver().is_plain() {
            lower.clear();
        }
        let (upper, work, merged) = (home.join("diff"), home.join("work"), home.join("merged"));
        Ok(Snapshot {
            lower,
            lower_dirs,
            upper,
            work,
            merged,
            home,
            driver: kept.driver,
        })
    }

    pub fn snapshot(&self, container: &ContainerId) -> Result<Snapshot> {
        let kept = self.holders().snapshots().get(container).cloned();
        let kept = kept.ok_or_else(|| {
            Error::Damaged(format!("container {container} has no writable layer"))
        })?;
        self.describe(container, &kept)
    }

    /// The same with the driver that it was made by.
    pub(crate) fn with_driver(
        &self,
        container: &ContainerId,
    ) -> Result<(&'static dyn Driver, Snapshot)> {
        let snapshot = self.snapshot(container)?;
        Ok((snapshot.driver.driver(), snapshot))
    }

    /// The driver of new containers.
    pub fn driver(&self) -> DriverKind {
        self.inner.driver
    }

    /// Removes a container's writable layer; one that is not there is no error.
    pub fn release(&self, container: &ContainerId) -> Result<()> {
        for driver in DriverKind::ALL {
            let home = self.inner.layers.container(container, driver);
            self.inner.layers.remove_at(&home)?;
        }
        let mut holders = self.holders();
        let Some(kept) = holders.let_go(container) else {
            return Ok(());
        };
        let dropped = self.drop_unused(&holders, &kept.below)?;
        drop(holders);
        drop(dropped);
        Ok(())
    }

    /// Releases every snapshot whose container is not in `known`; says which those were.
    pub fn retain_snapshots(&self, known: &HashSet<ContainerId>) -> Result<Vec<ContainerId>> {
        let unknown: Vec<_> = self
            .holders()
            .snapshots()
            .keys()
            .filter(|id| !known.contains(*id))
            .cloned()
            .collect();
        unknown.iter().try_for_each(|id| self.release(id))?;
        Ok(unknown)
    }

    /// Bytes of a container's writable layer, each inode once.
    pub fn usage(&self, container: &ContainerId) -> Result<u64> {
        let (driver, snapshot) = self.with_driver(container)?;
        driver.usage(&snapshot.home, &snapshot.lower_dirs)
    }
}

/// Bytes of all below a directory, each inode once.
pub(crate) fn size_of_tree(root: &Path) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        total += tally(&dir, &mut open, &mut seen).or_else(|e| match e.kind() {
            // The container is running: what it just removed counts nothing.
            io::ErrorKind::NotFound if dir != root => Ok(0),
            _ => Err(io_error("list", &dir)(e)),
        })?;
    }
    Ok(total)
}

fn tally(dir: &Path, open: &mut Vec<PathBuf>, seen: &mut HashSet<u64>) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            open.push(entry.path());
        } else if metadata.nlink() == 1 || seen.insert(metadata.ino()) {
            total += metadata.size();
        }
    }
    Ok(total)
}
