//! Pushing: the blobs that the registry does not have, then the manifest that names them.

mod index;
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
use crate::memory::GiveBack;
use crate::remote::{Candidates, Credentials, Way, failure};
use crate::transfer::{Report, Reporter};

/// What is to be pushed.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// What the name may mean; the first that is here is pushed. With the tag to push; without one all tags of that
    /// name go.
    pub names: Candidates,
    /// Push only the image for this platform, without the index that it came from.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Pushes. When the future is dropped, blobs that are at the registry stay there, and no tag moves.
    pub async fn push(&self, request: PushRequest, reporter: &Reporter) -> Result<()> {
        let _memory = GiveBack::default();
        let (name, credentials, names) = self.here(&request, reporter).await?;
        let bare = name.clone().without_tag().without_digest();
        reporter.line(refers_to(&bare)).await;
        let names = for_platform(names, request.platform.as_ref())?;
        let way = self.shared().remote.way();
        let opened = way.client.repository(&bare, credentials, Access::PullPush);
        let repository = opened.await.map_err(|e| failure(&e))?;
        for (name, images) in &names {
            let each = images.iter().map(|image| One {
                engine: self,
                way: &way,
                repository: &repository,
                reporter,
                name,
                image,
            });
            let each: Vec<One<'_>> = each.collect();
            match &each[..] {
                [one] if request.platform.is_none() => index::push_alone(one).await?,
                [one] => one.push().await?,
                several => index::push(several).await?,
            }
        }
        Ok(())
    }

    /// Which of the names is here, and what goes under which of its tags: an image, or those for the platforms of one
    /// index.
    async fn here<'r>(
        &self,
        request: &'r PushRequest,
        reporter: &Reporter,
    ) -> Result<(&'r Reference, &'r Credentials, Tagged)> {
        for (name, credentials) in &request.names {
            let (store, wanted) = (self.images().clone(), name.clone());
            let found = blocking(move || tagged(&store, &wanted)).await?;
            if !found.is_empty() {
                return Ok((name, credentials, found));
            }
        }
        let first = request.names.first().map(|(name, _)| name.clone());
        let first = first.ok_or_else(|| Error::invalid("no name is given"))?;
        let bare = first.clone().without_tag().without_digest();
        reporter.line(refers_to(&bare)).await;
        if first.tag().is_some() {
            let (store, repository) = (self.images().clone(), bare.clone());
            if !blocking(move || tagged(&store, &repository))
                .await?
                .is_empty()
            {
                let what = format!("tag does not exist: {}", first.familiar());
                return Err(Error::not_found(what));
            }
        }
        Err(Error::not_found(format!(
            "An image does not exist locally with the tag: {}",
            bare.familiar_name()
        )))
    }
}

fn refers_to(bare: &Reference) -> String {
    format!("The push refers to repository [{}]", bare.name())
}

/// Tags, each with its images.
type Tagged = Vec<(Reference, Vec<Image>)>;

/// Of each tag the image for that platform alone.
fn for_platform(mut names: Tagged, platform: Option<&Platform>) -> Result<Tagged> {
    let Some(platform) = platform else {
        return Ok(names);
    };
    let rank = |image: &Image| platform.rank(&image.config.platform());
    for (name, images) in &mut names {
        images.retain(|image| rank(image).is_some());
        images.sort_by_key(rank);
        images.truncate(1);
        if images.is_empty() {
            return Err(Error::not_found(format!(
                "image with reference {} was found but does not provide the specified platform ({platform})",
                name.familiar()
            )));
        }
    }
    Ok(names)
}

fn tagged(store: &image::Store, name: &Reference) -> image::Result<Tagged> {
    if name.tag().is_some() {
        return match store.variants(&name.canonical()) {
            Ok(images) => Ok(vec![(name.clone(), images)]),
            Err(error) if error.kind() == image::Kind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let all = store.list(&image::ListQuery {
        all: true,
        ..image::ListQuery::default()
    })?;
    let tags = all.into_iter().flat_map(|image| image.tags);
    let mut tags: Vec<Reference> = tags.filter(|tag| tag.name() == name.name()).collect();
    tags.sort();
    tags.dedup();
    let images = |tag: Reference| Ok((tag.clone(), store.variants(&tag.canonical())?));
    tags.into_iter().map(images).collect()
}

/// One tag on its way.
struct One<'a> {
    engine: &'a Engine,
    way: &'a Way,
    repository: &'a Repository,
    reporter: &'a Reporter,
    name: &'a Reference,
    image: &'a Image,
}

impl One<'_> {
    async fn push(&self) -> Result<()> {
        let (descriptor, bytes) = self.send().await?;
        self.finish(descriptor, &bytes).await
    }

    /// Puts a manifest or index whose parts are there under the tag.
    async fn finish(&self, what: Descriptor, bytes: &Bytes) -> Result<()> {
        let tag = self.name.tag().unwrap_or("latest");
        self.put(Wanted::Tag(tag), &what, bytes).await?;
        self.remember(&what, bytes).await?;
        self.done(tag, what).await;
        Ok(())
    }

    /// Has everything at the registry that the image's manifest names; gives that, which is not there yet.
    async fn send(&self) -> Result<(Descriptor, Bytes)> {
        match self.as_it_came().await? {
            Some(same) => Ok(same),
            None => self.anew().await,
        }
    }

    async fn put(&self, wanted: Wanted<'_>, what: &Descriptor, bytes: &Bytes) -> Result<()> {
        let put = self
            .repository
            .put_manifest(wanted, &what.media_type, bytes.clone());
        put.await.map(drop).map_err(|e| failure(&e))
    }

    /// Tells that the tag stands for this now.
    async fn done(&self, tag: &str, what: Descriptor) {
        let (tag, digest, size) = (tag.to_owned(), what.digest, what.size);
        self.reporter
            .line(format!("{tag}: digest: {digest} size: {size}"))
            .await;
        self.reporter
            .tell(Report::Pushed { tag, digest, size })
            .await;
        self.publish();
    }

    /// The manifest that the image came with, if the registry has or gets all its blobs without packing a layer anew: then
    /// the image keeps its digest.
    async fn as_it_came(&self) -> Result<Option<(Descriptor, Bytes)>> {
        let Some((descriptor, bytes, manifest)) = self.manifest().await? else {
            return Ok(None);
        };
        if !layers::are_there(self, &manifest.layers).await? {
            return Ok(None);
        }
        self.config(&manifest.config).await?;
        Ok(Some((descriptor, bytes)))
    }

    /// The manifest that the image came with, if it is kept.
    async fn manifest(&self) -> Result<Option<(Descriptor, Bytes, Manifest)>> {
        let Some(descriptor) = self.image.manifest.clone() else {
            return Ok(None);
        };
        let Some(bytes) = self.document(&descriptor.digest).await? else {
            return Ok(None);
        };
        let manifest = Manifest::parse(&bytes).ok();
        Ok(manifest.map(|manifest| (descriptor, bytes, manifest)))
    }

    /// A manifest of our own, over layers that are packed as they go where the registry has them in no form; or the one that the image
    /// came with after all, if packing gave what it names.
    async fn anew(&self) -> Result<(Descriptor, Bytes)> {
        let layers = layers::send(self).await?;
        if let Some((descriptor, bytes, came)) = self.manifest().await?
            && layers
                .iter()
                .map(|l| &l.digest)
                .eq(came.layers.iter().map(|l| &l.digest))
        {
            self.config(&came.config).await?;
            return Ok((descriptor, bytes));
        }
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
        let kept = (descriptor.clone(), bytes.to_vec());
        let is_index = media_type::is_index(&descriptor.media_type);
        let is_new = !is_index && self.image.manifest.is_none();
        let name = self.name.clone().without_tag();
        let image = PulledImage {
            config: self
                .document(&self.image.id)
                .await?
                .unwrap_or_default()
                .to_vec(),
            manifest: is_new.then(|| kept.clone()),
            index: is_index.then_some(kept),
            names: vec![name.with_digest(descriptor.digest.clone())],
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
