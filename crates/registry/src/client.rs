//! The client: repositories at registries, asked as the distribution-spec 1.1 and Docker's registries want it.
//!
//! One [`Client`] is for a whole process: it keeps connections, tokens and what it has learned of servers. A
//! [`Repository`] is a name there with somebody's credentials; its methods are the protocol's calls. Each of them asks
//! mirrors first, gets a token when one is wanted, waits and asks again when that may help, and follows redirects
//! without taking the credentials along. Everything that comes is bounded and held against its digest or size, except
//! [`BlobStream`], whose digest is for whoever stores it to check while he does.

mod auth;
mod blob;
mod body;
mod certificates;
mod challenge;
mod dns;
mod download;
mod endpoint;
mod error;
mod exchange;
mod hosts_toml;
mod lines;
mod link;
mod login;
mod pace;
mod repository;
mod scope;
mod search;
mod settings;
mod tls_words;
mod token;
mod transport;
mod upload;
mod verifier;
mod x509;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oci::Reference;

pub use blob::BlobStream;
pub use challenge::{Challenge, challenges};
pub use download::{Download, without_login};
pub use error::{Answer, Error, Kind, Result};
pub use link::next_link;
pub use login::LoggedIn;
pub use repository::{Fetched, Repository, Wanted};
pub use search::{Found, Query};
pub use settings::{Access, Credentials, Insecure, InvalidSetting, Mirror, Proxies, Settings};
pub use upload::{ByteStream, InMemory, Source, Uploaded};

use auth::Keyring;
use endpoint::{Endpoint, Finder};
use exchange::Line;
use scope::Scopes;
use transport::Transports;

/// Speaks to registries. Cheap to clone; nothing is connected, read or spawned before the first call.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all calls of one client share.
struct Shared {
    settings: Settings,
    transports: Transports,
    keyring: Keyring,
}

impl Client {
    pub fn new(settings: Settings) -> Client {
        Client {
            shared: Arc::new(Shared {
                settings,
                transports: Transports::new(),
                keyring: Keyring::default(),
            }),
        }
    }

    /// A repository, by a name in it (whose tag and digest do not matter here).
    pub async fn repository(
        &self,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Repository> {
        let shared = &self.shared;
        let finder = Finder {
            settings: &shared.settings,
            transports: &shared.transports,
        };
        let endpoints = finder
            .endpoints(name.domain(), access)
            .await
            .map_err(|e| e.at(name.domain(), "settings of the registry"))?;
        let actions: &[&str] = match access {
            Access::Pull => &["pull"],
            Access::PullPush => &["pull", "push"],
        };
        let scopes = Scopes::repository(name.path(), actions);
        let lines = endpoints
            .into_iter()
            .map(|endpoint| line(endpoint, credentials, &scopes))
            .collect();
        Ok(Repository::new(Arc::clone(shared), name.path(), lines))
    }

    /// Whether these credentials are good at a registry (`docker.io` for Docker Hub).
    pub async fn login(&self, domain: &str, credentials: &Credentials) -> Result<LoggedIn> {
        login::login(&self.shared, domain, credentials).await
    }

    /// Looks for repositories.
    pub async fn search(&self, query: &Query<'_>, credentials: &Credentials) -> Result<Vec<Found>> {
        search::search(&self.shared, query, credentials).await
    }

    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}

fn line(endpoint: Endpoint, credentials: &Credentials, scopes: &Scopes) -> Line {
    Line {
        endpoint,
        credentials: credentials.clone(),
        scopes: scopes.clone(),
        answered: AtomicBool::new(false),
        reached: AtomicBool::new(false),
        served: AtomicBool::new(false),
        distrusted: AtomicBool::new(false),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
