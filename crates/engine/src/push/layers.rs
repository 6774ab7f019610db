//! The layers of a push: those that the registry has stay, those that it has elsewhere are mounted, the rest goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use image::LayerSource;
use oci::{Descriptor, Digest, media_type};
use registry::client::{Repository, Source, Uploaded};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::One;
use super::source::Packed;
use crate::blocking;
use crate::error::{Error, Result};
use crate::remote::failure;
use crate::transfer::{LayerReporter, Reporter};

/// Forms of a layer that are asked for, the latest first.
const FORMS_ASKED: usize = 3;
/// Repositories that are tried to mount from.
const MOUNTS_TRIED: usize = 3;

/// One layer and what is known of it.
struct Layer {
    store: image::Store,
    repository: Repository,
    /// `domain/path` of where it goes.
    target: String,
    domain: String,
    permits: Arc<Semaphore>,
    source: LayerSource,
    reporter: Reporter,
}

/// Whether the registry has all these blobs in this repository, or could mount them there.
pub(super) async fn are_there(one: &One<'_>, blobs: &[Descriptor]) -> Result<bool> {
    let layers = of_image(one).await?;
    if layers.len() != blobs.len() {
        return Ok(false);
    }
    let mut tasks = JoinSet::new();
    for (layer, blob) in layers.into_iter().zip(blobs.iter().cloned()) {
        tasks.spawn(async move {
            if media_type::is_foreign_layer(&blob.media_type) {
                layer.says("Skipped foreign layer").await;
                return Ok(true);
            }
            layer.found_as(&blob).await
        });
    }
    let mut all = true;
    while let Some(ended) = tasks.join_next().await {
        all &= joined(ended)??;
    }
    Ok(all)
}

/// Has every layer at the registry in some form; says in which, lowest first.
pub(super) async fn send(one: &One<'_>) -> Result<Vec<Descriptor>> {
    let layers = of_image(one).await?;
    let order: Vec<Digest> = layers.iter().map(|l| l.source.diff_id.clone()).collect();
    let mut tasks = JoinSet::new();
    let mut seen = HashMap::new();
    for layer in layers {
        let diff_id = layer.source.diff_id.clone();
        if seen.insert(diff_id.clone(), None).is_none() {
            tasks.spawn(async move { (diff_id, layer.there().await) });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        let (diff_id, blob) = joined(ended)?;
        seen.insert(diff_id, Some(blob?));
    }
    order
        .iter()
        .map(|diff_id| {
            let blob = seen.get(diff_id).cloned().flatten();
            blob.ok_or_else(|| Error::system(format!("layer {diff_id} was not sent")))
        })
        .collect()
}

fn joined<T>(ended: std::result::Result<T, tokio::task::JoinError>) -> Result<T> {
    match ended {
        Ok(value) => Ok(value),
        Err(failed) => Err(Error::system(format!("a layer's task: {failed}"))),
    }
}

async fn of_image(one: &One<'_>) -> Result<Vec<Layer>> {
    let store = one.engine.images().clone();
    let diff_ids = one.image.config.rootfs.diff_ids.clone();
    let sources = blocking(move || store.layer_sources(&diff_ids)).await?;
    let layer = |source| Layer {
        store: one.engine.images().clone(),
        repository: one.repository.clone(),
        target: one.name.name(),
        domain: one.name.domain().to_owned(),
        permits: Arc::clone(&one.way.uploads),
        source,
        reporter: one.reporter.clone(),
    };
    Ok(sources.into_iter().map(layer).collect())
}

impl Layer {
    fn reporter(&self) -> LayerReporter {
        self.reporter.layer(&self.source.diff_id)
    }

    async fn says(&self, status: &str) {
        self.reporter().is(status).await;
    }

    /// Whether the registry has the layer in exactly this form, or mounts it.
    async fn found_as(&self, blob: &Descriptor) -> Result<bool> {
        let _permit = self.permits.acquire().await;
        let uploaded = self
            .repository
            .find(blob, &self.mountable(&blob.digest))
            .await
            .map_err(|e| failure(&e))?;
        match uploaded {
            Some(Uploaded::Mounted { from }) => self.says(&format!("Mounted from {from}")).await,
            Some(_) => self.says("Layer already exists").await,
            None => return Ok(false),
        }
        self.remember(blob).await?;
        Ok(true)
    }

    /// Paths at the same registry that are known to have the blob, the latest first.
    fn mountable(&self, blob: &Digest) -> Vec<String> {
        let known = self.source.known.iter();
        let repositories = known
            .filter(|form| form.descriptor.digest == *blob)
            .flat_map(|form| form.repositories.iter().rev());
        let prefix = format!("{}/", self.domain);
        repositories
            .filter(|name| **name != self.target)
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .take(MOUNTS_TRIED)
            .collect()
    }

    /// Has the layer at the registry in some form.
    async fn there(self) -> Result<Descriptor> {
        self.says("Preparing").await;
        for form in self.source.known.iter().rev().take(FORMS_ASKED) {
            let blob = &form.descriptor;
            let plain = blob.urls.is_empty() && !media_type::is_foreign_layer(&blob.media_type);
            if plain && self.found_as(blob).await? {
                return Ok(as_docker_says(blob));
            }
        }
        let _permit = self.permits.acquire().await;
        let packed = Packed {
            store: self.store.clone(),
            diff_id: self.source.diff_id.clone(),
            media_type: media_type::DOCKER_LAYER_GZIP,
            made: Arc::default(),
            reporter: Arc::new(Mutex::new(self.reporter())),
            tar_size: self.source.tar_size,
        };
        let uploaded = self.repository.upload(&packed, &[]).await;
        uploaded.map_err(|e| failure(&e))?;
        let blob = packed
            .descriptor()
            .ok_or_else(|| Error::system("a layer was sent without an end"))?;
        self.says("Pushed").await;
        self.remember(&blob).await?;
        Ok(blob)
    }

    async fn remember(&self, blob: &Descriptor) -> Result<()> {
        let (store, blob) = (self.store.clone(), blob.clone());
        let (diff_id, target) = (self.source.diff_id.clone(), self.target.clone());
        Ok(blocking(move || store.remember_blob(&diff_id, &blob, &target)).await?)
    }
}

/// In a manifest of Docker's kind the layers' types are Docker's too, where Docker has one.
fn as_docker_says(blob: &Descriptor) -> Descriptor {
    let media_type = match blob.media_type.as_str() {
        media_type::OCI_LAYER => media_type::DOCKER_LAYER,
        media_type::OCI_LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
        media_type::OCI_LAYER_ZSTD => media_type::DOCKER_LAYER_ZSTD,
        other => other,
    };
    Descriptor::new(media_type, blob.digest.clone(), blob.size)
}
