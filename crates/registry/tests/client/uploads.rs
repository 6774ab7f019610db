use std::sync::{Arc, Mutex};

use oci::Digest;
use registry::client::{Access, InMemory, Kind, Uploaded, Wanted};

use crate::scripted::{Asked, Reply, Scripted};
use crate::{content, opened};

/// A registry with one upload: what it has got, and when it breaks.
#[derive(Clone, Default)]
struct Taking {
    got: Arc<Mutex<Vec<u8>>>,
    /// Take only so much of the first body, and then close the connection.
    first_takes: Arc<Mutex<Option<usize>>>,
}

impl Taking {
    fn answer(&self, asked: &Asked) -> Reply {
        let mut got = self.got.lock().unwrap();
        let session = "/v2/a/b/blobs/uploads/1";
        let here = |reply: Reply, length: usize| {
            reply
                .header("location", format!("{session}?_state=x"))
                .header("range", format!("0-{}", length.saturating_sub(1)))
        };
        match (asked.method.as_str(), asked.path()) {
            ("HEAD", _) => Reply::new(404),
            ("POST", _) => {
                got.clear();
                here(Reply::new(202), 0)
            }
            ("GET", "/v2/") => Reply::new(200),
            ("GET", _) => here(Reply::new(204), got.len()),
            ("DELETE", _) => Reply::new(204),
            (method, _) => {
                if let Some(taken) = self.first_takes.lock().unwrap().take() {
                    got.extend_from_slice(&asked.body[..taken]);
                    return Reply::new(503).cut_after(0);
                }
                got.extend_from_slice(&asked.body);
                match method {
                    "PUT" => Reply::new(201),
                    _ => here(Reply::new(202), got.len()),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let (bytes, descriptor) = content(1000);
    for taken in [None, Some(0), Some(1), Some(500), Some(1000)] {
        let taking = Taking::default();
        *taking.first_takes.lock().unwrap() = taken;
        let script = taking.clone();
        let server = Scripted::new(move |asked| script.answer(asked)).await;
        let source = InMemory {
            descriptor: descriptor.clone(),
            bytes: bytes.clone().into(),
        };
        let repository = opened(&server, Access::PullPush).await;
        let uploaded = repository.upload(&source, &[]).await.unwrap();
        assert_eq!(uploaded, Uploaded::Sent);
        assert!(*taking.got.lock().unwrap() == bytes, "{taken:?}");
        let last = server.asked().pop().unwrap();
        assert_eq!(last.method, "PUT");
        assert!(last.target.contains("_state=x&digest=sha256"));
    }
}

#[tokio::test]
async fn what_is_there_is_not_sent() {
    let (bytes, descriptor) = content(10);
    let server = Scripted::new(|_| Reply::new(200).says_length(10)).await;
    let source = InMemory {
        descriptor,
        bytes: bytes.into(),
    };
    let repository = opened(&server, Access::PullPush).await;
    assert_eq!(
        repository.upload(&source, &[]).await.unwrap(),
        Uploaded::Present
    );
}

#[tokio::test]
async fn what_another_repository_has_is_mounted() {
    let (bytes, descriptor) = content(10);
    let server = Scripted::new(|asked| match asked.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" if asked.target.contains("from=other%2Fone") => Reply::new(201),
        "POST" => Reply::new(202).header("location", "/v2/a/b/blobs/uploads/1"),
        _ => Reply::new(200),
    })
    .await;
    let source = InMemory {
        descriptor,
        bytes: bytes.into(),
    };
    let repository = opened(&server, Access::PullPush).await;
    let from = ["gone/one".to_owned(), "other/one".to_owned()];
    let uploaded = repository.upload(&source, &from).await.unwrap();
    assert_eq!(
        uploaded,
        Uploaded::Mounted {
            from: "other/one".into()
        }
    );
}

#[tokio::test]
async fn an_upload_is_not_sent_to_another_host() {
    let (bytes, descriptor) = content(10);
    let server = Scripted::new(|asked| match asked.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("location", "http://localhost:1/take"),
        _ => Reply::new(200),
    })
    .await;
    let source = InMemory {
        descriptor,
        bytes: bytes.into(),
    };
    let repository = opened(&server, Access::PullPush).await;
    let error = repository.upload(&source, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lied);
}

#[tokio::test]
async fn a_registry_that_stores_something_else_is_told_on() {
    let other = Digest::sha256(b"other").to_string();
    let server =
        Scripted::new(move |_| Reply::new(201).header("docker-content-digest", other.clone()))
            .await;
    let repository = opened(&server, Access::PullPush).await;
    let put = repository
        .put_manifest(Wanted::Tag("x"), oci::media_type::OCI_INDEX, "{}".into())
        .await;
    assert_eq!(put.unwrap_err().kind(), Kind::Lied);
}

/// Who asks to be left alone for a day is not asked again now.
#[tokio::test]
async fn an_upload_waits_as_long_as_the_registry_says() {
    let registry = Taking::default();
    let taking = registry.clone();
    let server = Scripted::new(move |asked| match asked.method.as_str() {
        "PUT" => Reply::new(429).header("retry-after", "86400"),
        _ => taking.answer(asked),
    })
    .await;
    let (bytes, descriptor) = content(100);
    let source = InMemory {
        descriptor,
        bytes: bytes.into(),
    };
    let repository = opened(&server, Access::PullPush).await;
    let error = repository.upload(&source, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    let puts = server.asked().into_iter().filter(|a| a.method == "PUT");
    assert_eq!(puts.count(), 1);
}

/// Content that says what it is once it has been sent.
struct MadeOnTheWay {
    bytes: Vec<u8>,
    made: Mutex<Option<oci::Descriptor>>,
}

impl registry::client::Source for MadeOnTheWay {
    fn open(&self, from: u64) -> registry::client::ByteStream {
        let descriptor = oci::Descriptor::of("application/octet-stream", &self.bytes);
        *self.made.lock().unwrap() = Some(descriptor.clone());
        InMemory {
            descriptor,
            bytes: self.bytes.clone().into(),
        }
        .open(from)
    }

    fn descriptor(&self) -> Option<oci::Descriptor> {
        self.made.lock().unwrap().clone()
    }
}

/// The registry has taken the upload, and its answer gets lost: asked again, it knows of no upload, but has the blob.
#[tokio::test]
async fn an_end_whose_answer_is_lost_is_an_end() {
    let ended = std::sync::atomic::AtomicBool::new(false);
    let server = Scripted::new(move |asked| {
        let here = |reply: Reply| reply.header("location", "/v2/a/b/blobs/uploads/1");
        let was_ended = || ended.load(std::sync::atomic::Ordering::Relaxed);
        match asked.method.as_str() {
            "HEAD" if was_ended() => Reply::new(200).says_length(100),
            "HEAD" => Reply::new(404),
            "POST" | "PATCH" => here(Reply::new(202)),
            "PUT" if was_ended() => Reply::new(404),
            "PUT" => {
                ended.store(true, std::sync::atomic::Ordering::Relaxed);
                Reply::new(503).cut_after(0)
            }
            _ => Reply::new(200),
        }
    })
    .await;
    let (bytes, _) = content(100);
    let source = MadeOnTheWay {
        bytes,
        made: Mutex::default(),
    };
    let repository = opened(&server, Access::PullPush).await;
    let uploaded = repository.upload(&source, &[]).await.unwrap();
    assert_eq!(uploaded, Uploaded::Sent);
}
