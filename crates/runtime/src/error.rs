use std::fmt;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What could not be done, in words that Docker's users and tools know, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
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

const KINDS: [Kind; 6] = [
    Kind::NotFound,
    Kind::PermissionDenied,
    Kind::Invalid,
    Kind::NoSuchContainer,
    Kind::WrongState,
    Kind::System,
];

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

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
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

    /// The message and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        self.source.as_ref().map_or_else(
            || self.message.clone(),
            |source| format!("{}: {source}", self.message),
        )
    }

    /// The same error, told from further out.
    pub(crate) fn within(mut self, outer: impl FnOnce() -> String) -> Self {
        self.message = format!("{}: {}", outer(), self.message);
        self
    }

    /// For the way from a child to its parent: kind, errno, message and call.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = KINDS
            .iter()
            .position(|kind| *kind == self.kind)
            .unwrap_or_default();
        let errno = self.errno().map_or(0, linux::Errno::raw_os_error);
        let call = self.source.as_ref().map_or("", linux::Error::call);
        let mut bytes = vec![u8::try_from(kind).unwrap_or_default()];
        bytes.extend(errno.to_le_bytes());
        bytes.extend(self.message.replace('\0', " ").as_bytes());
        bytes.push(0);
        bytes.extend(call.as_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let parse = || {
            let (kind, rest) = bytes.split_first()?;
            let (errno, rest) = rest.split_first_chunk::<4>()?;
            let mut parts = rest
                .splitn(2, |byte| *byte == 0)
                .map(String::from_utf8_lossy);
            let message = parts.next()?.into_owned();
            let errno = i32::from_le_bytes(*errno);
            let errno = if (1..4096).contains(&errno) {
                errno
            } else {
                linux::Errno::IO.raw_os_error()
            };
            let errno = linux::Errno::from_raw_os_error(errno);
            let call = parts.next().unwrap_or_default();
            let source = (!call.is_empty()).then(|| linux::Error::new(call.into_owned(), errno));
            Some(Self {
                kind: *KINDS.get(usize::from(*kind))?,
                message,
                source,
            })
        };
        parse().unwrap_or_else(|| {
            Self::new(
                Kind::System,
                "the container's process ended while it was set up",
            )
        })
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

/// Says what was being tried when a system call failed.
pub(crate) trait Context<T> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T> Context<T> for linux::Result<T> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|source| Error::system(message(), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_to_the_parent() {
        let plain = Error::new(
            Kind::NotFound,
            "exec: \"x\": executable file not found in $PATH",
        );
        assert_eq!(Error::decode(&plain.encode()), plain);
        let failed: linux::Result<()> = Err(linux::Error::new("mount()", linux::Errno::PERM));
        let failed = failed.context(|| "mount /proc").unwrap_err();
        assert_eq!(Error::decode(&failed.encode()), failed);
        assert_eq!(Error::decode(&[]).kind(), Kind::System);
        assert_eq!(Error::decode(&[99, 0, 0, 0, 0]).kind(), Kind::System);
    }
}
