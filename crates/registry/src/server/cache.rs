//! A pull-through cache: repositories under a prefix are those of another registry, fetched when they are first asked
//! for and kept.
//!
//! A tag is asked for again upstream once what we know of it is older than [`Upstream::fresh`]; while upstream cannot
//! be reached, what we have is served. Content by digest is fetched once, whoever asks how often at the same time: the
//! first request begins a flight, all of them are served from its file while it arrives. The last bytes are held back
//! until the digest has proven right, so nobody ever gets a wrong blob whole. Only blobs that a manifest of the repository names are
//! fetched, and only as long as that says.

mod tags;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use oci::{Descriptor, Digest, Reference};
use tokio::sync::{Semaphore, watch};

use super::Registry;
use super::failure::{Failure, chain};
use super::http::{Buffers, Content, Reply, blocking};
use super::name::{Name, Reach};
use super::pump::Pump;
use super::store::{self, Fetched, Parts};
use crate::client::{self, Access, Client, Credentials, Kind, Wanted};

/// A registry whose content is served under a prefix.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// First segments of the names it is for; empty for all that no other upstream is for.
    pub prefix: String,
    /// Whose content it is: `docker.io`, `host:port`, perhaps with a path.
    pub registry: String,
    pub credentials: Credentials,
    /// How long a tag is believed without asking again.
    pub fresh: Duration,
}

/// All upstreams, with what is on its way from them.
pub(crate) struct Cache {
    upstreams: Vec<Upstream>,
    client: Client,
    flights: Mutex<HashMap<(Name, Digest), Arc<Flight>>>,
    asking: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    fetching: Arc<Semaphore>,
    lists: tags::Lists,
}

/// An upstream that a request is for.
pub(crate) struct Origin<'c> {
    cache: &'c Cache,
    upstream: &'c Upstream,
}

/// A blob on its way.
struct Flight {
    file: File,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    have: u64,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Right,
    Failed,
}

/// Seconds after which it may help to ask again for what an upstream has that cannot be reached.
const NOBODY_THERE: &str = "120";
/// Blobs that are fetched at once.
const FLIGHTS: usize = 16;
/// Bytes that nobody gets before the digest is known to be right.
const HELD_BACK: u64 = 1;

impl Cache {
    pub(crate) fn new(upstreams: Vec<Upstream>, settings: client::Settings) -> Cache {
        Cache {
            upstreams,
            client: Client::new(settings),
            flights: Mutex::default(),
            asking: Mutex::default(),
            fetching: Arc::new(Semaphore::new(FLIGHTS)),
            lists: tags::Lists::default(),
        }
    }

    /// The upstream that a repository is of: the one with the longest prefix.
    pub(crate) fn origin(&self, name: &Name) -> Option<Origin<'_>> {
        let fits = |u: &&Upstream| rest(&u.prefix, name.as_str()).is_some();
        let fitting = self.upstreams.iter().filter(fits);
        let upstream = fitting.max_by_key(|u| u.prefix.len())?;
        Some(Origin {
            cache: self,
            upstream,
        })
    }

    /// The name under which we keep what containerd asks a mirror for with `?ns=`.
    pub(crate) fn named_for(&self, registry: &str, name: &Name) -> Option<Name> {
        let upstream = self.upstreams.iter().find(|u| u.registry == registry)?;
        if upstream.prefix.is_empty() {
            return Some(name.clone());
        }
        format!("{}/{name}", upstream.prefix).parse().ok()
    }

    fn turn(&self, what: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        asking.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(asking.entry(what).or_default())
    }
}

fn rest<'n>(prefix: &str, name: &'n str) -> Option<&'n str> {
    if prefix.is_empty() {
        return Some(name);
    }
    name.strip_prefix(prefix)?.strip_prefix('/')
}

impl Origin<'_> {
    async fn repository(&self, name: &Name) -> Result<client::Repository, Failure> {
        let rest = rest(&self.upstream.prefix, name.as_str()).unwrap_or_default();
        let reference = Reference::parse(&format!("{}/{rest}", self.upstream.registry));
        let reference = reference.map_err(|_| {
            Failure::new(
                StatusCode::BAD_REQUEST,
                "NAME_INVALID",
                "no name of the upstream registry",
            )
        })?;
        let credentials = &self.upstream.credentials;
        let opened = self
            .cache
            .client
            .repository(&reference, credentials, Access::Pull);
        opened.await.map_err(|e| upstream_failed(&e))
    }

    /// A manifest: ours if it is fresh, or by digest; else upstream's.
    pub(crate) async fn manifest(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        reach: &Reach,
    ) -> Result<Fetched, Failure> {
        if let Some(ours) = self.fresh(&self.kept(registry, name, reach).await?, reach) {
            registry.metrics.cache_hit();
            return Ok(ours);
        }
        let turn = self.cache.turn(format!("{name} {reach}"));
        let _turn = turn.lock().await;
        // Who had the turn before may have fetched it.
        let kept = self.kept(registry, name, reach).await?;
        if let Some(ours) = self.fresh(&kept, reach) {
            registry.metrics.cache_hit();
            return Ok(ours);
        }
        registry.metrics.cache_miss();
        match self
            .fetch_manifest(registry, name, reach, kept.as_ref())
            .await
        {
            Ok(fetched) => Ok(fetched),
            Err((failure, may_serve_stale)) => kept.filter(|_| may_serve_stale).ok_or(failure),
        }
    }

    fn fresh(&self, kept: &Option<Fetched>, reach: &Reach) -> Option<Fetched> {
        let young = |f: &&Fetched| {
            matches!(reach, Reach::Digest(_)) || store::now() < f.at + self.upstream.fresh.as_secs()
        };
        kept.as_ref().filter(young).cloned()
    }

    async fn kept(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        reach: &Reach,
    ) -> Result<Option<Fetched>, Failure> {
        let (store, name, reach) = (Arc::clone(&registry.store), name.clone(), reach.clone());
        blocking(move || match store.manifest(&name, &reach) {
            Ok(fetched) => Ok(Some(fetched)),
            Err(store::Error::ManifestUnknown(_)) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Asks upstream. With a failure goes whether what we have may be served in its place.
    async fn fetch_manifest(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        reach: &Reach,
        kept: Option<&Fetched>,
    ) -> Result<Fetched, (Failure, bool)> {
        let failed = |e: client::Error| {
            let gone = matches!(e.kind(), Kind::NotFound | Kind::Denied | Kind::Unauthorized);
            (upstream_failed(&e), !gone)
        };
        let repository = self.repository(name).await.map_err(|f| (f, true))?;
        let wanted = match reach {
            Reach::Tag(tag) => Wanted::Tag(tag.as_str()),
            Reach::Digest(digest) => Wanted::Digest(digest),
        };
        let unchanged = match kept {
            // Hub counts pulls, and does not count HEAD.
            Some(kept) => repository.head(wanted).await.map_err(failed)?.digest == kept.digest,
            None => false,
        };
        let (media_type, bytes) = match kept.filter(|_| unchanged) {
            Some(kept) => (kept.media_type.clone(), Bytes::from(kept.bytes.clone())),
            None => {
                let fetched = repository.manifest(wanted).await.map_err(failed)?;
                (fetched.descriptor.media_type, fetched.bytes)
            }
        };
        let (store, to, at) = (Arc::clone(&registry.store), name.clone(), reach.clone());
        blocking(move || {
            store.put_manifest(&to, &at, Some(&media_type), &bytes, Parts::MayLack)?;
            store.manifest(&to, &at)
        })
        .await
        .map_err(|f| (f, true))
    }

    /// A blob that we do not have: joins the flight that brings it, or begins one.
    pub(crate) async fn blob(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        digest: &Digest,
        head: bool,
    ) -> Result<Reply, Failure> {
        let (store, of, wanted) = (Arc::clone(&registry.store), name.clone(), digest.clone());
        let (size, adopted) = blocking(move || {
            let size = store.named_size(&of, &wanted)?;
            Ok((size, store.adopt(&of, &wanted)?))
        })
        .await?;
        let mut reply = Response::new(Content::empty());
        reply
            .headers_mut()
            .insert(header::CONTENT_LENGTH, size.into());
        if head {
            return Ok(reply);
        }
        if adopted {
            let (store, of, wanted) = (Arc::clone(&registry.store), name.clone(), digest.clone());
            let blob = blocking(move || store.blob(&of, &wanted)).await?;
            *reply.body_mut() = Content::file(blob, &registry.buffers);
            return Ok(reply);
        }
        let flight = self
            .flight(registry, name, Descriptor::new("", digest.clone(), size))
            .await?;
        registry.metrics.sending(size);
        let file = flight.file.try_clone().map_err(|_| Failure::internal())?;
        *reply.body_mut() = Content::Arriving(Box::new(Arriving {
            file: Arc::new(file),
            at: 0,
            size,
            progress: flight.progress.subscribe(),
            waiting: None,
            buffers: Arc::clone(&registry.buffers),
        }));
        Ok(reply)
    }

    async fn flight(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        wanted: Descriptor,
    ) -> Result<Arc<Flight>, Failure> {
        let turn = self.cache.turn(format!("{name}@{}", wanted.digest));
        let _turn = turn.lock().await;
        let key = (name.clone(), wanted.digest.clone());
        if let Some(flight) = self.cache.flights().get(&key) {
            registry.metrics.cache_hit();
            return Ok(Arc::clone(flight));
        }
        registry.metrics.cache_miss();
        let repository = self.repository(name).await?;
        let (store, to) = (Arc::clone(&registry.store), name.clone());
        let (id, session) = blocking(move || {
            let id = store.uploads().begin(&to)?;
            let session = store.uploads().session(&to, &id)?;
            Ok((id, session))
        })
        .await?;
        let (claim, _) = session.claim().await;
        tracing::debug!("fetching {} of {name} as upload {id}", wanted.digest);
        let store = Arc::clone(&registry.store);
        let writer = blocking(move || store.uploads().writer(&session, claim)).await?;
        let flight = Arc::new(Flight {
            file: writer.reader()?,
            progress: watch::Sender::new(Progress::default()),
        });
        self.cache
            .flights()
            .insert(key.clone(), Arc::clone(&flight));
        let (registry, flying) = (Arc::clone(registry), Arc::clone(&flight));
        tokio::spawn(async move {
            let name = key.0.clone();
            let brought = bring(
                &registry,
                &repository,
                &name,
                &wanted,
                Pump::new(writer),
                &flying,
            )
            .await;
            if let Err(why) = &brought {
                tracing::warn!("fetching {} of {name}: {why}", wanted.digest);
            }
            if let Some(cache) = &registry.cache {
                cache.flights().remove(&key);
            }
            let end = if brought.is_ok() {
                End::Right
            } else {
                End::Failed
            };
            flying.progress.send_modify(|p| p.end = Some(end));
        });
        Ok(flight)
    }
}

impl Cache {
    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<(Name, Digest), Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches a blob into its upload, telling how far it is, and makes it a blob of the repository if its digest is right.
async fn bring(
    registry: &Arc<Registry>,
    repository: &client::Repository,
    name: &Name,
    wanted: &Descriptor,
    mut pump: Pump,
    flight: &Flight,
) -> Result<(), String> {
    let limit = registry.cache.as_ref().map(|c| Arc::clone(&c.fetching));
    let _turn = match limit {
        Some(limit) => limit.acquire_owned().await.ok(),
        None => None,
    };
    let said = |f: Failure| String::from_utf8_lossy(&f.body()).into_owned();
    let mut broken = None;
    match repository.blob(wanted, 0).await {
        Ok(mut stream) => loop {
            match stream.next().await {
                Ok(Some(bytes)) => pump.push(bytes).await.map_err(said)?,
                Ok(None) => break,
                Err(error) => {
                    broken = Some(told(&error));
                    break;
                }
            }
            let have = pump.written();
            flight
                .progress
                .send_if_modified(|p| std::mem::replace(&mut p.have, have) != have);
        },
        Err(error) => broken = Some(told(&error)),
    }
    let writer = pump.end().await.map_err(said)?;
    let (store, name, digest) = (
        Arc::clone(&registry.store),
        name.clone(),
        wanted.digest.clone(),
    );
    let finished = blocking(move || match broken {
        // What came is given up: the next one begins anew.
        Some(why) => store.uploads().cancel(writer).map(|()| Some(why)),
        None => store.finish_upload(&name, writer, &digest).map(|()| None),
    });
    match finished.await.map_err(said)? {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

fn upstream_failed(error: &client::Error) -> Failure {
    let text = told(error);
    match error.kind() {
        Kind::NotFound => Failure::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", text),
        // Our credentials are not the client's: logging in here would not help it.
        Kind::Denied | Kind::Unauthorized => Failure::denied(text),
        Kind::RateLimited => Failure::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", text),
        _ => {
            tracing::warn!("upstream: {text}");
            let failure = Failure::new(StatusCode::BAD_GATEWAY, "UNKNOWN", text);
            match error.is_never_reached() {
                // Who asks again at once hears the same.
                true => failure.with_header(header::RETRY_AFTER, NOBODY_THERE),
                false => failure,
            }
        }
    }
}

/// One cause: what a connection fails of is in the error's own words already.
fn told(error: &client::Error) -> String {
    match error.kind() {
        Kind::Unreachable => error.to_string(),
        _ => chain(error),
    }
}

/// The body of an answer whose blob still comes.
pub(crate) struct Arriving {
    file: Arc<File>,
    at: u64,
    size: u64,
    progress: watch::Receiver<Progress>,
    waiting: Option<Pin<Box<dyn Future<Output = watch::Receiver<Progress>> + Send>>>,
    buffers: Arc<Buffers>,
}

impl Arriving {
    pub(crate) fn left(&self) -> u64 {
        self.size - self.at
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if self.at == self.size {
                // An empty one too must have proven right.
                return Poll::Ready(None);
            }
            if let Some(waiting) = &mut self.waiting {
                match waiting.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(progress) => {
                        self.progress = progress;
                        self.waiting = None;
                    }
                }
            }
            let now = *self.progress.borrow_and_update();
            let ready = match now.end {
                Some(End::Failed) => {
                    let text = "the blob did not come whole from upstream";
                    return Poll::Ready(Some(Err(io::Error::other(text))));
                }
                Some(End::Right) => self.size,
                None => now.have.min(self.size.saturating_sub(HELD_BACK)),
            };
            if self.at < ready {
                return Poll::Ready(Some(self.read(ready)));
            }
            let mut progress = self.progress.clone();
            self.waiting = Some(Box::pin(async move {
                // It fails once the flight has ended, and then its last word is there.
                drop(progress.changed().await);
                progress
            }));
        }
    }

    /// What was just written is in the kernel's cache: reading it does not wait.
    fn read(&mut self, ready: u64) -> io::Result<Bytes> {
        let bytes = self.buffers.fill(&self.file, self.at, ready - self.at)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += bytes.len() as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(prefix: &str, registry: &str) -> Upstream {
        Upstream {
            prefix: prefix.to_owned(),
            registry: registry.to_owned(),
            credentials: Credentials::None,
            fresh: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let upstreams = vec![upstream("a", "a.example"), upstream("a/b", "ab.example")];
        let cache = Cache::new(upstreams, client::Settings::default());
        let of = |name: &str| {
            let name: Name = name.parse().unwrap();
            cache.origin(&name).map(|o| o.upstream.registry.clone())
        };
        assert_eq!(of("a/x").as_deref(), Some("a.example"));
        assert_eq!(of("a/b/x").as_deref(), Some("ab.example"));
        assert_eq!(of("a/bc").as_deref(), Some("a.example"));
        assert_eq!(of("a"), None);
        assert_eq!(of("ab/x"), None);
        let name: Name = "x/y".parse().unwrap();
        assert_eq!(
            cache.named_for("ab.example", &name).unwrap().as_str(),
            "a/b/x/y"
        );
        assert_eq!(cache.named_for("other.example", &name), None);
    }
}
