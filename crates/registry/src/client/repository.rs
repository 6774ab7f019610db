//! One repository at its registry, or at whichever mirror has what is asked for.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, Index, MAX_DOCUMENT, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Response, Url};
use serde::Deserialize;

use super::Shared;
use super::body;
use super::error::{Error, Kind, Result};
use super::exchange::{Ask, Line};
use super::lines::Lines;
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
    lines: Lines,
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
                lines: Lines::new(lines),
            }),
        }
    }

    /// The path at the registry, `library/busybox`.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.inner.lines
    }

    /// The registry itself, for what changes something there.
    pub(super) async fn origin(&self) -> Result<&Line> {
        self.inner.lines.origin(&self.inner.shared).await
    }

    /// From now on only the registry itself is asked. Says whether that makes a difference: whether anything that a
    /// mirror said was believed so far. A mirror's word for what a tag stands for can be held against nothing.
    pub fn give_up_mirrors(&self) -> bool {
        self.inner.lines.distrust_mirrors()
    }

    /// A URL below this endpoint.
    pub(super) fn url(&self, line: &Line, rest: &str, query: &[(&str, &str)]) -> Result<Url> {
        line.endpoint
            .url(&format!("{}/{rest}", self.inner.path), query)
    }

    /// A manifest or an index.
    pub async fn manifest(&self, wanted: Wanted<'_>) -> Result<Fetched> {
        let step = format!("manifest of {}", self.named(wanted));
        let rest = format!("manifests/{wanted}");
        loop {
            let (response, line) = self
                .ask(Method::GET, &rest, &[], &accept(MANIFESTS), &step)
                .await?;
            match fetched(response, wanted).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => self.doubt(line, error, &step)?,
            }
        }
    }

    /// What a tag points at, without fetching it. `NotFound` when there is none.
    pub async fn head(&self, wanted: Wanted<'_>) -> Result<Descriptor> {
        let step = format!("manifest of {}", self.named(wanted));
        let rest = format!("manifests/{wanted}");
        let (response, digest) = loop {
            let (response, line) = self
                .ask(Method::HEAD, &rest, &[], &accept(MANIFESTS), &step)
                .await?;
            match digest_header(response.headers()) {
                Ok(digest) => break (response, digest),
                Err(error) => self.doubt(line, error, &step)?,
            }
        };
        let size = length_header(response.headers());
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
        let step = format!("tags of {}", self.inner.path);
        let mut tags = Vec::new();
        let mut asked = vec![("n".to_owned(), TAGS_PER_PAGE.to_owned())];
        loop {
            let (page, link) = self.page_of_tags(&asked, &step).await?;
            let came = page.len();
            tags.extend(page);
            if tags.len() > MOST_TAGS {
                let what = format!("it lists more than {MOST_TAGS} tags");
                return Err(Error::lied(what).at(&self.inner.lines.host(), &step));
            }
            // A page that brings nothing, or the same place again, is no next page.
            match link.filter(|link| came > 0 && *link != asked) {
                Some(link) => asked = link,
                None => return Ok(tags),
            }
        }
    }

    /// One page of tags, and what to ask for the next one.
    async fn page_of_tags(
        &self,
        asked: &[(String, String)],
        step: &str,
    ) -> Result<(Vec<String>, Option<NextPage>)> {
        let query: Vec<(&str, &str)> = asked
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        loop {
            let (response, line) = self
                .ask(Method::GET, "tags/list", &query, &HeaderMap::new(), step)
                .await?;
            let link = next_page(response.headers(), response.url());
            match tags_of(response).await {
                Ok(tags) => return Ok((tags, link)),
                Err(error) => self.doubt(line, error, step)?,
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
            .map_err(|e| Error::lied(e.to_string()).at(&self.inner.lines.host(), &step))
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

async fn tags_of(response: Response) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        tags: Option<Vec<String>>,
    }
    let bytes = body::whole(response, MAX_DOCUMENT).await?;
    let page: Page = serde_json::from_slice(&bytes)
        .map_err(|e| Error::lied("the list of tags is not understood").caused_by(e))?;
    Ok(page.tags.unwrap_or_default())
}

/// A manifest that came, held against what was asked for.
async fn fetched(response: Response, wanted: Wanted<'_>) -> Result<Fetched> {
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

/// What a link to the next page asks for: most say `last`, some have words of their own. Host and path are ours to say.
pub(super) type NextPage = Vec<(String, String)>;

/// A longer one is not believed.
const LONGEST_LINK: usize = 8 << 10;

pub(super) fn next_page(headers: &HeaderMap, base: &Url) -> Option<NextPage> {
    let links = headers.get_all(LINK).iter();
    let target = links
        .filter_map(|value| value.to_str().ok())
        .find_map(next_link)?;
    let url = base.join(target).ok()?;
    let asked: NextPage = url
        .query_pairs()
        .filter(|(name, _)| name != "ns")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    (!asked.is_empty() && target.len() <= LONGEST_LINK).then_some(asked)
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
