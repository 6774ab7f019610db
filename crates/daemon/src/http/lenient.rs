//! Requests as people write them by hand: `curl --unix-socket S 'http://d/containers/json?filters={"name":["web"]}'`.
//!
//! Go's server takes the quotes, hyper's URI does not. So in a connection's first request line they are escaped on their way
//! in. Who writes requests by hand makes a connection for each; libraries, which make more of one, escape.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose first line is made readable.
pub(super) struct Lenient<S> {
    inner: S,
    /// The first line is over: what follows is passed on as it is.
    is_over: bool,
    /// What has been read and not been handed on.
    rest: BytesMut,
}

impl<S> Lenient<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            is_over: false,
            rest: BytesMut::new(),
        }
    }

    /// The connection itself, and what has been read of it, after `early`, which was handed on already.
    pub(super) fn into_parts(self, early: Bytes) -> (S, Bytes) {
        if self.rest.is_empty() {
            return (self.inner, early);
        }
        let mut all = BytesMut::from(&early[..]);
        all.extend_from_slice(&self.rest);
        (self.inner, all.freeze())
    }

    fn take(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_over {
                self.rest.extend_from_slice(&bytes[index..]);
                return;
            }
            match byte {
                b'"' => self.rest.extend_from_slice(b"%22"),
                b'<' => self.rest.extend_from_slice(b"%3C"),
                b'>' => self.rest.extend_from_slice(b"%3E"),
                _ => self.rest.extend_from_slice(&[*byte]),
            }
            self.is_over = *byte == b'\n';
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.rest.is_empty() {
            if me.is_over {
                return Pin::new(&mut me.inner).poll_read(context, buffer);
            }
            let mut room = [0; 2048];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut me.inner).poll_read(context, &mut read))?;
            me.take(read.filled());
        }
        let length = me.rest.len().min(buffer.remaining());
        buffer.put_slice(&me.rest[..length]);
        me.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn read(text: &str, room: usize) -> String {
        let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut lenient = Lenient::new(server);
        let (mut all, mut some) = (Vec::new(), vec![0; room]);
        loop {
            match lenient.read(&mut some).await.unwrap() {
                0 => return String::from_utf8(all).unwrap(),
                length => all.extend_from_slice(&some[..length]),
            }
        }
    }

    #[tokio::test]
    async fn the_first_line_only() {
        let text = "GET /x?f={\"a\":[\"<b>\"]} HTTP/1.1\r\nA: \"b\"\r\n\r\n\"body\"";
        for room in [1, 7, 4096] {
            let all = read(text, room).await;
            let line = "GET /x?f={%22a%22:[%22%3Cb%3E%22]} HTTP/1.1\r\n";
            assert_eq!(all, format!("{line}A: \"b\"\r\n\r\n\"body\""));
        }
    }

    #[test]
    fn what_is_left_comes_after_what_went_early() {
        let mut lenient = Lenient::new(());
        lenient.take(b"a \"\nrest");
        lenient.rest.advance(6);
        let ((), all) = lenient.into_parts(Bytes::from_static(b"early "));
        assert_eq!(&all[..], b"early rest");
    }
}
