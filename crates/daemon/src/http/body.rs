//! Bodies of responses: known at once, or streamed from a task.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

use super::failure::Failure;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

pub(crate) const JSON: &str = "application/json";

/// Chunks that wait for a slow client; behind them the producer waits.
const QUEUE: usize = 16;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A document under 200.
pub(crate) fn json(document: &impl Serialize) -> Result<Answer, Failure> {
    json_with(StatusCode::OK, document)
}

/// A document under `status`, ended by a newline as Go's encoder does.
pub(crate) fn json_with(status: StatusCode, document: &impl Serialize) -> Result<Answer, Failure> {
    let mut bytes = serde_json::to_vec(document)
        .map_err(|e| Failure::internal(format!("encoding the response: {e}")))?;
    bytes.push(b'\n');
    Ok(with(status, JSON, full(bytes)))
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

pub(crate) fn with(status: StatusCode, media_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(media_type),
    );
    answer
}

/// The way to write a streamed body. When the client is gone, sending fails.
pub(crate) type Sender = mpsc::Sender<io::Result<Bytes>>;

/// A body that a task writes; its end is the dropping of the sender, an error breaks the connection off.
pub(crate) fn stream() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (sender, UnsyncBoxBody::new(Streamed(receiver)))
}

struct Streamed(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The error as the client gets it. Clients older than the oldest version we speak read plain text.
pub(crate) fn failure(failure: &Failure) -> Answer {
    if failure.status == StatusCode::NOT_MODIFIED {
        return empty(failure.status);
    }
    let document = serde_json::json!({ "message": failure.message });
    json_with(failure.status, &document).unwrap_or_else(|_| empty(failure.status))
}

/// An answer whose head goes out at once and whose body a task writes. The task ends when the client has gone.
pub(crate) fn produced<F, Fut>(media_type: &'static str, write: F) -> Answer
where
    F: FnOnce(Sender) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (sender, body) = stream();
    let gone = sender.clone();
    let writing = write(sender);
    tokio::spawn(async move {
        tokio::select! {
            () = writing => {}
            () = gone.closed() => {}
        }
    });
    with(StatusCode::OK, media_type, body)
}
