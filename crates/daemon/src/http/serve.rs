//! One connection: hyper for requests, and the way out of it for those that take the connection over.
//!
//! `attach` and `exec start` turn the connection into a raw stream, with `Upgrade: tcp` (101) or without it (200).
//! Both leave hyper in the same way: the handler answers with a [`Hijack`], the connection is taken apart before
//! hyper has written anything, and the head of the response is ours.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::sync::{oneshot, watch};

use super::body::Answer;
use super::lenient::Lenient;

/// How long a connection whose answer is out waits for its client to close. A client that reads its answer at all
/// does so within a round trip.
const LINGER_TIME: Duration = Duration::from_secs(5);
/// What such a client may still send: far beyond any socket's buffers, far below an upload that nobody wants.
const LINGER_BYTES: u64 = 256 << 20;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection that is no longer HTTP.
pub(crate) struct RawStream {
    /// What the client sent behind its request already; comes before what `reader` gives.
    pub(crate) early: Bytes,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Done when the client has gone altogether. The end of `reader` does not say that: a client may have sent all it
    /// had to send and still listen.
    pub(crate) hung_up: Pending<()>,
}

/// A response that takes the connection over.
pub(crate) struct Hijack {
    pub(crate) upgrade: Upgrade,
    pub(crate) media_type: &'static str,
    pub(crate) headers: HeaderMap,
    /// The head is padded to so many bytes; the connection sets it for clients that need it.
    pub(crate) head_size: usize,
    /// What happens on the raw connection; when it is done, the connection is closed.
    pub(crate) run: Box<dyn FnOnce(RawStream) -> Pending<()> + Send>,
}

/// How the client asked for the raw connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// `Upgrade: tcp`: answered with 101.
    Tcp,
    /// Nothing: answered with 200, and raw bytes follow.
    Bare,
}

/// What a request comes to.
pub(crate) enum Outcome {
    Answer(Answer),
    Hijack(Hijack),
}

/// A connection that can be torn into its two directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {
    fn halves(self) -> (Reader, Writer);
}

impl Duplex for tokio::net::UnixStream {
    fn halves(self) -> (Reader, Writer) {
        let (reader, writer) = self.into_split();
        (Box::new(reader), Box::new(writer))
    }
}

impl Duplex for tokio::net::TcpStream {
    fn halves(self) -> (Reader, Writer) {
        let (reader, writer) = self.into_split();
        (Box::new(reader), Box::new(writer))
    }
}

/// Answers requests; one for the whole daemon.
pub(crate) type Handler = Arc<dyn Fn(Request<Incoming>) -> Pending<Outcome> + Send + Sync>;
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The place where a handler leaves its hijack for the connection's driver.
type Slot = Arc<Mutex<Option<oneshot::Sender<Hijack>>>>;

/// What hyper sees of us.
struct Door {
    handler: Handler,
    slot: Slot,
}

impl Service<Request<Incoming>> for Door {
    type Response = Answer;
    type Error = io::Error;
    type Future = Pending<io::Result<Answer>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let head_size = head_size(request.headers());
        let (slot, outcome) = (Arc::clone(&self.slot), (self.handler)(request));
        Box::pin(async move {
            match outcome.await {
                Outcome::Answer(answer) => Ok(answer),
                Outcome::Hijack(hijack) => {
                    leave(
                        &slot,
                        Hijack {
                            head_size,
                            ..hijack
                        },
                    );
                    // The driver drops this future together with hyper's side of the connection.
                    std::future::pending().await
                }
            }
        })
    }
}

/// Serves one connection until it is closed, taken over, or idle while `closing` turns true.
pub(crate) async fn connection<S: Duplex>(
    stream: S,
    closing: watch::Receiver<bool>,
    handler: Handler,
) {
    let (sender, hijacked) = oneshot::channel();
    let slot: Slot = Arc::new(Mutex::new(Some(sender)));
    let mut http = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Lenient::new(stream)), Door { handler, slot });
    let hijack = drive(&mut http, hijacked, closing.clone()).await;
    let parts = http.into_parts();
    let (stream, early) = parts.io.into_inner().into_parts(parts.read_buf);
    match hijack {
        Some(hijack) => take_over(stream, early, hijack).await,
        None => linger(stream, closing).await,
    }
}

/// Closes a connection so that the client gets the answer it has not read yet. A refusal may be out before the request's
/// body is in; closing then would meet the client's next write with EPIPE, and that, not our words, is what it
/// would report. So only our direction is closed, and what still comes is thrown away until the client, having
/// read, closes its own. Bounded, for clients that never do; and a daemon that ends does not wait for them.
async fn linger<S: Duplex>(mut stream: S, mut closing: watch::Receiver<bool>) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let (mut rest, mut nowhere) = (stream.take(LINGER_BYTES), tokio::io::sink());
    let drained = tokio::time::timeout(LINGER_TIME, tokio::io::copy(&mut rest, &mut nowhere));
    tokio::select! {
        _ = drained => {}
        _ = closing.wait_for(|now| *now) => {}
    }
}

fn leave(slot: &Slot, hijack: Hijack) {
    let sender = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(sender) = sender {
        // The driver listens for as long as this runs.
        drop(sender.send(hijack));
    }
}

/// Runs hyper until the connection ends (`None`) or a handler takes it over.
async fn drive<S: Duplex>(
    http: &mut http1::Connection<TokioIo<Lenient<S>>, Door>,
    hijacked: oneshot::Receiver<Hijack>,
    mut closing: watch::Receiver<bool>,
) -> Option<Hijack> {
    let mut hijacked = pin!(hijacked);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            hijack = &mut hijacked => return hijack.ok(),
            ended = std::future::poll_fn(|cx| http.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                }
                return None;
            }
            _ = closing.wait_for(|now| *now), if !told => {
                told = true;
                Pin::new(&mut *http).graceful_shutdown();
            }
        }
    }
}

/// Writes the head and hands the raw connection over.
async fn take_over<S: Duplex>(mut stream: S, early: Bytes, hijack: Hijack) {
    let head = head(&hijack);
    if let Err(error) = stream.write_all(head.as_bytes()).await {
        tracing::debug!(%error, "client left before its stream began");
        return;
    }
    let hung_up = Box::pin(hung_up(stream.as_fd().try_clone_to_owned()));
    let (reader, writer) = stream.halves();
    (hijack.run)(RawStream {
        early,
        reader,
        writer,
        hung_up,
    })
    .await;
}

/// Waits for EPOLLHUP, which epoll reports whatever it was asked for: asked for urgent data, which never comes on
/// these sockets, it reports nothing else.
async fn hung_up(connection: io::Result<OwnedFd>) {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that could swap their descriptor; OwnedFd cannot"
    )]
    let watched = connection.and_then(|fd| AsyncFd::with_interest(fd, Interest::PRIORITY));
    if let Ok(watched) = watched {
        while let Ok(mut guard) = watched.ready(Interest::PRIORITY).await {
            if guard.ready().is_read_closed() {
                return;
            }
            guard.clear_ready();
        }
    }
    // Out of descriptors: then the next write tells.
    std::future::pending::<()>().await;
}

/// The head of a response without a length: everything after it belongs to the stream.
fn head(hijack: &Hijack) -> String {
    let mut head = match hijack.upgrade {
        Upgrade::Tcp => format!(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: {}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
            hijack.media_type
        ),
        Upgrade::Bare => format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n", hijack.media_type),
    };
    for (name, value) in &hijack.headers {
        head.push_str(&format!(
            "{name}: {}\r\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    // Name, colon, space and two line ends besides the padding itself.
    const FRAME: usize = "X-Padding: \r\n\r\n".len();
    if let Some(padding) = hijack.head_size.checked_sub(head.len() + FRAME) {
        head.push_str(&format!("X-Padding: {}\r\n", "-".repeat(padding)));
    }
    head.push_str("\r\n");
    head
}

/// docker-py reads the head through a buffer of 8 KiB and the stream past it: what its last read of the head brings
/// along is lost. A head that fills the buffer to the byte leaves room for nothing else. (Docker is only saved by its
/// processes taking longer to start than docker-py takes to read.)
fn head_size(headers: &HeaderMap) -> usize {
    const BUFFER: usize = 8192;
    let agent = headers.get(hyper::header::USER_AGENT);
    match agent {
        Some(agent) if agent.as_bytes().starts_with(b"docker-sdk-python/") => BUFFER,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body;
    use tokio::net::UnixStream;

    fn echo(upgrade: Upgrade) -> Outcome {
        Outcome::Hijack(Hijack {
            upgrade,
            media_type: "application/vnd.docker.raw-stream",
            headers: HeaderMap::new(),
            head_size: 0,
            run: Box::new(|mut raw| {
                Box::pin(async move {
                    let mut all = raw.early.to_vec();
                    raw.reader.read_to_end(&mut all).await.unwrap();
                    raw.writer.write_all(&all).await.unwrap();
                })
            }),
        })
    }

    async fn exchange(request: &str, upgrade: Upgrade) -> String {
        let (mut client, server) = UnixStream::pair().unwrap();
        let (_open, closing) = watch::channel(false);
        let serving = tokio::spawn(connection(
            server,
            closing,
            Arc::new(move |_| Box::pin(async move { echo(upgrade) })),
        ));
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        serving.await.unwrap();
        all
    }

    #[tokio::test]
    async fn upgraded_streams_keep_what_came_early_and_the_half_close() {
        let request = "POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nearly bytes";
        let all = exchange(request, Upgrade::Tcp).await;
        assert!(
            all.starts_with(
                "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
            ),
            "{all}"
        );
        assert!(all.ends_with("\r\n\r\nearly bytes"), "{all}");
    }

    #[tokio::test]
    async fn the_head_fills_the_buffer_of_docker_py() {
        let request = "POST /x HTTP/1.1\r\nHost: d\r\nUser-Agent: docker-sdk-python/7.1.0\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nx";
        let all = exchange(request, Upgrade::Tcp).await;
        assert!(all[..8192].ends_with("-\r\n\r\n"), "{all}");
        assert_eq!(&all[8192..], "x");
    }

    #[tokio::test]
    async fn a_half_close_is_no_hang_up() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let mut gone = Box::pin(hung_up(server.as_fd().try_clone_to_owned()));
        client.shutdown().await.unwrap();
        let mut byte = [0];
        let (mut reader, _writer) = server.halves();
        assert_eq!(reader.read(&mut byte).await.unwrap(), 0);
        tokio::select! {
            biased;
            () = &mut gone => panic!("the client still listens"),
            () = tokio::task::yield_now() => {}
        }
        drop(client);
        gone.await;
    }

    #[tokio::test]
    async fn bare_streams_have_no_length() {
        let all = exchange("POST /x HTTP/1.1\r\nHost: d\r\n\r\nhello", Upgrade::Bare).await;
        assert_eq!(
            all,
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello"
        );
    }

    /// Sends a request head, then `body` while nobody reads it, and gives back what is answered.
    async fn refused(head: &str, body: usize) -> String {
        let (client, server) = UnixStream::pair().unwrap();
        let (_open, closing) = watch::channel(false);
        let refusal = |_| -> Pending<Outcome> {
            Box::pin(async { Outcome::Answer(body::empty(http::StatusCode::NOT_FOUND)) })
        };
        let serving = tokio::spawn(connection(server, closing, Arc::new(refusal)));
        let (mut reader, mut writer) = client.into_split();
        writer.write_all(head.as_bytes()).await.unwrap();
        // Many times a socket's buffer: it passes only if someone takes it.
        writer.write_all(&vec![b'x'; body]).await.unwrap();
        drop(writer);
        let mut all = String::new();
        reader.read_to_string(&mut all).await.unwrap();
        serving.await.unwrap();
        all
    }

    #[tokio::test]
    async fn a_refused_upload_reads_why() {
        let head = "PUT /x HTTP/1.1\r\nHost: d\r\nContent-Length: 16777216\r\n\r\n";
        let all = refused(head, 16 << 20).await;
        assert!(all.starts_with("HTTP/1.1 404 Not Found\r\n"), "{all}");
    }

    #[tokio::test]
    async fn too_long_a_head_reads_why() {
        let all = refused("GET /x HTTP/1.1\r\nHost: d\r\nX-Long: ", 16 << 20).await;
        assert!(all.starts_with("HTTP/1.1 431 "), "{all}");
    }

    #[tokio::test]
    async fn idle_connections_close_when_told() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let (close, closing) = watch::channel(false);
        let serving = tokio::spawn(connection(
            server,
            closing,
            Arc::new(|_| Box::pin(async { Outcome::Answer(body::empty(http::StatusCode::OK)) })),
        ));
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
            .await
            .unwrap();
        let mut buffer = [0; 15];
        client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"HTTP/1.1 200 OK");
        close.send(true).unwrap();
        serving.await.unwrap();
    }
}
