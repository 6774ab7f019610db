//! `system check`: everything in the store is what the records say, and nobody's is nothing.
//!
//! Works while the store is in use: what a record says is read again before its absence or its damage is told, and what
//! is looked for without an owner is looked for with the lock held.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;

use oci::Digest;

use crate::database::Reader;
use crate::ingest::KEPT;
use crate::layers::io_error;
use crate::removal::User;
use crate::state::ImageRecord;
use crate::{ImageId, Result, Store};

mod layer;
mod mend;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub images: u64,
    pub layers: u64,
    pub snapshots: u64,
    /// Bytes of layers that were read.
    pub bytes: u64,
    pub problems: Vec<Problem>,
    /// What repairing did about them, or would do.
    pub repairs: Vec<Repair>,
}

/// One thing that repairing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// `remove image`, `remove layer`, `remove file`, `remove document`, `remove name`, `make link` or `count anew`.
    pub action: &'static str,
    /// What it is done to: a digest, a name, a path.
    pub subject: String,
    /// Names that go with an image.
    pub names: Vec<String>,
    pub done: bool,
    /// Why it cannot be done, and what to do instead.
    pub obstacle: Option<String>,
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
    bad_images: BTreeSet<ImageId>,
}

impl Store {
    /// Looks at everything, and mends what it finds if asked: what nobody owns goes, links and counters are made anew,
    /// and an image that is damaged goes with its names, unless a container needs it, so that it can be pulled again.
    /// Whether it mends or not, a layer that is damaged is noted as such: pulling or loading its image brings it anew.
    /// `users` says which containers were made from an image.
    pub fn check(&self, repair: bool, users: Users<'_>) -> Result<CheckReport> {
        let mut check = Check {
            store: self,
            repair,
            users,
            report: CheckReport::default(),
            bad_layers: HashSet::new(),
            bad_images: BTreeSet::new(),
        };
        check.layers()?;
        check.images()?;
        check.snapshots()?;
        check.mend_images()?;
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

    fn layers(&mut self) -> Result<()> {
        for (diff_id, record) in self.store.read()?.layers()? {
            self.report.layers += 1;
            self.report.bytes += record.tar_size;
            let directory = self.store.inner.layers.diff(&record.cache_id);
            let fault = layer::fault(self.store, &diff_id, &record)
                .map_err(io_error("check", &directory))?;
            // It may have been removed while it was looked at.
            if !self.store.note_damage(&diff_id, &record, fault.is_some())? {
                continue;
            }
            if let Some(fault) = fault {
                self.tell(ProblemKind::DamagedLayer, &diff_id, &fault);
                self.bad_layers.insert(diff_id.clone());
            }
            if !self.store.inner.layers.has_link(&record) {
                self.mend_link(&diff_id, &record)?;
            }
        }
        Ok(())
    }

    fn images(&mut self) -> Result<()> {
        // One transaction: images, layers and documents of one moment.
        let reader = self.store.read()?;
        let images = reader.images()?;
        for (id, record) in &images {
            self.report.images += 1;
            self.image(&reader, id, record)?;
        }
        let known: HashSet<&ImageId> = images.iter().map(|(id, _)| id).collect();
        for (name, id) in reader.names()? {
            if !known.contains(&id) {
                self.mend_name(&name, &id)?;
            }
        }
        let needed: HashSet<&Digest> = images
            .iter()
            .flat_map(|(id, record)| std::iter::once(id).chain(record.documents()))
            .collect();
        for digest in reader.documents()? {
            if !needed.contains(&digest) {
                self.mend_document(&digest)?;
            }
        }
        Ok(())
    }

    fn image(&mut self, reader: &Reader, id: &ImageId, record: &ImageRecord) -> Result<()> {
        let detail = of_image(id);
        let mut is_bad = false;
        for digest in std::iter::once(id).chain(record.documents()) {
            let bytes = reader.document(digest)?;
            if !bytes.is_some_and(|bytes| digest.matches(&bytes)) {
                self.tell(ProblemKind::DamagedDocument, digest, &detail);
                is_bad = true;
            }
        }
        for diff_id in &record.layers {
            if reader.layer(diff_id)?.is_none() {
                self.tell(ProblemKind::MissingLayer, diff_id, &detail);
                is_bad = true;
            }
            is_bad |= self.bad_layers.contains(diff_id);
        }
        if is_bad {
            self.bad_images.insert(id.clone());
        }
        Ok(())
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

    fn strays(&mut self) -> Result<()> {
        let store = self.store;
        let holders = store.holders();
        let layers = store.read()?.layers()?;
        let records: Vec<_> = layers.into_iter().map(|(_, record)| record).collect();
        let owned = |name: &str| holders.snapshots().contains_key(name);
        for stray in store.inner.layers.strays(&records, &owned)? {
            self.mend_stray(&stray)?;
        }
        drop(holders);
        for (path, size) in store.inner.ingests.idle(KEPT)? {
            self.mend_partial(&path, size)?;
        }
        Ok(())
    }

    fn counters(&mut self) -> Result<()> {
        // One transaction that sees what it counts, and changes it.
        let database = &self.store.inner.database;
        let reader = self.store.read()?;
        let (kept, right) = (reader.counters()?, reader.count()?);
        if kept == right {
            return Ok(());
        }
        let detail = match (kept.images, kept.layers_size) == (right.images, right.layers_size) {
            true => "they say otherwise than the records who uses what".to_owned(),
            false => format!(
                "{} images and {} bytes of layers are counted; {} and {} are there",
                kept.images, kept.layers_size, right.images, right.layers_size
            ),
        };
        self.mend(
            ProblemKind::WrongCounter,
            ("count anew", "counters".to_owned()),
            &detail,
            |_| {
                database.write(|tables| {
                    let right = tables.count()?;
                    tables.put_counters(&right)
                })
            },
        )
    }
}

fn of_image(id: &ImageId) -> String {
    format!("of image {id}")
}

#[cfg(test)]
mod tests;
