//! One repository at its registry, or at whichever mirror has what is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use oci::{Descriptor, Digest, Index, MAX_DOCUMENT, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Response, Url};
use serde::Deserialize;

use super::Shared;
use super::body;
use super::error::{Error, Kind, Result};
use super::exchange::{Ask, Line};
use super::link::next_link;

/// Media types of manifests and indexes, the OCI's first.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
const DIGEST_HEADER: &str = "docker-content-digest";
/// What is no image any more (docs.docker.com, "Docker Engine deprecated features").
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// Tags asked for at once, and how many are believed to exist.
const TAGS_PER_PAGE: &str = "1000";
const MOST_TAGS: usize = 100_000;

/// A repository, with the credentials and rights it was opened with. Cheap to clone.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    path: String,
    lines: Vec<Line>,
    /// The line that answered last: the next request begins there.
    best: AtomicUsize,
}

/// Which manifest is meant.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

impl std::fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Tag(tag) => f.write_str(tag),
            Wanted::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}

/// A manifest or index, byte for byte as the registry has it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Media type, digest and size, all three checked.
    pub descriptor: Descriptor,
    pub bytes: Bytes,
}

impl Repository {
    pub(super) fn new(shared: Arc<Shared>, path: &str, lines: Vec<Line>) -> Self {
        Repository {
            inner: Arc::new(Inner {
                shared,
                path: path.to_owned(),
                lines,
                best: AtomicUsize::new(0),
            }),
        }
    }

    /// The path at the registry, `library/busybox`.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Host of the server that answered last.
    pub(super) fn host(&self) -> String {
        let lines = &self.inner.lines;
        let best = self.inner.best.load(Ordering::Relaxed).min(lines.len() - 1);
        lines[best].endpoint.host()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The registry itself, for what changes something there.
    pub(super) async fn origin(&self) -> Result<&Line> {
        let lines = &self.inner.lines;
        let mut origins = lines.iter().filter(|line| line.endpoint.is_origin);
        let chosen = &lines[self.inner.best.load(Ordering::Relaxed).min(lines.len() - 1)];
        if chosen.answered.load(Ordering::Relaxed) && chosen.endpoint.is_origin {
            return Ok(chosen);
        }
        let first = origins.next().unwrap_or(&lines[0]);
        let Some(plain) = origins.next() else {
            return Ok(first);
        };
        // An insecure registry: whether it speaks TLS shows when it is asked.
        let ask = Ask::new(Method::GET, first.endpoint.url("", &[])?);
        match first.send(&self.inner.shared, &ask).await {
            Err(error) if error.kind() == Kind::Unreachable => {
                self.prefer(plain);
                Ok(plain)
            }
            _ => Ok(first),
        }
    }

    fn prefer(&self, line: &Line) {
        let lines = &self.inner.lines;
        let place = lines.iter().position(|known| std::ptr::eq(known, line));
        self.inner.best.store(place.unwrap_or(0), Ordering::Relaxed);
        line.answered.store(true, Ordering::Relaxed);
    }

    /// A URL below this repository at one endpoint.
    pub(super) fn url(&self, line: &Line, rest: &str, query: &[(&str, &str)]) -> Result<Url> {
        line.endpoint
            .url(&format!("{}/{rest}", self.inner.path), query)
    }

    /// Asks one endpoint after the other. The last one's error is the one to tell: that is the registry itself. An
    /// insecure registry's second line, without TLS, is for when the first cannot be reached.
    pub(super) async fn ask(
        &self,
        method: Method,
        rest: &str,
        query: &[(&str, &str)],
        headers: &HeaderMap,
        step: &str,
    ) -> Result<(Response, &Line)> {
        let lines = &self.inner.lines;
        let best = self.inner.best.load(Ordering::Relaxed).min(lines.len() - 1);
        let order = std::iter::once(best).chain((0..lines.len()).filter(|n| *n != best));
        let mut told: Option<Error> = None;
        for number in order {
            let line = &lines[number];
            let ask = Ask {
                headers: headers.clone(),
                ..Ask::new(method.clone(), self.url(line, rest, query)?)
            };
            match line.send(&self.inner.shared, &ask).await {
                Ok(response) => {
                    self.inner.best.store(number, Ordering::Relaxed);
                    return Ok((response, line));
                }
                Err(error) => {
                    let error = error.at(&line.endpoint.host(), step);
                    tracing::debug!(%error, "an endpoint failed");
                    let final_word = line.endpoint.is_origin && error.kind() != Kind::Unreachable;
                    told = Some(worse(told, error, line.endpoint.is_origin));
                    if final_word {
                        break;
                    }
                }
            }
        }
        Err(told.unwrap_or_else(|| Error::local("there is no server to ask")))
    }

    /// A manifest or an index.
    pub async fn manifest(&self, wanted: Wanted<'_>) -> Result<Fetched> {
        let step = format!("manifest of {}", self.named(wanted));
        let rest = format!("manifests/{wanted}");
        let (response, line) = self
            .ask(Method::GET, &rest, &[], &accept(MANIFESTS), &step)
            .await?;
        self.fetched(response, wanted)
            .await
            .map_err(|e| e.at(&line.endpoint.host(), &step))
    }

    async fn fetched(&self, response: Response, wanted: Wanted<'_>) -> Result<Fetched> {
        let said = content_type(&response);
        let promised = digest_header(response.headers())?;
        let bytes = body::whole(response, MAX_DOCUMENT).await?;
        let media_type = media_type_of(said.as_deref(), &bytes)?;
        let digest = match (wanted, promised) {
            (Wanted::Digest(digest), _) => digest.clone(),
            (Wanted::Tag(_), Some(promised)) => promised,
            (Wanted::Tag(_), None) => Digest::sha256(&bytes),
        };
        if !digest.matches(&bytes) {
            return Err(Error::lied(format!(
                "manifest verification failed for digest {digest}: what came has the digest {}",
                Digest::sha256(&bytes)
            )));
        }
        Ok(Fetched {
            descriptor: Descriptor::new(&media_type, digest, bytes.len() as u64),
            bytes,
        })
    }

    /// What a tag points at, without fetching it. `NotFound` when there is none.
    pub async fn head(&self, wanted: Wanted<'_>) -> Result<Descriptor> {
        let step = format!("manifest of {}", self.named(wanted));
        let rest = format!("manifests/{wanted}");
        let (response, _) = self
            .ask(Method::HEAD, &rest, &[], &accept(MANIFESTS), &step)
            .await?;
        let size = length_header(response.headers());
        let digest = digest_header(response.headers())?;
        match (content_type(&response), digest, size) {
            (Some(media_type), Some(digest), Some(size)) => {
                Ok(Descriptor::new(&media_type, digest, size))
            }
            // Not every registry tells all three.
            _ => Ok(self.manifest(wanted).await?.descriptor),
        }
    }

    /// All tags, as the registry orders them.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let step = format!("tags of {}", self.inner.path);
        let mut tags = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let last = next.take();
            let mut query = vec![("n", TAGS_PER_PAGE)];
            query.extend(last.as_deref().map(|last| ("last", last)));
            let (response, line) = self
                .ask(Method::GET, "tags/list", &query, &HeaderMap::new(), &step)
                .await?;
            let link = next_page(response.headers(), response.url());
            let at = |e: Error| e.at(&line.endpoint.host(), &step);
            let bytes = body::whole(response, MAX_DOCUMENT).await.map_err(at)?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|e| at(Error::lied("the list of tags is not understood").caused_by(e)))?;
            let found = page.tags.unwrap_or_default();
            let came = found.len();
            tags.extend(found);
            if tags.len() > MOST_TAGS {
                return Err(at(Error::lied(format!(
                    "it lists more than {MOST_TAGS} tags"
                ))));
            }
            // A page that brings nothing, or the same place again, is no next page.
            match link.filter(|link| came > 0 && Some(link) != last.as_ref()) {
                Some(link) => next = Some(link),
                None => return Ok(tags),
            }
        }
    }

    /// What refers to a manifest (distribution-spec 1.1, "Listing Referrers"), from the API or, where a registry has
    /// none, from the tag that stands for it.
    pub async fn referrers(&self, subject: &Digest) -> Result<Index> {
        let step = format!("referrers of {subject}");
        let rest = format!("referrers/{subject}");
        let asked = self
            .ask(
                Method::GET,
                &rest,
                &[],
                &accept(media_type::OCI_INDEX),
                &step,
            )
            .await;
        let bytes = match asked {
            Ok((response, line)) => body::whole(response, MAX_DOCUMENT)
                .await
                .map_err(|e| e.at(&line.endpoint.host(), &step))?,
            Err(error) if error.kind() == Kind::NotFound => {
                let tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
                match self.manifest(Wanted::Tag(&tag)).await {
                    Ok(fetched) => fetched.bytes,
                    Err(e) if e.kind() == Kind::NotFound => return Ok(Index::new(Vec::new())),
                    Err(e) => return Err(e),
                }
            }
            Err(error) => return Err(error),
        };
        Index::parse(&bytes)
            .map_err(|e| Error::lied(e.to_string()).at(&self.inner.lines[0].endpoint.host(), &step))
    }

    /// Puts a manifest or index under a tag or under its digest; gives the digest back.
    pub async fn put_manifest(
        &self,
        wanted: Wanted<'_>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest> {
        let line = self.origin().await?;
        let step = format!("manifest of {}", self.named(wanted));
        let at = |e: Error| e.at(&line.endpoint.host(), &step);
        let digest = match wanted {
            Wanted::Digest(digest) if digest.matches(&bytes) => digest.clone(),
            Wanted::Digest(_) => return Err(at(Error::local("its bytes have another digest"))),
            Wanted::Tag(_) => Digest::sha256(&bytes),
        };
        let mut ask = Ask::new(
            Method::PUT,
            self.url(line, &format!("manifests/{wanted}"), &[])?,
        );
        let media_type = HeaderValue::try_from(media_type)
            .map_err(|_| at(Error::local("its media type is invalid")))?;
        ask.headers.insert(CONTENT_TYPE, media_type);
        ask.body = bytes;
        let response = line.send(&self.inner.shared, &ask).await.map_err(at)?;
        match digest_header(response.headers()).map_err(at)? {
            Some(stored) if stored != digest && stored.algorithm() == digest.algorithm() => {
                Err(at(Error::lied(format!(
                    "it stored {stored} in place of {digest}"
                ))))
            }
            _ => Ok(digest),
        }
    }

    fn named(&self, wanted: Wanted<'_>) -> String {
        let separator = match wanted {
            Wanted::Tag(_) => ':',
            Wanted::Digest(_) => '@',
        };
        format!("{}{separator}{wanted}", self.inner.path)
    }
}

/// Of two errors the one to tell: the registry's own over a mirror's, and one that names a reason over one that says
/// that nobody was there.
fn worse(told: Option<Error>, new: Error, from_origin: bool) -> Error {
    match told {
        Some(old) if !from_origin => old,
        _ => new,
    }
}

fn accept(types: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(types))])
}

fn content_type(response: &Response) -> Option<String> {
    let text = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let plain = text.split(';').next().unwrap_or_default().trim();
    (!plain.is_empty()).then(|| plain.to_ascii_lowercase())
}

pub(super) fn digest_header(headers: &HeaderMap) -> Result<Option<Digest>> {
    let Some(value) = headers.get(DIGEST_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let digest = text
        .parse()
        .map_err(|_| Error::lied(format!("it names a digest that is none: {text:.100?}")))?;
    Ok(Some(digest))
}

/// The length of a HEAD's answer, whose body is empty.
pub(super) fn length_header(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(reqwest::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// `last` of the link to the next page; the rest of that URL is ours to say.
pub(super) fn next_page(headers: &HeaderMap, base: &Url) -> Option<String> {
    let links = headers.get_all(LINK).iter();
    let target = links
        .filter_map(|value| value.to_str().ok())
        .find_map(next_link)?;
    let url = base.join(target).ok()?;
    url.query_pairs()
        .find(|(name, _)| name == "last")
        .map(|(_, value)| value.into_owned())
}

/// What a document is: by what it says itself, else by what the registry says.
fn media_type_of(said: Option<&str>, bytes: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        #[serde(default)]
        schema_version: u32,
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|e| Error::lied("the manifest is not understood").caused_by(e))?;
    if head.schema_version == 1 || said.is_some_and(|said| SCHEMA_1.contains(&said)) {
        return Err(Error::new(
            Kind::Unsupported,
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. \
             Suggest the author of the image to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2",
        ));
    }
    let known = |text: &str| media_type::is_index(text) || media_type::is_manifest(text);
    if let Some(own) = head.media_type.filter(|own| !own.is_empty()) {
        return match said {
            _ if !known(&own) => Err(unknown_type(&own)),
            // An intermediary may say something vague; another known type is a contradiction.
            Some(said) if known(said) && said != own => Err(Error::lied(format!(
                "it says that the manifest is {said:?}, the manifest says {own:?}"
            ))),
            _ => Ok(own),
        };
    }
    match said {
        Some(said) if known(said) => Ok(said.to_owned()),
        _ if head.manifests.is_some() => Ok(media_type::OCI_INDEX.to_owned()),
        _ => Ok(media_type::OCI_MANIFEST.to_owned()),
    }
}

fn unknown_type(media_type: &str) -> Error {
    let shown = super::error::printable(media_type, 100);
    Error::new(
        Kind::Unsupported,
        format!("unsupported manifest media type and no default available: {shown}"),
    )
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Repository").field(&self.inner.path).finish()
    }
}
