//! Writes images as Docker 28 does: its own archive format and an OCI layout in one tar, sharing the blobs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

use oci::{AnyReference, Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};
use serde::Serialize;

use crate::database::Reader;
use crate::hashing::Hashing;
use crate::listing::created_of;
use crate::state::{ImageRecord, LayerRecord};
use crate::store::missing_layer;
use crate::tar::{Entry, EntryKind, Time, Writer};
use crate::{Error, ImageId, Result, Store, names, platforms};

impl Store {
    /// Writes the images that `names` mean: of a name for several platforms all that are here. A repository's name
    /// without a tag means all its tags. The same images give the same bytes.
    pub fn save(&self, names: &[&str], out: impl Write) -> Result<()> {
        self.save_for(names, &[], out)
    }

    /// The images that [`Store::save_for`] writes.
    pub fn saved(&self, names: &[&str], platforms: &[Platform]) -> Result<Vec<ImageId>> {
        let wanted = self.wanted(&self.read()?, names, platforms)?;
        Ok(wanted.into_iter().flat_map(|(ids, _)| ids).collect())
    }

    /// Writes images as [`Store::save`] does; of a name with several platforms those that are given.
    pub fn save_for(&self, names: &[&str], platforms: &[Platform], out: impl Write) -> Result<()> {
        // The lock is not held: the transaction keeps the records, and open files keep contents.
        let reader = self.read()?;
        let mut plan = Plan::default();
        for (ids, names) in self.wanted(&reader, names, platforms)? {
            self.plan_named(&reader, &ids, &names, &mut plan)?;
        }
        let written = self.write_archive(&plan, out);
        written.map_err(|source| Error::Stream {
            what: "write the archive",
            source,
        })
    }

    /// Which images, each with the names it is saved under, in the order they were asked for. Several stand together where
    /// a name means them all.
    fn wanted(
        &self,
        reader: &Reader,
        asked: &[&str],
        platforms: &[Platform],
    ) -> Result<Vec<(Vec<ImageId>, Vec<Reference>)>> {
        let mut wanted: Vec<(Vec<ImageId>, Vec<Reference>)> = Vec::new();
        let mut places: HashMap<Vec<ImageId>, usize> = HashMap::new();
        let mut seen: HashSet<Reference> = HashSet::new();
        let mut add = |ids: Vec<ImageId>, name: Option<Reference>| {
            let at = *places.entry(ids.clone()).or_insert(wanted.len());
            if at == wanted.len() {
                wanted.push((ids, Vec::new()));
            }
            let new = name.filter(|name| seen.insert(name.clone()));
            wanted[at].1.extend(new);
        };
        for text in asked {
            let mut tags = self.tags_of(reader, text)?;
            if tags.is_empty() {
                let (id, name) = names::found(reader, text).map_err(|error| match error {
                    // As it was asked for: a name alone means all its tags here, not `latest`.
                    Error::NoSuchImage(_) => Error::NoSuchImage((*text).to_owned()),
                    other => other,
                })?;
                let Some(name) = name else {
                    add(platforms::chosen(reader, text, vec![id], platforms)?, None);
                    continue;
                };
                tags.push(name);
            }
            for name in tags {
                let ids = reader.bearers(&name)?;
                let ids = platforms::chosen(reader, text, ids, platforms)?;
                add(ids, Some(name).filter(|name| name.digest().is_none()));
            }
        }
        Ok(wanted)
    }

    /// All tags of the repository that a text without a tag means; none where it means something else.
    fn tags_of(&self, reader: &Reader, text: &str) -> Result<Vec<Reference>> {
        let repository = match AnyReference::parse(text)? {
            AnyReference::Named(name) if name.is_name_only() => name,
            _ => return Ok(Vec::new()),
        };
        let mut meant = Reference::candidates(text, reader.unqualified())?;
        meant.push(repository);
        for repository in &meant {
            let tags = reader.tags_of(repository)?;
            if !tags.is_empty() {
                return Ok(tags);
            }
        }
        Ok(Vec::new())
    }

    /// One image or, of several, an index over them, with its names. Readers that know no indexes get the first one.
    fn plan_named(
        &self,
        reader: &Reader,
        ids: &[ImageId],
        names: &[Reference],
        plan: &mut Plan,
    ) -> Result<()> {
        let images = ids.iter().map(|id| self.plan_image(reader, id, plan));
        let mut images = images.collect::<Result<Vec<_>>>()?;
        let Some(first) = images.first() else {
            return Ok(());
        };
        let (top, listed) = (first.record.layers.last().cloned(), first.listed(names));
        let mut manifest = first.manifest.clone();
        if images.len() > 1 {
            // In an order that does not hang on which one fits this machine.
            images.sort_by_cached_key(|image| {
                let platform = image.manifest.platform.as_ref().map(Platform::to_string);
                (platform, image.manifest.digest.clone())
            });
            let index = Index::new(images.into_iter().map(|image| image.manifest).collect());
            manifest = plan.document(media_type::OCI_INDEX, index.to_bytes());
        } else {
            manifest.platform = None;
        }
        plan.name(names, &manifest, top.as_ref());
        plan.images.push(listed);
        Ok(())
    }

    /// Plans an image's blobs; gives its manifest.
    fn plan_image(&self, reader: &Reader, id: &ImageId, plan: &mut Plan) -> Result<PlannedImage> {
        let record = reader
            .image(id)?
            .ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        let config = self.config(reader, id)?;
        let created = Time {
            // What says no time says the year one.
            seconds: created_of(&config).as_second().max(0),
            nanoseconds: 0,
        };
        let bytes = reader.document(id)?.unwrap_or_default();
        let mut layers = Vec::new();
        for diff_id in &record.layers {
            let layer = reader
                .layer(diff_id)?
                .ok_or_else(|| missing_layer(diff_id))?;
            layers.push(Descriptor::new(
                media_type::OCI_LAYER,
                diff_id.clone(),
                layer.tar_size,
            ));
            plan.blobs.insert(
                diff_id.clone(),
                Blob {
                    created,
                    content: Content::Layer(layer),
                },
            );
        }
        let manifest = Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, &bytes),
            layers.clone(),
        );
        plan.blobs.insert(
            id.clone(),
            Blob {
                created,
                content: Content::Bytes(bytes),
            },
        );
        let mut manifest = plan.document(media_type::OCI_MANIFEST, manifest.to_bytes());
        manifest.platform = Some(config.platform());
        Ok(PlannedImage {
            id: id.clone(),
            record,
            layers,
            manifest,
        })
    }

    fn write_archive(&self, plan: &Plan, out: impl Write) -> io::Result<()> {
        let mut tar = Writer::new(io::BufWriter::with_capacity(256 * 1024, out));
        for name in ["blobs/", "blobs/sha256/"] {
            tar.entry(
                &Entry::new(EntryKind::Directory, name, 0o755),
                &mut io::empty(),
            )?;
        }
        for (digest, blob) in &plan.blobs {
            let mut entry = Entry::new(EntryKind::Regular, blob_path(digest), 0o644);
            entry.mtime = blob.created;
            match &blob.content {
                Content::Bytes(bytes) => tar.file(entry, bytes)?,
                Content::Layer(record) => {
                    entry.size = record.tar_size;
                    tar.entry_with(&entry, |out| self.write_layer(digest, record, out))?;
                }
            }
        }
        let mut document =
            |name: &str, bytes: &[u8]| tar.file(Entry::new(EntryKind::Regular, name, 0o644), bytes);
        document("index.json", &Index::new(plan.manifests.clone()).to_bytes())?;
        document("manifest.json", &line(&plan.images))?;
        document("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#)?;
        if !plan.repositories.is_empty() {
            document("repositories", &line(&plan.repositories))?;
        }
        tar.finish()?.flush()
    }

    /// Writes a layer's tar and holds it against its diff ID: a layer whose files somebody changed is never passed on
    /// as what it was.
    pub(crate) fn write_layer(
        &self,
        diff_id: &Digest,
        record: &LayerRecord,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut checked = Checked {
            out,
            hashing: Hashing::new(diff_id.algorithm()),
        };
        self.inner.layers.write_tar(record, &mut checked)?;
        if checked.hashing.finish()? != *diff_id {
            // Told below in any case; where it cannot be noted, the next one finds out too.
            let _ = self.note_damage(diff_id, record, true);
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("layer {diff_id} was changed on disk"),
            ));
        }
        Ok(())
    }
}

/// What goes into the archive. Blobs by digest, so in the order that Docker's walk over its folder has.
#[derive(Default)]
struct Plan {
    blobs: BTreeMap<Digest, Blob>,
    manifests: Vec<Descriptor>,
    images: Vec<ArchiveImage>,
    /// Repository, tag, topmost layer: what readers older than 2015 look at.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

/// An image whose blobs are planned.
struct PlannedImage {
    id: ImageId,
    record: ImageRecord,
    layers: Vec<Descriptor>,
    /// With its platform.
    manifest: Descriptor,
}

impl PlannedImage {
    /// As Docker's own format lists it.
    fn listed(&self, names: &[Reference]) -> ArchiveImage {
        let sources = self.layers.iter().cloned().map(LayerSource::named);
        ArchiveImage {
            config: blob_path(&self.id),
            repo_tags: (!names.is_empty()).then(|| names.iter().map(Reference::familiar).collect()),
            layers: self.record.layers.iter().map(blob_path).collect(),
            layer_sources: sources.collect(),
        }
    }
}

struct Blob {
    created: Time,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    Layer(LayerRecord),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArchiveImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
    layer_sources: BTreeMap<Digest, LayerSource>,
}

/// A descriptor with its fields in the order that Docker writes here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerSource {
    media_type: String,
    size: u64,
    digest: Digest,
}

impl LayerSource {
    fn named(layer: Descriptor) -> (Digest, LayerSource) {
        let Descriptor {
            media_type,
            size,
            digest,
            ..
        } = layer;
        (
            digest.clone(),
            LayerSource {
                media_type,
                size,
                digest,
            },
        )
    }
}

impl Plan {
    /// A blob that is made here.
    fn document(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        let blob = Blob {
            created: Time::default(),
            content: Content::Bytes(bytes),
        };
        self.blobs.insert(descriptor.digest.clone(), blob);
        descriptor
    }

    fn name(&mut self, names: &[Reference], manifest: &Descriptor, top: Option<&Digest>) {
        if names.is_empty() {
            self.manifests.push(manifest.clone());
        }
        for name in names {
            let tag = name.tag().unwrap_or_default().to_owned();
            let mut named = manifest.clone();
            named.annotations = [
                ("io.containerd.image.name".to_owned(), name.canonical()),
                ("org.opencontainers.image.ref.name".to_owned(), tag.clone()),
            ]
            .into();
            self.manifests.push(named);
            if let Some(top) = top {
                self.repositories
                    .entry(name.familiar_name())
                    .or_default()
                    .insert(tag, top.hex().to_owned());
            }
        }
    }
}

struct Checked<'a> {
    out: &'a mut dyn Write,
    hashing: Hashing,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hashing.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// JSON with the newline that Go's encoder ends with.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("string keys only");
    bytes.push(b'\n');
    bytes
}
