//! A container's changes as a new image.

use std::io;
use std::thread;

use oci::{ContainerConfig, ContainerId, Digest, History, ImageConfig, Platform, Reference};

use crate::layers::Staged;
use crate::store::NewImage;
use crate::{Error, ImageId, Result, Store};

/// What the image says besides its layers.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The image that the container was made from; none for one made from nothing.
    pub base: Option<ImageId>,
    pub config: ContainerConfig,
    pub author: String,
    pub comment: String,
    /// The command that made the changes.
    pub created_by: String,
    pub reference: Option<Reference>,
}

impl Store {
    /// Makes an image of what a container has written, on top of the image it was made from. The same changes give the
    /// same layer; the image differs by its time.
    pub fn commit_container(
        &self,
        container: &ContainerId,
        options: CommitOptions,
    ) -> Result<ImageId> {
        let base = match &options.base {
            Some(id) => self.image(id)?.config,
            None => from_nothing(),
        };
        let layer = self.stage_changes(container)?;
        let image = child(base, &options, &layer.applied.diff_id);
        let new = NewImage {
            config: image.to_bytes(),
            manifest: None,
            index: None,
            parent: options.base,
            names: options
                .reference
                .into_iter()
                .map(Reference::or_latest)
                .collect(),
        };
        let staged = match is_empty(&layer) {
            true => [].into(),
            false => [(layer.applied.diff_id.clone(), layer)].into(),
        };
        let (ids, _) = self.commit(&[new], staged)?;
        ids.into_iter()
            .next()
            .ok_or_else(|| Error::Damaged("the commit of an image gave no id".to_owned()))
    }

    /// Packs a writable layer and applies that at once: the tar is what the layer's identity and `save` go by, and its
    /// way through the pipe costs less than writing it down.
    fn stage_changes(&self, container: &ContainerId) -> Result<Staged> {
        let piped = |source| Error::Stream {
            what: "make a pipe",
            source,
        };
        let (mut reader, writer) = io::pipe().map_err(piped)?;
        thread::scope(|scope| {
            let packing = scope.spawn(move || self.diff(container, writer));
            let staged = self.inner.layers.apply(&mut reader);
            // Ends the packing, if applying failed in the middle.
            drop(reader);
            match (packing.join(), staged) {
                (Ok(Ok(_)), staged) => staged,
                // A pipe that broke is the consequence; the reason is the other side's.
                (Ok(Err(error)), Err(reason)) if is_broken_pipe(&error) => Err(reason),
                (Ok(Err(error)), _) => Err(error),
                (Err(_), _) => Err(Error::Damaged(
                    "the thread that packs a container's changes panicked".to_owned(),
                )),
            }
        })
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Stream { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

/// A tar of nothing but its end.
fn is_empty(layer: &Staged) -> bool {
    layer.applied.tar_size == 2 * crate::tar::BLOCK as u64
}

fn from_nothing() -> ImageConfig {
    let platform = Platform::host();
    ImageConfig {
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        ..ImageConfig::default()
    }
}

fn child(base: ImageConfig, options: &CommitOptions, diff_id: &Digest) -> ImageConfig {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let now = jiff::Timestamp::now().to_string();
    let empty_layer = *diff_id == Digest::sha256(&[0; 2 * crate::tar::BLOCK]);
    let mut image = ImageConfig {
        author: text(&options.author),
        comment: text(&options.comment),
        config: options.config.clone(),
        created: Some(now.clone()),
        docker_version: None,
        ..base
    };
    image.history.push(History {
        created: Some(now),
        author: text(&options.author),
        created_by: text(&options.created_by),
        comment: text(&options.comment),
        empty_layer,
    });
    if !empty_layer {
        image.rootfs.diff_ids.push(diff_id.clone());
    }
    // What older Docker engines noted of the base's own container is not true of this image.
    for stale in ["container", "container_config", "id", "parent", "throwaway"] {
        image.extra.remove(stale);
    }
    image
}
