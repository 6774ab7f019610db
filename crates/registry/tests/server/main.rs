//! The registry over HTTP, as clients see it: the behaviours that distribution-spec 1.1 lists, and what a stranger may
//! try.
#![forbid(unsafe_code)]

mod auth;
mod cache;
mod collecting;
mod damage;
mod home;
mod hostile;
mod many;
mod renewal;
mod spec;
mod uploads;

use home::{Home, Reply};
use http::Method;
use oci::{Descriptor, Digest, Manifest, media_type};

/// Bytes that look like nothing, always the same.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Pushes a blob in one request.
async fn push_blob(home: &Home, name: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
    home.ask(Method::POST, &path, &[], bytes).await.expect(201);
    digest
}

/// A manifest of a config and a layer that have been pushed.
async fn push_image(home: &Home, name: &str, tag: &str, seed: u64) -> (Manifest, Digest) {
    let config = format!("{{\"seed\":{seed}}}").into_bytes();
    let layer = noise(5_000, seed);
    push_blob(home, name, &config).await;
    push_blob(home, name, &layer).await;
    let manifest = Manifest::new(
        Descriptor::of(media_type::OCI_CONFIG, &config),
        vec![Descriptor::of(media_type::OCI_LAYER_GZIP, &layer)],
    );
    let bytes = manifest.to_bytes();
    put_manifest(home, name, tag, media_type::OCI_MANIFEST, &bytes)
        .await
        .expect(201);
    (manifest, Digest::sha256(&bytes))
}

async fn put_manifest(home: &Home, name: &str, reach: &str, kind: &str, bytes: &[u8]) -> Reply {
    let path = format!("/v2/{name}/manifests/{reach}");
    home.ask(Method::PUT, &path, &[("content-type", kind)], bytes)
        .await
}
