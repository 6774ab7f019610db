use std::fmt;
use std::io;

pub use rustix::io::Errno;

/// The result of a wrapper in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed system call: what was called, with what, and the errno.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    call: Box<str>,
    errno: Errno,
}

impl Error {
    /// `call` is written as strace would: `openat2(5, "etc/passwd")`.
    pub fn new(call: impl Into<Box<str>>, errno: Errno) -> Self {
        Self {
            call: call.into(),
            errno,
        }
    }

    /// The kernel's answer.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// The call and its arguments.
    #[must_use]
    pub fn call(&self) -> &str {
        &self.call
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, errno_text(self.errno))
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from(error.errno).kind(), error)
    }
}

/// The errno as Docker and runc word it, in Go's lower case: `no such file or directory`.
#[must_use]
pub fn errno_text(errno: Errno) -> String {
    let text = io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// Names the call that failed; the arguments are only formatted on failure.
pub(crate) trait Context<T> {
    fn context<C: Into<Box<str>>>(self, call: impl FnOnce() -> C) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn context<C: Into<Box<str>>>(self, call: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|errno| Error::new(call(), errno))
    }
}

impl<T> Context<T> for io::Result<T> {
    fn context<C: Into<Box<str>>>(self, call: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| Error::new(call(), Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }
}

/// Turns the `-1` and errno of a libc call into a result.
pub(crate) fn check(returned: impl Into<i64>) -> rustix::io::Result<i64> {
    match returned.into() {
        -1 => Err(last_errno()),
        value => Ok(value),
    }
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_strace_with_words_like_go() {
        let error = Error::new(r#"openat2(5, "x")"#, Errno::NOENT);
        assert_eq!(
            error.to_string(),
            r#"openat2(5, "x"): no such file or directory"#
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }
}
