//! Pushing blobs: whole, in chunks, as a stream, mounted; and going on after something broke.

use http::Method;
use oci::Digest;
use registry::server::UploadLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::home::{Home, Reply};
use crate::{noise, push_blob};

async fn begin(home: &Home, name: &str) -> String {
    let reply = home
        .ask(
            Method::POST,
            &format!("/v2/{name}/blobs/uploads/"),
            &[],
            b"",
        )
        .await
        .expect(202);
    assert_eq!(reply.header("range"), "0-0");
    assert!(!reply.header("docker-upload-uuid").is_empty());
    reply.header("location").to_owned()
}

async fn chunk(home: &Home, location: &str, first: usize, bytes: &[u8]) -> Reply {
    let range = format!("{first}-{}", first + bytes.len() - 1);
    home.ask(Method::PATCH, location, &[("content-range", &range)], bytes)
        .await
}

async fn end(home: &Home, location: &str, digest: &Digest, bytes: &[u8]) -> Reply {
    home.ask(
        Method::PUT,
        &format!("{location}?digest={digest}"),
        &[],
        bytes,
    )
    .await
}

#[tokio::test]
async fn post_then_put() {
    let home = Home::open().await;
    let bytes = noise(400_000, 1);
    let digest = Digest::sha256(&bytes);
    let location = begin(&home, "a").await;
    let reply = end(&home, &location, &digest, &bytes).await.expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/blobs/{digest}"));
    assert!(home.get(reply.header("location")).await.expect(200).body == bytes);
    end(&home, &location, &digest, &bytes)
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

/// Somebody has removed the file, or a part of it: a push is to bring it back, not to find it there.
#[tokio::test]
async fn a_blob_whose_file_was_lost_can_be_pushed_again() {
    let home = Home::open().await;
    let bytes = noise(400_000, 1);
    let digest = Digest::sha256(&bytes);
    let path = format!("/v2/a/blobs/{digest}");
    let push = async || {
        let location = begin(&home, "a").await;
        end(&home, &location, &digest, &bytes).await.expect(201);
        assert!(home.get(&path).await.expect(200).body == bytes);
    };
    push().await;
    let folder = home.root().join("blobs/sha256").join(&digest.hex()[..2]);
    let file = folder.join(digest.hex());
    std::fs::remove_file(&file).unwrap();
    home.get(&path).await.refused(404, "BLOB_UNKNOWN");
    let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    home.ask(Method::POST, &mount, &[], b"").await.expect(202);
    push().await;
    std::fs::write(&file, &bytes[..1000]).unwrap();
    home.get(&path).await.refused(404, "BLOB_UNKNOWN");
    push().await;
}

#[tokio::test]
async fn an_empty_blob_and_a_sha512() {
    let home = Home::open().await;
    let digest = push_blob(&home, "a", b"").await;
    assert_eq!(
        home.get(&format!("/v2/a/blobs/{digest}"))
            .await
            .expect(200)
            .body,
        b""
    );
    let mut hasher = oci::Algorithm::Sha512.hasher();
    hasher.update(b"long");
    let digest = hasher.finish();
    let location = begin(&home, "a").await;
    end(&home, &location, &digest, b"long").await.expect(201);
    assert_eq!(
        home.get(&format!("/v2/a/blobs/{digest}"))
            .await
            .expect(200)
            .body,
        b"long"
    );
}

#[tokio::test]
async fn chunks_in_their_order_only() {
    let home = Home::open().await;
    let bytes = noise(30, 1);
    let location = begin(&home, "a").await;
    let reply = chunk(&home, &location, 0, &bytes[..10]).await.expect(202);
    assert_eq!(reply.header("range"), "0-9");
    let status = home.get(&location).await.expect(204);
    assert_eq!(status.header("range"), "0-9");
    let wrong = chunk(&home, &location, 15, &bytes[15..]).await;
    wrong.refused(416, "BLOB_UPLOAD_INVALID");
    assert_eq!(wrong.header("range"), "0-9");
    chunk(&home, &location, 0, &bytes[..10]).await.expect(416);
    home.ask(Method::PATCH, &location, &[("content-range", "x")], b"x")
        .await
        .expect(416);
    chunk(&home, &location, 10, &bytes[10..20])
        .await
        .expect(202);
    let path = format!("{location}?digest={}", Digest::sha256(&bytes));
    home.ask(
        Method::PUT,
        &path,
        &[("content-range", "20-29")],
        &bytes[20..],
    )
    .await
    .expect(201);
}

#[tokio::test]
async fn a_stream_without_ranges() {
    let home = Home::open().await;
    let bytes = noise(900_000, 1);
    let location = begin(&home, "a").await;
    home.ask(Method::PATCH, &location, &[], &bytes[..600_000])
        .await
        .expect(202);
    home.ask(Method::PATCH, &location, &[], &bytes[600_000..])
        .await
        .expect(202);
    end(&home, &location, &Digest::sha256(&bytes), b"")
        .await
        .expect(201);
}

#[tokio::test]
async fn wrong_ends() {
    let home = Home::open().await;
    let location = begin(&home, "a").await;
    home.ask(Method::PUT, &location, &[], b"x")
        .await
        .refused(400, "DIGEST_INVALID");
    home.ask(
        Method::PUT,
        &format!("{location}?digest=sha256:1"),
        &[],
        b"x",
    )
    .await
    .refused(400, "DIGEST_INVALID");
    end(&home, &location, &Digest::sha256(b"y"), b"x")
        .await
        .refused(400, "DIGEST_INVALID");
    // That was its end.
    home.get(&location)
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    let location = begin(&home, "a").await;
    home.delete(&location).await.expect(204);
    home.delete(&location)
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"y"));
    home.ask(Method::POST, &path, &[], b"x")
        .await
        .refused(400, "DIGEST_INVALID");
    assert_eq!(
        std::fs::read_dir(home.root().join("uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let home = Home::open().await;
    let location = begin(&home, "a").await;
    let other = location.replace("/v2/a/", "/v2/b/");
    home.get(&other).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    home.ask(Method::PATCH, &other, &[], b"x")
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn mounts() {
    let home = Home::open().await;
    let digest = push_blob(&home, "a", b"content").await;
    let mount = |to: &str, from: &str| {
        let path = format!("/v2/{to}/blobs/uploads/?mount={digest}{from}");
        let home = &home;
        async move { home.ask(Method::POST, &path, &[], b"").await }
    };
    let reply = mount("b", "&from=a").await.expect(201);
    assert_eq!(reply.header("location"), format!("/v2/b/blobs/{digest}"));
    home.get(&format!("/v2/b/blobs/{digest}")).await.expect(200);
    // Where it cannot be, an upload begins.
    for from in ["", "&from=none", "&from=BAD", "&from=c"] {
        let reply = mount("c", from).await.expect(202);
        assert!(reply.header("location").contains("/v2/c/blobs/uploads/"));
    }
    home.ask(
        Method::POST,
        "/v2/c/blobs/uploads/?mount=x&from=a",
        &[],
        b"",
    )
    .await
    .refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let mut home = Home::open().await;
    let bytes = noise(2_000_000, 7);
    let location = begin(&home, "a").await;
    chunk(&home, &location, 0, &bytes[..1_200_000])
        .await
        .expect(202);
    home.again(|_| {}).await;
    assert_eq!(
        home.get(&location).await.expect(204).header("range"),
        "0-1199999"
    );
    chunk(&home, &location, 1_200_000, &bytes[1_200_000..])
        .await
        .expect(202);
    let digest = Digest::sha256(&bytes);
    end(&home, &location, &digest, b"").await.expect(201);
    assert!(
        home.get(&format!("/v2/a/blobs/{digest}"))
            .await
            .expect(200)
            .body
            == bytes
    );
}

/// What came before a cut stays; the client asks how much that is and goes on, though the old connection still hangs.
#[tokio::test]
async fn an_upload_goes_on_after_a_cut() {
    let home = Home::open().await;
    let bytes = noise(1_000_000, 8);
    let location = begin(&home, "a").await;
    let mut old = TcpStream::connect(home.address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    old.write_all(head.as_bytes()).await.unwrap();
    old.write_all(&bytes[..500_000]).await.unwrap();
    // Whoever asks how far it is takes the upload over, so that is asked once something has come.
    while home
        .get("/metrics")
        .await
        .text()
        .contains("received_bytes_total 0\n")
    {
        tokio::task::yield_now().await;
    }
    let status = home.get(&location).await.expect(204);
    let last: usize = status
        .header("range")
        .strip_prefix("0-")
        .unwrap()
        .parse()
        .unwrap();
    assert!(last > 0);
    let have = last + 1;
    chunk(&home, &location, have, &bytes[have..])
        .await
        .expect(202);
    end(&home, &location, &Digest::sha256(&bytes), b"")
        .await
        .expect(201);
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("another request"), "{answer}");
}

#[tokio::test]
async fn limits() {
    let limits = UploadLimits {
        count: 2,
        bytes: 1_000,
        blob: 600,
    };
    let home = Home::with(|s| s.limits = limits).await;
    let (one, two) = (begin(&home, "a").await, begin(&home, "a").await);
    let third = home
        .ask(Method::POST, "/v2/a/blobs/uploads/", &[], b"")
        .await;
    third.refused(429, "TOOMANYREQUESTS");
    assert!(!third.header("retry-after").is_empty());
    home.ask(Method::PATCH, &one, &[], &noise(601, 1))
        .await
        .refused(413, "SIZE_INVALID");
    home.ask(Method::PATCH, &one, &[], &noise(600, 1))
        .await
        .expect(202);
    home.ask(Method::PATCH, &two, &[], &noise(600, 1))
        .await
        .refused(429, "TOOMANYREQUESTS");
    // What is refused leaves the upload as it was, and what is given up makes room.
    home.ask(Method::PATCH, &two, &[], &noise(400, 1))
        .await
        .expect(202);
    home.delete(&one).await.expect(204);
    home.ask(Method::PATCH, &two, &[], &noise(100, 1))
        .await
        .expect(202);
    begin(&home, "a").await;
}
