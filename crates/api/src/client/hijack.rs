//! A connection that has been taken over for raw bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

use super::endpoint::Transport;
use super::error::{Error, Result};

/// Both directions of a connection that was taken over.
#[derive(Debug)]
pub struct Hijacked {
    /// What the daemon sends.
    pub reader: HijackReader,
    /// What the daemon is sent.
    pub writer: HijackWriter,
    /// Whether what it sends is in [`stdcopy`](crate::stdcopy) frames; `None` if the daemon did not say (before API
    /// 1.42), then it is unless there is a terminal.
    pub multiplexed: Option<bool>,
}

/// The reading half.
#[derive(Debug)]
pub struct HijackReader {
    /// What had come along with the answer's head.
    early: Bytes,
    socket: ReadHalf<Transport>,
}

/// The writing half. [`close`](Self::close) tells the daemon that stdin has ended while reading goes on.
#[derive(Debug)]
pub struct HijackWriter {
    socket: WriteHalf<Transport>,
}

impl Hijacked {
    pub(super) async fn new(response: http::Response<Incoming>) -> Result<Self> {
        let multiplexed = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(is_multiplexed);
        let upgraded = hyper::upgrade::on(response).await?;
        let parts = upgraded
            .downcast::<TokioIo<Transport>>()
            .map_err(|_| Error::Io(io::Error::other("the connection is not the client's own")))?;
        let (reader, writer) = tokio::io::split(parts.io.into_inner());
        let reader = HijackReader {
            early: parts.read_buf,
            socket: reader,
        };
        Ok(Self {
            reader,
            writer: HijackWriter { socket: writer },
            multiplexed,
        })
    }
}

fn is_multiplexed(content_type: &str) -> Option<bool> {
    match content_type {
        "application/vnd.docker.multiplexed-stream" => Some(true),
        // Before API 1.42 every stream is called raw, so the word says nothing.
        _ => None,
    }
}

impl HijackWriter {
    /// Closes this direction only.
    pub async fn close(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }
}

impl AsyncRead for HijackReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.socket).poll_read(context, buffer);
        }
        let len = this.early.len().min(buffer.remaining());
        buffer.put_slice(&this.early[..len]);
        this.early.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HijackWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
