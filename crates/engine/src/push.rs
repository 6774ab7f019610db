//! Pushing: the blobs that the registry does not have, then the manifest that names them.

mod layers;
mod source;

use bytes::Bytes;
use image::{Image, PulledImage};
use oci::{Descriptor, Digest, Manifest, Platform, Reference, media_type};
use registry::client::{Access, InMemory, Repository, Wanted};

use crate::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::{Event, Subject};
use crate::remote::{Credentials, failure};
use crate::transfer::{Report, Reporter};

/// What is to be pushed.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// With the tag to push; without one all tags of that name go.
    pub name: Reference,
    /// Push only if the image is for this platform.
    pub platform: Option<Platform>,
    pub credentials: Credentials,
}

impl Engine {
    /// Pushes. When the future is dropped, blobs that are at the registry stay there, and no tag moves.
    pub async fn push(&self, request: PushRequest, reporter: &Reporter) -> Result<()> {
        let bare = request.name.clone().without_tag().without_digest();
        reporter
            .line(format!("The push refers to repository [{}]", bare.name()))
            .await;
        let images = self
            .tagged(&request.name, request.platform.as_ref())
            .await?;
        let opened =
            self.shared()
                .remote
                .client
                .repository(&bare, &request.credentials, Access::PullPush);
        let repository = opened.await.map_err(|e| failure(&e))?;
        for (name, image) in images {
            let one = One {
                engine: self,
                repository: &repository,
                reporter,
                name: &name,
                image: &image,
            };
            one.push().await?;
        }
        Ok(())
    }

    /// The images that go: one for a tag, else one for each tag of the name.
    async fn tagged(
        &self,
        name: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Vec<(Reference, Image)>> {
        let store = self.images().clone();
        let wanted = name.clone();
        let found = blocking(move || tagged(&store, &wanted)).await?;
        if found.is_empty() {
            return Err(Error::not_found(format!(
                "An image does not exist locally with the tag: {}",
                name.clone().without_tag().without_digest().familiar_name()
            )));
        }
        let other = |(_, image): &&(Reference, Image)| {
            platform.is_some_and(|wanted| wanted.rank(&image.config.platform()).is_none())
        };
        if let (Some((name, _)), Some(platform)) = (found.iter().find(other), platform) {
            return Err(Error::not_found(format!(
                "image with reference {} was found but does not provide the specified platform ({platform})",
                name.familiar()
            )));
        }
        Ok(found)
    }
}

fn tagged(store: &image::Store, name: &Reference) -> image::Result<Vec<(Reference, Image)>> {
    if name.tag().is_some() {
        return match store.resolve(&name.canonical()) {
            Ok(image) => Ok(vec![(name.clone(), image)]),
            Err(error) if error.kind() == image::Kind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let all = store.list(&image::ListQuery {
        all: true,
        ..image::ListQuery::default()
    })?;
    let mut found = Vec::new();
    for image in all {
        for tag in image.tags.iter().filter(|tag| tag.name() == name.name()) {
            found.push((tag.clone(), image.clone()));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// One tag on its way.
struct One<'a> {
    engine: &'a Engine,
    repository: &'a Repository,
    reporter: &'a Reporter,
    name: &'a Reference,
    image: &'a Image,
}

impl One<'_> {
    async fn push(self) -> Result<()> {
        let tag = self.name.tag().unwrap_or("latest").to_owned();
        let (descriptor, bytes) = match self.as_it_came().await? {
            Some(same) => same,
            None => self.anew().await?,
        };
        let put =
            self.repository
                .put_manifest(Wanted::Tag(&tag), &descriptor.media_type, bytes.clone());
        put.await.map_err(|e| failure(&e))?;
        self.remember(&descriptor, &bytes).await?;
        let (digest, size) = (descriptor.digest, descriptor.size);
        self.reporter
            .line(format!("{tag}: digest: {digest} size: {size}"))
            .await;
        self.reporter
            .tell(Report::Pushed { tag, digest, size })
            .await;
        self.publish();
        Ok(())
    }

    /// The manifest that the image came with, if the registry has or gets all its blobs without packing a layer anew: then
    /// the image keeps its digest.
    async fn as_it_came(&self) -> Result<Option<(Descriptor, Bytes)>> {
        let Some(descriptor) = self.image.manifest.clone() else {
            return Ok(None);
        };
        let Some(bytes) = self.document(&descriptor.digest).await? else {
            return Ok(None);
        };
        let Ok(manifest) = Manifest::parse(&bytes) else {
            return Ok(None);
        };
        if !layers::are_there(self, &manifest.layers).await? {
            return Ok(None);
        }
        self.config(&manifest.config).await?;
        Ok(Some((descriptor, bytes)))
    }

    /// A manifest of our own, over layers that are packed as they go where the registry has them in no form.
    async fn anew(&self) -> Result<(Descriptor, Bytes)> {
        let layers = layers::send(self).await?;
        let bytes = self
            .document(&self.image.id)
            .await?
            .ok_or_else(|| Error::system(format!("the config of {} is lost", self.image.id)))?;
        let config = Descriptor::of(media_type::DOCKER_CONFIG, &bytes);
        self.config(&config).await?;
        let manifest = Manifest {
            media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
            ..Manifest::new(config, layers)
        };
        let bytes = Bytes::from(manifest.to_bytes());
        let descriptor = Descriptor::of(media_type::DOCKER_MANIFEST, &bytes);
        Ok((descriptor, bytes))
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<()> {
        let bytes = self
            .document(&self.image.id)
            .await?
            .ok_or_else(|| Error::system(format!("the config of {} is lost", self.image.id)))?;
        let source = InMemory {
            descriptor: descriptor.clone(),
            bytes,
        };
        let uploaded = self.repository.upload(&source, &[]).await;
        uploaded.map(drop).map_err(|e| failure(&e))
    }

    async fn document(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let (store, digest) = (self.engine.images().clone(), digest.clone());
        let found = blocking(move || store.document(&digest)).await?;
        Ok(found.map(Bytes::from))
    }

    /// The image is known by the digest now that it has at the registry.
    async fn remember(&self, descriptor: &Descriptor, bytes: &Bytes) -> Result<()> {
        let config = self.document(&self.image.id).await?.unwrap_or_default();
        let by_digest = self
            .name
            .clone()
            .without_tag()
            .with_digest(descriptor.digest.clone());
        let manifest =
            (self.image.manifest.is_none()).then(|| (descriptor.clone(), bytes.to_vec()));
        let image = PulledImage {
            config: config.to_vec(),
            manifest,
            index: None,
            names: vec![by_digest],
        };
        let store = self.engine.images().clone();
        blocking(move || store.pull().finish(image)).await?;
        Ok(())
    }

    fn publish(&self) {
        let name = ("name".to_owned(), self.name.familiar_name());
        self.engine.publish(Event {
            subject: Subject::Image,
            action: "push".to_owned(),
            actor: self.name.familiar(),
            attributes: [name].into(),
            time: jiff::Timestamp::now(),
        });
    }
}
