//! A registry: the server's side of the distribution protocol (OCI distribution-spec 1.1, and Docker's schema 2).
//!
//! `target` says what a path means, `auth` who may come in, `http` answers, `store` keeps (its docs draw the tree on
//! disk), `cache` fetches from other registries what is not here yet. Requests are asynchronous, the store is not: the
//! one helper `http::blocking` is between them.
//!
//! Everything a client sends is a stranger's: names, tags and digests are checked before they reach a table or a path,
//! bodies are bounded and must keep coming, uploads are bounded in number and bytes.

mod auth;
mod cache;
mod control;
mod failure;
mod html;
mod http;
mod metrics;
pub mod name;
mod pump;
mod query;
mod range;
mod store;
pub mod target;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use tokio::sync::{Mutex, Semaphore, watch};

pub use auth::{Auth, Htpasswd, InvalidHtpasswd, InvalidKey, Issuer, PublicKey, Readers};
pub use cache::Upstream;
pub use store::{
    Checked, Collected, Damage, Error as StoreError, Grace, InvalidRule, Repair, Rule, UploadLimits,
};
pub use tls::{Tls, TlsError};

use crate::client;
use cache::{Cache, Origin};
use failure::Failure;
use name::Name;
use query::Query;
use store::Store;
use target::Target;
use tls::Greeting;

/// What a registry is to be. Plain data: nothing is read but the files it names.
#[derive(Debug)]
pub struct Settings {
    pub root: PathBuf,
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    pub plain_http: PlainHttp,
    pub auth: Auth,
    pub writes: Writes,
    pub limits: UploadLimits,
    /// Connections at once; more wait.
    pub connections: usize,
    /// For a client to send or to take something.
    pub patience: Duration,
    /// Between two collections by itself; `None` for never.
    pub collect_every: Option<Duration>,
    pub grace: Grace,
    pub rules: Vec<Rule>,
    pub upstreams: Vec<Upstream>,
    /// How upstreams are reached.
    pub client: client::Settings,
    /// An address for metrics alone. They are at `/metrics` of the registry too, behind its door.
    pub metrics: Option<SocketAddr>,
}

/// Where the registry may be reached without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// On this machine only.
    Loopback,
    Anywhere,
}

/// What clients may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    None,
    Push,
    PushAndDelete,
}

impl Settings {
    pub fn new(root: PathBuf, address: SocketAddr) -> Settings {
        Settings {
            root,
            address,
            tls: None,
            plain_http: PlainHttp::Loopback,
            auth: Auth::Open,
            writes: Writes::Push,
            limits: UploadLimits::default(),
            connections: 4_096,
            patience: Duration::from_secs(60),
            collect_every: Some(Duration::from_secs(3_600)),
            grace: Grace::default(),
            rules: Vec::new(),
            upstreams: Vec::new(),
            client: client::Settings::default(),
            metrics: None,
        }
    }
}

/// Why a registry cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{0} is not a loopback address: without TLS everyone on the way could read and change what is pushed; use \
         --tls-cert and --tls-key, or say --plain-http"
    )]
    NotLoopback(SocketAddr),
    #[error("listening on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("listening on {}", path.display())]
    Control {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A registry that is being served.
pub(crate) struct Registry {
    store: Arc<Store>,
    door: auth::Door,
    metrics: metrics::Metrics,
    buffers: Arc<http::Buffers>,
    cache: Option<Cache>,
    writes: Writes,
    rules: Vec<Rule>,
    grace: Grace,
    patience: Duration,
    connections: usize,
    /// Bodies that are being taken in at once.
    receiving: Semaphore,
    collecting: Mutex<()>,
    checking: Mutex<()>,
    ending: watch::Receiver<bool>,
}

/// A registry that listens already.
pub struct Server {
    registry: Arc<Registry>,
    listeners: Vec<http::Listener>,
    control: tokio::net::UnixListener,
    collect_every: Option<Duration>,
    ending: watch::Sender<bool>,
    renewal: Renewal,
}

/// Takes over what changed in the files of TLS, for the connections that come from then on.
#[derive(Clone)]
pub struct Renewal(Option<(Tls, Greeting)>);

impl Renewal {
    /// Reads them again; with an error all stays as it is.
    pub fn renew(&self) -> Result<(), TlsError> {
        match &self.0 {
            Some((tls, greeting)) => greeting.renew(tls),
            None => Ok(()),
        }
    }
}

/// Bodies that are taken in at once: each has up to three quarters of a megabyte in memory.
const RECEIVING: usize = 128;

impl Server {
    /// Opens the store and begins to listen.
    pub async fn bind(settings: Settings) -> Result<Server, ServeError> {
        let greeting = settings.tls.as_ref().map(Greeting::new).transpose()?;
        let addresses = [
            Some(settings.address).filter(|_| greeting.is_none()),
            settings.metrics,
        ];
        for address in addresses.into_iter().flatten() {
            check_plain(address, settings.plain_http)?;
        }
        let listeners = listeners(&settings, greeting.clone())?;
        let (root, limits) = (settings.root.clone(), settings.limits);
        let opened = tokio::task::spawn_blocking(move || Store::open(&root, limits)).await;
        let store = opened.map_err(|e| StoreError::Damaged(e.to_string()))??;
        let control = control::listen(&settings.root).map_err(|source| ServeError::Control {
            path: settings.root.join("control.sock"),
            source,
        })?;
        let ending = watch::Sender::new(false);
        let cached = !settings.upstreams.is_empty();
        let registry = Registry {
            store: Arc::new(store),
            door: auth::Door::new(settings.auth).map_err(ServeError::Random)?,
            metrics: metrics::Metrics::default(),
            buffers: Arc::default(),
            cache: cached.then(|| Cache::new(settings.upstreams, settings.client)),
            writes: settings.writes,
            rules: settings.rules,
            grace: settings.grace,
            patience: settings.patience,
            connections: settings.connections,
            receiving: Semaphore::new(RECEIVING),
            collecting: Mutex::new(()),
            checking: Mutex::new(()),
            ending: ending.subscribe(),
        };
        Ok(Server {
            registry: Arc::new(registry),
            listeners,
            control,
            collect_every: settings.collect_every,
            ending,
            renewal: Renewal(settings.tls.zip(greeting)),
        })
    }

    /// Where clients reach it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let first = self.listeners.first().ok_or(io::ErrorKind::NotConnected)?;
        first.socket.local_addr()
    }

    pub fn renewal(&self) -> Renewal {
        self.renewal.clone()
    }

    /// Answers until `end` comes; then lets what is being answered come to its end.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let mut serving = tokio::task::JoinSet::new();
        for listener in self.listeners {
            serving.spawn(http::accept(
                Arc::clone(&self.registry),
                listener,
                self.ending.subscribe(),
            ));
        }
        let control = tokio::spawn(control::serve(Arc::clone(&self.registry), self.control));
        let collecting = self
            .collect_every
            .map(|every| tokio::spawn(collect_on(Arc::clone(&self.registry), every)));
        end.await;
        self.ending.send_replace(true);
        control.abort();
        if let Some(collecting) = collecting {
            collecting.abort();
        }
        while serving.join_next().await.is_some() {}
    }
}

fn check_plain(address: SocketAddr, allowed: PlainHttp) -> Result<(), ServeError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    if allowed == PlainHttp::Loopback {
        return Err(ServeError::NotLoopback(address));
    }
    tracing::warn!(
        "{address} is served without TLS: everyone on the way can read and change what is pushed"
    );
    Ok(())
}

fn listeners(
    settings: &Settings,
    tls: Option<Greeting>,
) -> Result<Vec<http::Listener>, ServeError> {
    let listen =
        |address| http::listen(address).map_err(|source| ServeError::Listen { address, source });
    let mut listeners = vec![http::Listener {
        socket: listen(settings.address)?,
        tls,
        shows: http::Shows::Everything,
    }];
    if let Some(address) = settings.metrics {
        listeners.push(http::Listener {
            socket: listen(address)?,
            tls: None,
            shows: http::Shows::MetricsOnly,
        });
    }
    Ok(listeners)
}

async fn collect_on(registry: Arc<Registry>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first one comes at once: what a kill left behind goes at the start.
    loop {
        ticks.tick().await;
        match registry.collect().await {
            Ok(collected) if collected != Collected::default() => {
                tracing::info!("garbage collection {collected}");
            }
            Ok(_) => {}
            Err(error) => tracing::error!("garbage collection: {error}"),
        }
    }
}

/// What a collection did, and who did it.
#[derive(Debug)]
pub enum Gc {
    /// The registry that serves this root, with its own rules and grace.
    ByServer(String),
    Here(Collected),
}

/// Why nothing was collected, or checked.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    #[error("there is no registry under {}", .0.display())]
    NoRegistry(PathBuf),
    #[error("asking the registry that serves {}", root.display())]
    Ask {
        root: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the registry is being served, with rules of its own: give none, or stop it first")]
    OwnRules,
    #[error("the registry that serves it says: {0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Collects the garbage of the registry under `root`: through the process that serves it, or else here. Rules and grace
/// are for the latter; without them the usual ones count.
pub fn collect_garbage(root: &Path, own: Option<(&[Rule], Grace)>) -> Result<Gc, GcError> {
    if !root.join("registry.redb").exists() {
        return Err(GcError::NoRegistry(root.to_owned()));
    }
    let failed = |source| GcError::Ask {
        root: root.to_owned(),
        source,
    };
    if let Some(stream) = control::connect(root).map_err(failed)? {
        if own.is_some() {
            return Err(GcError::OwnRules);
        }
        let answer = control::ask(stream, "gc").map_err(failed)?;
        return answer
            .map(|told| Gc::ByServer(told.text))
            .map_err(GcError::Refused);
    }
    let store = Store::open(root, UploadLimits::default())?;
    let (rules, grace) = own.unwrap_or((&[], Grace::default()));
    let mut collected = store.collect(rules, grace, &|| true)?;
    collected.untagged = store.left_untagged(rules)?;
    Ok(Gc::Here(collected))
}

/// Reads all that the registry under `root` keeps, through the process that serves it, or else here. Gives the report, and whether all is
/// well.
pub fn check(root: &Path, repair: Repair) -> Result<(String, bool), GcError> {
    if !root.join("registry.redb").exists() {
        return Err(GcError::NoRegistry(root.to_owned()));
    }
    let failed = |source| GcError::Ask {
        root: root.to_owned(),
        source,
    };
    if let Some(stream) = control::connect(root).map_err(failed)? {
        let command = match repair {
            Repair::No => "check",
            Repair::Drop => "check repair",
        };
        let told = control::ask(stream, command).map_err(failed)?;
        return told
            .map(|told| (told.text, told.is_fine))
            .map_err(GcError::Refused);
    }
    let store = Store::open(root, UploadLimits::default())?;
    let checked = store.check(repair, &|| true)?;
    Ok((checked.to_string(), checked.is_fine()))
}

impl Registry {
    /// Whether the registry as such does this at all.
    fn allows(&self, target: &Target, method: &Method) -> Result<(), Failure> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        let pushes = matches!(
            target,
            Target::Manifest(..) | Target::Blob(..) | Target::Uploads(_) | Target::Upload(..)
        );
        if !pushes {
            return Ok(());
        }
        if self.writes == Writes::None {
            return Err(Failure::unsupported("this registry is read-only"));
        }
        let is_delete = *method == Method::DELETE && !matches!(target, Target::Upload(..));
        if is_delete && self.writes != Writes::PushAndDelete {
            return Err(Failure::unsupported(
                "deleting is switched off: serve with --delete",
            ));
        }
        let cached = target
            .name()
            .is_some_and(|name| self.upstream_of(name).is_some());
        if cached && !is_delete {
            let text = "the repository is a copy of an upstream registry's: push there";
            return Err(Failure::denied(text));
        }
        Ok(())
    }

    /// Under which name we have what is asked for, when a client asks us in another registry's place (`?ns=`).
    fn redirected(&self, target: Target, query: &Query) -> Result<Target, Failure> {
        let (Some(cache), Some(registry), Some(name)) =
            (&self.cache, query.get("ns"), target.name())
        else {
            return Ok(target);
        };
        let unknown = || {
            let text = format!("nothing is cached here for {registry}");
            Failure::new(::http::StatusCode::NOT_FOUND, "NAME_UNKNOWN", text)
        };
        let name = cache.named_for(registry, name).ok_or_else(unknown)?;
        Ok(match target {
            Target::Manifest(_, reach) => Target::Manifest(name, reach),
            Target::Blob(_, digest) => Target::Blob(name, digest),
            Target::Tags(_) => Target::Tags(name),
            Target::Referrers(_, digest) => Target::Referrers(name, digest),
            other => other,
        })
    }

    fn upstream_of(&self, name: &Name) -> Option<Origin<'_>> {
        self.cache.as_ref().and_then(|cache| cache.origin(name))
    }

    /// How old the note of a push's interest may be; `None` where nobody pushes.
    fn half_grace(&self) -> Option<u64> {
        (self.writes != Writes::None).then_some(self.grace.blobs.as_secs() / 2)
    }
}
