//! Images on their way from one engine to another, without a registry between; endpoints that Docker does not have.

use oci::{Descriptor, Digest};

use super::wire::wire;

wire! {
    /// All of an image but its layers: answer of `GET /tare/images/{name}`, and what `POST /tare/images` takes.
    pub struct Parts {
        /// The tag it has, and is to have: `docker.io/library/busybox:latest`.
        pub name: String,
        /// The config's bytes: JSON, so text.
        pub config: String,
        /// The manifest that it came with, if it came with one.
        pub manifest: Option<Document>,
        /// Lowest first.
        pub layers: Vec<Layer>,
    }

    /// A document that is known by its digest.
    pub struct Document {
        /// Media type, digest and size.
        pub descriptor: Option<Descriptor>,
        /// Its bytes: JSON, so text.
        pub text: String,
    }

    /// One layer, as an uncompressed tar.
    pub struct Layer {
        /// Digest of the tar.
        pub diff_id: Option<Digest>,
        /// Bytes of the tar.
        pub size: u64,
    }

    /// How much of a layer is there: answer of `GET /tare/layers/{digest}/status` and of `PUT /tare/layers/{digest}`.
    pub struct LayerStatus {
        /// All of it.
        pub present: bool,
        /// Where it is to be gone on with.
        pub have: u64,
    }

    /// Answer of `POST /tare/images`.
    pub struct Arrived {
        /// The image's id.
        pub id: String,
        /// Whether the name meant something else before.
        pub moved: bool,
    }
}
