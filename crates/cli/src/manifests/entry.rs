//! One image of a manifest list, and the documents made of such entries.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci::{Descriptor, Manifest, Platform, media_type};
use serde::Deserialize;

use crate::format::json::{Html, Json, indent_with};

/// What is known about one image: the members of Docker's document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The name it was found under.
    pub(crate) reference: String,
    /// Its manifest, with the platform that the list gives it.
    pub(crate) descriptor: Descriptor,
    /// The manifest's bytes.
    pub(crate) raw: Vec<u8>,
}

/// How the document is written.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    r#ref: String,
    descriptor: Descriptor,
    #[serde(default)]
    raw: String,
}

impl Entry {
    /// Reads Docker's document.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let stored: Stored = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let raw = STANDARD
            .decode(&stored.raw)
            .map_err(|error| format!("Raw: {error}"))?;
        if !stored.descriptor.digest.matches(&raw) {
            return Err("its bytes have another digest than its descriptor".to_owned());
        }
        Ok(Self {
            reference: stored.r#ref,
            descriptor: stored.descriptor,
            raw,
        })
    }

    /// The document on one line.
    pub(crate) fn compact(&self) -> String {
        self.json().compact(Html::Escaped)
    }

    /// The document with its members in Docker's order.
    pub(crate) fn json(&self) -> Json {
        // As it came: its members keep their order.
        let manifest = serde_json::from_slice(&self.raw).unwrap_or(Json::Null);
        let kind = match self.descriptor.media_type.as_str() {
            media_type::OCI_MANIFEST => "OCIManifest",
            _ => "SchemaV2Manifest",
        };
        Json::object([
            ("Ref", Json::text(&self.reference)),
            ("Descriptor", verbose_descriptor(&self.descriptor)),
            ("Raw", Json::text(STANDARD.encode(&self.raw))),
            (kind, manifest),
        ])
    }

    /// The manifest that the bytes are.
    pub(crate) fn manifest(&self) -> Result<Manifest, String> {
        Manifest::parse(&self.raw).map_err(|error| error.to_string())
    }
}

/// The list of these images as it is pushed and shown: Docker's bytes, set in by three spaces.
pub(crate) fn list_document(descriptors: &[Descriptor]) -> (&'static str, String) {
    let first = descriptors.first().map(|first| first.media_type.as_str());
    let kind = match first {
        Some(media_type::OCI_MANIFEST) => media_type::OCI_INDEX,
        _ => media_type::DOCKER_MANIFEST_LIST,
    };
    let manifests: Vec<Json> = descriptors.iter().map(list_descriptor).collect();
    let document = Json::object([
        ("schemaVersion", number(2)),
        ("mediaType", Json::text(kind)),
        ("manifests", Json::List(manifests.into())),
    ]);
    (kind, indent_with(&document.compact(Html::Escaped), "   "))
}

/// In the order of distribution's `manifestlist.ManifestDescriptor`.
fn list_descriptor(descriptor: &Descriptor) -> Json {
    let platform = descriptor.platform.clone().unwrap_or_default();
    Json::object([
        ("mediaType", Json::text(&descriptor.media_type)),
        ("size", number(descriptor.size)),
        ("digest", Json::text(descriptor.digest.as_str())),
        ("platform", platform_json(&platform)),
    ])
}

/// In the order of image-spec's `Descriptor`.
fn verbose_descriptor(descriptor: &Descriptor) -> Json {
    let mut members = vec![
        ("mediaType", Json::text(&descriptor.media_type)),
        ("digest", Json::text(descriptor.digest.as_str())),
        ("size", number(descriptor.size)),
    ];
    if let Some(platform) = &descriptor.platform {
        members.push(("platform", platform_json(platform)));
    }
    Json::object(members)
}

fn platform_json(platform: &Platform) -> Json {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (version, variant) = (text(&platform.os_version), text(&platform.variant));
    let features: Vec<Json> = platform.os_features.iter().map(Json::text).collect();
    let mut members = vec![
        ("architecture", Json::text(&platform.architecture)),
        ("os", Json::text(&platform.os)),
    ];
    if !version.is_empty() {
        members.push(("os.version", Json::text(version)));
    }
    if !features.is_empty() {
        members.push(("os.features", Json::List(features.into())));
    }
    if !variant.is_empty() {
        members.push(("variant", Json::text(variant)));
    }
    Json::object(members)
}

fn number(number: u64) -> Json {
    Json::Number(number.into())
}
