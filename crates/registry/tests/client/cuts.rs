//! Registries that break off, at every byte of their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oci::{Descriptor, Digest, Reference};
use registry::client::{Access, Client, Credentials, Error, Repository, Settings, Wanted};
use tokio::io::AsyncWriteExt as _;

use crate::settings;
use crate::slow::{by_hand, head};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// How an answer says where it ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunks,
    /// It ends when the connection does, so that a cut looks like an end.
    Close,
}

fn answer(framing: Framing) -> String {
    let length = MANIFEST.len();
    let (header, body) = match framing {
        Framing::Length => (format!("content-length: {length}"), MANIFEST.to_owned()),
        Framing::Chunks => {
            let (first, second) = MANIFEST.split_at(20);
            let body = format!(
                "14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
                second.len()
            );
            ("transfer-encoding: chunked".to_owned(), body)
        }
        Framing::Close => ("connection: close".to_owned(), MANIFEST.to_owned()),
    };
    let digest = Digest::sha256(MANIFEST.as_bytes());
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\ndocker-content-digest: {digest}\r\n{header}\r\n\r\n{body}"
    )
}

/// A registry whose first `bad` answers end after `at` bytes.
async fn cutting(framing: Framing, at: usize, bad: usize) -> Repository {
    let left = Arc::new(AtomicUsize::new(bad));
    let host = by_hand(move |mut stream| {
        let left = Arc::clone(&left);
        async move {
            if head(&mut stream).await.is_none() {
                return;
            }
            let whole = answer(framing);
            let spoils = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
            let sent = if spoils { &whole[..at] } else { &whole[..] };
            let _ = stream.write_all(sent.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let settings = Settings {
        attempts: 3,
        first_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
        ..settings()
    };
    let name = Reference::parse(&format!("{host}/a/b")).unwrap();
    Client::new(settings)
        .repository(&name, &Credentials::None, Access::Pull)
        .await
        .unwrap()
}

async fn manifest(repository: &Repository) -> Result<(), Error> {
    let fetched = repository.manifest(Wanted::Tag("x")).await?;
    assert_eq!(fetched.bytes, MANIFEST);
    Ok(())
}

async fn blob(repository: &Repository) -> Result<(), Error> {
    let descriptor = Descriptor::of("application/octet-stream", MANIFEST.as_bytes());
    let bytes = repository.small_blob(&descriptor, 1 << 20).await?;
    assert_eq!(bytes, MANIFEST);
    Ok(())
}

/// A registry that always breaks off at the same place: an error with host and step, and never less than the whole taken for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_is_never_taken_for_the_whole() {
    for framing in [Framing::Length, Framing::Chunks, Framing::Close] {
        let length = answer(framing).len();
        for at in 0..length {
            let repository = cutting(framing, at, usize::MAX).await;
            for got in [manifest(&repository).await, blob(&repository).await] {
                // The end of the last chunk may be missing where all bytes have come: how many there are is known of blobs.
                let Err(error) = got else {
                    assert!(
                        matches!(framing, Framing::Chunks) && at + 7 >= length,
                        "{framing:?} {at}"
                    );
                    continue;
                };
                assert!(
                    !error.host().is_empty() && !error.step().is_empty(),
                    "{error}"
                );
            }
        }
    }
}

/// One that breaks off once has to be asked but once more, once it has answered at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_mended_by_asking_again() {
    for framing in [Framing::Length, Framing::Chunks, Framing::Close] {
        let whole = answer(framing);
        let body = whole.find("\r\n\r\n").unwrap() + 4;
        for at in body..whole.len() {
            let repository = cutting(framing, at, 1).await;
            blob(&repository).await.unwrap();
        }
    }
}
