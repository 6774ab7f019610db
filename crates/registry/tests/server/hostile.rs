//! What a stranger may try.

use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::home::Home;
use crate::push_image;

/// Sends bytes as they are and reads until the end.
async fn raw(home: &Home, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(home.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn paths_that_climb() {
    let home = Home::open().await;
    push_image(&home, "a", "latest", 1).await;
    for path in [
        "/v2/../../etc/passwd",
        "/v2/a/../../../etc/manifests/latest",
        "/v2/a/blobs/../../registry.redb",
        "/v2/a/blobs/sha256:../../../../registry.redb",
        "/v2/%2e%2e/%2e%2e/manifests/latest",
        "/v2/a/blobs/uploads/..%2f..%2fregistry.redb",
        "/v2/a%00b/tags/list",
        "/v2//a/tags/list",
        "/v2/a//tags/list",
        "/ui/../registry.redb",
        "/ui/<script>alert(1)</script>",
        "/control.sock",
        "//",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&home, request.as_bytes()).await;
        let refused = answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400");
        assert!(refused && !answer.contains("<script>"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn garbage_and_smuggling() {
    let home = Home::open().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        &[b'A'; 600_000],
    ] {
        let answer = raw(&home, bytes).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    home.get("/v2/").await.expect(200);
}

#[tokio::test]
async fn who_sends_nothing_is_not_waited_for() {
    let home = Home::with(|s| s.patience = Duration::from_millis(200)).await;
    let reply = home
        .ask(Method::POST, "/v2/a/blobs/uploads/", &[], b"")
        .await
        .expect(202);
    let location = reply.header("location");
    let request = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc");
    let answer = raw(&home, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // What came is kept.
    assert_eq!(home.get(location).await.expect(204).header("range"), "0-2");
    let request = "PUT /v2/a/manifests/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc";
    let answer = raw(&home, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// A byte now and then is never silence, and never an end.
#[tokio::test]
async fn who_drips_is_not_waited_for() {
    let home = Home::with(|s| s.patience = Duration::from_millis(300)).await;
    let reply = home.ask(Method::POST, "/v2/a/blobs/uploads/", &[], b"");
    let upload = reply.await.expect(202).header("location").to_owned();
    for request in [
        format!("PATCH {upload}"),
        "PUT /v2/a/manifests/x".to_owned(),
    ] {
        let stream = TcpStream::connect(home.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n");
        writing.write_all(head.as_bytes()).await.unwrap();
        let dripping = tokio::spawn(async move {
            while writing.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let mut answer = vec![0; 12];
        reading.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 408", "{request}");
        dripping.abort();
    }
}

#[tokio::test]
async fn who_takes_nothing_is_not_waited_for() {
    let home = Home::with(|s| s.patience = Duration::from_millis(200)).await;
    let bytes = crate::noise(30 << 20, 1);
    let digest = crate::push_blob(&home, "a", &bytes).await;
    let mut stream = TcpStream::connect(home.address).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // The connection is gone when metrics count one again, which is the one that asks.
    loop {
        let text = home.get("/metrics").await.expect(200).text();
        if text.contains("\ntare_registry_connections 1\n") {
            break;
        }
    }
    drop(stream);
}

/// Whoever takes a little now and then holds a connection no longer than whoever takes nothing.
#[tokio::test]
async fn who_takes_a_little_is_not_waited_for() {
    let home = Home::with(|s| s.patience = Duration::from_millis(400)).await;
    let bytes = crate::noise(30 << 20, 1);
    let digest = crate::push_blob(&home, "a", &bytes).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(home.address).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut little = [0; 512];
        while matches!(stream.read(&mut little).await, Ok(count) if count > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    // The connection is gone when metrics count one again, which is the one that asks.
    loop {
        let text = home.get("/metrics").await.expect(200).text();
        if text.contains("\ntare_registry_connections 1\n") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    reading.abort();
}

/// A refusal reaches a client that is still sending, however much that is.
#[tokio::test]
async fn a_refusal_is_read_by_who_still_sends() {
    let home = Home::open().await;
    let body = vec![b' '; 20 << 20];
    for path in [
        "/v2/a/manifests/x",
        "/v2/a/blobs/uploads/0123456789abcdef0123456789abcdef?digest=x",
        "/v2/BAD/manifests/x",
    ] {
        for _ in 0..5 {
            let mut stream = TcpStream::connect(home.address).await.unwrap();
            let head = format!(
                "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
    }
}
