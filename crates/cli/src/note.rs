//! Notes beside a command's work: ` Info -> ...`, in colours on a terminal, as Docker's client has them.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// A piece of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span<'a> {
    Plain(&'a str),
    Bold(&'a str),
    Underlined(&'a str),
}

/// Writes a note of these lines on stdout.
pub(crate) fn on_stdout(lines: &[&[Span<'_>]]) -> Result<(), Failure> {
    let text = text(lines, is_coloured(io::stdout().is_terminal()));
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::of_output)
}

/// Writes a note of these lines on stderr; there is nobody to tell if that fails.
pub(crate) fn on_stderr(lines: &[&[Span<'_>]]) {
    let text = text(lines, is_coloured(io::stderr().is_terminal()));
    let _ = io::stderr().write_all(text.as_bytes());
}

fn is_coloured(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn text(lines: &[&[Span<'_>]], coloured: bool) -> String {
    let head = match coloured {
        true => "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m",
        false => " Info -> ",
    };
    let mut out = String::from("\n");
    for (index, line) in lines.iter().enumerate() {
        out.push_str(if index == 0 { head } else { "         " });
        let line: String = line.iter().map(|span| span.text(coloured)).collect();
        if coloured {
            out.push_str(&format!("\x1b[3m{line}\x1b[0m\n"));
        } else {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

impl Span<'_> {
    fn text(self, coloured: bool) -> String {
        match (self, coloured) {
            (Self::Plain(text), _) | (Self::Bold(text) | Self::Underlined(text), false) => {
                text.to_owned()
            }
            (Self::Bold(text), true) => format!("\x1b[1m{text}\x1b[0m"),
            (Self::Underlined(text), true) => format!("\x1b[4m{text}\x1b[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_set_in_under_its_head() {
        let lines: &[&[Span<'_>]] = &[&[Span::Plain("a "), Span::Bold("b")], &[]];
        assert_eq!(text(lines, false), "\n Info -> a b\n         \n");
        assert!(
            text(lines, true)
                .ends_with("\x1b[3ma \x1b[1mb\x1b[0m\x1b[0m\n         \x1b[3m\x1b[0m\n")
        );
    }
}
