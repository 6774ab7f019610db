//! The pull-through cache, with another registry of ours upstream.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use oci::{Digest, media_type};
use registry::client::{Credentials, Settings};
use registry::server::{Auth, Htpasswd, Readers, Upstream};
use tokio::task::JoinSet;

use crate::home::Home;
use crate::{noise, push_blob, push_image, put_manifest};

async fn cache_of(upstream: &Home, fresh: u64, credentials: Credentials) -> Home {
    let registry = upstream.address.to_string();
    Home::with(|s| {
        s.upstreams = vec![Upstream {
            prefix: "up".to_owned(),
            registry,
            credentials,
            fresh: Duration::from_secs(fresh),
        }];
        s.client = Settings {
            attempts: 1,
            first_wait: Duration::from_millis(1),
            ..Settings::default()
        };
    })
    .await
}

#[tokio::test]
async fn what_was_asked_for_once_is_here() {
    let mut upstream = Home::open().await;
    let (manifest, digest) = push_image(&upstream, "team/app", "v1", 1).await;
    let home = cache_of(&upstream, 0, Credentials::None).await;
    let layer = manifest.layers[0].digest.clone();
    // Only what a manifest names is fetched.
    home.get(&format!("/v2/up/team/app/blobs/{layer}"))
        .await
        .refused(404, "BLOB_UNKNOWN");
    let reply = home.get("/v2/up/team/app/manifests/v1").await.expect(200);
    assert_eq!(reply.header("docker-content-digest"), digest.as_str());
    let head = home
        .head(&format!("/v2/up/team/app/blobs/{layer}"))
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), "5000");
    let blob = home
        .get(&format!("/v2/up/team/app/blobs/{layer}"))
        .await
        .expect(200);
    assert!(layer.matches(&blob.body));
    home.get("/v2/up/team/app/manifests/none")
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    // As containerd asks a mirror.
    let ns = format!("/v2/team/app/manifests/v1?ns={}", upstream.address);
    home.get(&ns).await.expect(200);
    home.get("/v2/team/app/manifests/v1?ns=other.example")
        .await
        .refused(404, "NAME_UNKNOWN");
    upstream.stop().await;
    home.get("/v2/up/team/app/manifests/v1").await.expect(200);
    home.get(&format!("/v2/up/team/app/manifests/{digest}"))
        .await
        .expect(200);
    wait_for_blob(&home, &format!("/v2/up/team/app/blobs/{layer}")).await;
    // What we do not have cannot come any more.
    let reply = home.get("/v2/up/team/app/manifests/v2").await.expect(502);
    assert!(
        reply.text().contains(&upstream.address.to_string()),
        "{}",
        reply.text()
    );
}

/// The first answer ends before the blob is placed, by a moment.
async fn wait_for_blob(home: &Home, path: &str) {
    loop {
        if home.get(path).await.status == 200 {
            return;
        }
    }
}

#[tokio::test]
async fn a_tag_that_moved_is_followed_once_it_is_not_fresh() {
    let upstream = Home::open().await;
    let (_, first) = push_image(&upstream, "a", "v", 1).await;
    let (lazy, eager) = (
        cache_of(&upstream, 600, Credentials::None).await,
        cache_of(&upstream, 0, Credentials::None).await,
    );
    let seen = async |home: &Home| {
        let reply = home.get("/v2/up/a/manifests/v").await.expect(200);
        reply.header("docker-content-digest").to_owned()
    };
    assert_eq!(
        (seen(&lazy).await, seen(&eager).await),
        (first.to_string(), first.to_string())
    );
    let (_, second) = push_image(&upstream, "a", "v", 2).await;
    assert_eq!(
        (seen(&lazy).await, seen(&eager).await),
        (first.to_string(), second.to_string())
    );
    upstream.delete("/v2/a/manifests/v").await.expect(202);
    eager.get("/v2/up/a/manifests/v").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_fetched_once_however_many_ask() {
    let upstream = Home::open().await;
    let layer = noise(8 << 20, 5);
    push_blob(&upstream, "a", b"{}").await;
    let digest = push_blob(&upstream, "a", &layer).await;
    let manifest = oci::Manifest::new(
        oci::Descriptor::of(media_type::OCI_CONFIG, b"{}"),
        vec![oci::Descriptor::of(media_type::OCI_LAYER, &layer)],
    );
    put_manifest(
        &upstream,
        "a",
        "v",
        media_type::OCI_MANIFEST,
        &manifest.to_bytes(),
    )
    .await
    .expect(201);
    let home = Arc::new(cache_of(&upstream, 60, Credentials::None).await);
    home.get("/v2/up/a/manifests/v").await.expect(200);
    let mut pulls = JoinSet::new();
    for _ in 0..20 {
        let (home, digest) = (Arc::clone(&home), digest.clone());
        pulls.spawn(async move {
            let reply = home
                .get(&format!("/v2/up/a/blobs/{digest}"))
                .await
                .expect(200);
            assert!(digest.matches(&reply.body));
        });
    }
    while let Some(pull) = pulls.join_next().await {
        pull.unwrap();
    }
    let text = upstream.get("/metrics").await.text();
    let row = "resource=\"blob\",status=\"200\"} 1\n";
    assert!(text.contains(row), "{text}");
}

#[tokio::test]
async fn copies_are_not_pushed_to() {
    let upstream = Home::open().await;
    let home = cache_of(&upstream, 60, Credentials::None).await;
    home.ask(Method::POST, "/v2/up/a/blobs/uploads/", &[], b"")
        .await
        .refused(403, "DENIED");
    put_manifest(&home, "up/a", "x", media_type::OCI_MANIFEST, b"{}")
        .await
        .refused(403, "DENIED");
    push_image(&home, "own/a", "x", 1).await;
}

#[tokio::test]
async fn upstream_is_asked_with_its_own_login() {
    let mut upstream = Home::open().await;
    push_image(&upstream, "a", "v", 1).await;
    let hash = bcrypt::hash("secret", 4).unwrap();
    let users = Arc::new(Htpasswd::parse(&format!("alice:{hash}")).unwrap());
    upstream
        .again(|s| {
            s.auth = Auth::OwnTokens {
                users,
                readers: Readers::Users,
            }
        })
        .await;
    let stranger = cache_of(&upstream, 60, Credentials::None).await;
    stranger
        .get("/v2/up/a/manifests/v")
        .await
        .refused(403, "DENIED");
    let credentials = Credentials::Basic {
        user: "alice".to_owned(),
        password: "secret".to_owned(),
    };
    let home = cache_of(&upstream, 60, credentials).await;
    home.get("/v2/up/a/manifests/v").await.expect(200);
}

/// An upstream whose blob is not what its digest says: nobody gets it whole, and nothing of it stays.
#[tokio::test]
async fn a_lie_of_upstream_goes_no_further() {
    let mut upstream = Home::open().await;
    let (manifest, _) = push_image(&upstream, "a", "v", 1).await;
    let layer: &Digest = &manifest.layers[0].digest;
    let path = upstream
        .root()
        .join("blobs/sha256")
        .join(&layer.hex()[..2])
        .join(layer.hex());
    std::fs::write(path, noise(5_000, 99)).unwrap();
    upstream.again(|_| {}).await;
    let home = cache_of(&upstream, 60, Credentials::None).await;
    home.get("/v2/up/a/manifests/v").await.expect(200);
    let blob = format!("/v2/up/a/blobs/{layer}");
    assert!(home.try_ask(Method::GET, &blob, &[], b"").await.is_err());
    loop {
        // The flight ends a moment after its readers are told.
        if std::fs::read_dir(home.root().join("uploads"))
            .unwrap()
            .count()
            == 0
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(!home.root().join("blobs/sha256").exists());
}

/// A list through the cache leaves nothing out: upstream's tags, page by page, with those that are here.
#[tokio::test]
async fn tags_are_upstreams_and_those_that_are_here() {
    let mut upstream = Home::open().await;
    for tag in ["v1", "v2", "v3"] {
        push_image(&upstream, "a", tag, 1).await;
    }
    let home = cache_of(&upstream, 0, Credentials::None).await;
    let tags = async |query: &str| {
        let reply = home.get(&format!("/v2/up/a/tags/list{query}")).await;
        reply.expect(200).json()["tags"].clone()
    };
    assert_eq!(tags("").await, serde_json::json!(["v1", "v2", "v3"]));
    let page = home.get("/v2/up/a/tags/list?n=2").await.expect(200);
    assert_eq!(
        page.header("link"),
        "</v2/up/a/tags/list?n=2&last=v2>; rel=\"next\""
    );
    assert_eq!(tags("?n=2&last=v2").await, serde_json::json!(["v3"]));
    home.get("/v2/up/none/tags/list")
        .await
        .refused(404, "NAME_UNKNOWN");
    home.get("/v2/up/a/manifests/v2").await.expect(200);
    upstream.delete("/v2/a/manifests/v2").await.expect(202);
    assert_eq!(tags("").await, serde_json::json!(["v1", "v2", "v3"]));
    upstream.stop().await;
    assert_eq!(tags("").await, serde_json::json!(["v2"]));
    // Of what is not here nothing can be said; the reason is told once, and that it does not help to ask at once.
    let reply = home.get("/v2/up/b/tags/list").await.expect(502);
    let expect = format!(
        "Get \\\"http://{0}/v2/\\\": dial tcp {0}: connect: connection refused",
        upstream.address
    );
    assert!(reply.text().contains(&expect), "{}", reply.text());
    assert!(!reply.text().contains("os error"), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "120");
}
