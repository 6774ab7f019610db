//! Servers that are never done: they answer a byte at a time, take nothing, or say nothing.

use std::time::Duration;

use bytes::Bytes;
use oci::Reference;
use registry::client::{
    Access, Client, Credentials, InMemory, Kind, Repository, Settings, Uploaded, Wanted,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::scripted::{Reply, Scripted};
use crate::{content, settings};

const DRIP: Duration = Duration::from_millis(5);

/// Whoever brings less than a KiB in a fifth of a second is too slow.
fn impatient() -> Settings {
    Settings {
        attempts: 3,
        idle_timeout: Duration::from_millis(200),
        least_progress: 1024,
        ..settings()
    }
}

async fn at(host: &str, access: Access) -> Repository {
    let name = Reference::parse(&format!("{host}/a/b")).unwrap();
    Client::new(impatient())
        .repository(&name, &Credentials::None, access)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_blob_that_drips_is_asked_for_again_from_where_it_was_and_then_given_up() {
    let (bytes, descriptor) = content(100_000);
    let server = Scripted::new(move |_| Reply::ok(bytes.clone()).dripping(DRIP)).await;
    let mut stream = at(server.host(), Access::Pull)
        .await
        .blob(&descriptor, 0)
        .await
        .unwrap();
    let error = loop {
        match stream.next().await {
            Ok(chunk) => assert!(chunk.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("too slow"), "{error}");
    assert_eq!(error.host(), server.host());
    let asked = server.asked();
    let ranges = asked
        .iter()
        .filter(|asked| !asked.header("range").is_empty());
    assert_eq!(ranges.count(), 2, "{asked:?}");
}

#[tokio::test]
async fn documents_and_tokens_that_drip_are_given_up() {
    let server = Scripted::new(|_| Reply::ok(vec![b' '; 100_000]).dripping(DRIP)).await;
    let repository = at(server.host(), Access::Pull).await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert!(error.to_string().contains("too slow"), "{error}");

    let realm = format!("http://{}/token", server.host());
    let guarded = Scripted::new(move |_| {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
        Reply::new(401).header("www-authenticate", challenge)
    })
    .await;
    let repository = at(guarded.host(), Access::Pull).await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert!(error.to_string().contains("too slow"), "{error}");
    assert_eq!((error.host(), error.step()), (server.host(), "token"));
}

#[tokio::test]
async fn a_complaint_that_drips_is_its_status() {
    let server = Scripted::new(|_| Reply::new(404).body(vec![b' '; 60_000]).dripping(DRIP)).await;
    let repository = at(server.host(), Access::Pull).await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

/// Answers by hand, over one connection after the other.
pub(crate) async fn by_hand<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    host
}

/// Reads a request's head; its first line. None for TLS, which loopback registries are asked with first.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head[0] == 0x16 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&head).lines().next()?.to_owned())
}

#[tokio::test]
async fn a_head_that_drips_is_given_up() {
    let host = by_hand(async |mut stream| {
        if head(&mut stream).await.is_none() {
            return;
        }
        let line = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(5_000));
        for byte in line.as_bytes() {
            tokio::time::sleep(DRIP).await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let settings = Settings {
        connect_timeout: Duration::from_millis(500),
        ..impatient()
    };
    let name = Reference::parse(&format!("{host}/a/b")).unwrap();
    let repository = Client::new(settings)
        .repository(&name, &Credentials::None, Access::Pull)
        .await
        .unwrap();
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert!(
        error.to_string().contains("nothing came for too long"),
        "{error}"
    );
}

#[tokio::test]
async fn an_upload_that_nobody_reads_is_given_up() {
    let host = by_hand(async |mut stream| {
        while let Some(line) = head(&mut stream).await {
            let answer = match line.split(' ').next() {
                Some("POST") => "202 Accepted\r\nlocation: /v2/a/b/blobs/uploads/1",
                Some("PUT" | "PATCH") => return std::future::pending().await,
                Some("GET") if line.contains("/uploads/") => {
                    "204 No Content\r\nrange: 0-0\r\nlocation: /v2/a/b/blobs/uploads/1"
                }
                Some("GET") => "200 OK",
                _ => "404 Not Found",
            };
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let settings = Settings {
        connect_timeout: Duration::from_millis(500),
        ..impatient()
    };
    let name = Reference::parse(&format!("{host}/a/b")).unwrap();
    let repository = Client::new(settings)
        .repository(&name, &Credentials::None, Access::PullPush)
        .await
        .unwrap();
    let (bytes, descriptor) = content(64 << 20);
    let source = InMemory {
        descriptor,
        bytes: Bytes::from(bytes),
    };
    let error = repository.upload(&source, &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("takes nothing any more"),
        "{error}"
    );
}

/// What nothing but the whole's duration could be held against: it goes on, so it may last.
#[tokio::test]
async fn an_upload_may_take_longer_than_a_silence() {
    let server = Scripted::new(|asked| match asked.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/a/b/blobs/uploads/1"),
        "PUT" => Reply::new(201),
        "HEAD" => Reply::new(404),
        _ => Reply::new(200),
    })
    .await;
    let (bytes, descriptor) = content(40);
    let slow = Slow { bytes, descriptor };
    let repository = at(server.host(), Access::PullPush).await;
    let uploaded = repository.upload(&slow, &[]).await.unwrap();
    assert_eq!(uploaded, Uploaded::Sent);
    let puts = server
        .asked()
        .into_iter()
        .filter(|asked| asked.method == "PUT");
    assert_eq!(puts.count(), 1);
}

/// Content that takes us a while to make.
struct Slow {
    bytes: Vec<u8>,
    descriptor: oci::Descriptor,
}

impl registry::client::Source for Slow {
    fn open(&self, from: u64) -> registry::client::ByteStream {
        let rest = self.bytes[usize::try_from(from).unwrap()..].to_vec();
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for byte in rest {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if sender.send(Ok(Bytes::from(vec![byte]))).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(Received(receiver))
    }

    fn descriptor(&self) -> Option<oci::Descriptor> {
        Some(self.descriptor.clone())
    }
}

struct Received(tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>);

impl futures_util::Stream for Received {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
