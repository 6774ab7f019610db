//! The key sequence that lets an attached client go: `ctrl-p,ctrl-q`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A sequence of key codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

impl FromStr for DetachKeys {
    type Err = Error;

    /// Reads `ctrl-<a-z@[\]^_>` and single characters, joined by commas.
    fn from_str(text: &str) -> Result<Self, Error> {
        text.split(',')
            .map(|key| {
                key_code(key)
                    .ok_or_else(|| Error::invalid(format!("Invalid detach keys ({text}) provided")))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn key_code(key: &str) -> Option<u8> {
    if let [byte] = key.as_bytes() {
        return Some(*byte);
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [sign @ b'['..=b'_'] => Some(sign - b'[' + 27),
        _ => None,
    }
}

/// Watches input for the keys, holding back a begun sequence until it is decided.
#[derive(Debug)]
pub(crate) struct Scanner {
    keys: Vec<u8>,
    matched: usize,
}

/// What a scanned piece of input means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// What is for the process.
    pub(crate) pass: Vec<u8>,
    /// The keys were pressed; what followed them is dropped.
    pub(crate) detached: bool,
}

impl Scanner {
    pub(crate) fn new(keys: DetachKeys) -> Self {
        Self {
            keys: keys.0,
            matched: 0,
        }
    }

    pub(crate) fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut pass = Vec::with_capacity(input.len() + self.matched);
        for &byte in input {
            if byte != self.keys[self.matched] && self.matched > 0 {
                pass.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte != self.keys[self.matched] {
                pass.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return Scanned {
                    pass,
                    detached: true,
                };
            }
        }
        Scanned {
            pass,
            detached: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_reads_them() {
        for (text, want) in [
            ("ctrl-p,ctrl-q", Some(vec![16, 17])),
            ("a,ctrl-@", Some(vec![b'a', 0])),
            ("ctrl-[,ctrl-_", Some(vec![27, 31])),
            ("ctrl-A", None),
            ("", None),
            ("ctrl-", None),
        ] {
            assert_eq!(text.parse::<DetachKeys>().ok().map(|k| k.0), want, "{text}");
        }
    }

    #[test]
    fn the_sequence_detaches_even_in_pieces() {
        let mut scanner = Scanner::new(DetachKeys::default());
        assert_eq!(scanner.scan(b"ab\x10").pass, b"ab");
        assert!(scanner.scan(b"\x11rest").detached);
    }

    #[test]
    fn a_broken_sequence_is_passed_on() {
        let mut scanner = Scanner::new(DetachKeys::default());
        assert_eq!(scanner.scan(b"\x10").pass, b"");
        let scanned = scanner.scan(b"x\x10\x10\x11");
        assert_eq!(
            (scanned.pass.as_slice(), scanned.detached),
            (&b"\x10x\x10"[..], true)
        );
    }
}
