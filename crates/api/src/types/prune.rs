//! Answers of the prune endpoints.

use super::image::DeleteItem;
use super::wire::wire;

wire! {
    /// `POST /containers/prune`.
    pub struct ContainersPruned {
        /// Ids; `null` if there were none.
        pub containers_deleted: Option<Vec<String>>,
        /// In bytes.
        pub space_reclaimed: u64,
    }

    /// `POST /images/prune`.
    pub struct ImagesPruned {
        /// As `DELETE /images/{name}`; `null` if there were none.
        pub images_deleted: Option<Vec<DeleteItem>>,
        /// In bytes.
        pub space_reclaimed: u64,
    }

    /// `POST /volumes/prune`.
    pub struct VolumesPruned {
        /// Names.
        pub volumes_deleted: Option<Vec<String>>,
        /// In bytes.
        pub space_reclaimed: u64,
    }

    /// `POST /networks/prune`.
    pub struct NetworksPruned {
        /// Names.
        pub networks_deleted: Option<Vec<String>>,
    }

    /// `POST /build/prune`.
    pub struct BuildCachePruned {
        /// Ids.
        pub caches_deleted: Option<Vec<String>>,
        /// In bytes.
        pub space_reclaimed: u64,
    }
}
