//! Lists: of repositories, of tags, and what the web page says about them.

use oci::Descriptor;

use super::Store;
use super::document::Document;
use super::error::{Error, Result, failed};
use super::manifests::Fetched;
use super::tables::{DOCUMENTS, LINKS, MANIFESTS, REPOSITORIES, TAGS, get, seconds};
use crate::server::name::{Name, Reach};
use crate::server::query::Page;

/// One line of the list of repositories.
#[derive(Debug)]
pub(crate) struct RepositorySummary {
    pub(crate) name: String,
    pub(crate) tags: usize,
}

/// One line of a repository's list.
#[derive(Debug)]
pub(crate) struct TagSummary {
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) set: u64,
    pub(crate) media_type: String,
    /// Bytes of all it names: of the blobs of a manifest, of the manifests of an index.
    pub(crate) size: u64,
}

/// A manifest with what it names.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) fetched: Fetched,
    pub(crate) blobs: Vec<Descriptor>,
    pub(crate) manifests: Vec<Descriptor>,
}

/// More tags than this are not counted for the page.
const MANY: usize = 1_000;

impl Store {
    /// Names of repositories that have a manifest, and whether there are more.
    pub(crate) fn catalog(&self, page: &Page) -> Result<(Vec<String>, bool)> {
        let reader = self.database.read()?;
        let table = reader
            .open_table(REPOSITORIES)
            .map_err(failed("open a table"))?;
        let mut names = Vec::new();
        for entry in table.range(page.after.as_str()..).map_err(failed("list"))? {
            let (key, _) = entry.map_err(failed("list"))?;
            if key.value() == page.after {
                continue;
            }
            if names.len() == page.count {
                return Ok((names, true));
            }
            names.push(key.value().to_owned());
        }
        Ok((names, false))
    }

    /// The tags of a repository, and whether there are more.
    pub(crate) fn tags(&self, name: &Name, page: &Page) -> Result<(Vec<String>, bool)> {
        let reader = self.database.read()?;
        let repositories = reader
            .open_table(REPOSITORIES)
            .map_err(failed("open a table"))?;
        let known = get(&repositories, name.as_str(), drop)?.is_some();
        if !known {
            let links = reader.open_table(LINKS).map_err(failed("open a table"))?;
            if seconds(&links, name.as_str(), "", 1)?.is_empty() {
                return Err(Error::NameUnknown(name.to_string()));
            }
        }
        let table = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let mut tags = seconds(&table, name.as_str(), &page.after, page.count + 1)?;
        let more = tags.len() > page.count;
        tags.truncate(page.count);
        Ok((tags, more))
    }

    pub(crate) fn summaries(&self, page: &Page) -> Result<(Vec<RepositorySummary>, bool)> {
        let (names, more) = self.catalog(page)?;
        let reader = self.database.read()?;
        let tags = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let summary = |name: String| {
            let count = seconds(&tags, &name, "", MANY)?.len();
            Ok(RepositorySummary { name, tags: count })
        };
        let summaries: Result<Vec<_>> = names.into_iter().map(summary).collect();
        Ok((summaries?, more))
    }

    pub(crate) fn tag_summaries(
        &self,
        name: &Name,
        page: &Page,
    ) -> Result<(Vec<TagSummary>, bool)> {
        let (tags, more) = self.tags(name, page)?;
        let reader = self.database.read()?;
        let table = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let manifests = reader
            .open_table(MANIFESTS)
            .map_err(failed("open a table"))?;
        let documents = reader
            .open_table(DOCUMENTS)
            .map_err(failed("open a table"))?;
        let mut summaries = Vec::new();
        for tag in tags {
            let key = (name.as_str(), tag.as_str());
            let Some((digest, set)) = get(&table, key, |(d, at)| (d.to_owned(), at))? else {
                continue;
            };
            let key = (name.as_str(), digest.as_str());
            let media_type =
                get(&manifests, key, |(kind, _, _)| kind.to_owned())?.unwrap_or_default();
            let size = get(&documents, digest.as_str(), |bytes| {
                Document::parse(bytes, Some(&media_type)).map_or(0, |d| {
                    d.parts().map(|p| p.size).fold(0, u64::saturating_add)
                })
            })?;
            summaries.push(TagSummary {
                tag,
                digest,
                set,
                media_type,
                size: size.unwrap_or_default(),
            });
        }
        Ok((summaries, more))
    }

    pub(crate) fn describe(&self, name: &Name, reach: &Reach) -> Result<Described> {
        let fetched = self.manifest(name, reach)?;
        let document = Document::parse(&fetched.bytes, Some(&fetched.media_type))?;
        Ok(Described {
            blobs: document.blobs,
            manifests: document.manifests,
            fetched,
        })
    }

    /// How many repositories have a manifest.
    pub(crate) fn repository_count(&self) -> Result<u64> {
        use redb::ReadableTableMetadata as _;
        let reader = self.database.read()?;
        let table = reader
            .open_table(REPOSITORIES)
            .map_err(failed("open a table"))?;
        table.len().map_err(failed("count"))
    }
}
