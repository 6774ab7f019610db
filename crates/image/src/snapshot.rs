//! Containers' writable layers: directories beside those of images' layers, mounted by others.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci::{ContainerId, Digest};

use crate::layers::{INIT, INIT_LINK, Layers, io_error, names, set_mode};
use crate::state::{ImageRecord, NOTED};
use crate::store::{is_snapshot_name, missing_layer, topmost_first};
use crate::{Error, ImageId, Result, Store};

/// A container's writable layer and what lies below it. Nothing of it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// For the overlay mount: short links, topmost first. Never empty.
    pub lower: Vec<PathBuf>,
    /// The same directories as inspect shows them.
    pub lower_dirs: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

/// The file in a snapshot's directory that names the layers below, topmost first, a diff ID a line. It is written last:
/// a directory without it is half made.
const LOWER: &str = "lower";

/// All snapshots on disk.
pub(crate) fn read_all(layers: &Layers) -> Result<HashMap<ContainerId, Vec<Digest>>> {
    let mut all = HashMap::new();
    for name in names(&layers.home(""))?
        .into_iter()
        .filter(|name| is_snapshot_name(name))
    {
        let path = layers.home(&name).join(LOWER);
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
            all.insert(id, below);
        }
    }
    Ok(all)
}

impl Store {
    /// Makes a container's writable layer on top of `image` (on nothing without one).
    pub fn prepare(&self, container: &ContainerId, image: Option<&ImageId>) -> Result<Snapshot> {
        let below = self.hold(container, image)?;
        self.tell_growth();
        let made = self
            .make(container, &below)
            .and_then(|()| self.describe(container, &below));
        if made.is_err() {
            self.holders().snapshots.remove(container);
            let _ = self.inner.layers.remove(container.as_str());
        }
        made
    }

    /// From here on, no removal of the image takes its layers away.
    fn hold(&self, container: &ContainerId, image: Option<&ImageId>) -> Result<Vec<Digest>> {
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
        match holders.snapshots.entry(container.clone()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Error::Conflict(format!(
                "container {container} has a writable layer already"
            ))),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(below.clone());
                Ok(below)
            }
        }
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

    fn make(&self, container: &ContainerId, below: &[Digest]) -> Result<()> {
        let home = self.inner.layers.home(container.as_str());
        for (path, mode) in [
            (home.clone(), 0o710),
            (home.join("diff"), 0o755),
            (home.join("work"), 0o700),
            (home.join("merged"), 0o700),
        ] {
            fs::DirBuilder::new()
                .mode(mode)
                .create(&path)
                .map_err(io_error("make", &path))?;
        }
        set_mode(&home.join("diff"), 0o755)?;
        let lines: String = below.iter().map(|id| format!("{id}\n")).collect();
        let path = home.join(LOWER);
        fs::write(&path, lines).map_err(io_error("write", &path))
    }

    fn describe(&self, container: &ContainerId, below: &[Digest]) -> Result<Snapshot> {
        let layers = &self.inner.layers;
        let (mut lower, mut lower_dirs) = (Vec::new(), Vec::new());
        let reader = self.read()?;
        for diff_id in below {
            let record = reader
                .layer(diff_id)?
                .ok_or_else(|| missing_layer(diff_id))?;
            lower.push(layers.link(&record.link));
            lower_dirs.push(layers.diff(&record.cache_id));
        }
        lower.push(layers.link(INIT_LINK));
        lower_dirs.push(layers.diff(INIT));
        let home = layers.home(container.as_str());
        let (upper, work, merged) = (home.join("diff"), home.join("work"), home.join("merged"));
        Ok(Snapshot {
            lower,
            lower_dirs,
            upper,
            work,
            merged,
        })
    }

    pub fn snapshot(&self, container: &ContainerId) -> Result<Snapshot> {
        let below = self.holders().snapshots.get(container).cloned();
        let below = below.ok_or_else(|| {
            Error::Damaged(format!("container {container} has no writable layer"))
        })?;
        self.describe(container, &below)
    }

    /// Removes a container's writable layer; one that is not there is no error.
    pub fn release(&self, container: &ContainerId) -> Result<()> {
        self.inner.layers.remove(container.as_str())?;
        let mut holders = self.holders();
        let Some(below) = holders.snapshots.remove(container) else {
            return Ok(());
        };
        let dropped = self.drop_unused(&holders, &below)?;
        drop(holders);
        drop(dropped);
        Ok(())
    }

    /// Releases every snapshot whose container is not in `known`; says which those were.
    pub fn retain_snapshots(&self, known: &HashSet<ContainerId>) -> Result<Vec<ContainerId>> {
        let unknown: Vec<_> = self
            .holders()
            .snapshots
            .keys()
            .filter(|id| !known.contains(*id))
            .cloned()
            .collect();
        unknown.iter().try_for_each(|id| self.release(id))?;
        Ok(unknown)
    }

    /// Bytes of a container's writable layer, each inode once.
    pub fn usage(&self, container: &ContainerId) -> Result<u64> {
        let upper = self.inner.layers.diff(container.as_str());
        let mut seen = HashSet::new();
        let mut total = 0;
        let mut open = vec![upper.clone()];
        while let Some(dir) = open.pop() {
            total += tally(&dir, &mut open, &mut seen).or_else(|e| match e.kind() {
                // The container is running: what it just removed counts nothing.
                io::ErrorKind::NotFound if dir != upper => Ok(0),
                _ => Err(io_error("list", &dir)(e)),
            })?;
        }
        Ok(total)
    }
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
