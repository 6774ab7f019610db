//! How a command ends: a status for the shell, and what is written on stderr.

use oci::harmless;

/// The status a command ends with when nothing went wrong with the client itself. For `run`, `exec`, `start -a` and
/// `attach` it is the container's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All went well.
    pub const OK: Exit = Exit(0);
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;

/// A command that failed: the message goes to stderr as it stands, the status to the shell.
///
/// Docker's wording is kept where tools parse it, so a message is already what the user reads; causes are part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the user reads; nothing is printed when it is empty.
    pub message: String,
    /// The exit status.
    pub status: u8,
}

impl Failure {
    /// A failure with status 1.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure::with_status(1, message)
    }

    /// A failure with the given status.
    pub fn with_status(status: u8, message: impl Into<String>) -> Failure {
        // Registries, daemons and files all have their say in it.
        let message = harmless(&message.into()).into_owned();
        Failure { message, status }
    }

    /// A failure about which everything has been said already.
    pub fn silent(status: u8) -> Failure {
        Failure {
            message: String::new(),
            status,
        }
    }

    /// Nobody reads our output any more (`tare logs x | head`). Docker's client dies silently of SIGPIPE, which the shell
    /// tells as this status.
    pub fn nobody_reads() -> Failure {
        Failure::silent(128 + 13)
    }

    /// A failure to write to stdout or stderr; those of sockets are told.
    pub fn of_output(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::nobody_reads(),
            _ => Failure::from(error),
        }
    }

    /// Collects the failures of a command that works on several things: one line each, status 1. Fine when there are none.
    pub fn join(failures: impl IntoIterator<Item = Failure>) -> Outcome {
        let lines: Vec<String> = failures
            .into_iter()
            .map(|failure| failure.message)
            .collect();
        if lines.is_empty() {
            Ok(Exit::OK)
        } else {
            Err(Failure::new(lines.join("\n")))
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

/// What the system said, in the words of Docker's client: "no such file or directory", without the number.
pub(crate) fn errno_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

impl From<api::client::Error> for Failure {
    fn from(error: api::client::Error) -> Failure {
        Failure::new(error.to_string())
    }
}
