use std::io;
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller has to tell apart; the daemon makes a status code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Conflict,
    /// What was given (an archive, a name, a change) is wrong.
    InvalidParameter,
    /// The machine failed: disk, permissions, a store that is open elsewhere.
    System,
}

/// Everything that can go wrong with images. Where Docker has a wording that tools look for, it is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No such image: {0}")]
    NoSuchImage(String),
    #[error("image with reference {name} was found but {has} the specified platform ({wanted})")]
    OtherPlatform {
        name: String,
        /// `its platform (linux/amd64) does not match`, or `does not provide` where it has several.
        has: String,
        wanted: String,
    },
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{what}")]
    Archive {
        what: String,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Content is not what its name says.
    #[error("{what} is not what it should be: wanted {wanted}, got {found}")]
    Mismatch {
        what: String,
        wanted: String,
        found: String,
        /// Part of it came from an earlier attempt, so that another one from the beginning may succeed.
        resumed: bool,
    },
    #[error(
        "the image store at {path} is in use by another process (is a second daemon running on this data root?)"
    )]
    InUse { path: PathBuf },
    #[error("{0}")]
    Damaged(String),
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{what}")]
    Stream {
        what: &'static str,
        source: io::Error,
    },
    #[error("image store: {what}")]
    Database {
        what: &'static str,
        source: Box<redb::Error>,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::NoSuchImage(_) | Error::OtherPlatform { .. } => Kind::NotFound,
            Error::Conflict(_) => Kind::Conflict,
            Error::Invalid(_) | Error::Archive { .. } | Error::Mismatch { .. } => {
                Kind::InvalidParameter
            }
            Error::InUse { .. }
            | Error::Damaged(_)
            | Error::Io { .. }
            | Error::Stream { .. }
            | Error::Database { .. } => Kind::System,
        }
    }
}

impl From<oci::InvalidReference> for Error {
    fn from(error: oci::InvalidReference) -> Self {
        Error::Invalid(error.to_string())
    }
}
