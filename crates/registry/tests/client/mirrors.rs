//! Mirrors that fail, lie or answer nonsense: the next one, or the registry itself, is asked in their place.

use oci::{Descriptor, Digest, Manifest, media_type};
use registry::client::{Access, Client, Kind, Repository, Wanted};

use crate::content;
use crate::scripted::{Reply, Scripted};

fn manifest(layer: &[u8]) -> Vec<u8> {
    Manifest::new(
        Descriptor::of(media_type::OCI_CONFIG, b"{}"),
        vec![Descriptor::of(media_type::OCI_LAYER_GZIP, layer)],
    )
    .to_bytes()
}

/// A repository of `origin` whose mirrors are asked first.
async fn mirrored(origin: &Scripted, mirrors: &[&Scripted]) -> Repository {
    let mut settings = crate::settings();
    for mirror in mirrors {
        let text = format!("{}=http://{}", origin.host(), mirror.host());
        settings.mirrors.push(text.parse().unwrap());
    }
    Client::new(settings)
        .repository(&crate::name(origin, "a/b"), &crate::basic(), Access::Pull)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_its_failures_do_not_count() {
    let check = async |reply: Reply, at_origin: usize| {
        let origin = Scripted::new(|_| Reply::ok(manifest(b"layer"))).await;
        let shown = format!("{reply:.60?}");
        let mirror = Scripted::new(move |_| reply.clone()).await;
        let repository = mirrored(&origin, &[&mirror]).await;
        let fetched = repository.manifest(Wanted::Tag("x")).await.unwrap();
        assert_eq!(fetched.bytes, manifest(b"layer"), "{shown}");
        assert_eq!(origin.asked().len(), at_origin, "{shown}");
        let told = |asked: &crate::scripted::Asked| !asked.header("authorization").is_empty();
        assert!(!mirror.asked().iter().any(told));
    };
    check(Reply::ok(manifest(b"layer")), 0).await;
    check(Reply::new(404), 1).await;
    check(Reply::new(500), 1).await;
    check(Reply::ok("").cut_after(0), 1).await;
    check(Reply::ok("<html>no</html>"), 1).await;
    check(Reply::ok(manifest(b"layer")).cut_after(10), 1).await;
    check(Reply::ok("").endless(), 1).await;
    let other = Digest::sha256(b"other").to_string();
    let wrong = Reply::ok(manifest(b"layer")).header("docker-content-digest", other);
    check(wrong, 1).await;
}

#[tokio::test]
async fn a_manifest_with_another_digest_comes_from_elsewhere() {
    let digest = Digest::sha256(&manifest(b"layer"));
    let origin = Scripted::new(|_| Reply::ok(manifest(b"layer"))).await;
    let liar = Scripted::new(|_| Reply::ok(manifest(b"evil"))).await;
    let honest = Scripted::new(|_| Reply::ok(manifest(b"layer"))).await;
    let repository = mirrored(&origin, &[&liar, &honest]).await;
    for _ in 0..3 {
        let fetched = repository.manifest(Wanted::Digest(&digest)).await.unwrap();
        assert_eq!(fetched.descriptor.digest, digest);
    }
    assert_eq!(liar.asked().len(), 1, "it is asked nothing more");
    assert_eq!(honest.asked().len(), 3);
    assert!(origin.asked().is_empty());
}

#[tokio::test]
async fn all_of_them_may_lie_but_not_the_registry() {
    let digest = Digest::sha256(&manifest(b"layer"));
    let origin = Scripted::new(|_| Reply::ok(manifest(b"bad"))).await;
    let liar = Scripted::new(|_| Reply::ok(manifest(b"evil"))).await;
    let repository = mirrored(&origin, &[&liar]).await;
    for _ in 0..2 {
        let error = repository.manifest(Wanted::Digest(&digest)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::Lied);
        assert!(error.to_string().starts_with(origin.host()), "{error}");
    }
    assert_eq!(liar.asked().len(), 1);
}

#[tokio::test]
async fn small_blobs_and_lists_of_tags_too() {
    let (bytes, descriptor) = content(300);
    let sent = bytes.clone();
    let origin = Scripted::new(move |asked| match asked.path().ends_with("/tags/list") {
        true => Reply::ok(r#"{"tags":["a"]}"#),
        false => Reply::ok(sent.clone()),
    })
    .await;
    for reply in [
        Reply::ok(vec![7; 300]),
        Reply::ok(vec![7; 299]),
        Reply::ok(vec![7; 301]),
        Reply::ok(bytes.clone()).cut_after(20),
        Reply::ok("").endless(),
        Reply::ok(bytes.clone()).header("content-encoding", "gzip"),
    ] {
        let shown = format!("{reply:.60?}");
        let mirror = Scripted::new(move |_| reply.clone()).await;
        let repository = mirrored(&origin, &[&mirror]).await;
        let fetched = repository.small_blob(&descriptor, 1000).await;
        assert_eq!(fetched.unwrap(), bytes, "{shown}");
        assert_eq!(repository.tags().await.unwrap(), ["a"], "{shown}");
    }
}

#[tokio::test]
async fn a_blob_that_broke_at_a_mirror_goes_on_at_the_registry() {
    let (bytes, descriptor) = content(300);
    let (first, all) = (bytes.clone(), bytes.clone());
    let mirror = Scripted::new(move |asked| match asked.header("range") {
        "" => Reply::ok(first.clone()).cut_after(100),
        _ => Reply::new(206)
            .header("content-range", "bytes 0-299/300")
            .says_length(300)
            .cut_after(0),
    })
    .await;
    let origin = Scripted::new(move |asked| {
        assert_eq!(asked.header("range"), "bytes=100-");
        Reply::new(206)
            .header("content-range", "bytes 100-299/300")
            .body(&all[100..])
    })
    .await;
    let repository = mirrored(&origin, &[&mirror]).await;
    let mut stream = repository.blob(&descriptor, 0).await.unwrap();
    let mut got = Vec::new();
    while let Some(chunk) = stream.next().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert_eq!(got, bytes);
    // Had the digest been another one, the mirror would be to blame, and then nobody.
    assert!(stream.reject());
    let again = repository.blob(&descriptor, 100).await.unwrap();
    assert!(!again.reject());
}

#[tokio::test]
async fn what_a_tag_stands_for_can_be_asked_of_the_registry_alone() {
    let origin = Scripted::new(|_| Reply::ok(manifest(b"layer"))).await;
    let mirror = Scripted::new(|_| Reply::ok(manifest(b"evil"))).await;
    let repository = mirrored(&origin, &[&mirror]).await;
    assert!(!repository.give_up_mirrors(), "nothing was asked of them");
    let repository = mirrored(&origin, &[&mirror]).await;
    let fetched = repository.manifest(Wanted::Tag("x")).await.unwrap();
    assert_eq!(fetched.bytes, manifest(b"evil"));
    assert!(repository.give_up_mirrors());
    assert!(!repository.give_up_mirrors());
    let fetched = repository.manifest(Wanted::Tag("x")).await.unwrap();
    assert_eq!(fetched.bytes, manifest(b"layer"));
}

#[tokio::test]
async fn when_all_fail_the_mirrors_are_named() {
    let origin = Scripted::new(|_| Reply::new(500)).await;
    let mirror = Scripted::new(|_| Reply::new(404)).await;
    let repository = mirrored(&origin, &[&mirror]).await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    let expect = format!(
        "(mirrors asked before: {}: unexpected status: 404 Not Found)",
        mirror.host()
    );
    assert!(error.to_string().ends_with(&expect), "{error}");
}

#[tokio::test]
async fn a_registry_without_a_search_says_so_in_dockers_words() {
    let origin = Scripted::new(|_| Reply::new(404)).await;
    let query = registry::client::Query {
        domain: origin.host(),
        term: "foo",
        limit: 5,
    };
    let client = Client::new(crate::settings());
    let error = client.search(&query, &crate::basic()).await.unwrap_err();
    assert_eq!(error.to_string(), "Unexpected status code 404");
}
