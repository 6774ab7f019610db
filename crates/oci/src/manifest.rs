use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Descriptor, media_type};

/// The largest manifest, index or config that is read, as distribution registries hold it (4 MiB).
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// Why a document is not what it is taken for.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    #[error("{what} is not valid JSON of its kind")]
    Json {
        what: &'static str,
        source: serde_json::Error,
    },
    #[error("{what} is {size} bytes long; {MAX_DOCUMENT} are the most")]
    TooLong { what: &'static str, size: usize },
    #[error("{what} has schema version {version}; only 2 is supported")]
    SchemaVersion { what: &'static str, version: u32 },
    #[error("{what} says media type {media_type:?}, which is something else")]
    MediaType {
        what: &'static str,
        media_type: String,
    },
    /// CVE-2021-41190: a document that reads as manifest and as index can show different people different images.
    #[error("{what} has the fields of a manifest and of an index at once")]
    Ambiguous { what: &'static str },
}

/// An image manifest, OCI or Docker schema 2 (the two differ in media types only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Manifest, InvalidDocument> {
        let what = "image manifest";
        let manifest: Manifest = document(what, bytes, |shape| shape.manifests.is_none())?;
        check_head(
            what,
            manifest.schema_version,
            manifest.media_type.as_deref(),
            media_type::is_manifest,
        )?;
        Ok(manifest)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys only")
    }
}

/// An image index, or Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    pub fn new(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Index, InvalidDocument> {
        let what = "image index";
        let index: Index = document(what, bytes, |shape| {
            shape.config.is_none() && shape.layers.is_none()
        })?;
        check_head(
            what,
            index.schema_version,
            index.media_type.as_deref(),
            media_type::is_index,
        )?;
        Ok(index)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index has string keys only")
    }
}

/// The fields by which a manifest and an index are told apart.
#[derive(Deserialize)]
struct Shape {
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

fn document<T: for<'de> Deserialize<'de>>(
    what: &'static str,
    bytes: &[u8],
    unambiguous: impl Fn(&Shape) -> bool,
) -> Result<T, InvalidDocument> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(InvalidDocument::TooLong {
            what,
            size: bytes.len(),
        });
    }
    let json = |source| InvalidDocument::Json { what, source };
    if !unambiguous(&serde_json::from_slice(bytes).map_err(json)?) {
        return Err(InvalidDocument::Ambiguous { what });
    }
    serde_json::from_slice(bytes).map_err(json)
}

fn check_head(
    what: &'static str,
    version: u32,
    media_type: Option<&str>,
    fits: fn(&str) -> bool,
) -> Result<(), InvalidDocument> {
    if version != 2 {
        return Err(InvalidDocument::SchemaVersion { what, version });
    }
    match media_type {
        Some(m) if !m.is_empty() && !fits(m) => Err(InvalidDocument::MediaType {
            what,
            media_type: m.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn sample() -> Manifest {
        Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, b"{}"),
            vec![Descriptor::of(media_type::OCI_LAYER_GZIP, b"layer")],
        )
    }

    #[test]
    fn a_manifest_survives_its_bytes() {
        let manifest = sample();
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        let index = Index::new(vec![Descriptor::of(
            media_type::OCI_MANIFEST,
            &manifest.to_bytes(),
        )]);
        assert_eq!(Index::parse(&index.to_bytes()).unwrap(), index);
    }

    #[test]
    fn dockers_own_bytes_are_made_again() {
        let bytes = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:7015deb7b61b93654e661b12323a80688648662806e593a5df5b216b12570ae3","size":895},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:7ce96ebf9dcd2f21edd3a38a5c330fe2ac125e4150c4cb1db3664c9f43a37dd9","size":2211840}]}"#;
        assert_eq!(Manifest::parse(bytes).unwrap().to_bytes(), bytes);
    }

    #[test]
    fn a_document_of_two_readings_is_refused() {
        let mut both = serde_json::to_value(sample()).unwrap();
        both["manifests"] = json!([]);
        let bytes = serde_json::to_vec(&both).unwrap();
        assert!(matches!(
            Manifest::parse(&bytes),
            Err(InvalidDocument::Ambiguous { .. })
        ));
        assert!(matches!(
            Index::parse(&bytes),
            Err(InvalidDocument::Ambiguous { .. })
        ));
    }

    #[test]
    fn the_wrong_kind_or_version_is_refused() {
        let mut manifest = sample();
        manifest.media_type = Some(media_type::OCI_INDEX.to_owned());
        assert!(matches!(
            Manifest::parse(&manifest.to_bytes()),
            Err(InvalidDocument::MediaType { .. })
        ));
        let mut manifest = sample();
        manifest.schema_version = 1;
        assert!(matches!(
            Manifest::parse(&manifest.to_bytes()),
            Err(InvalidDocument::SchemaVersion { .. })
        ));
        assert!(Manifest::parse(&vec![b' '; MAX_DOCUMENT as usize + 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(&bytes);
            let _ = Index::parse(&bytes);
        }
    }
}
