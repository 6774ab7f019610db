//! What is done about a problem, or would be.

use std::fs;
use std::io;
use std::path::Path;

use oci::{Digest, Reference};

use super::{Check, ProblemKind, Repair, of_image};
use crate::layers::{Stray, io_error};
use crate::state::{ImageRecord, LayerRecord};
use crate::{ImageId, RemoveOptions, Result, Store};

impl Check<'_> {
    /// Tells a problem and what is to be done about it, and does that if it is asked for.
    pub(super) fn mend(
        &mut self,
        kind: ProblemKind,
        (action, subject): (&'static str, String),
        detail: &str,
        work: impl FnOnce(&Store) -> Result<()>,
    ) -> Result<()> {
        self.tell(kind, &subject, &detail);
        if self.repair {
            work(self.store)?;
        }
        if let Some(problem) = self.report.problems.last_mut() {
            problem.repaired = self.repair;
        }
        self.report.repairs.push(Repair {
            action,
            subject,
            names: Vec::new(),
            done: self.repair,
            obstacle: None,
        });
        Ok(())
    }

    pub(super) fn mend_link(&mut self, diff_id: &Digest, record: &LayerRecord) -> Result<()> {
        self.mend(
            ProblemKind::MissingLink,
            ("make link", diff_id.to_string()),
            &record.link,
            |store| {
                let layers = &store.inner.layers;
                layers.renew_link(&record.link, &record.cache_id)
            },
        )
    }

    pub(super) fn mend_name(&mut self, name: &Reference, id: &ImageId) -> Result<()> {
        let detail = format!("names {id}, which is not there");
        self.mend(
            ProblemKind::DanglingName,
            ("remove name", name.canonical()),
            &detail,
            |store| {
                let _holders = store.holders();
                store.inner.database.write(|tables| {
                    if tables.bearers(name)?.contains(id) && tables.image(id)?.is_none() {
                        tables.take_name(name, id)?;
                    }
                    Ok(())
                })
            },
        )
    }

    pub(super) fn mend_document(&mut self, digest: &Digest) -> Result<()> {
        self.mend(
            ProblemKind::StrayDocument,
            ("remove document", digest.to_string()),
            "no image names it",
            |store| {
                let _holders = store.holders();
                let images = store.read()?.images()?;
                let needs = |(id, record): &(ImageId, ImageRecord)| {
                    id == digest || record.documents().any(|named| named == digest)
                };
                if images.iter().any(needs) {
                    return Ok(());
                }
                let database = &store.inner.database;
                database.write(|tables| tables.remove_document(digest))
            },
        )
    }

    pub(super) fn mend_stray(&mut self, stray: &Stray) -> Result<()> {
        let path = stray.path.display().to_string();
        self.mend(
            ProblemKind::Stray,
            ("remove file", path),
            "nobody owns it",
            |_| stray.remove(),
        )
    }

    /// A partial blob that nobody came for.
    pub(super) fn mend_partial(&mut self, path: &Path, size: u64) -> Result<()> {
        let detail = format!("{size} bytes of a pull that was given up more than a day ago");
        self.mend(
            ProblemKind::Stray,
            ("remove file", path.display().to_string()),
            &detail,
            |_| match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(e)),
                _ => Ok(()),
            },
        )
    }

    /// Takes damaged images away, and with them the layers that are.
    pub(super) fn mend_images(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.bad_images) {
            self.mend_image(&id);
        }
        self.mend_layers()
    }

    fn mend_image(&mut self, id: &ImageId) {
        let tags = self.store.read().and_then(|tables| tables.names_of(id));
        let tags = tags.unwrap_or_default().into_iter();
        let tags = tags.filter(|name| name.digest().is_none());
        let mut repair = Repair {
            action: "remove image",
            subject: id.to_string(),
            names: tags.map(|name| name.familiar()).collect(),
            done: false,
            obstacle: None,
        };
        if let Some(user) = (self.users)(id).first() {
            repair.obstacle = Some(format!(
                "container {} was made from it: pull or load it again, or remove the container",
                user.container.short()
            ));
        } else if self.repair {
            let options = RemoveOptions {
                force: true,
                no_prune: true,
            };
            match self.store.remove(id.hex(), options, self.users) {
                Ok(_) => repair.done = true,
                Err(error) => repair.obstacle = Some(error.to_string()),
            }
        }
        if repair.done {
            let detail = of_image(id);
            for problem in &mut self.report.problems {
                problem.repaired |= problem.detail == detail;
            }
        }
        self.report.repairs.push(repair);
    }

    /// Damaged layers that nobody needs go too.
    fn mend_layers(&mut self) -> Result<()> {
        let holders = self.store.holders();
        let reader = self.store.read()?;
        let mut unneeded = Vec::new();
        for diff_id in &self.bad_layers {
            let free = !holders.holds(diff_id) && reader.uses(diff_id)? == 0;
            if let Some(record) = reader.layer(diff_id)?.filter(|_| free) {
                unneeded.push((diff_id.clone(), record));
            }
        }
        let ids = unneeded.iter().map(|(diff_id, _)| diff_id.to_string());
        self.report.repairs.extend(ids.map(|subject| Repair {
            action: "remove layer",
            subject,
            names: Vec::new(),
            done: self.repair,
            obstacle: None,
        }));
        if !self.repair {
            return Ok(());
        }
        let dropped = self.store.drop_layers(unneeded)?;
        drop(holders);
        drop(dropped);
        let reader = self.store.read()?;
        for problem in &mut self.report.problems {
            if problem.kind == ProblemKind::DamagedLayer
                && let Ok(diff_id) = problem.subject.parse()
            {
                problem.repaired |= reader.layer(&diff_id)?.is_none();
            }
        }
        Ok(())
    }
}
