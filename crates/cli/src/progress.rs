//! What the daemon tells while it works: pull, push, load, import.
//!
//! Each message says what is being done to which layer. On a terminal every layer has a line of its own, which is written
//! over as the work goes on; elsewhere only what is final is printed, one line each.

mod bar;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};

use api::client::Messages;
use api::types::progress::Progress;
use oci::harmless;

use crate::failure::{Exit, Failure, Outcome};
use crate::terminal;

/// Where the user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    Stderr,
    /// Nowhere: only a failure is of interest.
    Nowhere,
}

impl Place {
    /// Nowhere if the user wants quiet.
    pub(crate) fn unless(self, quiet: bool) -> Self {
        if quiet { Self::Nowhere } else { self }
    }

    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::Nowhere => false,
        }
    }

    fn width(self) -> u32 {
        match self {
            Self::Stdout => terminal::width(io::stdout()),
            Self::Stderr => terminal::width(io::stderr()),
            Self::Nowhere => 0,
        }
    }

    fn write(self, text: &str) -> io::Result<()> {
        fn all(mut out: impl Write, text: &str) -> io::Result<()> {
            out.write_all(text.as_bytes())?;
            out.flush()
        }
        match self {
            Self::Stdout => all(io::stdout(), text),
            Self::Stderr => all(io::stderr(), text),
            Self::Nowhere => Ok(()),
        }
    }
}

/// Prints messages as they come.
pub(crate) async fn show(messages: Messages<Progress>, place: Place) -> Outcome {
    show_with(messages, place, &mut |_| {}).await
}

/// The same; `look` sees every message. Those with results that have their own form are for it alone.
pub(crate) async fn show_with(
    mut messages: Messages<Progress>,
    place: Place,
    look: &mut dyn FnMut(&Progress),
) -> Outcome {
    let mut screen = Screen::new(place.is_terminal());
    while let Some(message) = messages.next().await? {
        look(&message);
        if message.aux.is_some() {
            continue;
        }
        place
            .write(&screen.text(&message, place.width()))
            .map_err(Failure::of_output)?;
        if let Some(failure) = failure(&message) {
            return Err(failure);
        }
    }
    Ok(Exit::OK)
}

/// What a message that ends the stream says; its words are the user's.
fn failure(message: &Progress) -> Option<Failure> {
    let detail = message.error_detail.as_ref();
    match detail.map(|detail| detail.message.as_str()) {
        Some(text) if !text.is_empty() => Some(Failure::new(text)),
        _ if message.error.is_empty() => None,
        _ => Some(Failure::new(&message.error)),
    }
}

/// Shows what the client itself does, in the same way.
pub(crate) struct Teller {
    screen: Screen,
    place: Place,
}

impl Teller {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            screen: Screen::new(place.is_terminal()),
            place,
        }
    }

    pub(crate) fn tell(&mut self, message: &Progress) -> io::Result<()> {
        let text = self.screen.text(message, self.place.width());
        self.place.write(&text)
    }
}

/// Which line belongs to which layer.
struct Screen {
    lines: HashMap<String, usize>,
    is_terminal: bool,
}

impl Screen {
    fn new(is_terminal: bool) -> Self {
        Self {
            lines: HashMap::new(),
            is_terminal,
        }
    }

    /// The bytes that show a message on a terminal of this width.
    fn text(&mut self, message: &Progress, width: u32) -> String {
        let moves = message.progress_detail.is_some() || !message.progress.is_empty();
        if message.id.is_empty() || !moves {
            // Something that is no layer's line ends the block of lines that can be written over.
            self.lines.clear();
            return self.line(message, width);
        }
        let next = self.lines.len();
        let is_new = !self.lines.contains_key(&message.id);
        let line = *self.lines.entry(message.id.clone()).or_insert(next);
        let text = self.line(message, width);
        if !self.is_terminal {
            return text;
        }
        let up = self.lines.len() - line;
        let room = if is_new { "\n" } else { "" };
        format!("{room}\x1b[{up}A{text}\x1b[{up}B")
    }

    fn line(&self, message: &Progress, width: u32) -> String {
        if failure(message).is_some() {
            return String::new();
        }
        if !message.stream.is_empty() {
            return message.stream.clone();
        }
        let name = match message.id.as_str() {
            "" => String::new(),
            id => format!("{}: ", harmless(id)),
        };
        let status = harmless(&message.status);
        match &message.progress_detail {
            Some(detail) if self.is_terminal => {
                format!("\x1b[2K\r{name}{status} {}\r", bar::text(detail, width))
            }
            Some(detail) if !bar::text(detail, width).is_empty() => String::new(),
            _ => format!("{name}{status}\n"),
        }
    }
}

#[cfg(test)]
mod tests;
