//! Mounts, asked for and made.

use std::collections::BTreeMap;

use super::wire::{is_default, wire};

wire! {
    /// One entry of `HostConfig.Mounts`: what `--mount` asks for.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        #[serde(skip_serializing_if = "is_default")]
        pub r#type: String,
        /// Path on the host, volume name or image.
        #[serde(skip_serializing_if = "is_default")]
        pub source: String,
        /// Path in the container.
        #[serde(skip_serializing_if = "is_default")]
        pub target: String,
        /// Whether it cannot be written.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only: bool,
        /// Kept by Docker for macOS.
        #[serde(skip_serializing_if = "is_default")]
        pub consistency: String,
        /// For `bind`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bind_options: Option<BindOptions>,
        /// For `volume`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_options: Option<VolumeOptions>,
        /// For `image`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_options: Option<ImageOptions>,
        /// For `tmpfs`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tmpfs_options: Option<TmpfsOptions>,
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        /// `rprivate`, `private`, `rshared`, `shared`, `rslave` or `slave`.
        #[serde(skip_serializing_if = "is_default")]
        pub propagation: String,
        /// Mount the source alone, not what is mounted below it.
        #[serde(skip_serializing_if = "is_default")]
        pub non_recursive: bool,
        /// Make the source's folder if it is missing.
        #[serde(skip_serializing_if = "is_default")]
        pub create_mountpoint: bool,
        /// Read-only for the top mount only.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_non_recursive: bool,
        /// Fail if what is mounted below cannot be made read-only too.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_force_recursive: bool,
    }

    /// Options of a volume mount.
    pub struct VolumeOptions {
        /// Do not fill a new volume with what the image has at the target.
        #[serde(skip_serializing_if = "is_default")]
        pub no_copy: bool,
        /// Labels for a volume that is made.
        #[serde(skip_serializing_if = "is_default")]
        pub labels: BTreeMap<String, String>,
        /// A path inside the volume.
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
        /// How to make the volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub driver_config: Option<DriverConfig>,
    }

    /// The driver of a volume that is made.
    pub struct DriverConfig {
        /// The driver's name.
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        /// Its options.
        #[serde(skip_serializing_if = "is_default")]
        pub options: BTreeMap<String, String>,
    }

    /// Options of an image mount.
    pub struct ImageOptions {
        /// A path inside the image.
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
    }

    /// Options of a tmpfs mount.
    pub struct TmpfsOptions {
        /// Its limit in bytes; 0 is none.
        #[serde(skip_serializing_if = "is_default")]
        pub size_bytes: i64,
        /// Permissions of its root.
        #[serde(skip_serializing_if = "is_default")]
        pub mode: u32,
        /// Mount options, each one or two words.
        #[serde(skip_serializing_if = "is_default")]
        pub options: Vec<Vec<String>>,
    }

    /// One entry of a container's `Mounts`: what was made.
    pub struct MountPoint {
        /// As in [`Mount`].
        #[serde(skip_serializing_if = "is_default")]
        pub r#type: String,
        /// The volume's name.
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        /// Path on the host.
        pub source: String,
        /// Path in the container.
        pub destination: String,
        /// The volume's driver.
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        /// The options after the last colon of `-v`.
        pub mode: String,
        /// Whether it can be written.
        #[serde(rename = "RW")]
        pub rw: bool,
        /// Propagation of the mount.
        pub propagation: String,
    }
}
