//! Where a daemon listens, and the bytes to and from there.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::error::{Error, Result};
use super::ssh::Ssh;

/// The address of a daemon, as `DOCKER_HOST` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:///run/tare/tare.sock`
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2375`
    Tcp(String),
    /// `ssh://user@host:22`: the daemon of another machine, through the ssh program.
    Ssh(Ssh),
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(host: &str) -> Result<Self> {
        let Some((scheme, rest)) = host.split_once("://") else {
            return Err(Error::Host(host.to_owned()));
        };
        match scheme {
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            "tcp" | "http" if !rest.is_empty() => {
                Ok(Self::Tcp(rest.trim_end_matches('/').to_owned()))
            }
            "ssh" => rest.parse().map(Self::Ssh),
            "https" | "npipe" | "fd" => Err(Error::NotBuilt(scheme.to_owned())),
            _ => Err(Error::Host(host.to_owned())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::Ssh(ssh) => write!(formatter, "ssh://{ssh}"),
        }
    }
}

impl Endpoint {
    /// What the `Host` header says; a socket has no name of its own.
    pub(super) fn host_header(&self) -> HeaderValue {
        let fallback = HeaderValue::from_static("api.tare.localhost");
        match self {
            Self::Unix(_) | Self::Ssh(_) => fallback,
            Self::Tcp(address) => HeaderValue::from_str(address).unwrap_or(fallback),
        }
    }
}

/// A connected socket of either kind.
#[derive(Debug)]
pub(super) enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Transport {
    pub(super) async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let connected = match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            Endpoint::Tcp(address) => TcpStream::connect(address.as_str()).await.map(Self::Tcp),
            Endpoint::Ssh(ssh) => ssh.connect().map(Self::Unix),
        };
        let transport = connected.map_err(|source| Error::Connect {
            host: endpoint.to_string(),
            source,
        })?;
        if let Self::Tcp(stream) = &transport {
            // Attach sends single keys; a daemon that cannot turn Nagle off still works.
            let _ = stream.set_nodelay(true);
        }
        Ok(transport)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
