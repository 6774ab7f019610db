//! Volumes.

use std::collections::BTreeMap;

use super::wire::wire;

wire! {
    /// A volume; its members are in the order of the alphabet, as the real daemon sends them.
    pub struct Volume {
        /// When it was made, RFC 3339 to the second.
        pub created_at: String,
        /// The driver's name.
        pub driver: String,
        /// Labels; `null` if there are none.
        pub labels: Option<BTreeMap<String, String>>,
        /// Its place on the host.
        pub mountpoint: String,
        /// Its name.
        pub name: String,
        /// The driver's options; `null` if there are none.
        pub options: Option<BTreeMap<String, String>>,
        /// `local` or `global`.
        pub scope: String,
        /// What the driver has to say.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub status: Option<BTreeMap<String, serde_json::Value>>,
        /// Only from `GET /system/df`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// How much a volume holds and who uses it.
    pub struct VolumeUsage {
        /// Containers that use it; -1 if that is not known.
        pub ref_count: i64,
        /// In bytes; -1 if that is not known.
        pub size: i64,
    }

    /// Answer of `GET /volumes`.
    pub struct VolumeList {
        /// The volumes.
        pub volumes: Option<Vec<Volume>>,
        /// What could not be listed.
        pub warnings: Option<Vec<String>>,
    }

    /// Body of `POST /volumes/create`.
    pub struct VolumeCreateRequest {
        /// Its name; empty lets the daemon choose.
        pub name: String,
        /// The driver's name; empty is `local`.
        pub driver: String,
        /// The driver's options.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// Asks for a cluster volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cluster_volume_spec: Option<serde_json::Value>,
    }
}
