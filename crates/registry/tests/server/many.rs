//! Many at once.

use std::sync::Arc;

use http::Method;
use oci::Digest;
use tokio::task::JoinSet;

use crate::home::Home;
use crate::{noise, push_blob, push_image};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pulls_at_once() {
    let home = Arc::new(Home::open().await);
    let (manifest, digest) = push_image(&home, "small", "latest", 1).await;
    let mut pulls = JoinSet::new();
    for _ in 0..1_000 {
        let (home, manifest, digest) = (Arc::clone(&home), manifest.clone(), digest.clone());
        pulls.spawn(async move {
            let got = home.get("/v2/small/manifests/latest").await.expect(200);
            assert!(digest.matches(&got.body));
            let layer = &manifest.layers[0].digest;
            let got = home
                .get(&format!("/v2/small/blobs/{layer}"))
                .await
                .expect(200);
            assert!(layer.matches(&got.body));
        });
    }
    while let Some(pull) = pulls.join_next().await {
        pull.unwrap();
    }
}

/// The same blob, pushed by many at the same time to several repositories, is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_blob_of_many_pushes() {
    let home = Arc::new(Home::open().await);
    let bytes = noise(200_000, 4);
    let mut pushes = JoinSet::new();
    for index in 0..60 {
        let (home, bytes) = (Arc::clone(&home), bytes.clone());
        pushes.spawn(async move { push_blob(&home, &format!("r{}", index % 5), &bytes).await });
    }
    while let Some(push) = pushes.join_next().await {
        push.unwrap();
    }
    let text = home.get("/metrics").await.text();
    assert!(
        text.contains("\ntare_registry_blobs 1\n") && text.contains("\ntare_registry_uploads 0\n"),
        "{text}"
    );
    assert_eq!(
        std::fs::read_dir(home.root().join("uploads"))
            .unwrap()
            .count(),
        0
    );
    let path = format!("/v2/r3/blobs/{}", Digest::sha256(&bytes));
    assert!(
        home.ask(Method::GET, &path, &[], b"")
            .await
            .expect(200)
            .body
            == bytes
    );
}
