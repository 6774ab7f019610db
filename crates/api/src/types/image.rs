//! Images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::container::{ContainerConfig, GraphDriver, HealthConfig};
use super::wire::{is_default, wire};
use super::{Set, StrSlice};

/// What containers of an image run by default; its members are in the order of the alphabet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Zero values for clients of API 1.49 and older.
    #[serde(flatten)]
    pub legacy: LegacyImageConfig,
    /// Windows: the command is one escaped string.
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// Arguments, or the command if there is no entrypoint.
    pub cmd: Option<StrSlice>,
    /// The command that always runs.
    pub entrypoint: Option<StrSlice>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Ports the program listens on.
    #[serde(skip_serializing_if = "is_default")]
    pub exposed_ports: Set,
    /// How to find out whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Build triggers.
    pub on_build: Option<Vec<String>>,
    /// The shell for the shell form of a command.
    #[serde(skip_serializing_if = "is_default")]
    pub shell: StrSlice,
    /// The signal that asks it to end.
    #[serde(skip_serializing_if = "is_default")]
    pub stop_signal: String,
    /// `user[:group]`.
    pub user: String,
    /// Anonymous volumes by path.
    pub volumes: Option<Set>,
    /// Where the process starts.
    pub working_dir: String,
}

wire! {
    /// Answer of `GET /images/{name}/json`.
    pub struct ImageInspect {
        /// The image's id, `sha256:` and the digest of its config.
        pub id: String,
        /// Names with tags.
        pub repo_tags: Vec<String>,
        /// Names with digests.
        pub repo_digests: Vec<String>,
        /// The image it was built from on this host; absent since API 1.52 if there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub parent: Option<String>,
        /// The commit's or import's message.
        pub comment: String,
        /// When it was made, RFC 3339; absent if that is not known.
        #[serde(skip_serializing_if = "is_default")]
        pub created: String,
        /// The container it was committed from; up to API 1.44.
        #[serde(skip_serializing_if = "is_default")]
        pub container: String,
        /// That container's config; up to API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_config: Option<Box<ContainerConfig>>,
        /// The engine that made it; absent since API 1.52 if that is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub docker_version: Option<String>,
        /// Who made it.
        pub author: String,
        /// What containers of it run by default.
        pub config: Option<ImageConfig>,
        /// The processor.
        pub architecture: String,
        /// The processor's variant.
        #[serde(skip_serializing_if = "is_default")]
        pub variant: String,
        /// The operating system.
        pub os: String,
        /// The operating system's version.
        #[serde(skip_serializing_if = "is_default")]
        pub os_version: String,
        /// Bytes of its layers.
        pub size: i64,
        /// As `Size`; up to API 1.43.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
        /// Where its filesystem lies.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub graph_driver: Option<GraphDriver>,
        /// Its layers.
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        /// What this engine remembers about it.
        pub metadata: ImageMetadata,
        /// Its manifest's descriptor (API 1.48), from stores that keep manifests.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<serde_json::Value>,
    }

    /// What API 1.50 dropped from an image's config; `None` leaves a member out.
    pub struct LegacyImageConfig {
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub hostname: Option<String>,
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub domainname: Option<String>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdin: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdout: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stderr: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tty: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub open_stdin: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stdin_once: Option<bool>,
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image: Option<String>,
    }

    /// An image's layers.
    pub struct RootFs {
        /// `layers`.
        pub r#type: String,
        /// Diff ids, the lowest first.
        #[serde(skip_serializing_if = "is_default")]
        pub layers: Vec<String>,
    }

    /// What an engine remembers about an image.
    pub struct ImageMetadata {
        /// When it last got a name, RFC 3339; the year 1 if never.
        pub last_tag_time: String,
    }

    /// One entry of `GET /images/json`; its members are in the order of the alphabet.
    pub struct ImageSummary {
        /// Containers that use it; -1 if that was not counted.
        pub containers: i64,
        /// When it was made, in Unix seconds.
        pub created: i64,
        /// Its id.
        pub id: String,
        /// Labels; `null` if there are none.
        pub labels: Option<BTreeMap<String, String>>,
        /// The image it was built from on this host.
        pub parent_id: String,
        /// Its manifests, one for each platform; only where they were asked for (API 1.47).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub manifests: Option<Vec<ManifestSummary>>,
        /// Names with digests.
        pub repo_digests: Option<Vec<String>>,
        /// Names with tags.
        pub repo_tags: Option<Vec<String>>,
        /// Bytes of layers that other images have too; -1 if that was not counted.
        pub shared_size: i64,
        /// Bytes of its layers.
        pub size: i64,
        /// As `Size`; up to API 1.43.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
    }

    /// One manifest of an image that has several.
    pub struct ManifestSummary {
        /// Its digest.
        #[serde(rename = "ID")]
        pub id: String,
        /// Its descriptor in the index.
        pub descriptor: serde_json::Value,
        /// Whether all of it is here.
        pub available: bool,
        /// How large it is.
        pub size: ManifestSize,
        /// `image`, `attestation` or `unknown`.
        pub kind: String,
        /// Only of images.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_data: Option<ManifestImage>,
        /// Only of attestations.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attestation_data: Option<Attestation>,
    }

    /// How large a manifest's image is.
    pub struct ManifestSize {
        /// Bytes of its blobs that are here.
        pub content: i64,
        /// Bytes of these and of what was unpacked from them.
        pub total: i64,
    }

    /// What is known about a manifest's image.
    pub struct ManifestImage {
        /// What it runs on.
        pub platform: Platform,
        /// Ids of containers that use it.
        pub containers: Option<Vec<String>>,
    }

    /// What an attestation is about.
    pub struct Attestation {
        /// The digest of a manifest.
        pub r#for: String,
    }

    /// What an image runs on, in Go's words.
    pub struct Platform {
        /// The processor.
        #[serde(rename = "architecture")]
        pub architecture: String,
        /// The operating system.
        #[serde(rename = "os")]
        pub os: String,
        /// The operating system's version.
        #[serde(rename = "os.version", skip_serializing_if = "is_default")]
        pub os_version: String,
        /// The processor's variant.
        #[serde(rename = "variant", skip_serializing_if = "is_default")]
        pub variant: String,
    }

    /// One entry of `GET /images/{name}/history`, the newest first.
    pub struct HistoryItem {
        /// The step's message.
        pub comment: String,
        /// When it was made, in Unix seconds.
        pub created: i64,
        /// The step.
        pub created_by: String,
        /// The image's id, or `<missing>`.
        pub id: String,
        /// Bytes of its layer.
        pub size: i64,
        /// Names of that image; `null` if there are none.
        pub tags: Option<Vec<String>>,
    }

    /// One entry of the answer of `DELETE /images/{name}`: one of the two.
    pub struct DeleteItem {
        /// A name that is gone.
        #[serde(skip_serializing_if = "is_default")]
        pub untagged: String,
        /// An image or layer that is gone.
        #[serde(skip_serializing_if = "is_default")]
        pub deleted: String,
    }

    /// Answer of `POST /commit`, and `aux` of import and build.
    pub struct ImageIdResponse {
        /// The new image's id.
        #[serde(rename = "Id")]
        pub id: String,
    }
}

impl Platform {
    /// `os/architecture` or `os/architecture/variant`.
    pub fn text(&self) -> String {
        let mut text = format!("{}/{}", self.os, self.architecture);
        if !self.variant.is_empty() {
            text.push('/');
            text.push_str(&self.variant);
        }
        text
    }
}

impl LegacyImageConfig {
    /// All of it, for API 1.49 and older.
    pub fn zero() -> Self {
        Self {
            hostname: Some(String::new()),
            domainname: Some(String::new()),
            attach_stdin: Some(false),
            attach_stdout: Some(false),
            attach_stderr: Some(false),
            tty: Some(false),
            open_stdin: Some(false),
            stdin_once: Some(false),
            image: Some(String::new()),
        }
    }
}
