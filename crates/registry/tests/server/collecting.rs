//! Garbage collection while the registry is served, and when it is not.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use oci::media_type;
use registry::server::{Gc, GcError, Grace, collect_garbage};

use crate::home::Home;
use crate::{noise, push_blob, push_image, put_manifest};

const NONE: Grace = Grace {
    blobs: Duration::ZERO,
    uploads: Duration::ZERO,
};

/// What a served registry says it collected.
async fn collect(home: &Home) -> String {
    let root = home.root().to_owned();
    let asked = tokio::task::spawn_blocking(move || collect_garbage(&root, None))
        .await
        .unwrap();
    match asked.unwrap() {
        Gc::ByServer(text) => text,
        Gc::Here(_) => panic!("the registry was not asked"),
    }
}

#[tokio::test]
async fn what_nothing_names_goes_and_the_rest_stays() {
    let home = Home::with(|s| s.grace = NONE).await;
    let (kept, _) = push_image(&home, "a", "latest", 1).await;
    let (gone, digest) = push_image(&home, "a", "old", 2).await;
    let lost = push_blob(&home, "a", &noise(100, 9)).await;
    home.delete(&format!("/v2/a/manifests/{digest}"))
        .await
        .expect(202);
    assert!(
        collect(&home).await.contains(" 3 blobs "),
        "a config, a layer, a blob"
    );
    home.get(&format!("/v2/a/blobs/{lost}")).await.expect(404);
    home.get(&format!("/v2/a/blobs/{}", gone.layers[0].digest))
        .await
        .expect(404);
    home.get(&format!("/v2/a/blobs/{}", kept.layers[0].digest))
        .await
        .expect(200);
    assert!(collect(&home).await.contains(" 0 blobs "));
}

#[tokio::test]
async fn a_push_in_flight_is_left_alone() {
    let home = Home::open().await;
    let blob = push_blob(&home, "a", b"not named yet").await;
    let upload = home
        .ask(Method::POST, "/v2/a/blobs/uploads/", &[], b"")
        .await
        .expect(202);
    assert!(collect(&home).await.contains(" 0 blobs "));
    home.get(&format!("/v2/a/blobs/{blob}")).await.expect(200);
    home.get(upload.header("location")).await.expect(204);
}

#[tokio::test]
async fn a_blob_that_two_repositories_have_goes_with_the_last() {
    let home = Home::with(|s| s.grace = NONE).await;
    let (manifest, digest) = push_image(&home, "a", "latest", 1).await;
    push_image(&home, "b", "latest", 1).await;
    home.delete(&format!("/v2/a/manifests/{digest}"))
        .await
        .expect(202);
    assert!(collect(&home).await.contains(" 0 blobs "));
    let layer = &manifest.layers[0].digest;
    home.get(&format!("/v2/b/blobs/{layer}")).await.expect(200);
    home.get(&format!("/v2/a/blobs/{layer}")).await.expect(404);
    home.delete(&format!("/v2/b/manifests/{digest}"))
        .await
        .expect(202);
    assert!(collect(&home).await.contains(" 2 blobs "));
}

#[tokio::test]
async fn tags_go_by_rule_and_their_content_after_them() {
    let rules = vec!["a:last=0,tags=pr-*,untagged=0s".parse().unwrap()];
    let home = Home::with(|s| (s.grace, s.rules) = (NONE, rules)).await;
    push_image(&home, "a", "latest", 1).await;
    push_image(&home, "a", "pr-1", 2).await;
    push_image(&home, "b", "pr-1", 3).await;
    let said = collect(&home).await;
    assert!(said.contains("1 tags, 1 manifests, 2 blobs"), "{said}");
    home.get("/v2/a/manifests/latest").await.expect(200);
    home.get("/v2/a/manifests/pr-1").await.expect(404);
    home.get("/v2/b/manifests/pr-1").await.expect(200);
}

#[tokio::test]
async fn what_an_index_or_a_subject_leads_to_stays_untagged() {
    let rules = vec!["*:untagged=0s".parse().unwrap()];
    let home = Home::with(|s| (s.grace, s.rules) = (NONE, rules)).await;
    let (child, digest) = push_image(&home, "a", "child", 1).await;
    let bytes = child.to_bytes();
    let child_descriptor = oci::Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    let index = oci::Index::new(vec![child_descriptor.clone()]).to_bytes();
    put_manifest(&home, "a", "index", media_type::OCI_INDEX, &index)
        .await
        .expect(201);
    let mut signature = child.clone();
    signature.subject = Some(child_descriptor);
    let signature = signature.to_bytes();
    let signed = oci::Digest::sha256(&signature);
    put_manifest(
        &home,
        "a",
        signed.as_str(),
        media_type::OCI_MANIFEST,
        &signature,
    )
    .await
    .expect(201);
    home.delete("/v2/a/manifests/child").await.expect(202);
    collect(&home).await;
    home.get(&format!("/v2/a/manifests/{digest}"))
        .await
        .expect(200);
    home.get(&format!("/v2/a/manifests/{signed}"))
        .await
        .expect(200);
    home.delete("/v2/a/manifests/index").await.expect(202);
    collect(&home).await;
    home.get(&format!("/v2/a/manifests/{digest}"))
        .await
        .expect(404);
    home.get(&format!("/v2/a/manifests/{signed}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn leftovers_of_a_kill_go() {
    let mut home = Home::open().await;
    let kept = push_blob(&home, "a", b"kept").await;
    home.stop().await;
    let orphan = oci::Digest::sha256(b"orphan");
    let folder = home.root().join("blobs/sha256").join(&orphan.hex()[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(orphan.hex()), b"orphan").unwrap();
    let root = home.root().to_owned();
    let here = tokio::task::spawn_blocking(move || collect_garbage(&root, None))
        .await
        .unwrap();
    assert!(
        matches!(here, Ok(Gc::Here(c)) if c.blobs == 1 && c.bytes == 6),
        "{here:?}"
    );
    home.again(|_| {}).await;
    home.get(&format!("/v2/a/blobs/{kept}")).await.expect(200);
    assert!(!folder.join(orphan.hex()).exists());
}

#[tokio::test]
async fn rules_are_the_servers_while_it_serves() {
    let home = Home::open().await;
    let refused = collect_garbage(home.root(), Some((&[], Grace::default())));
    assert!(matches!(refused, Err(GcError::OwnRules)), "{refused:?}");
    let nowhere = collect_garbage(std::path::Path::new("/no/such/root"), None);
    assert!(
        matches!(nowhere, Err(GcError::NoRegistry(_))),
        "{nowhere:?}"
    );
}

/// Without any grace a push may be told to begin again, but whatever it made visible is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collecting_during_pushes_never_leaves_a_manifest_without_its_parts() {
    let home = Arc::new(
        Home::with(|s| {
            s.grace = Grace {
                blobs: Duration::ZERO,
                ..Grace::default()
            }
        })
        .await,
    );
    let pushing = Arc::clone(&home);
    let pushes = tokio::spawn(async move {
        for seed in 0..60 {
            let layer = noise(2_000, seed);
            push_blob(&pushing, "a", b"{}").await;
            push_blob(&pushing, "a", &layer).await;
            let manifest = oci::Manifest::new(
                oci::Descriptor::of(media_type::OCI_CONFIG, b"{}"),
                vec![oci::Descriptor::of(media_type::OCI_LAYER, &layer)],
            );
            let tag = format!("t{seed}");
            let reply = put_manifest(
                &pushing,
                "a",
                &tag,
                media_type::OCI_MANIFEST,
                &manifest.to_bytes(),
            )
            .await;
            assert!([201, 400].contains(&reply.status), "{}", reply.text());
            if seed % 3 == 0 && reply.status == 201 {
                pushing
                    .delete(&format!(
                        "/v2/a/manifests/{}",
                        oci::Digest::sha256(&manifest.to_bytes())
                    ))
                    .await
                    .expect(202);
            }
        }
    });
    while !pushes.is_finished() {
        collect(&home).await;
    }
    pushes.await.unwrap();
    collect(&home).await;
    let tags = home.get("/v2/a/tags/list").await.json();
    for tag in tags["tags"].as_array().into_iter().flatten() {
        let bytes = home
            .get(&format!("/v2/a/manifests/{}", tag.as_str().unwrap()))
            .await
            .expect(200)
            .body;
        let manifest = oci::Manifest::parse(&bytes).unwrap();
        for part in manifest.layers.iter().chain([&manifest.config]) {
            let got = home
                .get(&format!("/v2/a/blobs/{}", part.digest))
                .await
                .expect(200);
            assert!(part.digest.matches(&got.body));
        }
    }
}

#[tokio::test]
async fn what_has_lost_its_tag_is_told_of() {
    let home = Home::with(|s| s.grace = NONE).await;
    push_image(&home, "a", "v", 1).await;
    assert!(!collect(&home).await.contains("without a tag"));
    home.delete("/v2/a/manifests/v").await.expect(202);
    let text = collect(&home).await;
    assert!(
        text.contains("\n1 manifests without a tag keep their blobs"),
        "{text}"
    );
}
