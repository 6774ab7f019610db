//! The behaviours of distribution-spec 1.1, end point by end point.

use http::Method;
use oci::{Descriptor, Digest, Index, Manifest, media_type};
use serde_json::json;

use crate::home::Home;
use crate::{noise, push_blob, push_image, put_manifest};

#[tokio::test]
async fn end_1_is_it_a_registry() {
    let home = Home::open().await;
    let reply = home.get("/v2/").await.expect(200);
    assert_eq!(
        reply.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    home.get("/v2").await.expect(200);
    home.get("/v1/").await.refused(404, "UNSUPPORTED");
    home.ask(Method::POST, "/v2/", &[], b"")
        .await
        .refused(405, "UNSUPPORTED");
}

#[tokio::test]
async fn end_2_blobs() {
    let home = Home::open().await;
    let bytes = noise(700_000, 1);
    let digest = push_blob(&home, "a/b", &bytes).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let reply = home.get(&path).await.expect(200);
    assert!(reply.body == bytes);
    assert_eq!(reply.header("docker-content-digest"), digest.as_str());
    assert_eq!(reply.header("content-length"), "700000");
    let head = home.head(&path).await.expect(200);
    assert_eq!(head.header("content-length"), "700000");
    assert_eq!(head.header("docker-content-digest"), digest.as_str());
    // Another repository does not have it.
    home.get(&format!("/v2/c/blobs/{digest}"))
        .await
        .refused(404, "BLOB_UNKNOWN");
    home.head(&format!("/v2/c/blobs/{digest}"))
        .await
        .expect(404);
    home.get("/v2/a/b/blobs/sha256:12")
        .await
        .refused(400, "DIGEST_INVALID");
    home.get(&format!("/v2/a/b/blobs/{}", Digest::sha256(b"none")))
        .await
        .refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn end_2_ranges() {
    let home = Home::open().await;
    let bytes = noise(300_000, 2);
    let digest = push_blob(&home, "r", &bytes).await;
    let path = format!("/v2/r/blobs/{digest}");
    let range = async |range: &str| home.ask(Method::GET, &path, &[("range", range)], b"").await;
    let part = range("bytes=100-299999").await.expect(206);
    assert!(part.body == bytes[100..]);
    assert_eq!(part.header("content-range"), "bytes 100-299999/300000");
    assert!(range("bytes=299990-").await.expect(206).body == bytes[299_990..]);
    assert!(range("bytes=-10").await.expect(206).body == bytes[299_990..]);
    assert!(range("bytes=0-1,5-6").await.expect(200).body == bytes);
    let beyond = range("bytes=300000-").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */300000")
    );
    let same = [("if-none-match", &*format!("\"{digest}\""))];
    home.ask(Method::GET, &path, &same, b"").await.expect(304);
}

#[tokio::test]
async fn end_3_manifests() {
    let home = Home::open().await;
    let (manifest, digest) = push_image(&home, "m", "latest", 1).await;
    for reach in ["latest", digest.as_str()] {
        let path = format!("/v2/m/manifests/{reach}");
        let reply = home.get(&path).await.expect(200);
        assert_eq!(reply.body, manifest.to_bytes());
        assert_eq!(reply.header("content-type"), media_type::OCI_MANIFEST);
        assert_eq!(reply.header("docker-content-digest"), digest.as_str());
        let head = home.head(&path).await.expect(200);
        assert_eq!(
            head.header("content-length"),
            manifest.to_bytes().len().to_string()
        );
        assert_eq!(head.header("docker-content-digest"), digest.as_str());
    }
    home.get("/v2/m/manifests/other")
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    home.get("/v2/m/manifests/.INVALID_MANIFEST_NAME")
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    home.head("/v2/none/manifests/latest").await.expect(404);
}

#[tokio::test]
async fn end_7_what_a_manifest_must_be() {
    let home = Home::open().await;
    let (manifest, digest) = push_image(&home, "m", "latest", 1).await;
    let bytes = manifest.to_bytes();
    let put = |reach: &'static str, kind: &'static str, bytes: Vec<u8>| {
        let home = &home;
        async move { put_manifest(home, "m", reach, kind, &bytes).await }
    };
    let reply = put("v2", media_type::OCI_MANIFEST, bytes.clone())
        .await
        .expect(201);
    assert_eq!(
        reply.header("location"),
        format!("/v2/m/manifests/{digest}")
    );
    assert_eq!(reply.header("docker-content-digest"), digest.as_str());
    assert_eq!(reply.header("oci-subject"), "");
    put("x", media_type::OCI_MANIFEST, b"{".to_vec())
        .await
        .refused(400, "MANIFEST_INVALID");
    put("x", media_type::DOCKER_MANIFEST, bytes.clone())
        .await
        .refused(400, "MANIFEST_INVALID");
    put("x", "text/plain", b"{}".to_vec())
        .await
        .refused(400, "MANIFEST_INVALID");
    let one = br#"{"schemaVersion":1,"name":"m","tag":"x"}"#.to_vec();
    put(
        "x",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        one,
    )
    .await
    .refused(400, "MANIFEST_INVALID");
    let other = Digest::sha256(b"other").to_string();
    put_manifest(&home, "m", &other, media_type::OCI_MANIFEST, &bytes)
        .await
        .refused(400, "DIGEST_INVALID");
    put_manifest(&home, "m", "-bad", media_type::OCI_MANIFEST, &bytes)
        .await
        .refused(400, "TAG_INVALID");
    // Parts that are not here, or are of another size.
    let reply = put_manifest(&home, "elsewhere", "x", media_type::OCI_MANIFEST, &bytes).await;
    reply.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 2);
    let mut wrong = manifest.clone();
    wrong.layers[0].size += 1;
    put("x", media_type::OCI_MANIFEST, wrong.to_bytes())
        .await
        .refused(400, "SIZE_INVALID");
    let huge = vec![b' '; 5 << 20];
    put("x", media_type::OCI_MANIFEST, huge)
        .await
        .refused(413, "SIZE_INVALID");
    home.get("/v2/m/manifests/x").await.expect(404);
}

#[tokio::test]
async fn docker_schema_2_and_lists() {
    let home = Home::open().await;
    let layer = noise(100, 3);
    push_blob(&home, "d", b"{}").await;
    push_blob(&home, "d", &layer).await;
    let mut manifest = Manifest::new(
        Descriptor::of(media_type::DOCKER_CONFIG, b"{}"),
        vec![Descriptor::of(media_type::DOCKER_LAYER_GZIP, &layer)],
    );
    manifest.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
    let bytes = manifest.to_bytes();
    let digest = Digest::sha256(&bytes).to_string();
    let mut list = Index::new(vec![Descriptor::of(media_type::DOCKER_MANIFEST, &bytes)]);
    list.media_type = Some(media_type::DOCKER_MANIFEST_LIST.to_owned());
    let list = list.to_bytes();
    put_manifest(&home, "d", "list", media_type::DOCKER_MANIFEST_LIST, &list)
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    put_manifest(&home, "d", &digest, media_type::DOCKER_MANIFEST, &bytes)
        .await
        .expect(201);
    put_manifest(&home, "d", "list", media_type::DOCKER_MANIFEST_LIST, &list)
        .await
        .expect(201);
    let reply = home.get("/v2/d/manifests/list").await.expect(200);
    assert_eq!(
        reply.header("content-type"),
        media_type::DOCKER_MANIFEST_LIST
    );
    assert_eq!(reply.body, list);
}

#[tokio::test]
async fn end_8_tags_and_their_pages() {
    let home = Home::open().await;
    let (manifest, _) = push_image(&home, "t", "b", 1).await;
    for tag in ["a", "c", "B", "1"] {
        put_manifest(
            &home,
            "t",
            tag,
            media_type::OCI_MANIFEST,
            &manifest.to_bytes(),
        )
        .await
        .expect(201);
    }
    let all = home.get("/v2/t/tags/list").await.expect(200);
    assert_eq!(
        all.json(),
        json!({"name": "t", "tags": ["1", "B", "a", "b", "c"]})
    );
    assert_eq!(all.header("link"), "");
    let mut path = "/v2/t/tags/list?n=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = home.get(&path).await.expect(200);
        pages.push(page.json()["tags"].clone());
        let link = page.header("link");
        match link
            .strip_prefix('<')
            .and_then(|l| l.strip_suffix(">; rel=\"next\""))
        {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(json!(pages), json!([["1", "B"], ["a", "b"], ["c"]]));
    assert_eq!(
        home.get("/v2/t/tags/list?last=a").await.json()["tags"],
        json!(["b", "c"])
    );
    assert_eq!(
        home.get("/v2/t/tags/list?n=0").await.json()["tags"],
        json!([])
    );
    home.get("/v2/t/tags/list?n=x")
        .await
        .refused(400, "PAGINATION_NUMBER_INVALID");
    home.get("/v2/none/tags/list")
        .await
        .refused(404, "NAME_UNKNOWN");
    home.get("/v2/NONE/tags/list")
        .await
        .refused(400, "NAME_INVALID");
}

#[tokio::test]
async fn the_catalog_has_pages_too() {
    let home = Home::open().await;
    for name in ["b", "a/x", "c"] {
        push_image(&home, name, "latest", 1).await;
    }
    assert_eq!(
        home.get("/v2/_catalog").await.expect(200).json(),
        json!({"repositories": ["a/x", "b", "c"]})
    );
    let page = home.get("/v2/_catalog?n=1").await.expect(200);
    assert_eq!(
        page.header("link"),
        "</v2/_catalog?n=1&last=a/x>; rel=\"next\""
    );
    let rest = home.get("/v2/_catalog?n=2&last=a/x").await.expect(200);
    assert_eq!(rest.json(), json!({"repositories": ["b", "c"]}));
    assert_eq!(rest.header("link"), "");
}

#[tokio::test]
async fn end_9_deleting() {
    let home = Home::open().await;
    let (manifest, digest) = push_image(&home, "x", "one", 1).await;
    put_manifest(
        &home,
        "x",
        "two",
        media_type::OCI_MANIFEST,
        &manifest.to_bytes(),
    )
    .await
    .expect(201);
    home.delete("/v2/x/manifests/one").await.expect(202);
    home.delete("/v2/x/manifests/one")
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    home.get("/v2/x/manifests/two").await.expect(200);
    let blob = format!("/v2/x/blobs/{}", manifest.layers[0].digest);
    home.delete(&blob).await.refused(405, "DENIED");
    home.delete(&format!("/v2/x/manifests/{digest}"))
        .await
        .expect(202);
    home.get("/v2/x/manifests/two").await.expect(404);
    home.get(&format!("/v2/x/manifests/{digest}"))
        .await
        .expect(404);
    home.delete(&blob).await.expect(202);
    home.delete(&blob).await.refused(404, "BLOB_UNKNOWN");
    home.get(&blob).await.expect(404);
    assert_eq!(
        home.get("/v2/_catalog").await.json(),
        json!({"repositories": []})
    );
}

#[tokio::test]
async fn switches() {
    let mut home = Home::open().await;
    let (manifest, _) = push_image(&home, "x", "one", 1).await;
    home.again(|s| s.writes = registry::server::Writes::Push)
        .await;
    home.delete("/v2/x/manifests/one")
        .await
        .refused(405, "UNSUPPORTED");
    home.again(|s| s.writes = registry::server::Writes::None)
        .await;
    home.get("/v2/x/manifests/one").await.expect(200);
    put_manifest(
        &home,
        "x",
        "two",
        media_type::OCI_MANIFEST,
        &manifest.to_bytes(),
    )
    .await
    .refused(405, "UNSUPPORTED");
    home.ask(Method::POST, "/v2/x/blobs/uploads/", &[], b"")
        .await
        .refused(405, "UNSUPPORTED");
}

#[tokio::test]
async fn end_12_referrers() {
    let home = Home::open().await;
    let (manifest, subject) = push_image(&home, "x", "one", 1).await;
    let path = format!("/v2/x/referrers/{subject}");
    let none = home.get(&path).await.expect(200);
    assert_eq!(none.header("content-type"), media_type::OCI_INDEX);
    assert_eq!(none.json()["manifests"], json!([]));
    push_blob(&home, "x", b"{}").await;
    let mut digests = Vec::new();
    for (kind, text) in [("text/sig", "1"), ("text/sig", "2"), ("text/sbom", "3")] {
        let mut referrer = Manifest::new(Descriptor::of(media_type::OCI_EMPTY, b"{}"), Vec::new());
        referrer.artifact_type = Some(kind.to_owned());
        referrer.annotations.insert("n".to_owned(), text.to_owned());
        referrer.subject = Some(Descriptor::of(
            media_type::OCI_MANIFEST,
            &manifest.to_bytes(),
        ));
        let bytes = referrer.to_bytes();
        let digest = Digest::sha256(&bytes).to_string();
        let reply = put_manifest(&home, "x", &digest, media_type::OCI_MANIFEST, &bytes)
            .await
            .expect(201);
        assert_eq!(reply.header("oci-subject"), subject.as_str());
        digests.push(digest);
    }
    let all = home.get(&path).await.expect(200).json();
    assert_eq!(all["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&all["schemaVersion"], &all["mediaType"]),
        (&json!(2), &json!(media_type::OCI_INDEX))
    );
    let sbom = home
        .get(&format!("{path}?artifactType=text/sbom"))
        .await
        .expect(200);
    assert_eq!(sbom.header("oci-filters-applied"), "artifactType");
    let found = &sbom.json()["manifests"];
    assert_eq!(
        (
            &found[0]["digest"],
            &found[0]["artifactType"],
            &found[0]["annotations"]["n"],
            &found[1]
        ),
        (
            &json!(digests[2]),
            &json!("text/sbom"),
            &json!("3"),
            &json!(null)
        )
    );
    let page = home
        .get(&format!("{path}?artifactType=text/sig&n=1"))
        .await
        .expect(200);
    assert!(
        page.header("link").contains("artifactType=text/sig"),
        "{}",
        page.header("link")
    );
    home.delete(&format!("/v2/x/manifests/{}", digests[2]))
        .await
        .expect(202);
    assert_eq!(
        home.get(&path).await.json()["manifests"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    home.get("/v2/x/referrers/x")
        .await
        .refused(400, "DIGEST_INVALID");
    // A subject need not be here, nor its repository.
    let stranger = Digest::sha256(b"stranger");
    home.get(&format!("/v2/none/referrers/{stranger}"))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_page_shows_all_of_it() {
    let home = Home::open().await;
    let (manifest, digest) = push_image(&home, "team/app", "v1", 1).await;
    let front = home.get("/").await.expect(200);
    assert!(
        front
            .text()
            .contains("<a href=\"/ui/team/app\">team/app</a>")
    );
    assert!(
        front
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let repository = home.get("/ui/team/app").await.expect(200).text();
    assert!(
        repository.contains("/ui/team/app:v1") && repository.contains("5.0 kB"),
        "{repository}"
    );
    let page = home.get("/ui/team/app:v1").await.expect(200).text();
    assert!(
        page.contains(manifest.layers[0].digest.as_str()) && page.contains(digest.as_str()),
        "{page}"
    );
    home.get(&format!("/ui/team/app@{digest}"))
        .await
        .expect(200);
    home.get("/ui/none").await.expect(404);
    let metrics = home.get("/metrics").await.expect(200).text();
    assert!(
        metrics.contains("tare_registry_repositories 1\n"),
        "{metrics}"
    );
}
