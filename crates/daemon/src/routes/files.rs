//! Files into and out of containers: `cp`, `diff`, `export`.

use bytes::Buf as _;
use engine::{ByteReceiver, PutOptions};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Call, Reply};
use crate::convert::files;
use crate::http::body;
use crate::http::failure::Failure;

const TAR: &str = "application/x-tar";
const STAT: &str = "x-docker-container-path-stat";

pub(super) async fn changes(call: Call) -> Reply {
    let changes = call.app.engine.changes(call.name()).await?;
    body::json(&files::changes(changes))
}

pub(super) async fn export(call: Call) -> Reply {
    let tar = call.app.engine.export(call.name()).await?;
    Ok(body::with(
        StatusCode::OK,
        "application/octet-stream",
        sent(tar),
    ))
}

pub(super) async fn archive_stat(call: Call) -> Reply {
    let stat = call
        .app
        .engine
        .archive_stat(call.name(), path(&call)?)
        .await?;
    let mut answer = body::empty(StatusCode::OK);
    answer
        .headers_mut()
        .insert(STAT, files::stat_header(&stat)?);
    Ok(answer)
}

pub(super) async fn archive_get(call: Call) -> Reply {
    let (stat, tar) = call
        .app
        .engine
        .archive_get(call.name(), path(&call)?)
        .await?;
    let mut answer = body::with(StatusCode::OK, TAR, sent(tar));
    answer
        .headers_mut()
        .insert(STAT, files::stat_header(&stat)?);
    Ok(answer)
}

pub(super) async fn archive_put(call: Call) -> Reply {
    let path = path(&call)?.to_owned();
    let options = PutOptions {
        no_overwrite_dir_non_dir: call.query.on("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.on("copyUIDGID"),
    };
    let name = call.name().to_owned();
    call.app
        .engine
        .archive_put(&name, &path, options, received(call.body))
        .await?;
    Ok(body::empty(StatusCode::OK))
}

fn path(call: &Call) -> Result<&str, Failure> {
    match call.query.text("path") {
        // The missing space is Docker's.
        "" => Err(Failure::bad_request("bad parameter: pathcannot be empty")),
        path => Ok(path),
    }
}

/// A stream of the engine's as a body. An error breaks the connection off, so that no client takes a part for the whole.
pub(super) fn sent(mut bytes: ByteReceiver) -> body::Body {
    let (sender, body) = body::stream();
    tokio::spawn(async move {
        while let Some(piece) = bytes.next().await {
            if let Err(error) = &piece {
                tracing::error!(%error, "a stream ended early");
            }
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    body
}

/// A request's body as a stream of the engine's. What the engine leaves unread is dropped with the connection.
pub(super) fn received(mut body: Incoming) -> ByteReceiver {
    let (sender, receiver) = engine::pipe(8);
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(mut data) => Ok(data.copy_to_bytes(data.remaining())),
                    Err(_trailers) => continue,
                },
                Err(error) => Err(std::io::Error::other(error)),
            };
            let failed = piece.is_err();
            if !sender.send(piece).await || failed {
                return;
            }
        }
    });
    receiver
}

/// The media type of a saved image or an exported container.
pub(super) fn tar(bytes: ByteReceiver) -> body::Answer {
    let mut answer = body::with(StatusCode::OK, TAR, sent(bytes));
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(TAR));
    answer
}
