//! The user's terminal: whether there is one, its size, raw mode, the keys that leave a container.

pub(crate) mod keys;
pub(crate) mod secret;

use std::os::fd::{AsFd, BorrowedFd};

use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// Whether stdin is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    isatty(stdin())
}

/// Height and width of the terminal on stdout; zeros if it is none.
pub(crate) fn size() -> [u32; 2] {
    tcgetwinsize(stdout()).map_or([0, 0], |size| [size.ws_row.into(), size.ws_col.into()])
}

/// How many letters fit on a line of the terminal `out` is; 0 if it is none.
pub(crate) fn width(out: impl AsFd) -> u32 {
    tcgetwinsize(out).map_or(0, |size| size.ws_col.into())
}

/// Raw mode: every key goes to the container as it is. Ends when dropped, on whatever way that comes.
#[derive(Debug)]
pub(crate) struct RawMode {
    before: Vec<(BorrowedFd<'static>, Termios)>,
}

impl RawMode {
    /// Makes the terminals on stdin and stdout raw. Neither need be one.
    pub(crate) fn enter() -> RawMode {
        let mut before = Vec::new();
        if let Ok(modes) = tcgetattr(stdin()) {
            let mut raw = modes.clone();
            raw.make_raw();
            if tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok() {
                before.push((stdin(), modes));
            }
        }
        RawMode { before }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        for (terminal, modes) in &self.before {
            // The terminal may be gone; then there is nothing to restore.
            let _ = tcsetattr(terminal.as_fd(), OptionalActions::Now, modes);
        }
    }
}
