//! Connections: accepting them, TLS, and patience with those who are slow, with an end to it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::{Reply, answer, pages};
use crate::server::Registry;
use crate::server::failure::Failure;
use crate::server::target::Target;
use crate::server::tls::Greeting;

/// A place where the registry, or only its metrics, can be reached.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Greeting>,
    pub(crate) shows: Shows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    Everything,
    MetricsOnly,
}

/// For a TLS handshake, and for the head of a request.
const GREETING: Duration = Duration::from_secs(30);
/// What is being answered when the registry ends may take this long.
const FAREWELL: Duration = Duration::from_secs(10);
/// Between two looks whether there are descriptors again; there is no event for it.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Serves until `ending` says so, then lets what is being answered come to its end.
pub(crate) async fn accept(
    registry: Arc<Registry>,
    listener: Listener,
    mut ending: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(registry.connections));
    let mut open = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = ended_by(&mut ending) => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.socket.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("accepting a connection: {error}");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                    continue;
                }
            },
            () = ended_by(&mut ending) => break,
        };
        while open.try_join_next().is_some() {}
        let (registry, tls, ending) = (
            Arc::clone(&registry),
            listener.tls.as_ref().map(Greeting::now),
            ending.clone(),
        );
        let shows = listener.shows;
        open.spawn(async move {
            registry.metrics.connections.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = connection(&registry, stream, tls, shows, ending).await {
                tracing::debug!("connection from {peer}: {error}");
            }
            registry.metrics.connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        tracing::warn!("some requests did not end in time and are broken off");
    }
}

async fn connection(
    registry: &Arc<Registry>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shows: Shows,
    ending: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let stream = Patient::new(stream, registry.patience);
    match tls {
        None => speak(registry, stream, ("http", peer), shows, ending).await,
        Some(acceptor) => {
            let greeting = tokio::time::timeout(GREETING, acceptor.accept(stream));
            let stream = greeting
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            speak(registry, stream, ("https", peer), shows, ending).await
        }
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    registry: &Arc<Registry>,
    stream: S,
    (scheme, peer): (&'static str, SocketAddr),
    shows: Shows,
    mut ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let registry = Arc::clone(registry);
        async move {
            let reply = match shows {
                Shows::Everything => answer(registry, request, scheme, peer).await,
                Shows::MetricsOnly => only_metrics(&registry, &request).await,
            };
            Ok::<Reply, std::convert::Infallible>(reply)
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(GREETING)
            .max_buf_size(256 << 10)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ended_by(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

/// Comes back when the registry ends.
async fn ended_by(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}

async fn only_metrics(registry: &Arc<Registry>, request: &Request<Incoming>) -> Reply {
    let answer = match (
        Target::parse(request.uri().path()),
        request.method().as_str(),
    ) {
        (Ok(Target::Metrics), "GET" | "HEAD") => pages::metrics(registry).await,
        _ => Err(Failure::of_path(
            crate::server::target::Unknown::Path,
            request.method(),
        )),
    };
    answer.unwrap_or_else(|failure| super::failed(&failure))
}

/// A stream that gives up when the other side takes nothing for too long. Reading is timed where it is known what is
/// waited for.
///
/// It ends only after the other side could read the last answer: closing while bytes of a refused body are still coming
/// makes the kernel send a reset, and a reset throws away what the client has not read yet.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Bytes that were taken since the other side first took less than there was; `None` while it takes all.
    stuck: Option<usize>,
    /// Bytes that were thrown away since our side ended.
    drained: Option<usize>,
}

/// How long, and for how many bytes, a client may go on after the last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 << 20;

/// Bytes that the other side must take within its time, once it takes less than there is.
const LEAST: usize = 64 << 10;

impl Patient {
    fn new(stream: TcpStream, patience: Duration) -> Patient {
        Patient {
            stream,
            patience,
            deadline: Box::pin(tokio::time::sleep(patience)),
            stuck: None,
            drained: None,
        }
    }

    /// Throws away what still comes, until the other side ends too or has had its time.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [std::mem::MaybeUninit::uninit(); 16 << 10];
        while self.drained < Some(LINGER_BYTES) && self.deadline.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.drained = self.drained.map(|drained| drained + buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A write of `length` bytes: who takes but a little at a time has no more time than who takes nothing.
    fn taken(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(count)), Some(taken)) = (&result, self.stuck) {
            let taken = taken.saturating_add(*count);
            self.stuck = (*count < length && taken < LEAST).then_some(taken);
        }
        self.timed(cx, result)
    }

    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        if self.stuck.is_none() {
            self.stuck = Some(0);
            self.deadline.as_mut().reset(Instant::now() + self.patience);
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.taken(cx, buf.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.taken(cx, length, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drained.is_none() {
            let result = Pin::new(&mut self.stream).poll_shutdown(cx);
            std::task::ready!(self.timed(cx, result))?;
            self.drained = Some(0);
            self.deadline.as_mut().reset(Instant::now() + LINGER);
        }
        self.drain(cx)
    }
}

/// Listens with a queue that holds a thousand clients who come at once.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}
