//! Images made here: from a root file system's tar, and the one that greets.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use oci::{ContainerConfig, Digest, History, ImageConfig, Platform, Reference, RootFs};

use crate::layers::{Staged, io_error};
use crate::load::stream_error;
use crate::store::NewImage;
use crate::tar::{Entry, EntryKind, Writer};
use crate::{Error, ImageId, Result, Store, compress, instruction};

#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    pub reference: Option<Reference>,
    /// Docker's daemon says `Imported from -` (or the URL) where the user says nothing.
    pub message: String,
    /// Dockerfile lines as `--change` takes them.
    pub changes: Vec<String>,
    pub platform: Option<Platform>,
}

const HELLO: &str = "hello:latest";
/// Go's zero time, which clients show as `N/A`: the image is as old as the program, whose bytes alone decide what it is.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
const HELLO_LABEL: &str = "org.opencontainers.image.description";
const HELLO_TEXT: &str = "Greets, and shows what the container sees. Built in by tare.";

impl Store {
    /// Makes an image of one layer from a root file system's tar, plain or compressed with gzip or zstd.
    pub fn import(&self, input: impl Read + Send, options: &ImportOptions) -> Result<ImageId> {
        let mut config = ContainerConfig::default();
        instruction::apply_all(&options.changes, &mut config)?;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let layer = self.stage_layer(input)?;
        let now = jiff::Timestamp::now().to_string();
        let comment = if options.message.is_empty() {
            "Imported from -"
        } else {
            &options.message
        };
        let image = ImageConfig {
            architecture: platform.architecture,
            variant: platform.variant,
            os: platform.os,
            comment: Some(comment.to_owned()),
            config,
            created: Some(now.clone()),
            history: vec![History {
                created: Some(now),
                comment: Some(comment.to_owned()),
                ..History::default()
            }],
            rootfs: RootFs {
                diff_ids: vec![layer.applied.diff_id.clone()],
                ..RootFs::default()
            },
            ..ImageConfig::default()
        };
        self.commit_one(&image, options.reference.clone(), layer)
    }

    /// Applies a layer that may be compressed.
    fn stage_layer(&self, input: impl Read + Send) -> Result<Staged> {
        let (staged, source) = compress::decompressed(input, |tar| self.inner.layers.apply(tar));
        let staged = staged?;
        source.map_err(stream_error("read the archive"))?;
        Ok(staged)
    }

    fn commit_one(
        &self,
        image: &ImageConfig,
        name: Option<Reference>,
        layer: Staged,
    ) -> Result<ImageId> {
        let names = name.into_iter().map(Reference::or_latest).collect();
        let new = NewImage {
            config: image.to_bytes(),
            manifest: None,
            index: None,
            parent: None,
            names,
        };
        let staged = [(layer.applied.diff_id.clone(), layer)].into();
        let (ids, _) = self.commit(&[new], staged)?;
        ids.into_iter()
            .next()
            .ok_or_else(|| Error::Damaged("the commit of an image gave no id".to_owned()))
    }

    /// Makes sure that `hello:latest` is an image with `binary` as its `/hello`. Remade when the binary changed; left
    /// alone when a user has given the name to an image of their own.
    pub fn ensure_hello(&self, binary: &Path) -> Result<ImageId> {
        let name = Reference::parse(HELLO)?;
        let tar = hello_layer(binary)?;
        let image = hello_config(Digest::sha256(&tar));
        let id = Digest::sha256(&image.to_bytes());
        match self.resolve(HELLO) {
            Ok(found) if found.id == id => return Ok(id),
            Ok(found) if !is_built_in(&found.config) => return Ok(found.id),
            Ok(_) | Err(Error::NoSuchImage(_)) => {}
            Err(error) => return Err(error),
        }
        let old = self.read()?.name(&name)?;
        let layer = self.inner.layers.apply(&mut &tar[..])?;
        let id = self.commit_one(&image, Some(name), layer)?;
        if let Some(old) = old.filter(|old| *old != id) {
            // The former binary's image has no other name in the normal case; where it has, or is in use, it stays.
            match self.remove_if_dangling(&old) {
                Err(Error::Conflict(_)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(id)
    }

    fn remove_if_dangling(&self, id: &ImageId) -> Result<()> {
        if !self.image(id)?.is_dangling() {
            return Ok(());
        }
        self.remove(id.hex(), crate::RemoveOptions::default(), &|_| Vec::new())
            .map(drop)
    }
}

/// The same binary always gives the same bytes, so the same image id.
fn hello_layer(binary: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(binary)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(io_error("read", binary))?;
    let mut writer = Writer::new(Vec::with_capacity(bytes.len() + 4096));
    writer
        .file(Entry::new(EntryKind::Regular, "hello", 0o755), &bytes)
        .and_then(|()| writer.finish())
        .map_err(|source: io::Error| Error::Stream {
            what: "write the layer of the hello image",
            source,
        })
}

fn hello_config(layer: Digest) -> ImageConfig {
    let platform = Platform::host();
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        config: ContainerConfig {
            cmd: Some(vec!["/hello".to_owned()]),
            env: Some(vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            ]),
            labels: Some([(HELLO_LABEL.to_owned(), HELLO_TEXT.to_owned())].into()),
            ..ContainerConfig::default()
        },
        created: Some(NO_TIME.to_owned()),
        history: vec![History {
            created: Some(NO_TIME.to_owned()),
            created_by: Some("tare: built in".to_owned()),
            ..History::default()
        }],
        rootfs: RootFs {
            diff_ids: vec![layer],
            ..RootFs::default()
        },
        ..ImageConfig::default()
    }
}

fn is_built_in(config: &ImageConfig) -> bool {
    config
        .config
        .labels
        .as_ref()
        .and_then(|labels| labels.get(HELLO_LABEL))
        .is_some_and(|text| text == HELLO_TEXT)
}
