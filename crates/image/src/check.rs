//! `system check`: everything in the store is what the records say, and nobody's is nothing.
//!
//! Works while the store is in use: what a record says is read again before its absence or its damage is told, and what
//! is looked for without an owner is looked for with the lock held.

use std::collections::HashSet;
use std::fmt::Display;

use oci::{Digest, Reference};

use crate::ingest::KEPT;
use crate::removal::User;
use crate::state::{ImageRecord, LayerRecord};
use crate::{ImageId, RemoveOptions, Result, Store};

mod layer;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub images: u64,
    pub layers: u64,
    pub snapshots: u64,
    /// Bytes of layers that were read.
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What it is about: a digest, a name, a path.
    pub subject: String,
    pub detail: String,
    /// It is mended.
    pub repaired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A layer's files are not what they were.
    DamagedLayer,
    /// A layer that an image or a container needs is not there.
    MissingLayer,
    /// A config, a manifest or an index is missing or has another digest.
    DamagedDocument,
    /// A name of an image that is not there.
    DanglingName,
    /// A file or directory that nobody owns.
    Stray,
    /// A document that no image names.
    StrayDocument,
    /// A layer's short link is missing.
    MissingLink,
    /// The counters say something else than the records.
    WrongCounter,
}

impl ProblemKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::DamagedLayer => "damaged layer",
            ProblemKind::MissingLayer => "missing layer",
            ProblemKind::DamagedDocument => "damaged document",
            ProblemKind::DanglingName => "dangling name",
            ProblemKind::Stray => "stray file",
            ProblemKind::StrayDocument => "stray document",
            ProblemKind::MissingLink => "missing link",
            ProblemKind::WrongCounter => "wrong counter",
        }
    }
}

type Users<'a> = &'a dyn Fn(&ImageId) -> Vec<User>;

struct Check<'a> {
    store: &'a Store,
    repair: bool,
    users: Users<'a>,
    report: CheckReport,
    /// Layers and images that cannot be used any more.
    bad_layers: HashSet<Digest>,
    bad_images: HashSet<ImageId>,
}

impl Store {
    /// Looks at everything, and mends what it finds if asked: what nobody owns goes, links and counters are made anew,
    /// and an image that is damaged goes with its names, unless a container needs it, so that it can be pulled again.
    /// `users` says which containers were made from an image.
    pub fn check(&self, repair: bool, users: Users<'_>) -> Result<CheckReport> {
        let mut check = Check {
            store: self,
            repair,
            users,
            report: CheckReport::default(),
            bad_layers: HashSet::new(),
            bad_images: HashSet::new(),
        };
        check.layers()?;
        check.images()?;
        check.snapshots()?;
        if repair {
            check.drop_images()?;
        }
        check.strays()?;
        check.counters()?;
        Ok(check.report)
    }
}

impl Check<'_> {
    fn tell(&mut self, kind: ProblemKind, subject: &dyn Display, detail: &dyn Display) {
        self.report.problems.push(Problem {
            kind,
            subject: subject.to_string(),
            detail: detail.to_string(),
            repaired: false,
        });
    }

    fn tell_repaired(&mut self, kind: ProblemKind, subject: &dyn Display, detail: &dyn Display) {
        self.tell(kind, subject, detail);
        if let Some(last) = self.report.problems.last_mut() {
            last.repaired = self.repair;
        }
    }

    fn layers(&mut self) -> Result<()> {
        for (diff_id, record) in self.store.read()?.layers()? {
            self.report.layers += 1;
            self.report.bytes += record.tar_size;
            if let Some(fault) = layer::fault(self.store, &diff_id, &record)
                && self.still_says(&diff_id, &record)?
            {
                self.tell(ProblemKind::DamagedLayer, &diff_id, &fault);
                self.bad_layers.insert(diff_id.clone());
            }
            if !self.store.inner.layers.has_link(&record) && self.still_says(&diff_id, &record)? {
                self.tell_repaired(ProblemKind::MissingLink, &diff_id, &record.link);
                if self.repair {
                    let layers = &self.store.inner.layers;
                    layers.renew_link(&record.link, &record.cache_id)?;
                }
            }
        }
        Ok(())
    }

    /// The layer may have been removed while it was looked at.
    fn still_says(&self, diff_id: &Digest, record: &LayerRecord) -> Result<bool> {
        let now = self.store.read()?.layer(diff_id)?;
        Ok(now.is_some_and(|now| now.cache_id == record.cache_id))
    }

    fn images(&mut self) -> Result<()> {
        // One transaction: images, layers and documents of one moment.
        let reader = self.store.read()?;
        let images = reader.images()?;
        for (id, record) in &images {
            self.report.images += 1;
            for digest in std::iter::once(id).chain(record.documents()) {
                let bytes = reader.document(digest)?;
                if !bytes.is_some_and(|bytes| digest.matches(&bytes)) {
                    let detail = format!("of image {id}");
                    self.tell(ProblemKind::DamagedDocument, digest, &detail);
                    self.bad_images.insert(id.clone());
                }
            }
            for diff_id in &record.layers {
                if reader.layer(diff_id)?.is_none() {
                    let detail = format!("of image {id}");
                    self.tell(ProblemKind::MissingLayer, diff_id, &detail);
                    self.bad_images.insert(id.clone());
                }
            }
            if record
                .layers
                .iter()
                .any(|layer| self.bad_layers.contains(layer))
            {
                self.bad_images.insert(id.clone());
            }
        }
        let known: HashSet<&ImageId> = images.iter().map(|(id, _)| id).collect();
        for (name, id) in reader.names()? {
            if !known.contains(&id) {
                self.dangling_name(&name, &id)?;
            }
        }
        let needed: HashSet<&Digest> = images
            .iter()
            .flat_map(|(id, record)| std::iter::once(id).chain(record.documents()))
            .collect();
        for digest in reader.documents()? {
            if !needed.contains(&digest) {
                self.tell_repaired(ProblemKind::StrayDocument, &digest, &"no image names it");
                if self.repair {
                    self.drop_document(&digest)?;
                }
            }
        }
        Ok(())
    }

    fn dangling_name(&mut self, name: &Reference, id: &ImageId) -> Result<()> {
        let detail = format!("names {id}, which is not there");
        self.tell_repaired(ProblemKind::DanglingName, &name.canonical(), &detail);
        if !self.repair {
            return Ok(());
        }
        let _holders = self.store.holders();
        let reader = self.store.read()?;
        if reader.bearers(name)?.contains(id) && reader.image(id)?.is_none() {
            let database = &self.store.inner.database;
            database.write(|tables| tables.take_name(name, id))?;
        }
        Ok(())
    }

    fn drop_document(&self, digest: &Digest) -> Result<()> {
        let _holders = self.store.holders();
        let images = self.store.read()?.images()?;
        let needs = |(id, record): &(ImageId, ImageRecord)| {
            id == digest || record.documents().any(|named| named == digest)
        };
        if images.iter().any(needs) {
            return Ok(());
        }
        let database = &self.store.inner.database;
        database.write(|tables| tables.remove_document(digest))
    }

    fn snapshots(&mut self) -> Result<()> {
        let snapshots = self.store.holders().snapshots().clone();
        for (container, kept) in snapshots {
            self.report.snapshots += 1;
            for diff_id in kept.below {
                let gone = self.store.read()?.layer(&diff_id)?.is_none();
                // It may have been removed meanwhile, and its layers with it.
                if gone && self.store.holders().snapshots().contains_key(&container) {
                    let detail = format!("of container {container}");
                    self.tell(ProblemKind::MissingLayer, &diff_id, &detail);
                }
            }
        }
        Ok(())
    }

    /// Takes damaged images away, and with them the layers that are.
    fn drop_images(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.bad_images) {
            let used = (self.users)(&id);
            let outcome = match used.first() {
                Some(user) => format!(
                    "image {} stays, since container {} was made from it; remove that, and check again",
                    id.short(),
                    user.container.short()
                ),
                None => {
                    let force = RemoveOptions {
                        force: true,
                        no_prune: true,
                    };
                    let names = self.store.image(&id).map(|image| image.tags);
                    match self.store.remove(id.hex(), force, self.users) {
                        Ok(_) => {
                            self.mark_repaired(&id);
                            let names = names.unwrap_or_default();
                            let names: Vec<_> = names.iter().map(Reference::familiar).collect();
                            format!(
                                "image {} is removed; pull or load it again: {}",
                                id.short(),
                                names.join(", ")
                            )
                        }
                        Err(error) => format!("image {} stays: {error}", id.short()),
                    }
                }
            };
            self.annotate(&id, &outcome);
        }
        self.drop_bad_layers()
    }

    /// A damaged layer that nobody needs any more would be taken for good by the next pull.
    fn drop_bad_layers(&mut self) -> Result<()> {
        let bad: Vec<Digest> = self.bad_layers.iter().cloned().collect();
        let holders = self.store.holders();
        let reader = self.store.read()?;
        let mut unneeded = Vec::new();
        for diff_id in bad {
            let free = !holders.holds(&diff_id) && reader.uses(&diff_id)? == 0;
            if let Some(record) = reader.layer(&diff_id)?.filter(|_| free) {
                unneeded.push((diff_id, record));
            }
        }
        let dropped = self.store.drop_layers(unneeded)?;
        drop(holders);
        for problem in &mut self.report.problems {
            let layer = problem.subject.parse::<Digest>();
            let gone = layer.is_ok_and(|layer| dropped.layers.iter().any(|(d, _)| *d == layer));
            let missing = reader_lacks(self.store, &problem.subject)?;
            problem.repaired |= problem.kind == ProblemKind::DamagedLayer && (gone || missing);
        }
        Ok(())
    }

    fn mark_repaired(&mut self, id: &ImageId) {
        let of_image = format!("of image {id}");
        for problem in &mut self.report.problems {
            problem.repaired |= problem.detail == of_image;
        }
    }

    fn annotate(&mut self, id: &ImageId, outcome: &str) {
        let of_image = format!("of image {id}");
        let mut told = false;
        for problem in &mut self.report.problems {
            let of_layer = problem.kind == ProblemKind::DamagedLayer && !told;
            if problem.detail == of_image || of_layer {
                problem.detail = format!("{}; {outcome}", problem.detail);
                told = true;
            }
        }
    }

    fn strays(&mut self) -> Result<()> {
        let holders = self.store.holders();
        let records: Vec<_> = self
            .store
            .read()?
            .layers()?
            .into_iter()
            .map(|(_, r)| r)
            .collect();
        let owned = |name: &str| holders.snapshots().contains_key(name);
        let strays = self.store.inner.layers.strays(&records, &owned)?;
        for stray in strays {
            let path = stray.path.display().to_string();
            self.tell_repaired(ProblemKind::Stray, &path, &"nobody owns it");
            if self.repair {
                stray.remove()?;
            }
        }
        drop(holders);
        for (path, size) in self.store.inner.ingests.idle(KEPT)? {
            let detail = format!("{size} bytes of a pull that was given up more than a day ago");
            self.tell_repaired(ProblemKind::Stray, &path.display(), &detail);
        }
        if self.repair {
            self.store.inner.ingests.remove_idle(KEPT)?;
        }
        Ok(())
    }

    fn counters(&mut self) -> Result<()> {
        // Nothing is counted while the lock is held, but for names and times.
        let _holders = self.store.holders();
        let reader = self.store.read()?;
        let (kept, right) = (reader.counters()?, reader.count()?);
        if kept != right {
            let detail = format!(
                "{} images and {} bytes of layers are counted; {} and {} are there",
                kept.images, kept.layers_size, right.images, right.layers_size
            );
            self.tell_repaired(ProblemKind::WrongCounter, &"counters", &detail);
            if self.repair {
                let database = &self.store.inner.database;
                database.write(|tables| tables.put_counters(&right))?;
            }
        }
        Ok(())
    }
}

fn reader_lacks(store: &Store, diff_id: &str) -> Result<bool> {
    match diff_id.parse() {
        Ok(diff_id) => Ok(store.read()?.layer(&diff_id)?.is_none()),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests;
