//! Output that may be cut off: a reader such as `head` that has seen enough is no failure.

use std::io::{ErrorKind, Write};

use crate::failure::{Exit, Failure, Outcome};

/// Writes to stdout at once.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::from(error)),
        _ => Ok(Exit::OK),
    }
}

/// Writes a line to stderr; there is nobody to tell if that fails.
pub(crate) fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
