//! Output that may be cut off: a reader such as `head` that has seen enough ends the client without a word.

use std::io::Write;

use crate::failure::{Exit, Failure, Outcome};

/// Writes to stdout at once.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::of_output)?;
    Ok(Exit::OK)
}

/// Writes a line to stderr; there is nobody to tell if that fails.
pub(crate) fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", oci::harmless(line));
}
