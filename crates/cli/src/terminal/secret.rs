//! Reads a secret from the terminal, which does not show it.

use std::io::{self, Read};

use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];
const CTRL_U: u8 = 21;

/// Reads a line; `None` if the user gave up with ctrl-C. The terminal is as before when this returns.
///
/// Ctrl-C comes as a key and not as a signal, because a signal would end the program and leave the terminal silent.
pub(crate) fn read() -> io::Result<Option<String>> {
    let _silence = Silence::enter();
    line(io::stdin().lock().bytes())
}

fn line(keys: impl Iterator<Item = io::Result<u8>>) -> io::Result<Option<String>> {
    let mut typed = Vec::new();
    for key in keys {
        match key? {
            b'\r' | b'\n' | CTRL_D => break,
            CTRL_C => return Ok(None),
            CTRL_U => typed.clear(),
            key if BACKSPACE.contains(&key) => drop_letter(&mut typed),
            key => typed.push(key),
        }
    }
    Ok(Some(String::from_utf8_lossy(&typed).into_owned()))
}

/// Takes the last letter out, however many bytes it has in UTF-8.
fn drop_letter(typed: &mut Vec<u8>) {
    while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

/// Nothing that is typed shows, and every key comes at once. Ends when dropped.
struct Silence {
    before: Option<Termios>,
}

impl Silence {
    fn enter() -> Silence {
        let before = tcgetattr(stdin()).ok();
        if let Some(modes) = &before {
            let mut silent = modes.clone();
            silent
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
            // A terminal that cannot be silenced still can be read.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &silent);
        }
        Silence { before }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(modes) = &self.before {
            // The terminal may be gone; then there is nothing to restore.
            let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        let check = |keys: &[u8], expected: Option<&str>| {
            let read = line(keys.iter().map(|key| Ok(*key))).unwrap();
            assert_eq!(read.as_deref(), expected, "{keys:?}");
        };
        check(b"secret\nrest", Some("secret"));
        check("ab\u{e9}\u{7f}\u{7f}c\r".as_bytes(), Some("ac"));
        check(b"wrong\x15right\n", Some("right"));
        check(b"\x7f\x7f\n", Some(""));
        check(b"ab\x03", None);
        check(b"cut", Some("cut"));
    }
}
