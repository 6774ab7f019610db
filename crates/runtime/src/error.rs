use std::fmt;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What could not be done, in words that Docker's users and tools know, and why.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<linux::Error>,
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program is not there: exit code 127.
    NotFound,
    /// The program may not be executed: exit code 126.
    PermissionDenied,
    /// The configuration asks for what cannot be, or what this runtime or machine does not have.
    Invalid,
    /// No such container or process (any more).
    NoSuchContainer,
    /// The container's state does not allow it.
    WrongState,
    /// The kernel refused.
    System,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn system(message: impl Into<String>, source: linux::Error) -> Self {
        Self {
            kind: Kind::System,
            message: message.into(),
            source: Some(source),
        }
    }

    /// What the error means for the caller.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The errno at the bottom, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<linux::Errno> {
        self.source.as_ref().map(linux::Error::errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
