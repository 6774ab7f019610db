use registry::client::{Error, Kind};

use crate::scripted::{Asked, Reply, Scripted};
use crate::{content, pulling};

async fn fetched(server: &Scripted, descriptor: &oci::Descriptor) -> Result<Vec<u8>, Error> {
    let mut stream = pulling(server).await.blob(descriptor, 0).await?;
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// The part of `bytes` that a request's range asks for.
fn ranged(asked: &Asked, bytes: &[u8]) -> Reply {
    let Some(from) = asked
        .header("range")
        .strip_prefix("bytes=")
        .and_then(|r| r.strip_suffix('-'))
        .and_then(|n| n.parse::<usize>().ok())
    else {
        return Reply::ok(bytes);
    };
    Reply::new(206)
        .header(
            "content-range",
            format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
        )
        .body(&bytes[from..])
}

fn count(server: &Scripted) -> usize {
    server
        .asked()
        .iter()
        .filter(|asked| asked.target.contains("/blobs/"))
        .count()
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_byte_is_gone_on_with() {
    let (bytes, descriptor) = content(300);
    for cut in 1..=300 {
        let body = bytes.clone();
        let server = Scripted::new(move |asked| {
            let reply = ranged(asked, &body);
            if asked.header("range").is_empty() {
                reply.cut_after(cut)
            } else {
                reply
            }
        })
        .await;
        assert_eq!(fetched(&server, &descriptor).await.unwrap(), bytes, "{cut}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_all_again() {
    let (bytes, descriptor) = content(300);
    let (body, first) = (bytes.clone(), std::sync::atomic::AtomicBool::new(true));
    let server = Scripted::new(move |_| {
        let reply = Reply::ok(body.clone());
        match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => reply.cut_after(200),
            false => reply,
        }
    })
    .await;
    assert_eq!(fetched(&server, &descriptor).await.unwrap(), bytes);
}

#[tokio::test]
async fn one_that_always_breaks_off_is_given_up() {
    let (bytes, descriptor) = content(300);
    let server = Scripted::new(move |asked| ranged(asked, &bytes).cut_after(1)).await;
    let error = fetched(&server, &descriptor).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().starts_with(server.host()), "{error}");
    assert_eq!(count(&server), 4);
}

#[tokio::test]
async fn another_length_than_promised_is_a_lie() {
    let (bytes, descriptor) = content(300);
    for length in [0, 299, 301, 10_000] {
        let mut body = bytes.clone();
        body.resize(length, 0);
        let server = Scripted::new(move |_| Reply::ok(body.clone())).await;
        let error = fetched(&server, &descriptor).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Lied, "{length}: {error}");
    }
}

#[tokio::test]
async fn an_endless_body_ends_where_the_blob_should() {
    let (_, descriptor) = content(100_000);
    let server = Scripted::new(|_| Reply::ok("").endless()).await;
    let error = fetched(&server, &descriptor).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lied, "{error}");
    assert!(error.to_string().contains(descriptor.digest.as_str()));
}

#[tokio::test]
async fn a_wrong_part_is_a_lie() {
    let (bytes, descriptor) = content(300);
    for range in ["bytes 150-299/300", "nonsense", ""] {
        let body = bytes.clone();
        let server = Scripted::new(move |asked| {
            if asked.header("range").is_empty() {
                return Reply::ok(body.clone()).cut_after(100);
            }
            Reply::new(206)
                .header("content-range", range)
                .body(&body[150..])
        })
        .await;
        let error = fetched(&server, &descriptor).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Lied, "{range}: {error}");
    }
}

#[tokio::test]
async fn what_is_compressed_unasked_is_refused() {
    let (bytes, descriptor) = content(10);
    let server =
        Scripted::new(move |_| Reply::ok(bytes.clone()).header("content-encoding", "gzip")).await;
    assert_eq!(
        fetched(&server, &descriptor).await.unwrap_err().kind(),
        Kind::Lied
    );
}

#[tokio::test]
async fn a_small_blob_with_another_digest_is_refused() {
    let (bytes, descriptor) = content(10);
    let mut other = bytes.clone();
    other[3] ^= 1;
    let server = Scripted::new(move |_| Reply::ok(other.clone())).await;
    let fetched = pulling(&server).await.small_blob(&descriptor, 100).await;
    assert_eq!(fetched.unwrap_err().kind(), Kind::Lied);
    let fetched = pulling(&server).await.small_blob(&descriptor, 9).await;
    let error = fetched.unwrap_err();
    assert_eq!(error.kind(), Kind::Lied);
    assert_eq!(error.host(), server.host());
}

#[tokio::test]
async fn redirects_are_followed_without_the_credentials() {
    let (bytes, descriptor) = content(300);
    let expect = bytes.clone();
    let elsewhere = Scripted::new(move |asked| ranged(asked, &bytes)).await;
    let target = format!("http://{}/cdn?signature=x", elsewhere.host());
    let server = Scripted::new(move |asked| match asked.header("authorization") {
        "" => Reply::new(401).header("www-authenticate", "Basic realm=x"),
        _ => Reply::new(307).header("location", target.clone()),
    })
    .await;
    let repository = registry::client::Client::new(crate::settings())
        .repository(
            &crate::name(&server, "a/b"),
            &crate::basic(),
            registry::client::Access::Pull,
        )
        .await
        .unwrap();
    let got = repository.small_blob(&descriptor, 1000).await.unwrap();
    assert_eq!(got, expect);
    let seen = elsewhere.asked();
    assert!(!seen.is_empty());
    assert!(
        seen.iter()
            .all(|asked| asked.header("authorization").is_empty())
    );
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let (_, descriptor) = content(300);
    let server =
        Scripted::new(|asked| Reply::new(302).header("location", asked.target.clone())).await;
    let error = fetched(&server, &descriptor).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lied);
    assert!(error.to_string().contains("redirects more than"), "{error}");
}

#[tokio::test]
async fn redirects_to_strange_places_are_refused() {
    let (_, descriptor) = content(300);
    for target in ["file:///etc/passwd", "http://u:p@127.0.0.1/", "", "http://"] {
        let server = Scripted::new(move |_| Reply::new(302).header("location", target)).await;
        let error = fetched(&server, &descriptor).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Lied, "{target}: {error}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_asked_again() {
    let (bytes, descriptor) = content(300);
    let expect = bytes.clone();
    let left = std::sync::atomic::AtomicU32::new(2);
    let server = Scripted::new(move |_| {
        match left.fetch_update(
            std::sync::atomic::Ordering::Relaxed,
            std::sync::atomic::Ordering::Relaxed,
            |n| n.checked_sub(1),
        ) {
            Ok(_) => Reply::new(429).header("retry-after", "0"),
            Err(_) => Reply::ok(bytes.clone()),
        }
    })
    .await;
    assert_eq!(fetched(&server, &descriptor).await.unwrap(), expect);
}

#[tokio::test]
async fn one_that_asks_for_too_long_a_wait_is_not_waited_for() {
    let (_, descriptor) = content(300);
    let server = Scripted::new(|_| Reply::new(429).header("retry-after", "86400")).await;
    let error = fetched(&server, &descriptor).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(count(&server), 1);
}
