//! What a manifest or an index says that a registry cares about.

use std::collections::BTreeMap;

use oci::{Descriptor, Digest, Index, Manifest, media_type};
use serde::Deserialize;

use super::error::{Error, Result};

/// Most parts of one manifest. Within 4 MiB there is room for some 40,000.
const MAX_PARTS: usize = 20_000;

/// A manifest or an index, read.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) media_type: String,
    /// Blobs that must be there.
    pub(crate) blobs: Vec<Descriptor>,
    /// Manifests that must be there.
    pub(crate) manifests: Vec<Descriptor>,
    pub(crate) subject: Option<Digest>,
    /// What `artifactType` of a referrer's descriptor says: the manifest's own, or else its config's media type.
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    media_type: Option<String>,
    schema_version: Option<u32>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads what was pushed as `content_type`, the media type of the request.
    pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Document> {
        let invalid = |e: &dyn std::error::Error| Error::InvalidManifest(with_sources(e));
        let head: Head = serde_json::from_slice(bytes).map_err(|e| invalid(&e))?;
        if head.schema_version == Some(1) {
            let text = "Docker image manifests of schema version 1 are not supported: push schema version 2 or OCI";
            return Err(Error::InvalidManifest(text.to_owned()));
        }
        let said = content_type
            .map(|t| t.split(';').next().unwrap_or_default().trim())
            .filter(|t| {
                !t.is_empty() && *t != "application/json" && *t != "application/octet-stream"
            });
        let media_type = match (said, head.media_type.as_deref().filter(|t| !t.is_empty())) {
            (Some(said), Some(inside)) if said != inside => {
                return Err(Error::InvalidManifest(format!(
                    "the request says media type {said:?}, the manifest itself {inside:?}"
                )));
            }
            (Some(one), _) | (None, Some(one)) => one.to_owned(),
            // OCI documents need not name their type.
            (None, None) if head.manifests.is_some() => media_type::OCI_INDEX.to_owned(),
            (None, None) => media_type::OCI_MANIFEST.to_owned(),
        };
        let document = if media_type::is_index(&media_type) {
            Index::parse(bytes)
                .map(|index| Document::of_index(media_type, index))
                .map_err(|e| invalid(&e))?
        } else if media_type::is_manifest(&media_type) {
            Manifest::parse(bytes)
                .map(|manifest| Document::of_manifest(media_type, manifest))
                .map_err(|e| invalid(&e))?
        } else {
            return Err(Error::InvalidManifest(format!(
                "media type {media_type:?} is not supported for manifests"
            )));
        };
        let parts = document.blobs.len() + document.manifests.len();
        if parts > MAX_PARTS {
            let text = format!("it names {parts} parts; {MAX_PARTS} are the most");
            return Err(Error::InvalidManifest(text));
        }
        Ok(document)
    }

    fn of_index(media_type: String, index: Index) -> Document {
        Document {
            media_type,
            blobs: Vec::new(),
            manifests: index.manifests,
            subject: index.subject.map(|s| s.digest),
            artifact_type: index.artifact_type.filter(|t| !t.is_empty()),
            annotations: index.annotations,
        }
    }

    fn of_manifest(media_type: String, manifest: Manifest) -> Document {
        let own = manifest.artifact_type.filter(|t| !t.is_empty());
        let of_config = Some(manifest.config.media_type.clone()).filter(|t| !t.is_empty());
        let mut blobs = vec![manifest.config];
        // Layers with URLs lie elsewhere (Windows' base layers) and are never pushed.
        blobs.extend(
            manifest
                .layers
                .into_iter()
                .filter(|layer| layer.urls.is_empty()),
        );
        Document {
            media_type,
            blobs,
            manifests: Vec::new(),
            subject: manifest.subject.map(|s| s.digest),
            artifact_type: own.or(of_config),
            annotations: manifest.annotations,
        }
    }

    /// All it names that must be there.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter().chain(&self.manifests)
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, b"{}"),
            vec![Descriptor::of(media_type::OCI_LAYER_GZIP, b"layer")],
        )
    }

    #[test]
    fn the_media_type_comes_from_either_side() {
        let bytes = manifest().to_bytes();
        let read = |content_type| Document::parse(&bytes, content_type).map(|d| d.media_type);
        assert_eq!(read(None).unwrap(), media_type::OCI_MANIFEST);
        assert_eq!(
            read(Some("application/json")).unwrap(),
            media_type::OCI_MANIFEST
        );
        assert!(read(Some(media_type::DOCKER_MANIFEST)).is_err());
        let mut silent = manifest();
        silent.media_type = None;
        let read = Document::parse(&silent.to_bytes(), None).unwrap();
        assert_eq!(read.media_type, media_type::OCI_MANIFEST);
    }

    #[test]
    fn what_is_refused_says_why() {
        let check = |bytes: &[u8], content_type, part: &str| {
            let said = Document::parse(bytes, content_type)
                .unwrap_err()
                .to_string();
            assert!(said.contains(part), "{said}");
        };
        check(b"{", None, "EOF");
        check(b"{\"schemaVersion\":1}", None, "schema version 1");
        check(b"{\"schemaVersion\":2}", None, "config");
        check(&manifest().to_bytes()[..20], None, "EOF");
        check(b"{\"schemaVersion\":2}", Some("text/plain"), "text/plain");
    }

    #[test]
    fn foreign_layers_need_not_be_here() {
        let mut foreign = manifest();
        foreign.layers[0]
            .urls
            .push("https://example.org/layer".to_owned());
        let read = Document::parse(&foreign.to_bytes(), None).unwrap();
        assert_eq!(read.blobs.len(), 1);
    }
}
