//! Blobs on their way there: not at all when they are there, mounted when another repository has them, else sent.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use oci::{Descriptor, Digest};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::error::{Error, Kind, Result};
use super::exchange::{Ask, Line, Tries};
use super::pace::Patience;
use super::repository::{Repository, digest_header};
use super::scope::Scopes;

/// Bytes on their way.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Of content in memory, what is sent at once: small enough to see whether it goes on.
const PIECE: usize = 64 << 10;

/// Content to upload. It is opened again, further on, when a connection breaks.
pub trait Source: Send + Sync {
    /// The content from this byte on.
    fn open(&self, from: u64) -> ByteStream;

    /// What it is. Content that is only made while it is sent may say so once a stream of it has ended.
    fn descriptor(&self) -> Option<Descriptor>;
}

/// Content that is in memory.
pub struct InMemory {
    pub descriptor: Descriptor,
    pub bytes: Bytes,
}

impl Source for InMemory {
    fn open(&self, from: u64) -> ByteStream {
        let from = usize::try_from(from).map_or(self.bytes.len(), |n| n.min(self.bytes.len()));
        let rest = self.bytes.slice(from..);
        let pieces = (0..rest.len()).step_by(PIECE);
        let piece = move |at: usize| Ok(rest.slice(at..rest.len().min(at + PIECE)));
        Box::pin(stream::iter(pieces.map(piece)))
    }

    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.descriptor.clone())
    }
}

/// How a blob came to be at the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// It was there.
    Present,
    /// Another repository there had it.
    Mounted {
        from: String,
    },
    Sent,
}

/// An upload that the registry has opened.
struct Session<'a> {
    repository: &'a Repository,
    line: &'a Line,
    source: &'a dyn Source,
    location: Url,
}

/// What came of looking for a blob.
enum Searched {
    Found(Uploaded),
    /// It was not there to be mounted; the registry opened an upload in place of that.
    Opened(Url),
    Nowhere,
}

enum Begun {
    Mounted,
    Session(Url),
}

impl Repository {
    /// Makes the registry have a blob in this repository. `mount_from` are paths of other repositories of the same
    /// registry that are thought to have it.
    pub async fn upload(&self, source: &dyn Source, mount_from: &[String]) -> Result<Uploaded> {
        let line = self.origin().await?;
        let known = source.descriptor();
        let mut location = None;
        if let Some(blob) = &known {
            match self.searched(line, blob, mount_from).await? {
                Searched::Found(how) => return Ok(how),
                Searched::Opened(url) => location = Some(url),
                Searched::Nowhere => {}
            }
        }
        let at = |e: Error| e.at(&line.endpoint.host(), &step(known.as_ref()));
        let location = match location {
            Some(location) => location,
            None => self.begin(line).await.map_err(at)?,
        };
        let session = Session {
            repository: self,
            line,
            source,
            location,
        };
        session.run(known.as_ref()).await.map_err(at)?;
        Ok(Uploaded::Sent)
    }

    /// Whether the registry has a blob in this repository, or can mount it there; sends nothing.
    pub async fn find(&self, blob: &Descriptor, mount_from: &[String]) -> Result<Option<Uploaded>> {
        let line = self.origin().await?;
        match self.searched(line, blob, mount_from).await? {
            Searched::Found(how) => Ok(Some(how)),
            Searched::Opened(location) => {
                self.forget(line, location).await;
                Ok(None)
            }
            Searched::Nowhere => Ok(None),
        }
    }

    async fn searched(
        &self,
        line: &Line,
        blob: &Descriptor,
        mount_from: &[String],
    ) -> Result<Searched> {
        if self.has_blob(blob).await? {
            return Ok(Searched::Found(Uploaded::Present));
        }
        let mut opened = None;
        for from in mount_from.iter().filter(|from| *from != self.path()) {
            if let Some(stale) = opened.take() {
                self.forget(line, stale).await;
            }
            let mounted = self.mount(line, &blob.digest, from).await;
            match mounted.map_err(|e| e.at(&line.endpoint.host(), &step(Some(blob))))? {
                Begun::Mounted => {
                    return Ok(Searched::Found(Uploaded::Mounted { from: from.clone() }));
                }
                Begun::Session(location) => opened = Some(location),
            }
        }
        Ok(opened.map_or(Searched::Nowhere, Searched::Opened))
    }

    async fn begin(&self, line: &Line) -> Result<Url> {
        let ask = Ask::new(Method::POST, self.url(line, "blobs/uploads/", &[])?);
        let response = line.send(self.shared(), &ask).await?;
        location(line, &response)
    }

    async fn mount(&self, line: &Line, digest: &Digest, from: &str) -> Result<Begun> {
        let line = line.with_scopes(Scopes::repository(from, &["pull"]));
        let query = [("mount", digest.as_str()), ("from", from)];
        let ask = Ask::new(Method::POST, self.url(&line, "blobs/uploads/", &query)?);
        let response = line.send(self.shared(), &ask).await?;
        if response.status() != StatusCode::CREATED {
            return location(&line, &response).map(Begun::Session);
        }
        match digest_header(response.headers())? {
            Some(other) if other != *digest && other.algorithm() == digest.algorithm() => Err(
                Error::lied(format!("it mounted {other} in place of {digest}")),
            ),
            _ => Ok(Begun::Mounted),
        }
    }

    /// Tells the registry that an upload will not go on; that it does not listen is no harm, it forgets by itself.
    async fn forget(&self, line: &Line, location: Url) {
        let ask = Ask::new(Method::DELETE, location);
        if let Err(error) = line.send(self.shared(), &ask).await {
            tracing::debug!(%error, "an upload could not be cancelled");
        }
    }
}

fn step(blob: Option<&Descriptor>) -> String {
    match blob {
        Some(blob) => format!("upload of blob {}", blob.digest),
        None => "upload of a blob".to_owned(),
    }
}

/// Where an upload goes on. It is the registry itself: nobody else gets the credentials, or the content.
fn location(line: &Line, response: &Response) -> Result<Url> {
    let url = line.target(response.url(), response.headers())?;
    if url.origin() != line.endpoint.base.origin() {
        return Err(Error::lied(format!(
            "it wants the upload to go to another host, {}",
            super::endpoint::host_of(&url)
        )));
    }
    Ok(url)
}

impl Session<'_> {
    async fn run(mut self, known: Option<&Descriptor>) -> Result<()> {
        let shared = self.repository.shared();
        let mut tries = Tries::new(shared);
        let mut from = 0;
        loop {
            let sent = match known {
                Some(descriptor) if from == 0 => self.whole(descriptor).await,
                _ => self.in_parts(from).await,
            };
            let Err(error) = sent else { return Ok(()) };
            if !may_be_passing(&error) {
                self.repository.forget(self.line, self.location).await;
                return Err(error);
            }
            tries.wait(error).await?;
            let reached = self.reached().await?;
            if reached > from {
                tries.forgive();
            }
            from = reached;
        }
    }

    /// POST and PUT (distribution-spec 1.1, "Pushing a blob monolithically").
    async fn whole(&self, descriptor: &Descriptor) -> Result<()> {
        let mut ask = Ask::new(Method::PUT, self.with_digest(&descriptor.digest));
        ask.headers.insert(CONTENT_TYPE, octets());
        ask.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(descriptor.size));
        let body = self.source.open(0);
        let response = self
            .line
            .send_once(self.repository.shared(), &ask, body)
            .await?;
        stored(&response, &descriptor.digest)
    }

    /// POST, PATCH and PUT: for content whose digest shows when it has been sent, and for the rest of an upload that broke
    /// off.
    async fn in_parts(&mut self, from: u64) -> Result<()> {
        let shared = self.repository.shared();
        let mut ask = Ask::new(Method::PATCH, self.location.clone());
        ask.headers.insert(CONTENT_TYPE, octets());
        if let Some(whole) = self.source.descriptor().filter(|whole| from < whole.size) {
            let range = format!("{from}-{}", whole.size - 1);
            ask.headers.insert(CONTENT_RANGE, header(&range)?);
            ask.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(whole.size - from));
        }
        let body = self.source.open(from);
        let response = self.line.send_once(shared, &ask, body).await?;
        self.location = location(self.line, &response)?;
        let made = self.source.descriptor();
        let made = made.ok_or_else(|| Error::local("the content to upload has no digest"))?;
        let ask = Ask {
            patience: Patience::Long,
            ..Ask::new(Method::PUT, self.with_digest(&made.digest))
        };
        match self.line.send(shared, &ask).await {
            Ok(response) => stored(&response, &made.digest),
            // The answer to an earlier try may have been lost: then the upload has ended, and the blob is there.
            Err(error) if error.kind() == Kind::NotFound => {
                let is_there = self.repository.has_blob(&made).await?;
                is_there.then_some(()).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// How much the registry has of an upload that broke off; a new upload is begun when it has forgotten about it.
    async fn reached(&mut self) -> Result<u64> {
        let shared = self.repository.shared();
        let ask = Ask::new(Method::GET, self.location.clone());
        match self.line.send(shared, &ask).await {
            Ok(response) => {
                let reached = range_end(response.headers());
                self.location = location(self.line, &response)?;
                if reached > 0 {
                    return Ok(reached);
                }
                // `0-0` is one byte or none, by registry: only a new upload is surely empty.
                self.repository
                    .forget(self.line, self.location.clone())
                    .await;
            }
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Registry) => {}
            Err(error) => return Err(error),
        }
        self.location = self.repository.begin(self.line).await?;
        Ok(0)
    }

    fn with_digest(&self, digest: &Digest) -> Url {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        url
    }
}

/// A connection that broke, a token that ended, or a server that was busy; not content that could not be made.
fn may_be_passing(error: &Error) -> bool {
    match error.kind() {
        Kind::Unreachable | Kind::RateLimited => true,
        Kind::Unauthorized => error.status() == Some(401),
        Kind::Registry => error
            .status()
            .is_some_and(|status| status >= 500 || status == 408 || status == 416),
        _ => false,
    }
}

fn stored(response: &Response, digest: &Digest) -> Result<()> {
    match digest_header(response.headers())? {
        Some(other) if other != *digest && other.algorithm() == digest.algorithm() => Err(
            Error::lied(format!("it stored {other} in place of {digest}")),
        ),
        _ => Ok(()),
    }
}

/// `Range: 0-1023`: how many bytes are there; 0 where that is not certain.
fn range_end(headers: &HeaderMap) -> u64 {
    let text = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let end = text
        .map(|text| text.trim_start_matches("bytes="))
        .and_then(|text| text.split_once('-'))
        .and_then(|(_, end)| end.trim().parse::<u64>().ok());
    match end {
        None | Some(0) => 0,
        Some(end) => end.saturating_add(1),
    }
}

fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|e| Error::local("making a header").caused_by(e))
}
