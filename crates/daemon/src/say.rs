//! What the other roles of the file say on stdout, and how they end: a reader such as `head` that has seen enough ends them
//! without a word, a full disk with one.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a role ended early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// For stderr; nothing where everything has been said.
    Failed(String),
    /// Nobody reads stdout any more; the shell is told what it is told of a program that dies of SIGPIPE.
    NobodyReads,
}

impl From<String> for Ended {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// Writes to stdout at once.
pub(crate) fn say(text: &str) -> Result<(), Ended> {
    write_to(&mut io::stdout().lock(), text)
}

fn write_to(out: &mut impl Write, text: &str) -> Result<(), Ended> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ended::NobodyReads,
        _ => Ended::Failed(format!("writing to stdout: {error}")),
    })
}

/// The status of a role that has ended; what went wrong is told on stderr, if anybody reads that.
pub(crate) fn status(result: Result<(), Ended>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::NobodyReads) => ExitCode::from(128 + 13),
        Err(Ended::Failed(text)) => {
            if !text.is_empty() {
                let _ = writeln!(io::stderr(), "{text}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in one way.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_silent_and_a_full_disk_is_not() {
        let closed = write_to(&mut Broken(io::ErrorKind::BrokenPipe), "x");
        assert_eq!(closed, Err(Ended::NobodyReads));
        let full = write_to(&mut Broken(io::ErrorKind::StorageFull), "x");
        assert!(
            matches!(full, Err(Ended::Failed(text)) if text.starts_with("writing to stdout: "))
        );
    }
}
