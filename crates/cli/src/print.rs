//! Output that may be cut off: a reader such as `head` that has seen enough ends the client without a word.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use crate::failure::{Exit, Failure, Outcome};

/// Writes to stdout at once. Much of it is what strangers wrote into their images: on a terminal it can do nothing but be read;
/// elsewhere every byte goes out as it is.
pub(crate) fn print(text: &str) -> Outcome {
    print_painted(&shown(text, std::io::stdout().is_terminal()))
}

fn shown(text: &str, on_terminal: bool) -> Cow<'_, str> {
    match on_terminal {
        true => oci::harmless(text),
        false => Cow::Borrowed(text),
    }
}

/// The same for a text with colours of our own.
pub(crate) fn print_painted(text: &str) -> Outcome {
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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_terminal_sees_no_escape_sequences() {
        let text = "a\t\u{1b}[2Jb\rc\n\u{9b}d\n";
        assert_eq!(shown(text, true), "a\t\\u{1b}[2Jb\\rc\n\\u{9b}d\n");
        assert_eq!(shown(text, false), text);
    }
}
