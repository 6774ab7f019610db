use std::future::pending;

use shim::log::{Config, Driver, Writer};
use shim::time as log_time;

use super::*;

fn at(second: i64) -> log_time::Timestamp {
    log_time::Timestamp::from_nanos(1_700_000_000_000_000_000 + second * 1_000_000_000)
}

fn writer(folder: &Path) -> (Writer, PathBuf) {
    let path = folder.join("c-json.log");
    let attrs = [("tag".to_owned(), "x y".to_owned())].into();
    let config = Config {
        path: path.clone(),
        attrs,
        max_size: Some(400),
        max_file: 3,
        ..Config::default()
    };
    (Writer::open(&config).unwrap(), path)
}

fn open(
    path: &Path,
    query: LogQuery,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> LogStream {
    let source = LogSource {
        driver: Driver::JsonFile,
        path: path.to_owned(),
        tty: false,
        stopped: Box::pin(stopped),
    };
    LogStream::open(source, query).unwrap()
}

fn both() -> LogQuery {
    LogQuery {
        stdout: true,
        stderr: true,
        ..LogQuery::default()
    }
}

async fn all(stream: &mut LogStream) -> Vec<(Stream, String)> {
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next().await {
        let (stream, text) = piece.unwrap();
        pieces.push((stream, String::from_utf8(text.to_vec()).unwrap()));
    }
    pieces
}

#[tokio::test]
async fn lines_are_dressed_and_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, path) = writer(folder.path());
    writer
        .write(log::Stream::Stdout, b"one\ntwo\n", at(0))
        .unwrap();
    writer
        .write(log::Stream::Stderr, b"three\n", at(1))
        .unwrap();
    let pieces = all(&mut open(&path, both(), pending())).await;
    assert_eq!(
        pieces,
        [
            (Stream::Stdout, "one\ntwo\n".to_owned()),
            (Stream::Stderr, "three\n".to_owned())
        ]
    );
    let query = LogQuery {
        stderr: true,
        timestamps: true,
        details: true,
        ..LogQuery::default()
    };
    let pieces = all(&mut open(&path, query, pending())).await;
    assert_eq!(
        pieces,
        [(
            Stream::Stderr,
            "2023-11-14T22:13:21.000000000Z tag=x+y three\n".to_owned()
        )]
    );
    let pieces = all(&mut open(
        &path,
        LogQuery {
            tail: Some(2),
            ..both()
        },
        pending(),
    ))
    .await;
    assert_eq!(
        pieces.iter().map(|piece| &*piece.1).collect::<String>(),
        "two\nthree\n"
    );
}

#[tokio::test]
async fn a_follower_ends_when_the_container_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, path) = writer(folder.path());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let mut stream = open(
        &path,
        LogQuery {
            follow: true,
            ..both()
        },
        stopped,
    );
    let mut seen = String::new();
    for number in 0..50 {
        let line = format!("line {number}\n");
        writer
            .write(log::Stream::Stdout, line.as_bytes(), at(number))
            .unwrap();
        while !seen.ends_with(&line) {
            let (_, text) = stream.next().await.unwrap().unwrap();
            seen.push_str(std::str::from_utf8(&text).unwrap());
        }
    }
    writer
        .write(log::Stream::Stdout, b"last\n", at(60))
        .unwrap();
    drop(stop);
    assert_eq!(
        all(&mut stream).await,
        [(Stream::Stdout, "last\n".to_owned())]
    );
    let expect: String = (0..50).map(|number| format!("line {number}\n")).collect();
    assert_eq!(seen, expect);
}

#[tokio::test]
async fn a_follower_ends_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, path) = writer(folder.path());
    writer.write(log::Stream::Stdout, b"one\n", at(0)).unwrap();
    let until = Timestamp::now() + std::time::Duration::from_millis(20);
    let query = LogQuery {
        follow: true,
        until: Some(until),
        ..both()
    };
    assert_eq!(all(&mut open(&path, query, pending())).await.len(), 1);
}
