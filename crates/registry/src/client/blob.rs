//! Blobs on their way here: begun anywhere, and gone on with where a connection broke.

use bytes::Bytes;
use oci::Descriptor;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::endpoint::host_of;
use super::error::{Error, Kind, Result};
use super::exchange::{Ask, Tries, complaint, stranger};
use super::pace::Pacer;
use super::repository::{Repository, length_header};
use super::transport;

/// So much must come for a broken connection to be forgiven; with less a server could keep us busy for ever.
const WORTH_A_TRY: u64 = 1 << 20;

/// A blob's bytes, in order. Never more than the descriptor says; whether they have its digest is the caller's to see.
pub struct BlobStream {
    repository: Repository,
    descriptor: Descriptor,
    at: u64,
    /// Where the present connection began.
    connected_at: u64,
    response: Option<(Response, Pacer)>,
    /// Bytes of the present answer that were had before.
    skip: u64,
    failed: u32,
    /// Lines that bytes came from, the present one last.
    sources: Vec<usize>,
}

impl Repository {
    /// Whether the registry has this blob in this repository.
    pub async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        let line = self.origin().await?;
        let step = format!("blob {}", descriptor.digest);
        let at = |e: Error| e.at(&line.endpoint.host(), &step);
        let url = self.url(line, &format!("blobs/{}", descriptor.digest), &[])?;
        match line.send(self.shared(), &Ask::new(Method::HEAD, url)).await {
            Ok(response) => match length_header(response.headers()) {
                Some(size) if size != descriptor.size => Err(at(Error::lied(format!(
                    "it has the blob with {size} bytes, it should have {}",
                    descriptor.size
                )))),
                _ => Ok(true),
            },
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(at(error)),
        }
    }

    /// Opens a blob at `from` bytes.
    pub async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<BlobStream> {
        let mut stream = BlobStream {
            repository: self.clone(),
            descriptor: descriptor.clone(),
            at: from,
            connected_at: from,
            response: None,
            skip: 0,
            failed: 0,
            sources: Vec::new(),
        };
        if from < descriptor.size {
            stream.connect().await?;
        }
        Ok(stream)
    }

    /// A small blob, an image's config for one: whole, with size and digest checked.
    pub async fn small_blob(&self, descriptor: &Descriptor, most: u64) -> Result<Bytes> {
        let step = format!("blob {}", descriptor.digest);
        if descriptor.size > most {
            let what = format!("it is {} bytes long; {most} are the most", descriptor.size);
            let line = self.origin().await?;
            return Err(Error::lied(what).at(&line.endpoint.host(), &step));
        }
        loop {
            let mut stream = self.blob(descriptor, 0).await?;
            let mut gathered = Vec::with_capacity(usize::try_from(descriptor.size).unwrap_or(0));
            while let Some(chunk) = stream.next().await? {
                gathered.extend_from_slice(&chunk);
            }
            if descriptor.digest.matches(&gathered) {
                return Ok(gathered.into());
            }
            if !stream.reject() {
                return Err(stream.error(Error::lied("what came has another digest")));
            }
        }
    }
}

impl BlobStream {
    /// The next bytes; `None` when all are there.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.at == self.descriptor.size {
                return Ok(None);
            }
            let Some((response, pacer)) = &mut self.response else {
                self.connect().await?;
                continue;
            };
            match pacer.wait(response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    pacer.came(chunk.len());
                    match self.take(chunk) {
                        Ok(Some(chunk)) => return Ok(Some(chunk)),
                        Ok(None) => {}
                        Err(error) => self.doubt(error)?,
                    }
                }
                Ok(Ok(None)) => {
                    let what = format!(
                        "the blob ended after {} of {} bytes",
                        self.at, self.descriptor.size
                    );
                    self.broken(Error::unreachable(what)).await?;
                }
                Ok(Err(error)) => self.broken(transport::failed(error)).await?,
                Err(slow) => self.broken(slow).await?,
            }
        }
    }

    /// The bytes have not the digest that they should have. The mirrors that they came from are asked nothing more; false
    /// where no mirror is to blame, so that the same would come again.
    pub fn reject(&self) -> bool {
        let lines = self.repository.lines();
        let mut blamed = false;
        for number in &self.sources {
            blamed |= lines.reject(*number);
        }
        blamed
    }

    /// How many bytes were given out, counted from the blob's beginning.
    pub fn position(&self) -> u64 {
        self.at
    }

    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>> {
        let old = self.skip.min(chunk.len() as u64);
        self.skip -= old;
        let chunk = chunk.split_off(usize::try_from(old).unwrap_or(chunk.len()));
        if chunk.len() as u64 > self.descriptor.size - self.at {
            return Err(self.error(Error::lied(format!(
                "the blob is longer than the {} bytes it should have",
                self.descriptor.size
            ))));
        }
        self.at += chunk.len() as u64;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// The connection is no good any more: waits, unless this happened too often.
    async fn broken(&mut self, error: Error) -> Result<()> {
        self.response = None;
        let brought = self.at - self.connected_at;
        let repository = self.repository.clone();
        let mut tries = Tries::after(repository.shared(), self.failed);
        if brought >= WORTH_A_TRY {
            tries.forgive();
        }
        let waited = tries.wait(error).await;
        self.failed = tries.failed();
        match waited {
            Ok(()) => Ok(()),
            Err(error) => {
                self.failed = 0;
                self.doubt(error)
            }
        }
    }

    /// Turns from a mirror that cannot send the blob to the next server; an error where there is none.
    fn doubt(&mut self, error: Error) -> Result<()> {
        let error = self.error(error);
        self.response = None;
        let lines = self.repository.lines();
        let line = self.sources.last().and_then(|number| lines.get(*number));
        match line {
            Some(line) => self.repository.doubt(line, error, &self.step()),
            None => Err(error),
        }
    }

    async fn connect(&mut self) -> Result<()> {
        let step = self.step();
        let rest = format!("blobs/{}", self.descriptor.digest);
        let mut headers = HeaderMap::new();
        if self.at > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.at))
                .map_err(|e| Error::local("making a range").caused_by(e))?;
            headers.insert(RANGE, range);
        }
        let repository = self.repository.clone();
        loop {
            let asked = repository
                .ask(Method::GET, &rest, &[], &headers, &step)
                .await;
            let (response, line) = match asked {
                Ok((response, line)) => (response, Some(line)),
                Err(e) if e.kind() == Kind::NotFound && !self.descriptor.urls.is_empty() => {
                    (self.elsewhere(&headers).await.ok_or(e)?, None)
                }
                Err(error) => return Err(error),
            };
            let host = host_of(response.url());
            let number = line.and_then(|line| repository.lines().number(line));
            self.sources.retain(|known| Some(*known) != number);
            self.sources.extend(number);
            match (self.begin(response), line) {
                (Ok(()), _) => return Ok(()),
                (Err(error), Some(line)) => {
                    repository.doubt(line, error.at(&host, &step), &step)?;
                }
                (Err(error), None) => return Err(error.at(&host, &step)),
            }
        }
    }

    /// Foreign layers: not in the registry, but at addresses that the manifest names. TLS only: nobody vouches for them.
    async fn elsewhere(&self, headers: &HeaderMap) -> Option<Response> {
        for address in self.descriptor.urls.iter().take(8) {
            let Some(url) = Url::parse(address).ok().filter(|u| u.scheme() == "https") else {
                continue;
            };
            let ask = Ask {
                headers: headers.clone(),
                ..Ask::new(Method::GET, url)
            };
            match stranger(self.repository.shared(), &ask).await {
                Ok(response) if response.status().is_success() => return Some(response),
                Ok(response) => {
                    let error = complaint(response).await;
                    tracing::debug!(%error, address, "a foreign layer's address failed");
                }
                Err(error) => tracing::debug!(%error, address, "a foreign layer's address failed"),
            }
        }
        None
    }

    /// Holds the head of an answer against what was asked for.
    fn begin(&mut self, response: Response) -> Result<()> {
        let encoding = response.headers().get(CONTENT_ENCODING);
        if encoding.is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Error::lied(
                "it compresses the blob once more, which was not asked for",
            ));
        }
        let begins_at = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(response.headers())
                .ok_or_else(|| Error::lied("it sends a part and does not say which"))?,
            _ => 0,
        };
        if begins_at > self.at {
            return Err(Error::lied("it sends another part than the one asked for"));
        }
        if let Some(length) = response.content_length() {
            let size = begins_at.saturating_add(length);
            if size != self.descriptor.size {
                return Err(Error::lied(format!(
                    "the blob has {size} bytes, it should have {}",
                    self.descriptor.size
                )));
            }
        }
        self.skip = self.at - begins_at;
        self.connected_at = self.at;
        let pacer = transport::pacer(&response)?;
        self.response = Some((response, pacer));
        Ok(())
    }

    fn step(&self) -> String {
        format!("blob {}", self.descriptor.digest)
    }

    fn error(&self, error: Error) -> Error {
        let url = self.response.as_ref().map(|(response, _)| response.url());
        let host = url.map_or_else(|| self.repository.lines().host(), host_of);
        error.at(&host, &self.step())
    }
}

/// `bytes 100-199/200`: where the part begins.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = text.strip_prefix("bytes")?.trim().split_once('-')?;
    start.trim().parse().ok()
}
