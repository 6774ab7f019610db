//! Registries as the engine knows them: the client, its limits, and errors in Docker's words.

use std::sync::{Arc, PoisonError, RwLock};

use oci::{
    Descriptor, ImageConfig, Index, MAX_DOCUMENT, Manifest, Platform, Reference, media_type,
};
use registry::client::{self, Access, Client, Kind, Query, Repository, Wanted};
use tokio::sync::Semaphore;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

pub use registry::client::{
    Credentials, Download, Found, Insecure, InvalidSetting as InvalidRegistrySetting, LoggedIn,
    Mirror, Proxies, without_login,
};

/// How registries are reached, and how much is done at once.
#[derive(Debug, Clone)]
pub struct Registries {
    pub client: client::Settings,
    /// Layers that are fetched at once, over all pulls (3).
    pub downloads: usize,
    /// Layers that are sent at once, over all pushes (5).
    pub uploads: usize,
    /// Registries that `search` asks when a term names none (Docker Hub).
    pub search: Vec<String>,
    /// Registries where a name without one is looked for, the first before the others (Docker Hub).
    pub unqualified: Vec<String>,
}

impl Default for Registries {
    fn default() -> Self {
        Registries {
            client: client::Settings::default(),
            downloads: 3,
            uploads: 5,
            search: vec![HUB.to_owned()],
            unqualified: vec![HUB.to_owned()],
        }
    }
}

const HUB: &str = "docker.io";

/// The way to registries that all pulls and pushes share, until the settings change: those under way keep theirs.
#[derive(Debug)]
pub(crate) struct Remote(RwLock<Arc<Way>>);

/// It as the settings are now.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) client: Client,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) uploads: Arc<Semaphore>,
    search: Vec<String>,
}

impl Remote {
    pub(crate) fn new(registries: &Registries) -> Self {
        Remote(RwLock::new(Arc::new(Way::new(registries))))
    }

    pub(crate) fn way(&self) -> Arc<Way> {
        // One assignment cannot be left half done.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Way {
    fn new(registries: &Registries) -> Self {
        Way {
            client: Client::new(registries.client.clone()),
            downloads: Arc::new(Semaphore::new(registries.downloads.max(1))),
            uploads: Arc::new(Semaphore::new(registries.uploads.max(1))),
            search: registries.search.clone(),
        }
    }

    /// A repository to pull from.
    pub(crate) async fn source(
        &self,
        name: &Reference,
        credentials: &Credentials,
    ) -> Result<Repository> {
        let opened = self.client.repository(name, credentials, Access::Pull);
        opened.await.map_err(|e| failure(&e))
    }
}

/// What a name may mean, with the credentials that are for its registry: looked for in this order.
pub type Candidates = Vec<(Reference, Credentials)>;

/// What `search` looks for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The term, with the registry's name before it where it is not to be the usual ones.
    pub term: String,
    pub limit: usize,
    pub credentials: Credentials,
}

/// What a name stands for at its registry.
#[derive(Debug, Clone)]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Vec<Platform>,
}

impl Engine {
    /// Takes over other settings of registries, for all that begins from now on.
    pub fn set_registries(&self, registries: &Registries) {
        let shared = self.shared();
        shared.images.look_at(&registries.unqualified);
        let way = Arc::new(Way::new(registries));
        *shared
            .remote
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// Whether the credentials are good at the registry `domain` (`docker.io` for Docker Hub).
    pub async fn login(&self, domain: &str, credentials: &Credentials) -> Result<LoggedIn> {
        let way = self.shared().remote.way();
        way.client
            .login(domain, credentials)
            .await
            .map_err(|e| failure(&e))
    }

    /// What is at an address of the web.
    pub async fn download(&self, address: &str) -> Result<Download> {
        let way = self.shared().remote.way();
        way.client.download(address).await.map_err(|e| failure(&e))
    }

    /// Looks for repositories; where several registries are asked, the names say whose they are.
    pub async fn search(&self, request: &SearchRequest) -> Result<Vec<Found>> {
        let way = self.shared().remote.way();
        let (domains, term) = match named_registry(&request.term) {
            Some((domain, term)) => (vec![domain.to_owned()], term),
            None => (way.search.clone(), request.term.as_str()),
        };
        let mut all = Vec::new();
        for domain in &domains {
            let query = Query {
                domain,
                term,
                limit: request.limit,
            };
            let found = way
                .client
                .search(&query, &request.credentials)
                .await
                .map_err(|e| failure(&e))?;
            // Of one registry the names are as it says them, as in Docker.
            let own = domain == HUB || domains.len() == 1;
            all.extend(found.into_iter().map(|mut one| {
                if !own && !one.name.starts_with(&format!("{domain}/")) {
                    one.name = format!("{domain}/{}", one.name);
                }
                one
            }));
        }
        all.truncate(request.limit);
        Ok(all)
    }

    /// What a name stands for at its registry, and for which platforms.
    pub async fn distribution(&self, names: &Candidates) -> Result<Distribution> {
        let mut attempts = Attempts::default();
        for (name, credentials) in names {
            let done = self.distribution_of(name, credentials).await;
            if let Some(done) = attempts.outcome(done) {
                return done;
            }
        }
        Err(attempts.error())
    }

    async fn distribution_of(
        &self,
        name: &Reference,
        credentials: &Credentials,
    ) -> Result<Distribution> {
        let way = self.shared().remote.way();
        let repository = way.source(name, credentials).await?;
        let fetched = repository
            .manifest(wanted(name))
            .await
            .map_err(|e| failure(&e))?;
        let broken =
            |e: &dyn std::error::Error| Error::invalid(format!("{}: {e}", name.familiar()));
        let platforms = if media_type::is_index(&fetched.descriptor.media_type) {
            let index = Index::parse(&fetched.bytes).map_err(|e| broken(&e))?;
            index
                .manifests
                .into_iter()
                .filter_map(|entry| entry.platform)
                .collect()
        } else {
            let manifest = Manifest::parse(&fetched.bytes).map_err(|e| broken(&e))?;
            match media_type::is_config(&manifest.config.media_type) {
                true => {
                    let bytes = repository
                        .small_blob(&manifest.config, MAX_DOCUMENT)
                        .await
                        .map_err(|e| failure(&e))?;
                    let config = ImageConfig::parse(&bytes).map_err(|e| broken(&e))?;
                    vec![config.platform()]
                }
                // An artifact runs nowhere.
                false => Vec::new(),
            }
        };
        Ok(Distribution {
            descriptor: fetched.descriptor,
            platforms,
        })
    }
}

/// Names that are tried one after the other, as long as their registries say that they have none such. A registry that cannot be
/// reached is an error: else whoever keeps it from answering decided which image is taken.
#[derive(Default)]
pub(crate) struct Attempts(Option<Error>);

impl Attempts {
    /// The outcome if it is the last word; else it is kept, and the next name is to be tried.
    pub(crate) fn outcome<T>(&mut self, done: Result<T>) -> Option<Result<T>> {
        match done {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.0.get_or_insert(error);
                None
            }
            done => Some(done),
        }
    }

    /// What to tell when none is left: what the first one's registry said.
    pub(crate) fn error(self) -> Error {
        self.0.unwrap_or_else(|| Error::invalid("no name is given"))
    }
}

/// A registry before a term, by the rule for image names.
fn named_registry(term: &str) -> Option<(&str, &str)> {
    let (first, rest) = term.split_once('/')?;
    match first {
        "docker.io" | "index.docker.io" => Some((HUB, rest)),
        "localhost" => Some((first, rest)),
        _ if first.contains(['.', ':']) => Some((first, rest)),
        _ => None,
    }
}

/// What a name wants of its repository.
pub(crate) fn wanted(name: &Reference) -> Wanted<'_> {
    match (name.digest(), name.tag()) {
        (Some(digest), _) => Wanted::Digest(digest),
        (None, Some(tag)) => Wanted::Tag(tag),
        (None, None) => Wanted::Tag("latest"),
    }
}

/// A registry's error as ours. What the registry itself says is told in Docker's form, without more words.
pub(crate) fn failure(error: &client::Error) -> Error {
    let kind = match error.kind() {
        Kind::NotFound => ErrorKind::NotFound,
        Kind::Unauthorized => ErrorKind::Unauthorized,
        Kind::Denied => ErrorKind::Forbidden,
        Kind::Unsupported => ErrorKind::InvalidParameter,
        Kind::RateLimited | Kind::Unreachable | Kind::Lied | Kind::Registry | Kind::Local => {
            ErrorKind::System
        }
    };
    match error.answers().first() {
        Some(_) => Error::new(kind, error.problem()),
        None => Error::new(kind, error.to_string()),
    }
}

/// The same for pulling `name`, where Docker has texts that tools know.
pub(crate) fn pull_failure(error: &client::Error, name: &Reference) -> Error {
    let Some(answer) = error.answers().first() else {
        return match error.kind() {
            Kind::NotFound => Error::not_found(format!(
                "manifest for {} not found: {error}",
                name.familiar()
            )),
            _ => pull_refusal(error),
        };
    };
    let what = match answer.code.as_str() {
        "DENIED" => format!(
            "pull access denied for {}, repository does not exist or may require 'docker login'",
            name.familiar_name()
        ),
        "MANIFEST_UNKNOWN" => format!("manifest for {} not found", name.familiar()),
        "NAME_UNKNOWN" => format!("repository {} not found", name.familiar_name()),
        _ => return pull_refusal(error),
    };
    Error::not_found(format!("{what}: {answer}"))
}

/// A pull without credentials is Docker's 500: its client takes a 401 for an order to ask the user, terminal or not.
fn pull_refusal(error: &client::Error) -> Error {
    let told = failure(error);
    match told.kind() {
        ErrorKind::Unauthorized => Error::new(ErrorKind::System, told.to_string()),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_name_a_registry() {
        assert_eq!(named_registry("busybox"), None);
        assert_eq!(named_registry("team/busybox"), None);
        assert_eq!(named_registry("reg:5000/x"), Some(("reg:5000", "x")));
        assert_eq!(named_registry("docker.io/x/y"), Some((HUB, "x/y")));
    }
}
