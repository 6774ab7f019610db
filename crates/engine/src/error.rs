//! What can go wrong, in the words Docker's clients know.
//!
//! Tools parse several of these texts, so the well-known ones are Docker's own to the letter. The chain of causes is
//! kept as `source`; whoever prints it (the daemon, once) joins it with `: `.

use std::fmt;

use oci::ContainerId;

/// The outcome of an engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an error; the daemon maps each kind to one status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing named does not exist (404).
    NotFound,
    /// The request makes no sense or cannot be honoured (400).
    InvalidParameter,
    /// The request contradicts the present state (409).
    Conflict,
    /// The thing is already as asked (304).
    NotModified,
    /// Who asks is not known to whom we asked (401).
    Unauthorized,
    /// Allowed to nobody (403).
    Forbidden,
    /// Docker has it, we do not have it yet (501).
    NotImplemented,
    /// Cannot be served now (503).
    Unavailable,
    /// Our or the kernel's fault (500).
    System,
}

/// An engine error: a kind, a message for the user, and the cause it came from.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with no deeper cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with the cause it came from.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller does about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message and all its causes, joined as Docker joins them: `outer: inner: innermost`.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// The same for an error that is not about a container's executable. Docker's clients exit with 127 or 126 on certain
    /// words wherever they stand, so these words are left to the executable.
    #[must_use]
    pub(crate) fn not_about_the_executable(self) -> Self {
        const WORDS: [(&str, &str); 3] = [
            ("no such file or directory", "there is no such path"),
            ("permission denied", "access refused"),
            ("is a directory", "is a folder"),
        ];
        let chain = self.chain();
        let plain = WORDS.iter().fold(chain.clone(), |text, (word, other)| {
            text.replace(word, other)
        });
        if plain == chain {
            self
        } else {
            Self::new(self.kind, plain)
        }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn not_modified() -> Self {
        Self::new(ErrorKind::NotModified, "")
    }

    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, message)
    }

    /// A flag or field that Docker honours and this engine does not yet: always refused, never ignored.
    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidParameter,
            format!("{what} is not supported by this engine yet"),
        )
    }

    pub(crate) fn no_such_container(name: &str) -> Self {
        Self::not_found(format!("No such container: {name}"))
    }

    pub(crate) fn name_in_use(name: &str, id: &ContainerId) -> Self {
        Self::conflict(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
             You have to remove (or rename) that container to be able to reuse that name."
        ))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// Says what was being tried when a lower layer failed.
pub(crate) trait Context<T> {
    /// Wraps the error as a system error with this message.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E> Context<T> for std::result::Result<T, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::system(message()).caused_by(e))
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        let kind = match error.kind() {
            image::Kind::NotFound => ErrorKind::NotFound,
            image::Kind::Conflict => ErrorKind::Conflict,
            image::Kind::InvalidParameter => ErrorKind::InvalidParameter,
            image::Kind::System => ErrorKind::System,
        };
        let message = error.to_string();
        match std::error::Error::source(&error) {
            None => Self::new(kind, message),
            // The message stands on top already: what is below it follows.
            Some(source) => Self::new(kind, message).caused_by(chain(source)),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
