//! What can go wrong on the way to the daemon and back, in the words that Docker's client has for it.

use std::io;

use crate::types::error::ErrorResponse;

/// The client's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What the user reads when the daemon went away in the middle of an answer.
pub const LOST: &str = "the connection to the daemon was lost: unexpected EOF";

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("unable to parse docker host `{0}`")]
    Host(String),
    /// An address of ssh that is none, without what may be a password. The wording is Docker's.
    #[error("ssh host connection is not valid: invalid SSH URL: {0}")]
    Ssh(&'static str),
    /// A way of talking that this version does not have.
    #[error("not built yet: {0}:// addresses; unix://, tcp:// and ssh:// work")]
    NotBuilt(String),
    /// Nobody listens there. The wording is Docker's; tools look for it.
    #[error("{}", connect_message(host, source))]
    Connect {
        /// The daemon's address.
        host: String,
        /// What the kernel said; told in the message where it says more than that nobody is there.
        source: io::Error,
    },
    /// The daemon's answer, from status 400 up. The wording is Docker's; tools look for it.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// The HTTP status.
        status: u16,
        /// What went wrong.
        message: String,
    },
    /// The daemon is older than the version that was tried; the client tries again by itself.
    #[error("the daemon speaks an older API version")]
    TooNew,
    /// The daemon did not hand the connection over.
    #[error("unable to upgrade to tcp, received {0}")]
    NotHijacked(u16),
    /// The answer is not what the endpoint promises.
    #[error("the daemon's answer to {path} cannot be read: {source}")]
    Document {
        /// The endpoint.
        path: String,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// A message in a stream is longer than any real one.
    #[error("the daemon sent a message of more than {0} bytes")]
    MessageTooLong(usize),
    /// A name that cannot stand in a URL.
    #[error("invalid request target {0:?}")]
    Target(String),
    /// A header that cannot be sent.
    #[error("invalid HTTP header {0:?}")]
    Header(String),
    /// The daemon ended, or something on the way cut the connection. One text, wherever that was noticed; its end is Docker's.
    #[error("{LOST}")]
    Lost(#[source] hyper::Error),
    /// The peer does not speak HTTP.
    #[error("error during connect: {}", deepest(.0))]
    Http(#[source] hyper::Error),
    /// A stream that was taken over broke, or a body that was to be sent could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The daemon's status, if it answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the daemon says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether nobody listens at the address: the client may start a daemon then.
    pub fn is_nobody_there(&self) -> bool {
        matches!(self, Self::Connect { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused))
    }

    /// Whether the daemon was there and is no more.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// The daemon's message, or ours, without `Error response from daemon: `.
    pub fn message(&self) -> String {
        match self {
            Self::Daemon { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    pub(super) fn from_answer(status: u16, body: &[u8]) -> Self {
        Self::Daemon {
            status,
            message: answer_message(status, body),
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        // A body of ours that cannot be read breaks the request too, and says why.
        let cut = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
        if !error.is_user() && (cut || is_cut(deepest_cause(&error))) {
            Self::Lost(error)
        } else {
            Self::Http(error)
        }
    }
}

/// Whether a connection's error is that the other side is gone.
fn is_cut(cause: &(dyn std::error::Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    cause.downcast_ref().is_some_and(|error: &io::Error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        )
    })
}

/// Whether a 400 is about the API version alone.
pub(super) fn says_too_new(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("is too new")
}

/// The message of an answer; Docker sends plain text before API 1.24, and other servers anything.
fn answer_message(status: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorResponse>(body) {
        Ok(error) if !error.message.is_empty() => error.message,
        _ => match String::from_utf8_lossy(body).trim() {
            "" => format!("request returned status {status}"),
            text => text.to_owned(),
        },
    }
}

fn connect_message(host: &str, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "permission denied while trying to connect to the Docker daemon socket at {host}"
            )
        }
        _ => format!("error during connect: {host}: {source}"),
    }
}

/// hyper's own words say only where it noticed; its cause says what happened.
fn deepest(error: &hyper::Error) -> String {
    deepest_cause(error).to_string()
}

fn deepest_cause(error: &hyper::Error) -> &(dyn std::error::Error + 'static) {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause
}
