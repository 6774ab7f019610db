//! What load and import tell while they work.

use std::io::{IsTerminal, Write};

use api::client::Messages;
use api::types::progress::Progress;

use crate::failure::{Exit, Failure, Outcome};
use crate::format::units::human_size;

/// Prints messages as they come. On a terminal a line about a layer is written over; elsewhere only what is final is
/// printed.
pub(crate) async fn show(mut messages: Messages<Progress>) -> Outcome {
    let mut out = std::io::stdout();
    let mut screen = Screen {
        ids: Vec::new(),
        is_terminal: out.is_terminal(),
    };
    while let Some(message) = messages.next().await? {
        if !message.error.is_empty() || message.error_detail.is_some() {
            return Err(failure(&message));
        }
        let text = screen.text(&message);
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(Exit::OK)
}

fn failure(message: &Progress) -> Failure {
    let detail = message.error_detail.clone().unwrap_or_default();
    let text = if message.error.is_empty() {
        detail.message
    } else {
        message.error.clone()
    };
    let status = u8::try_from(detail.code).unwrap_or(1).max(1);
    Failure::with_status(status, text)
}

/// Which line belongs to which id.
struct Screen {
    ids: Vec<String>,
    is_terminal: bool,
}

impl Screen {
    fn text(&mut self, message: &Progress) -> String {
        if !message.stream.is_empty() {
            self.ids.clear();
            return message.stream.clone();
        }
        if message.status.is_empty() {
            return String::new();
        }
        let bar = message
            .progress_detail
            .as_ref()
            .map(bar)
            .unwrap_or_default();
        if message.id.is_empty() {
            self.ids.clear();
            return format!("{}\n", message.status);
        }
        let line = format!("{}: {} {bar}", message.id, message.status);
        if !self.is_terminal {
            // Only the end of a piece of work, not each step of its way.
            return if bar.is_empty() {
                format!("{}\n", line.trim_end())
            } else {
                String::new()
            };
        }
        self.placed(&message.id, &line)
    }

    fn placed(&mut self, id: &str, line: &str) -> String {
        match self.ids.iter().position(|known| known == id) {
            Some(index) => {
                let up = self.ids.len() - index;
                format!("\x1b[{up}A\x1b[2K\r{line}\r\x1b[{up}B")
            }
            None => {
                self.ids.push(id.to_owned());
                format!("{line}\n")
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn bar(detail: &api::types::progress::ProgressDetail) -> String {
    const WIDTH: i64 = 50;
    let (current, total) = (detail.current, detail.total);
    if current <= 0 && total <= 0 {
        return String::new();
    }
    let current_text = human_size(current as f64);
    if total <= 0 || current > total {
        return format!("{current_text:>8}");
    }
    let done = usize::try_from(current.saturating_mul(WIDTH) / total).unwrap_or(0);
    let left = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(done);
    let head = if left > 0 { ">" } else { "" };
    let rest = " ".repeat(left.saturating_sub(1));
    format!(
        "[{}{head}{rest}] {current_text:>8}/{}",
        "=".repeat(done),
        human_size(total as f64)
    )
}

#[cfg(test)]
mod tests {
    use api::types::progress::ProgressDetail;

    use super::*;

    #[test]
    fn a_pipe_gets_only_what_is_final() {
        let mut screen = Screen {
            ids: Vec::new(),
            is_terminal: false,
        };
        let detail = Some(ProgressDetail {
            current: 5,
            total: 10,
        });
        let step = Progress {
            id: "abc".into(),
            status: "Loading layer".into(),
            progress_detail: detail,
            ..Progress::default()
        };
        assert_eq!(screen.text(&step), "");
        assert_eq!(
            screen.text(&Progress::stream("Loaded image: x\n")),
            "Loaded image: x\n"
        );
        assert_eq!(screen.text(&Progress::status("sha256:1")), "sha256:1\n");
        screen.is_terminal = true;
        let line = screen.text(&step);
        assert!(
            line.starts_with("abc: Loading layer [=========================>")
                && line.ends_with("5B/10B\n"),
            "{line:?}"
        );
        assert!(screen.text(&step).starts_with("\x1b[1A"));
    }

    #[test]
    fn a_failure_keeps_its_words() {
        assert_eq!(
            failure(&Progress::failure("unexpected EOF")),
            Failure::new("unexpected EOF")
        );
    }
}
