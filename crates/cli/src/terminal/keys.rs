//! The keys that leave a container without stopping it: `ctrl-p,ctrl-q` unless the user names others.

/// What they are unless the user says otherwise.
pub(crate) const DEFAULT: &str = "ctrl-p,ctrl-q";

/// The bytes of keys such as `ctrl-p,ctrl-q` or `ctrl-a,a`.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    text.split(',').map(key).collect()
}

fn key(text: &str) -> Result<u8, String> {
    if let [byte] = text.as_bytes() {
        return Ok(*byte);
    }
    let letter = text
        .strip_prefix("ctrl-")
        .and_then(|letter| match letter.as_bytes() {
            [letter] => Some(*letter),
            _ => None,
        });
    match letter {
        Some(letter @ b'a'..=b'z') => Ok(letter - b'a' + 1),
        Some(b'@') => Ok(0),
        Some(b'[') => Ok(27),
        Some(b'\\') => Ok(28),
        Some(b']') => Ok(29),
        Some(b'^') => Ok(30),
        Some(b'_') => Ok(31),
        _ => Err(format!("Unknown character: '{text}'")),
    }
}

/// Finds the keys in what the user types, also when they come in several pieces. Bytes that might be the beginning of the keys are
/// held back until it is clear that they are not.
#[derive(Debug)]
pub(crate) struct Watcher {
    keys: Vec<u8>,
    matched: usize,
}

/// What became of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Pass this on.
    Pass(Vec<u8>),
    /// The keys were typed; pass on what came before them, and leave.
    Leave(Vec<u8>),
}

impl Watcher {
    pub(crate) fn new(keys: Vec<u8>) -> Watcher {
        Watcher { keys, matched: 0 }
    }

    /// Takes the next piece of input.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Watched {
        let mut pass = Vec::with_capacity(input.len() + self.matched);
        for byte in input {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Watched::Leave(pass);
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            // A key that broke the sequence may begin it anew, as in ctrl-p ctrl-p ctrl-q.
            if self.keys.first() == Some(byte) && self.keys.len() > 1 {
                self.matched = 1;
            } else {
                pass.push(*byte);
            }
        }
        Watched::Pass(pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_reads_them() {
        assert_eq!(parse("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(parse("a,ctrl-@,ctrl-],ctrl-_"), Ok(vec![b'a', 0, 29, 31]));
        assert_eq!(parse("foo"), Err("Unknown character: 'foo'".to_owned()));
        assert_eq!(
            parse("ctrl-A"),
            Err("Unknown character: 'ctrl-A'".to_owned())
        );
        assert_eq!(parse(""), Err("Unknown character: ''".to_owned()));
    }

    /// Feeds the pieces; returns what is passed on, and whether the keys were found.
    fn feed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut watcher = Watcher::new(vec![16, 17]);
        let mut all = Vec::new();
        for piece in pieces {
            match watcher.feed(piece) {
                Watched::Pass(bytes) => all.extend(bytes),
                Watched::Leave(bytes) => {
                    all.extend(bytes);
                    return (all, true);
                }
            }
        }
        (all, false)
    }

    #[test]
    fn keys_are_found_however_they_come() {
        assert_eq!(feed(&[b"abc"]), (b"abc".to_vec(), false));
        assert_eq!(feed(&[b"ab\x10\x11c"]), (b"ab".to_vec(), true));
        assert_eq!(feed(&[b"ab\x10", b"\x11"]), (b"ab".to_vec(), true));
        assert_eq!(feed(&[b"\x10", b"x"]), (b"\x10x".to_vec(), false));
        assert_eq!(feed(&[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(feed(&[b"\x11\x10a"]), (b"\x11\x10a".to_vec(), false));
    }
}
