use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oci::{ContainerId, Descriptor, Digest, ImageConfig, Reference};

use crate::database::{Database, Reader, Tables, Transaction, Writer};
use crate::driver::DriverKind;
use crate::holders::Holders;
use crate::ingest::{Ingests, KEPT};
use crate::layers::{INIT, Layers, Staging, io_error};
use crate::state::{ImageRecord, LayerRecord};
use crate::{Error, GraphPaths, Image, ImageId, Result, mount_points, platforms, snapshot};

/// The images of one data root. Cheap to clone; every method may be called from any thread, and blocks.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) layers: Layers,
    pub(crate) ingests: Ingests,
    pub(crate) driver: DriverKind,
    holders: Mutex<Holders>,
    growth: Mutex<u64>,
    grown: Condvar,
}

/// An image that is about to be in the store.
pub(crate) struct NewImage {
    /// The config's bytes: their digest is the id.
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Option<(Descriptor, Vec<u8>)>,
    pub(crate) index: Option<(Descriptor, Vec<u8>)>,
    pub(crate) parent: Option<ImageId>,
    pub(crate) names: Vec<Reference>,
}

/// Layers that are gone.
#[derive(Default)]
pub(crate) struct Dropped {
    /// With their sizes.
    pub(crate) layers: Vec<(Digest, u64)>,
    /// Their files.
    pub(crate) trash: Vec<Staging>,
}

/// Ids of the images that were committed and, for every name that moved, the image that lost it.
pub(crate) type Committed = (Vec<ImageId>, Vec<(Reference, ImageId)>);

impl Store {
    /// Opens (or makes) the store of `data_root` and removes what a crash left behind. A second opener is refused.
    pub fn open(data_root: &Path) -> Result<Store> {
        Store::open_with(data_root, DriverKind::default())
    }

    /// The same with another driver for new containers.
    pub fn open_with(data_root: &Path, driver: DriverKind) -> Result<Store> {
        let home = data_root.join("image");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&home)
            .map_err(io_error("make", &home))?;
        let database = Database::open(&home.join("store.redb"))?;
        let layers = Layers::open(data_root)?;
        mount_points::ensure(&layers)?;
        let snapshots = snapshot::read_all(&layers)?;
        let ingests = Ingests::open(home.join("ingest"))?;
        let holders = Mutex::new(Holders::new(snapshots));
        let store = Store {
            inner: Arc::new(Inner {
                database,
                layers,
                ingests,
                driver,
                holders,
                growth: Mutex::new(0),
                grown: Condvar::new(),
            }),
        };
        store.collect_garbage()?;
        Ok(store)
    }

    pub(crate) fn holders(&self) -> MutexGuard<'_, Holders> {
        // A panic elsewhere leaves the maps whole: each is changed by one call.
        self.inner
            .holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of file content one layer may hold; without a word as many as the disk can take.
    pub fn limit_layers(&self, most: Option<u64>) {
        self.inner.layers.limit(most.unwrap_or(u64::MAX));
    }

    /// Says that more of the disk is taken, or for another reason is to be looked at.
    pub fn tell_growth(&self) {
        *self.growth() += 1;
        self.inner.grown.notify_all();
    }

    /// Waits until the store has grown since this returned `seen` (0 at first), by images, layers or containers.
    pub fn wait_for_growth(&self, seen: u64) -> u64 {
        let growth = self
            .inner
            .grown
            .wait_while(self.growth(), |now| *now == seen);
        *growth.unwrap_or_else(PoisonError::into_inner)
    }

    fn growth(&self) -> MutexGuard<'_, u64> {
        // A plain number is whole whatever happened elsewhere.
        self.inner
            .growth
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> Result<Reader> {
        self.inner.database.read()
    }

    /// The image with exactly this id.
    pub fn image(&self, id: &ImageId) -> Result<Image> {
        let reader = self.read()?;
        let record = reader
            .image(id)?
            .ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        self.view(&reader, id, &record)
    }

    pub(crate) fn config(
        &self,
        reader: &Tables<impl Transaction>,
        id: &ImageId,
    ) -> Result<ImageConfig> {
        let damaged = |why: String| Error::Damaged(format!("image store: config of {id}: {why}"));
        let bytes = reader
            .document(id)?
            .ok_or_else(|| damaged("it is missing".to_owned()))?;
        ImageConfig::parse(&bytes).map_err(|e| damaged(e.to_string()))
    }

    pub(crate) fn view(
        &self,
        reader: &Reader,
        id: &ImageId,
        record: &ImageRecord,
    ) -> Result<Image> {
        let names = reader.names_of(id)?.into_iter();
        let (digests, tags) = names.partition(|name| name.digest().is_some());
        let mut size = 0;
        let mut dirs = Vec::new();
        for diff_id in topmost_first(&record.layers) {
            let layer = reader
                .layer(diff_id)?
                .ok_or_else(|| missing_layer(diff_id))?;
            dirs.push(layer.cache_id);
        }
        for diff_id in &record.layers {
            size += reader.layer(diff_id)?.map_or(0, |layer| layer.size);
        }
        Ok(Image {
            id: id.clone(),
            config: self.config(reader, id)?,
            tags,
            digests,
            parent: record.parent.clone(),
            size,
            last_tagged: record.last_tagged,
            manifest: record.manifest.clone(),
            index: None,
            graph: self.graph(&dirs),
        })
    }

    fn graph(&self, dirs: &[String]) -> GraphPaths {
        let Some((top, below)) = dirs.split_first() else {
            return GraphPaths {
                driver: self.inner.driver,
                ..GraphPaths::default()
            };
        };
        let home = self.inner.layers.home(top);
        GraphPaths {
            driver: self.inner.driver,
            lower: below
                .iter()
                .map(|dir| self.inner.layers.diff(dir))
                .collect(),
            upper: home.join("diff"),
            work: home.join("work"),
            merged: home.join("merged"),
        }
    }

    /// Takes away layers that no image and no holder needs any more, of the ones given. Their files go when the result
    /// is dropped, which takes a while: best done without the lock.
    pub(crate) fn drop_unused(&self, holders: &Holders, candidates: &[Digest]) -> Result<Dropped> {
        self.drop_layers(unused(&self.read()?, holders, candidates)?)
    }

    /// Takes away layers that were fetched for an image that never came.
    pub(crate) fn drop_waiting(&self, holders: &Holders) -> Result<Dropped> {
        let reader = self.read()?;
        let mut unused = reader.layers()?;
        unused.retain(|(diff_id, layer)| layer.awaiting.is_some() && !holders.holds(diff_id));
        let mut unneeded = Vec::new();
        for (diff_id, layer) in unused {
            if reader.uses(&diff_id)? == 0 {
                unneeded.push((diff_id, layer));
            }
        }
        self.drop_layers(unneeded)
    }

    /// Takes away layers of which the caller knows that nobody needs them.
    pub(crate) fn drop_layers(&self, unused: Vec<(Digest, LayerRecord)>) -> Result<Dropped> {
        if unused.is_empty() {
            return Ok(Dropped::default());
        }
        self.inner.database.write(|tables| {
            unused
                .iter()
                .try_for_each(|(id, _)| tables.remove_layer(id))
        })?;
        self.retire(unused)
    }

    /// Takes layers' directories out of sight whose records are gone.
    pub(crate) fn retire(&self, gone: Vec<(Digest, LayerRecord)>) -> Result<Dropped> {
        let mut dropped = Dropped::default();
        for (diff_id, record) in gone {
            dropped
                .trash
                .extend(self.inner.layers.retire_layer(&record)?);
            dropped.layers.push((diff_id, record.size));
        }
        Ok(dropped)
    }

    /// Directories that were replaced, and that no container can have mounted any more, are nobody's.
    fn forget_replaced(
        &self,
        holders: &Holders,
        layers: &mut [(Digest, LayerRecord)],
    ) -> Result<()> {
        for (diff_id, record) in layers {
            if !record.replaced.is_empty() && !holders.holds(diff_id) {
                record.replaced.clear();
                let database = &self.inner.database;
                database.write(|tables| tables.put_layer(diff_id, record))?;
            }
        }
        Ok(())
    }

    fn collect_garbage(&self) -> Result<()> {
        let holders = self.holders();
        let reader = self.read()?;
        let owned = |name: &str| holders.snapshots().contains_key(name);
        let mut layers = reader.layers()?;
        self.forget_replaced(&holders, &mut layers)?;
        let (ids, records): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        self.inner.ingests.remove_idle(KEPT)?;
        self.inner.layers.collect_garbage(&records, &owned)?;
        drop(self.drop_unused(&holders, &ids)?);
        let mut named = HashSet::new();
        for (id, record) in reader.images()? {
            named.extend(record.documents().cloned());
            named.insert(id);
        }
        let mut orphans = reader.documents()?;
        orphans.retain(|digest| !named.contains(digest));
        if orphans.is_empty() {
            return Ok(());
        }
        self.inner.database.write(|tables| {
            orphans
                .iter()
                .try_for_each(|digest| tables.remove_document(digest))
        })
    }
}

pub(crate) fn put_image(
    tables: &mut Writer,
    image: &NewImage,
    config: &ImageConfig,
    moved: &mut Vec<(Reference, ImageId)>,
) -> Result<ImageId> {
    let id = Digest::sha256(&image.config);
    let known = tables.image(&id)?;
    let last_tagged = (!image.names.is_empty()).then(jiff::Timestamp::now);
    let mut record = known.unwrap_or(ImageRecord {
        layers: config.rootfs.diff_ids.clone(),
        parent: None,
        last_tagged: None,
        manifest: None,
        indexes: Vec::new(),
        last_used: None,
    });
    if record.parent.is_none() {
        record.parent.clone_from(&image.parent);
    }
    record.last_used = Some(jiff::Timestamp::now());
    record.last_tagged = last_tagged.or(record.last_tagged);
    if let Some((descriptor, bytes)) = &image.manifest {
        tables.put_document(&descriptor.digest, bytes)?;
        record.manifest = Some(descriptor.clone());
    }
    if let Some((descriptor, bytes)) = &image.index {
        tables.put_document(&descriptor.digest, bytes)?;
        if !record.indexes.contains(descriptor) {
            record.indexes.push(descriptor.clone());
        }
    }
    for diff_id in &record.layers {
        if let Some(mut layer) = tables.layer(diff_id)?.filter(|l| l.awaiting.is_some()) {
            layer.awaiting = None;
            tables.put_layer(diff_id, &layer)?;
        }
    }
    tables.put_document(&id, &image.config)?;
    tables.put_image(&id, &record)?;
    let index = image.index.as_ref().map(|(descriptor, _)| descriptor);
    for name in &image.names {
        let bearers = platforms::bearers(tables, name, (&id, config), index)?;
        let lost = tables.name(name)?.filter(|old| !bearers.contains(old));
        moved.extend(lost.map(|old| (name.clone(), old)));
        tables.put_name(name, &bearers, index)?;
    }
    drop_indexes(tables, &id, record)?;
    Ok(id)
}

/// Lets go of the indexes that none of the image's names came from any more.
fn drop_indexes(tables: &mut Writer, id: &ImageId, mut record: ImageRecord) -> Result<()> {
    let mut named = HashSet::new();
    for name in tables.names_of(id)? {
        named.extend(tables.index_of(&name)?.map(|index| index.digest));
    }
    let before = record.indexes.len();
    record.indexes.retain(|index| named.contains(&index.digest));
    match record.indexes.len() == before {
        true => Ok(()),
        false => tables.put_image(id, &record),
    }
}

/// Diff IDs from the top down, each once: overlayfs refuses the same directory twice, and where a layer comes again
/// higher up, the lower one is hidden by it entirely.
pub(crate) fn topmost_first(layers: &[Digest]) -> Vec<&Digest> {
    let mut seen = HashSet::with_capacity(layers.len());
    let from_above = layers.iter().rev();
    from_above.filter(|diff_id| seen.insert(*diff_id)).collect()
}

/// The layers among `candidates` that no image and no holder needs.
pub(crate) fn unused(
    tables: &Tables<impl Transaction>,
    holders: &Holders,
    candidates: &[Digest],
) -> Result<Vec<(Digest, LayerRecord)>> {
    let mut unused: Vec<(Digest, LayerRecord)> = Vec::new();
    for diff_id in topmost_first(candidates) {
        if holders.holds(diff_id) || tables.uses(diff_id)? > 0 {
            continue;
        }
        let found = tables.layer(diff_id)?;
        let unwanted = found.filter(|layer| !still_waits(layer));
        unused.extend(unwanted.map(|record| (diff_id.clone(), record)));
    }
    Ok(unused)
}

/// Whether a layer without an image was fetched so lately that another attempt at its pull may still come.
fn still_waits(layer: &LayerRecord) -> bool {
    layer.awaiting.is_some_and(|since| {
        let waited = jiff::Timestamp::now().duration_since(since);
        waited.unsigned_abs() < KEPT
    })
}

pub(crate) fn missing_layer(diff_id: &Digest) -> Error {
    Error::Damaged(format!("layer {diff_id} is not in the store"))
}

/// A container's directory is named by its id; the layer below all is not.
pub(crate) fn is_snapshot_name(name: &str) -> bool {
    name != INIT && name.parse::<ContainerId>().is_ok()
}
