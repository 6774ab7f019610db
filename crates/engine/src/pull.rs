//! Pulling: what a name stands for, the layers that are not here yet, and last of all the name.

mod choice;
mod layers;

use image::{Pull, PulledImage};
use oci::{
    Descriptor, Digest, ImageConfig, Index, MAX_DOCUMENT, Manifest, Platform, Reference, media_type,
};
use registry::client::{Fetched, Repository, Wanted};

use crate::blocking;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Subject};
use crate::memory::GiveBack;
use crate::remote::{Attempts, Candidates, Credentials, Way, pull_failure, wanted};
use crate::transfer::{Report, Reporter};

/// Layers of one image; overlayfs takes no more below a mount.
const MOST_LAYERS: usize = 500;
/// Indexes may name indexes; more than this is a loop or a joke.
const MAX_DEPTH: usize = 4;

/// What is to be pulled.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// What the name may mean: with tag or digest; without both it is `latest`, or every tag.
    pub names: Candidates,
    pub all_tags: bool,
    /// Of an image for several platforms the one to take; without it this machine's.
    pub platform: Option<Platform>,
}

/// The built-in image, by the name that a user has for it.
const HELLO: &str = "hello:latest";

impl PullRequest {
    /// Whether it is for the built-in image alone.
    fn is_hello(&self) -> bool {
        let hello = |(name, _): &(Reference, Credentials)| {
            name.digest().is_none() && name.clone().or_latest().familiar() == HELLO
        };
        let host = Platform::host();
        let here = self
            .platform
            .as_ref()
            .is_none_or(|wanted| wanted.accepts(&host));
        !self.all_tags && here && self.names.len() == 1 && self.names.iter().all(hello)
    }
}

impl Engine {
    /// Pulls. When the future is dropped, what has arrived is kept for the next attempt.
    pub async fn pull(&self, request: PullRequest, reporter: &Reporter) -> Result<()> {
        let _memory = GiveBack::default();
        if request.is_hello() && self.make_hello(reporter).await? {
            return Ok(());
        }
        let mut attempts = Attempts::default();
        for (name, credentials) in &request.names {
            let done = self.pull_named(&request, name, credentials, reporter).await;
            if let Some(done) = attempts.outcome(done) {
                return done;
            }
        }
        Err(attempts.error())
    }

    /// Makes the built-in image again; false if the name is an image's. No registry has it: it is this program.
    async fn make_hello(&self, reporter: &Reporter) -> Result<bool> {
        let engine = self.clone();
        let made = blocking(move || {
            let store = engine.images();
            if store.resolve(HELLO).is_ok() {
                return Ok(false);
            }
            let made = store.ensure_hello(&engine.shared().config.shim_path);
            made.map(|_| true)
        });
        let made = made.await?;
        if made {
            let status =
                format!("Status: {HELLO} is built in; it is made again, without a registry");
            reporter.line(status).await;
        }
        Ok(made)
    }

    async fn pull_named(
        &self,
        request: &PullRequest,
        name: &Reference,
        credentials: &Credentials,
        reporter: &Reporter,
    ) -> Result<()> {
        let way = self.shared().remote.way();
        let repository = way.source(name, credentials).await?;
        let one = |name| One {
            engine: self,
            way: &way,
            repository: &repository,
            platform: request.platform.as_ref(),
            reporter,
            name,
        };
        if !request.all_tags {
            let name = name.clone().or_latest();
            let shown = name.familiar();
            return one(name).pull(&shown).await;
        }
        let bare = name.clone().without_tag().without_digest();
        let tags = repository
            .tags()
            .await
            .map_err(|e| pull_failure(&e, &bare))?;
        for tag in &tags {
            let name = bare
                .with_tag(tag)
                .map_err(|e| Error::invalid(e.to_string()))?;
            one(name).pull(&bare.familiar_name()).await?;
        }
        Ok(())
    }
}

/// One name on its way.
struct One<'a> {
    engine: &'a Engine,
    way: &'a Way,
    repository: &'a Repository,
    platform: Option<&'a Platform>,
    reporter: &'a Reporter,
    name: Reference,
}

/// An image's manifest, and the index that it was chosen from.
struct Chosen {
    manifest: Fetched,
    index: Option<Fetched>,
}

impl Chosen {
    /// What the name stands for.
    fn digest(&self) -> &Digest {
        &self
            .index
            .as_ref()
            .unwrap_or(&self.manifest)
            .descriptor
            .digest
    }
}

impl One<'_> {
    /// Pulls; where what mirrors said of the name makes no image, once more from the registry itself.
    async fn pull(self, shown: &str) -> Result<()> {
        match self.attempt(shown).await {
            Err(error) if is_content(&error) && self.repository.give_up_mirrors() => {
                tracing::warn!(%error, name = %self.name, "mirrors are left out");
                self.attempt(shown).await
            }
            done => done,
        }
    }

    async fn attempt(&self, shown: &str) -> Result<()> {
        let top = self.fetch(wanted(&self.name)).await?;
        let place = match (self.name.digest(), self.name.tag()) {
            (Some(_), _) => self.name.canonical(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        self.reporter
            .tell(Report::Line {
                id: Some(place),
                text: format!("Pulling from {}", self.repository.path()),
            })
            .await;
        let chosen = self.choose(top).await?;
        let digest = chosen.digest().clone();
        let (moved, platform) = self.take(chosen).await?;
        self.reporter.line(format!("Digest: {digest}")).await;
        let status = if moved {
            format!("Status: Downloaded newer image for {shown}")
        } else {
            format!("Status: Image is up to date for {shown}")
        };
        self.reporter.line(status).await;
        if let Some(wanted) = self.platform.filter(|p| p.rank(&platform).is_none()) {
            let warning = format!(
                "WARNING: image with reference {shown} was found but its platform ({platform}) does not match the specified platform ({wanted})"
            );
            self.reporter.line(warning).await;
        }
        self.publish();
        Ok(())
    }

    async fn fetch(&self, wanted: Wanted<'_>) -> Result<Fetched> {
        let fetched = self.repository.manifest(wanted).await;
        fetched.map_err(|e| pull_failure(&e, &self.name))
    }

    /// Goes down from an index to the image for the platform.
    async fn choose(&self, top: Fetched) -> Result<Chosen> {
        let mut manifest = top;
        let mut index = None;
        let mut depth = 0;
        while media_type::is_index(&manifest.descriptor.media_type) {
            if depth == MAX_DEPTH {
                return Err(self.refused("indexes within indexes, too deep"));
            }
            depth += 1;
            let parsed = Index::parse(&manifest.bytes).map_err(|e| self.refused(&e))?;
            let host = Platform::host();
            let platform = self.platform.unwrap_or(&host);
            let entry = choice::best(&parsed, platform).ok_or_else(|| {
                let wanted = self
                    .platform
                    .map_or_else(|| choice::shown(&host), Platform::to_string);
                Error::not_found(format!(
                    "no matching manifest for {wanted} in the manifest list entries"
                ))
            })?;
            let next = self.fetch(Wanted::Digest(&entry.digest)).await?;
            if next.descriptor.size != entry.size {
                return Err(self.refused(&format!(
                    "manifest {} has {} bytes, its index says {}",
                    entry.digest, next.descriptor.size, entry.size
                )));
            }
            index.get_or_insert(manifest);
            manifest = next;
        }
        Ok(Chosen { manifest, index })
    }

    /// Takes an image over; says whether the name moved, and what the image is for.
    async fn take(&self, chosen: Chosen) -> Result<(bool, Platform)> {
        let manifest = Manifest::parse(&chosen.manifest.bytes).map_err(|e| self.refused(&e))?;
        let config = self.config(&manifest).await?;
        let (diff_ids, platform) = self.checked(&manifest, &config)?;
        let store = self.engine.images().clone();
        let id = Digest::sha256(&config);
        let (pull, is_known) = blocking(move || (store.pull(), store.image(&id).is_ok())).await;
        layers::all(self, &pull, &manifest, &diff_ids, is_known).await?;
        let digest = chosen.digest().clone();
        let kept = |fetched: Fetched| (fetched.descriptor, fetched.bytes.to_vec());
        let mut names = vec![self.name.clone().without_tag().with_digest(digest)];
        if self.name.digest().is_none() {
            names.push(self.name.clone());
        }
        let image = PulledImage {
            config,
            manifest: Some(kept(chosen.manifest)),
            index: chosen.index.map(kept),
            names,
        };
        let moved = self.finish(pull, image).await?;
        Ok((moved, platform))
    }

    async fn finish(&self, pull: Pull, image: PulledImage) -> Result<bool> {
        let by_digest = self.name.digest().is_some();
        let id = Digest::sha256(&image.config);
        let store = self.engine.images().clone();
        blocking(move || {
            let known = store.image(&id).is_ok();
            let pulled = pull.finish(image)?;
            Ok(!pulled.moved.is_empty() || (by_digest && !known))
        })
        .await
    }

    /// The config's bytes: the store's, where it has them.
    async fn config(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        let descriptor = manifest.config.clone();
        if !media_type::is_config(&descriptor.media_type) {
            let what = format!(
                "its config is of type {:?}: this is an artifact and no image that runs",
                descriptor.media_type.chars().take(100).collect::<String>()
            );
            return Err(self.refused(&what));
        }
        let store = self.engine.images().clone();
        let digest = descriptor.digest.clone();
        if let Some(bytes) = blocking(move || store.document(&digest)).await? {
            return Ok(bytes);
        }
        let fetched = self.repository.small_blob(&descriptor, MAX_DOCUMENT).await;
        let bytes = fetched.map_err(|e| pull_failure(&e, &self.name))?;
        Ok(bytes.to_vec())
    }

    /// The layers' diff IDs and the platform, if config and manifest belong together and the image is for this kind of system.
    fn checked(&self, manifest: &Manifest, config: &[u8]) -> Result<(Vec<Digest>, Platform)> {
        let config = ImageConfig::parse(config).map_err(|e| self.refused(&e))?;
        if !matches!(config.os.as_str(), "" | "linux") {
            return Err(Error::invalid(format!(
                "cannot download image with operating system {:?} when requesting \"linux\"",
                config.os
            )));
        }
        let platform = config.platform();
        let diff_ids = config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            return Err(self.refused(&format!(
                "its config lists {} layers, its manifest {}",
                diff_ids.len(),
                manifest.layers.len()
            )));
        }
        if diff_ids.len() > MOST_LAYERS {
            return Err(self.refused(&format!(
                "it has {} layers; {MOST_LAYERS} are the most",
                diff_ids.len()
            )));
        }
        let strange = |layer: &&Descriptor| !media_type::is_layer(&layer.media_type);
        if let Some(layer) = manifest.layers.iter().find(strange) {
            return Err(self.refused(&format!(
                "layers of type {:?} are not supported",
                layer.media_type.chars().take(100).collect::<String>()
            )));
        }
        Ok((diff_ids, platform))
    }

    /// An image that makes no sense, by its name.
    fn refused(&self, problem: &(impl std::fmt::Display + ?Sized)) -> Error {
        Error::invalid(format!("{}: {problem}", self.name.familiar()))
    }

    fn publish(&self) {
        let name = ("name".to_owned(), self.name.familiar_name());
        self.engine.publish(Event {
            subject: Subject::Image,
            action: "pull".to_owned(),
            actor: self.name.familiar(),
            attributes: [name].into(),
            time: jiff::Timestamp::now(),
        });
    }
}

/// Whether the content is to blame, not the machine or the network.
fn is_content(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::InvalidParameter
    )
}
