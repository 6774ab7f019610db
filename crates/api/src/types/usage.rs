//! `GET /system/df`.

use super::container::ContainerSummary;
use super::image::ImageSummary;
use super::volume::Volume;
use super::wire::{is_default, wire};

wire! {
    /// What takes room, up to API 1.51. A list is `null` if its kind was not asked for.
    pub struct DiskUsage {
        /// Bytes of all layers, each counted once.
        pub layers_size: i64,
        /// Images.
        pub images: Option<Vec<ImageSummary>>,
        /// Containers, with their sizes.
        pub containers: Option<Vec<ContainerSummary>>,
        /// Volumes, with their usage.
        pub volumes: Option<Vec<Volume>>,
        /// Records of the build cache.
        pub build_cache: Option<Vec<BuildCache>>,
    }

    /// What takes room, from API 1.52 on. A kind is absent if it was not asked for.
    pub struct DiskUsageByKind {
        /// Images.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_usage: Option<Usage<ImageSummary>>,
        /// Containers.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_usage: Option<Usage<ContainerSummary>>,
        /// Volumes.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_usage: Option<Usage<Volume>>,
        /// Records of the build cache.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub build_cache_usage: Option<Usage<BuildCache>>,
    }

    /// A record of the build cache.
    pub struct BuildCache {
        /// Its id.
        #[serde(rename = "ID")]
        pub id: String,
        /// The records it stands on.
        #[serde(skip_serializing_if = "is_default")]
        pub parents: Vec<String>,
        /// `regular`, `internal`, `frontend`, `source.local`, ...
        pub r#type: String,
        /// What made it.
        pub description: String,
        /// Whether a build uses it now.
        pub in_use: bool,
        /// Whether an image shares it.
        pub shared: bool,
        /// In bytes.
        pub size: i64,
        /// RFC 3339.
        pub created_at: String,
        /// RFC 3339; `null` if never.
        pub last_used_at: Option<String>,
        /// How often.
        pub usage_count: i64,
    }
}

/// One kind of thing that takes room, as API 1.52 tells it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Usage<T> {
    /// How many are in use.
    pub active_count: i64,
    /// The things themselves; only with `verbose=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<T>>,
    /// Bytes that a prune would free.
    pub reclaimable: i64,
    /// How many there are.
    pub total_count: i64,
    /// In bytes.
    pub total_size: i64,
}
