use oci::{Descriptor, Digest, Manifest, media_type};
use registry::client::{Kind, Wanted};

use crate::pulling;
use crate::scripted::{Reply, Scripted};

fn manifest() -> Vec<u8> {
    Manifest::new(
        Descriptor::of(media_type::OCI_CONFIG, b"{}"),
        vec![Descriptor::of(media_type::OCI_LAYER_GZIP, b"layer")],
    )
    .to_bytes()
}

#[tokio::test]
async fn a_manifest_comes_as_it_is() {
    let bytes = manifest();
    let sent = bytes.clone();
    let server = Scripted::new(move |asked| {
        assert!(asked.header("accept").contains(media_type::DOCKER_MANIFEST));
        Reply::ok(sent.clone()).header("content-type", media_type::OCI_MANIFEST)
    })
    .await;
    let repository = pulling(&server).await;
    let fetched = repository.manifest(Wanted::Tag("x")).await.unwrap();
    assert_eq!(fetched.bytes, bytes);
    assert_eq!(fetched.descriptor.digest, Digest::sha256(&bytes));
    let by_digest = Wanted::Digest(&fetched.descriptor.digest);
    assert_eq!(repository.manifest(by_digest).await.unwrap().bytes, bytes);
}

#[tokio::test]
async fn one_that_has_another_digest_is_refused() {
    let server = Scripted::new(|_| Reply::ok(manifest())).await;
    let other = Digest::sha256(b"other");
    let error = pulling(&server)
        .await
        .manifest(Wanted::Digest(&other))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Lied);
    assert!(error.to_string().contains("manifest verification failed"));
    assert!(error.to_string().starts_with(server.host()));
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let check = async |reply: Reply, expect: Kind| {
        let shown = format!("{reply:.60?}");
        let server = Scripted::new(move |_| reply.clone()).await;
        let error = pulling(&server)
            .await
            .manifest(Wanted::Tag("x"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expect, "{shown}: {error}");
        assert!(error.to_string().starts_with(server.host()), "{error}");
    };
    check(Reply::ok(vec![b' '; 5 << 20]), Kind::Lied).await;
    check(Reply::ok("").endless(), Kind::Lied).await;
    check(Reply::ok("").says_length(1 << 40).cut_after(0), Kind::Lied).await;
    check(Reply::ok("<html>hello</html>"), Kind::Lied).await;
    check(Reply::ok("[]"), Kind::Lied).await;
    check(
        Reply::ok("{}").header("docker-content-digest", "x"),
        Kind::Lied,
    )
    .await;
    check(Reply::ok(r#"{"schemaVersion":1}"#), Kind::Unsupported).await;
    check(
        Reply::ok(r#"{"schemaVersion":2,"mediaType":"text/plain"}"#),
        Kind::Unsupported,
    )
    .await;
    check(
        Reply::ok(manifest()).header("content-type", media_type::OCI_INDEX),
        Kind::Lied,
    )
    .await;
    check(Reply::new(404), Kind::NotFound).await;
    check(Reply::new(500), Kind::Registry).await;
    check(Reply::new(403), Kind::Denied).await;
    check(Reply::new(204), Kind::Lied).await;
}

#[tokio::test]
async fn schema_1_is_refused_by_name() {
    let server = Scripted::new(|_| {
        Reply::ok("{}").header(
            "content-type",
            "application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8",
        )
    })
    .await;
    let error = pulling(&server)
        .await
        .manifest(Wanted::Tag("x"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("schema 1"), "{error}");
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let server = Scripted::new(|asked| {
        if asked.target.contains("last=b") {
            return Reply::ok(r#"{"name":"a/b","tags":["c"]}"#);
        }
        Reply::ok(r#"{"name":"a/b","tags":["a","b"]}"#)
            .header("link", r#"</v2/a/b/tags/list?last=b&n=2>; rel="next""#)
    })
    .await;
    assert_eq!(
        pulling(&server).await.tags().await.unwrap(),
        ["a", "b", "c"]
    );
}

#[tokio::test]
async fn pages_without_an_end_end() {
    let server = Scripted::new(|_| {
        Reply::ok(r#"{"tags":["a"]}"#).header("link", r#"<?last=a>; rel="next""#)
    })
    .await;
    assert_eq!(pulling(&server).await.tags().await.unwrap(), ["a", "a"]);
    let number = std::sync::atomic::AtomicU32::new(0);
    let server = Scripted::new(move |_| {
        let next = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let tags = vec!["t"; 20_000];
        Reply::ok(serde_json::to_vec(&serde_json::json!({ "tags": tags })).unwrap())
            .header("link", format!("<?last={next}>; rel=next"))
    })
    .await;
    let error = pulling(&server).await.tags().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lied);
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let server = Scripted::new(|_| Reply::new(200)).await;
    let host = server.host().to_owned();
    let repository = pulling(&server).await;
    drop(server);
    tokio::task::yield_now().await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(error.to_string().contains(&host), "{error}");
}

/// Some registries have words of their own for where the next page is.
#[tokio::test]
async fn a_link_to_the_next_page_is_followed_as_it_is() {
    let server = Scripted::new(|asked| match asked.target.split_once('?') {
        Some((_, "next_page=gAAA%3D&n=1")) => Reply::ok(r#"{"tags":["b"]}"#),
        _ => Reply::ok(r#"{"tags":["a"]}"#).header(
            "link",
            r#"</v2/a/b/tags/list?next_page=gAAA%3D&n=1>; rel="next""#,
        ),
    })
    .await;
    assert_eq!(pulling(&server).await.tags().await.unwrap(), ["a", "b"]);
}

/// What is pushed first is no matter: nobody is there, and that is said once and without trying again.
#[tokio::test]
async fn a_push_to_nobody_fails_where_docker_does() {
    let server = Scripted::new(|_| Reply::new(200)).await;
    let host = server.host().to_owned();
    let mut settings = crate::settings();
    // A second try would outlast the test.
    settings.first_wait = std::time::Duration::from_secs(3600);
    settings.longest_wait = settings.first_wait;
    let client = registry::client::Client::new(settings);
    let name = crate::name(&server, "a/b");
    let none = registry::client::Credentials::None;
    let access = registry::client::Access::PullPush;
    let repository = client.repository(&name, &none, access).await.unwrap();
    drop(server);
    tokio::task::yield_now().await;
    let (_, blob) = crate::content(10);
    let error = repository.has_blob(&blob).await.unwrap_err();
    let expect = format!("Get \"http://{host}/v2/\": dial tcp {host}: connect: connection refused");
    assert_eq!(error.to_string(), expect);
    assert!(error.is_never_reached());
}
