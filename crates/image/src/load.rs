//! Reads images from an archive: Docker's (manifest.json) or an OCI layout (index.json), in one pass.
//!
//! Such archives name their layers only at the end, so every blob that looks like a layer is applied to a directory of
//! its own the moment it comes by, with no copy of the archive on disk; what turns out to be unwanted is dropped.
//! That is sound because a layer's directory is the same whatever lies below it, and nothing is visible before the
//! one transaction at the end.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use oci::{Algorithm, Digest, Hasher, MAX_DOCUMENT, Platform, Reference};

use crate::compress::{self, Chunks, Compression};
use crate::layers::{Staged, SyncAhead};
use crate::pins::Pins;
use crate::store::NewImage;
use crate::tar::{BLOCK, Entry, EntryKind, Walker};
use crate::{Error, ImageId, Result, Store};

pub mod docker_archive;
mod layout;

/// The most bytes of configs, manifests and the like that one archive may hold.
const MAX_DOCUMENTS: u64 = 64 << 20;

/// The most blobs that are taken for layers in one archive.
const MAX_LAYERS: usize = 10_000;

/// How often `LoadEvent::Layer` comes, in bytes.
const PROGRESS_STEP: u64 = 512 * 1024;

/// What `load` reports on its way.
#[derive(Clone, Debug)]
pub enum LoadEvent {
    /// Bytes of a layer that are done. `total` is what the archive says, 0 where it is compressed and so unknown.
    Layer {
        id: String,
        done: u64,
        total: u64,
    },
    /// A name was taken from the image that had it.
    Replaced {
        name: Reference,
        old: ImageId,
    },
    Loaded(Loaded),
}

/// An image that `load` made (or found already there). Displays as Docker's line, `Loaded image: x:tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub id: ImageId,
    pub name: Option<Reference>,
}

impl std::fmt::Display for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "Loaded image: {name}"),
            None => write!(f, "Loaded image ID: {}", self.id),
        }
    }
}

impl Store {
    /// Reads a docker-archive or an OCI layout, plain or compressed with gzip or zstd. Of an index come the images for
    /// `platforms`; without any all that the archive holds whole.
    pub fn load(
        &self,
        input: impl Read + Send,
        platforms: &[Platform],
        on: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<Loaded>> {
        let mut intake = Intake::new(self);
        let (taken, source) = compress::decompressed(input, |tar| intake.take_all(tar, on));
        taken?;
        source.map_err(stream_error("read the archive"))?;
        let images = if intake.documents.contains_key(docker_archive::INDEX)
            && !layout::has_named_indexes(&intake)
        {
            docker_archive::images(&intake, platforms)?
        } else if intake.documents.contains_key(layout::INDEX) {
            layout::images(&intake, platforms)?
        } else {
            return Err(invalid(
                "invalid archive: it holds neither manifest.json nor index.json",
            ));
        };
        intake.commit(&images, on)
    }
}

/// What an archive held, by name.
struct Intake<'a> {
    store: &'a Store,
    documents: HashMap<String, Vec<u8>>,
    layers: HashMap<String, LayerBlob>,
    links: HashMap<String, String>,
    staged: HashMap<Digest, Staged>,
    ahead: SyncAhead,
    /// Layers that the archive holds and the store has.
    pins: Pins,
    document_bytes: u64,
}

/// A blob that was applied.
struct LayerBlob {
    diff_id: Digest,
    /// Of the blob as it lies in the archive.
    digest: Digest,
    size: u64,
}

impl<'a> Intake<'a> {
    fn new(store: &'a Store) -> Intake<'a> {
        Intake {
            store,
            documents: HashMap::new(),
            layers: HashMap::new(),
            links: HashMap::new(),
            staged: HashMap::new(),
            ahead: SyncAhead::default(),
            pins: Pins::new(store),
            document_bytes: 0,
        }
    }

    fn take_all(&mut self, tar: &mut Chunks, on: &mut dyn FnMut(LoadEvent)) -> Result<()> {
        let mut walker = Walker::new(tar);
        while let Some(entry) = walker.next_entry().map_err(broken)? {
            let name = docker_archive::member_name(&entry.path).map_err(Error::Invalid)?;
            match entry.kind {
                EntryKind::Regular => self.take(name, &entry, &mut walker, on)?,
                EntryKind::Directory => {}
                EntryKind::Symlink | EntryKind::HardLink => {
                    let target =
                        docker_archive::link_target(&name, &entry).map_err(Error::Invalid)?;
                    self.links.insert(name, target);
                }
                _ => {
                    return Err(invalid(&format!(
                        "invalid archive: {name:?} is neither file, directory nor link"
                    )));
                }
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        name: String,
        entry: &Entry,
        walker: &mut Walker<&mut Chunks, io::Sink>,
        on: &mut dyn FnMut(LoadEvent),
    ) -> Result<()> {
        let mut head = Vec::with_capacity(BLOCK);
        let mut content = walker.content();
        content
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut head)
            .map_err(stream_error("read the archive"))?;
        if looks_like_layer(&head) {
            let blob = io::Cursor::new(&head[..]).chain(content);
            return self.take_layer(name, entry, Compression::of(&head), blob, on);
        }
        if entry.size > MAX_DOCUMENT {
            // Something this engine has no use for. If the index names it, it is reported as missing.
            return Ok(());
        }
        self.document_bytes += entry.size;
        if self.document_bytes > MAX_DOCUMENTS {
            return Err(invalid(
                "invalid archive: its documents are larger than 64 MiB together",
            ));
        }
        content
            .read_to_end(&mut head)
            .map_err(stream_error("read the archive"))?;
        check_named_digest(&name, |wanted| wanted.matches(&head))?;
        self.documents.insert(name, head);
        Ok(())
    }

    fn take_layer(
        &mut self,
        name: String,
        entry: &Entry,
        compression: Compression,
        blob: impl Read + Send,
        on: &mut dyn FnMut(LoadEvent),
    ) -> Result<()> {
        if self.layers.len() >= MAX_LAYERS {
            return Err(invalid(&format!(
                "invalid archive: it holds more than {MAX_LAYERS} layers"
            )));
        }
        if let Some(diff_id) = named_digest(&name)
            && compression == Compression::Plain
            && (self.staged.contains_key(&diff_id) || self.pins.hold(&diff_id)?)
        {
            return self.pass_over(name, diff_id, blob);
        }
        let id =
            named_digest(&name).map_or_else(|| name.clone(), |digest| digest.short().to_owned());
        let layers = &self.store.inner.layers;
        let (staged, digest, size) = if compression == Compression::Plain {
            let mut tar = blob;
            let total = entry.size;
            let staged = layers.apply(&mut Progress {
                tar: &mut tar,
                id: &id,
                done: 0,
                total,
                reported: 0,
                on,
            });
            let staged = staged.map_err(|error| in_layer(error, &name))?;
            let digest = staged.applied.diff_id.clone();
            (staged, digest, entry.size)
        } else {
            let (staged, source) =
                compress::decompressed_and_hashed(blob, Algorithm::Sha256, |tar| {
                    layers.apply(&mut Progress {
                        tar,
                        id: &id,
                        done: 0,
                        total: 0,
                        reported: 0,
                        on,
                    })
                });
            let staged = staged.map_err(|error| in_layer(error, &name))?;
            let source = source.map_err(stream_error("read a layer of the archive"))?;
            (staged, source.digest, source.size)
        };
        check_named_digest(&name, |wanted| *wanted == digest)?;
        let diff_id = staged.applied.diff_id.clone();
        self.layers.insert(
            name,
            LayerBlob {
                diff_id: diff_id.clone(),
                digest,
                size,
            },
        );
        self.ahead.start(&staged);
        self.staged.insert(diff_id, staged);
        Ok(())
    }

    /// A layer that is there already: only its digest is looked at.
    fn pass_over(&mut self, name: String, diff_id: Digest, mut blob: impl Read) -> Result<()> {
        let mut hasher = Hasher::sha256();
        let size = io::copy(&mut blob, &mut hasher)
            .map_err(stream_error("read a layer of the archive"))?;
        let digest = hasher.finish();
        check_named_digest(&name, |wanted| *wanted == digest)?;
        self.layers.insert(
            name,
            LayerBlob {
                diff_id,
                digest,
                size,
            },
        );
        Ok(())
    }

    /// A member's name with links followed.
    fn follow<'n>(&'n self, name: &'n str) -> Result<&'n str> {
        let mut name = name;
        for _ in 0..16 {
            match self.links.get(name) {
                Some(target) => name = target,
                None => return Ok(name),
            }
        }
        Err(invalid(&format!(
            "invalid archive: {name:?} is a link that leads back to itself"
        )))
    }

    fn document(&self, name: &str) -> Result<&[u8]> {
        let found = self.documents.get(self.follow(name)?);
        found
            .map(Vec::as_slice)
            .ok_or_else(|| invalid(&format!("invalid archive: {name:?} is missing")))
    }

    fn layer(&self, name: &str) -> Result<&LayerBlob> {
        let found = self.layers.get(self.follow(name)?);
        found.ok_or_else(|| {
            invalid(&format!(
                "invalid archive: layer {name:?} is missing or is no tar"
            ))
        })
    }

    fn commit(mut self, images: &[NewImage], on: &mut dyn FnMut(LoadEvent)) -> Result<Vec<Loaded>> {
        // A layer that was gone from the archive's pass but is in the store is as good.
        let staged = std::mem::take(&mut self.staged);
        let (ids, moved) = self.store.commit(images, staged)?;
        for (name, old) in moved {
            on(LoadEvent::Replaced { name, old });
        }
        let mut all = Vec::new();
        let mut told = HashSet::new();
        for (image, id) in images.iter().zip(ids) {
            let names: Vec<_> = if image.names.is_empty() {
                vec![None]
            } else {
                image.names.iter().cloned().map(Some).collect()
            };
            for name in names {
                // A name for several platforms is one.
                if name.is_some() && !told.insert(name.clone()) {
                    continue;
                }
                let loaded = Loaded {
                    id: id.clone(),
                    name,
                };
                on(LoadEvent::Loaded(loaded.clone()));
                all.push(loaded);
            }
        }
        Ok(all)
    }
}

/// Reports how much of a layer went by.
struct Progress<'a> {
    tar: &'a mut dyn Read,
    id: &'a str,
    done: u64,
    total: u64,
    reported: u64,
    on: &'a mut dyn FnMut(LoadEvent),
}

impl Read for Progress<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.tar.read(buffer)?;
        self.done += got as u64;
        if self.done >= self.reported + PROGRESS_STEP || (got == 0 && self.done != self.reported) {
            self.reported = self.done;
            (self.on)(LoadEvent::Layer {
                id: self.id.to_owned(),
                done: self.done,
                total: self.total,
            });
        }
        Ok(got)
    }
}

/// Compressed, or beginning with a tar header or with the empty block of an empty tar.
fn looks_like_layer(head: &[u8]) -> bool {
    match Compression::of(head) {
        Compression::Gzip | Compression::Zstd | Compression::Bzip2 | Compression::Xz => true,
        Compression::Plain => {
            <&[u8; BLOCK]>::try_from(head).is_ok_and(crate::tar::is_header_or_end)
        }
    }
}

/// `blobs/sha256/<hex>` says what it holds.
fn named_digest(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn check_named_digest(name: &str, fits: impl FnOnce(&Digest) -> bool) -> Result<()> {
    match named_digest(name) {
        Some(wanted) if wanted.algorithm() == oci::Algorithm::Sha256 && !fits(&wanted) => {
            Err(invalid(&format!(
                "invalid archive: the content of {name:?} has another digest than its name says"
            )))
        }
        _ => Ok(()),
    }
}

fn in_layer(error: Error, name: &str) -> Error {
    match error {
        Error::Archive { source, .. } => Error::Archive {
            what: format!("failed to apply layer {name}"),
            source,
        },
        other => other,
    }
}

pub(crate) fn invalid(what: &str) -> Error {
    Error::Archive {
        what: what.to_owned(),
        source: None,
    }
}

fn broken(error: crate::tar::TarError) -> Error {
    Error::Archive {
        what: "invalid archive".to_owned(),
        source: Some(Box::new(error)),
    }
}

/// An input that ends early or does not decompress is the sender's fault, anything else the machine's.
pub(crate) fn stream_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported => Error::Archive {
            what: what.to_owned(),
            source: Some(Box::new(source)),
        },
        _ => Error::Stream { what, source },
    }
}

#[cfg(test)]
mod tests;
