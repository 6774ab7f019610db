//! Against a server of a few lines on a socket of its own.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;

/// Reads one request's head, and its body, which the head gives a length or which comes in chunks.
async fn read_request(stream: &mut UnixStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).ok()?;
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap_or(0))];
    stream.read_exact(&mut body).await.ok()?;
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        while !body.ends_with(b"\r\n0\r\n\r\n") {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
    }
    Some(head + &String::from_utf8_lossy(&body))
}

fn answer(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Serves one connection with `answers` in turn; returns the requests.
async fn serve(path: &Path, answers: Vec<String>) -> tokio::task::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).expect("bind");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut requests = Vec::new();
        for answer in answers {
            match read_request(&mut stream).await {
                Some(request) => requests.push(request),
                None => break,
            }
            stream.write_all(answer.as_bytes()).await.expect("write");
        }
        requests
    })
}

fn socket() -> (tempfile::TempDir, std::path::PathBuf, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let host = format!("unix://{}", path.display());
    (folder, path, host)
}

#[tokio::test]
async fn one_connection_serves_requests_in_turn_without_a_ping() {
    let (_folder, path, host) = socket();
    let server = serve(
        &path,
        vec![answer("200 OK", "[1]"), answer("204 No Content", "")],
    )
    .await;
    let client = Client::new(&host).expect("a client");
    let list: Vec<i32> = client
        .json(Request::get("/images/json").query("a", "b c&"))
        .await
        .expect("a list");
    assert_eq!(list, [1]);
    client
        .call(Request::post("/containers/x/start"))
        .await
        .expect("started");
    let requests = server.await.expect("served");
    assert!(
        requests[0].starts_with("GET /v1.51/images/json?a=b%20c%26 HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(
        requests[1].to_lowercase().contains("content-length: 0"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn an_older_daemon_costs_one_more_request() {
    let (_folder, path, host) = socket();
    let refusal = answer(
        "400 Bad Request\r\nApi-Version: 1.41",
        r#"{"message":"client version 1.51 is too new. Maximum supported API version is 1.41"}"#,
    );
    let server = serve(&path, vec![refusal, answer("200 OK", "{}")]).await;
    let client = Client::new(&host).expect("a client");
    let _: serde_json::Value = client
        .json(Request::post("/x").body(&[1]))
        .await
        .expect("an answer");
    assert_eq!(client.api_version(), "1.41");
    let requests = server.await.expect("served");
    assert!(
        requests[1].starts_with("POST /v1.41/x") && requests[1].ends_with("[1]"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn errors_have_dockers_words() {
    let (_folder, path, host) = socket();
    let client = Client::new(&host).expect("a client");
    let error = client
        .call(Request::get("/x"))
        .await
        .expect_err("nobody there");
    assert!(error.is_nobody_there());
    assert_eq!(
        error.to_string(),
        format!("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")
    );
    let _server = serve(
        &path,
        vec![answer(
            "404 Not Found",
            r#"{"message":"No such container: x"}"#,
        )],
    )
    .await;
    let error = client
        .call(Request::get("/x"))
        .await
        .expect_err("not found");
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        "Error response from daemon: No such container: x"
    );
    assert_eq!(
        Client::new("npipe://x").expect_err("no pipes").to_string(),
        "not built yet: npipe:// addresses; unix://, tcp:// and ssh:// work"
    );
    assert!(Client::new("nonsense").is_err());
}

#[tokio::test]
async fn a_connection_is_taken_over_with_what_came_early() {
    let (_folder, path, host) = socket();
    let listener = UnixListener::bind(&path).expect("bind");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let request = read_request(&mut stream).await.expect("a request");
        assert!(request.to_lowercase().contains("upgrade: tcp"), "{request}");
        let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly";
        stream.write_all(head.as_bytes()).await.expect("write");
        let mut sent = String::new();
        stream
            .read_to_string(&mut sent)
            .await
            .expect("read until the half close");
        stream
            .write_all(b" late")
            .await
            .expect("write after the half close");
        sent
    });
    let client = Client::new(&host).expect("a client");
    let mut hijacked = client
        .hijack(Request::post("/containers/x/attach"))
        .await
        .expect("taken over");
    assert_eq!(hijacked.multiplexed, Some(true));
    hijacked.writer.write_all(b"input").await.expect("write");
    hijacked.writer.close().await.expect("half close");
    let mut got = String::new();
    hijacked
        .reader
        .read_to_string(&mut got)
        .await
        .expect("read");
    assert_eq!(got, "early late");
    assert_eq!(server.await.expect("served"), "input");
}

#[test]
fn versions_compare_by_number() {
    assert!(is_older("1.9", "1.24"));
    assert!(!is_older("1.51", "1.51"));
    assert!(is_older("1.51", "2.0"));
}

#[tokio::test]
async fn an_answer_that_is_still_open_does_not_hold_up_the_next_request() {
    let (_folder, path, host) = socket();
    let listener = UnixListener::bind(&path).expect("bind");
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("accept");
        read_request(&mut first).await.expect("a request");
        first
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .expect("write");
        let (mut second, _) = listener.accept().await.expect("accept");
        read_request(&mut second).await.expect("a request");
        second
            .write_all(answer("204 No Content", "").as_bytes())
            .await
            .expect("write");
        first
            .write_all(b"4\r\n{}\n\n\r\n0\r\n\r\n")
            .await
            .expect("write");
    });
    let client = Client::new(&host).expect("a client");
    let mut wait = client
        .messages::<serde_json::Value>(Request::post("/containers/x/wait"))
        .await
        .expect("head");
    client
        .call(Request::post("/containers/x/start"))
        .await
        .expect("started");
    assert_eq!(
        wait.next().await.expect("a document"),
        Some(serde_json::json!({}))
    );
    server.await.expect("served");
}

#[tokio::test]
async fn a_reader_is_sent_whole_after_the_version_is_settled() {
    let (_folder, path, host) = socket();
    let server = serve(
        &path,
        vec![
            answer("200 OK\r\nApi-Version: 1.44", "OK"),
            answer("200 OK", "{}"),
        ],
    )
    .await;
    let client = Client::new(&host).expect("a client");
    let upload = UploadBody::from_reader(std::io::Cursor::new(vec![b'x'; 300_000]));
    let request = Request::post("/images/load").upload(upload);
    client.call(request).await.expect("loaded");
    let requests = server.await.expect("served");
    assert!(requests[0].starts_with("GET /_ping"), "{}", requests[0]);
    assert!(
        requests[1].starts_with("POST /v1.44/images/load"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_lost_connection_has_one_text_wherever_it_is_cut() {
    let cuts = [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ];
    for cut in cuts {
        let (_folder, path, host) = socket();
        let server = serve(&path, vec![cut.to_owned()]).await;
        let client = Client::new(&host).expect("a client");
        let error = client.bytes(Request::get("/x")).await.expect_err(cut);
        assert!(error.is_lost(), "{cut:?}: {error:?}");
        assert_eq!(error.to_string(), LOST);
        server.await.expect("serve");
    }
    let (_folder, path, host) = socket();
    let server = serve(&path, vec!["SSH-2.0-OpenSSH\r\n\r\n".to_owned()]).await;
    let client = Client::new(&host).expect("a client");
    let error = client.bytes(Request::get("/x")).await.expect_err("no HTTP");
    assert!(!error.is_lost(), "{error:?}");
    server.await.expect("serve");
}
