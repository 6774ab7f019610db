//! Manifests at registries. This is the one place where the client itself speaks to them: what is edited here no daemon has.

use std::path::PathBuf;

use api::types::registry::AuthConfig;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use oci::{Descriptor, Index, MAX_DOCUMENT, Manifest, Platform, Reference, media_type};
use registry::client::{
    Access, ByteStream, Client, Credentials, Error, Insecure, Kind, Proxies, Repository, Settings,
    Source, Wanted,
};

use super::entry::Entry;
use crate::context::Context;
use crate::credentials;
use crate::failure::Failure;

/// Where certificates and `hosts.toml` are looked for: the daemon's places.
const FOLDERS: [&str; 2] = ["/etc/tare/certs.d", "/etc/docker/certs.d"];

/// Where systems keep the CAs that they trust; the first that is there counts.
const TRUSTED: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Platforms of one list; real ones have a dozen.
const MOST_PLATFORMS: usize = 1000;

/// Registries, as this user reaches them.
pub(crate) struct Registries<'a> {
    context: &'a Context,
    client: Client,
}

/// What a name stands for.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Image(Box<Entry>),
    List(Vec<Descriptor>),
}

impl<'a> Registries<'a> {
    /// `insecure` are names whose registries may be without TLS, or with a certificate that nobody knows.
    pub(crate) fn new<'r>(
        context: &'a Context,
        insecure: impl IntoIterator<Item = &'r Reference>,
    ) -> Self {
        let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let settings = Settings {
            folders: FOLDERS.map(PathBuf::from).to_vec(),
            trusted: trusted
                .into_iter()
                .chain(TRUSTED.map(PathBuf::from))
                .collect(),
            insecure: insecure
                .into_iter()
                .map(|name| Insecure::Host(name.domain().to_owned()))
                .collect(),
            proxies: proxies(),
            user_agent: concat!("Tare-Client/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned(),
            ..Settings::default()
        };
        Self {
            context,
            client: Client::new(settings),
        }
    }

    /// What a name stands for at its registry.
    pub(crate) async fn find(&self, name: &Reference) -> Result<Found, Failure> {
        let repository = self.repository(name, Access::Pull).await?;
        let fetched = repository
            .manifest(wanted(name))
            .await
            .map_err(|error| of_manifest(name, &error))?;
        let kind = &fetched.descriptor.media_type;
        if media_type::is_index(kind) {
            let index = Index::parse(&fetched.bytes).map_err(|error| lied(name, &error))?;
            if index.manifests.len() > MOST_PLATFORMS {
                let told = format!("more than {MOST_PLATFORMS} manifests in one list");
                return Err(Failure::new(format!("{}: {told}", name.canonical())));
            }
            return Ok(Found::List(index.manifests));
        }
        let manifest = Manifest::parse(&fetched.bytes).map_err(|error| lied(name, &error))?;
        let platform = platform(&repository, name, &manifest).await?;
        let descriptor = Descriptor {
            platform: Some(platform),
            ..fetched.descriptor
        };
        Ok(Found::Image(Box::new(Entry {
            reference: name.canonical(),
            descriptor,
            raw: fetched.bytes.to_vec(),
        })))
    }

    /// The images of a list, each with the platform that the list gives it.
    pub(crate) async fn images(
        &self,
        list: &Reference,
        manifests: &[Descriptor],
    ) -> Result<Vec<Entry>, Failure> {
        let repository = self.repository(list, Access::Pull).await?;
        let mut images = Vec::with_capacity(manifests.len());
        for descriptor in manifests {
            let name = list.with_digest(descriptor.digest.clone());
            let fetched = repository
                .manifest(Wanted::Digest(&descriptor.digest))
                .await
                .map_err(|error| of_manifest(&name, &error))?;
            images.push(Entry {
                reference: name.canonical(),
                descriptor: Descriptor {
                    platform: descriptor.platform.clone(),
                    ..fetched.descriptor
                },
                raw: fetched.bytes.to_vec(),
            });
        }
        Ok(images)
    }

    /// Makes the repository of `target` have an image of another repository of the same registry, under its digest.
    pub(crate) async fn copy(
        &self,
        entry: &Entry,
        from: &Reference,
        target: &Reference,
    ) -> Result<(), Failure> {
        let source = self.repository(from, Access::Pull).await?;
        let repository = self.repository(target, Access::PullPush).await?;
        let manifest = entry
            .manifest()
            .map_err(|told| Failure::new(format!("{}: {told}", entry.reference)))?;
        let mount_from = [from.path().to_owned()];
        for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
            let blob = Relay {
                repository: source.clone(),
                descriptor: descriptor.clone(),
            };
            repository
                .upload(&blob, &mount_from)
                .await
                .map_err(|error| Failure::new(error.to_string()))?;
        }
        let digest = &entry.descriptor.digest;
        let kind = &entry.descriptor.media_type;
        let bytes = Bytes::from(entry.raw.clone());
        repository
            .put_manifest(Wanted::Digest(digest), kind, bytes)
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(())
    }

    /// Puts a list under its name; returns its digest.
    pub(crate) async fn put(
        &self,
        target: &Reference,
        kind: &str,
        document: String,
    ) -> Result<oci::Digest, Failure> {
        let repository = self.repository(target, Access::PullPush).await?;
        repository
            .put_manifest(wanted(target), kind, Bytes::from(document))
            .await
            .map_err(|error| Failure::new(error.to_string()))
    }

    async fn repository(&self, name: &Reference, access: Access) -> Result<Repository, Failure> {
        let stored = credentials::stored(self.context, credentials::registry_of(name));
        self.client
            .repository(name, &credentials_of(stored), access)
            .await
            .map_err(|error| Failure::new(error.to_string()))
    }
}

/// A blob on its way from one repository to another, where it could not be mounted.
struct Relay {
    repository: Repository,
    descriptor: Descriptor,
}

impl Source for Relay {
    fn open(&self, from: u64) -> ByteStream {
        let (repository, descriptor) = (self.repository.clone(), self.descriptor.clone());
        let opened = async move { repository.blob(&descriptor, from).await };
        let pieces = stream::once(opened).flat_map(|opened| match opened {
            Ok(blob) => stream::unfold(Some(blob), |blob| async {
                let mut blob = blob?;
                match blob.next().await {
                    Ok(Some(piece)) => Some((Ok(piece), Some(blob))),
                    Ok(None) => None,
                    Err(error) => Some((Err(std::io::Error::other(error)), None)),
                }
            })
            .left_stream(),
            Err(error) => stream::once(async { Err(std::io::Error::other(error)) }).right_stream(),
        });
        Box::pin(pieces)
    }

    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.descriptor.clone())
    }
}

/// What an image runs on, from its configuration.
async fn platform(
    repository: &Repository,
    name: &Reference,
    manifest: &Manifest,
) -> Result<Platform, Failure> {
    let config = repository
        .small_blob(&manifest.config, MAX_DOCUMENT)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    // Configurations of artifacts are of other kinds; they run on nothing.
    if !media_type::is_config(&manifest.config.media_type) {
        return Ok(Platform::default());
    }
    serde_json::from_slice(&config).map_err(|error| lied(name, &error))
}

fn wanted(name: &Reference) -> Wanted<'_> {
    match (name.digest(), name.tag()) {
        (Some(digest), _) => Wanted::Digest(digest),
        (None, tag) => Wanted::Tag(tag.unwrap_or("latest")),
    }
}

fn of_manifest(name: &Reference, error: &Error) -> Failure {
    match error.kind() {
        Kind::NotFound => Failure::new(format!("no such manifest: {}", name.canonical())),
        _ => Failure::new(error.to_string()),
    }
}

fn lied(name: &Reference, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {error}", name.canonical()))
}

fn credentials_of(auth: AuthConfig) -> Credentials {
    if !auth.registry_token.is_empty() {
        return Credentials::RegistryToken(auth.registry_token);
    }
    if !auth.identity_token.is_empty() {
        return Credentials::IdentityToken(auth.identity_token);
    }
    if auth.username.is_empty() {
        return Credentials::None;
    }
    Credentials::Basic {
        user: auth.username,
        password: auth.password,
    }
}

/// As everywhere: capitals, then small letters.
fn proxies() -> Proxies {
    let variable = |name: &str| {
        [name.to_owned(), name.to_lowercase()]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .filter(|value| !value.is_empty())
    };
    Proxies {
        http: variable("HTTP_PROXY"),
        https: variable("HTTPS_PROXY"),
        none: variable("NO_PROXY").unwrap_or_default(),
    }
}
