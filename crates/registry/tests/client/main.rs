//! The client against registries that tell the truth, and against registries that lie, break off, or answer nonsense.

mod blobs;
mod certificates;
mod cuts;
mod getting_in;
mod manifests;
mod mirrors;
mod scripted;
mod slow;
mod socks;
mod tls;
mod uploads;

use std::time::Duration;

use oci::{Descriptor, Digest, Reference};
use registry::client::{Access, Client, Credentials, Repository, Settings};

use scripted::Scripted;

/// Settings that do not make a test wait.
fn settings() -> Settings {
    Settings {
        attempts: 4,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(4),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

fn name(server: &Scripted, path: &str) -> Reference {
    Reference::parse(&format!("{}/{path}", server.host())).unwrap()
}

async fn opened(server: &Scripted, access: Access) -> Repository {
    Client::new(settings())
        .repository(&name(server, "a/b"), &Credentials::None, access)
        .await
        .unwrap()
}

async fn pulling(server: &Scripted) -> Repository {
    opened(server, Access::Pull).await
}

fn basic() -> Credentials {
    Credentials::Basic {
        user: "joe".into(),
        password: "secret".into(),
    }
}

/// Bytes that are not all alike, and their descriptor.
fn content(length: usize) -> (Vec<u8>, Descriptor) {
    let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
    let digest = Digest::sha256(&bytes);
    let descriptor = Descriptor::new(oci::media_type::OCI_LAYER_GZIP, digest, length as u64);
    (bytes, descriptor)
}
