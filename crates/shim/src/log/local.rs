//! The `local` format: framed records, so that nothing is escaped and a file can be read from its end.
//!
//! ```text
//! file    := magic record*            magic = "TARELOG1"
//! record  := length body length       length = u32 little-endian, of the body
//! body    := 0|1 at text              output: stdout or stderr, i64 nanoseconds, the bytes with their newline
//!          | 2 json                   attributes of the lines that follow
//! ```

use std::collections::BTreeMap;

use super::{Decoded, Stream, details};
use crate::time::Timestamp;

pub(super) const MAGIC: &[u8; 8] = b"TARELOG1";

/// The greatest body: a piece of a line is at most 16 KiB, labels may be large.
pub(super) const MAX_BODY: usize = 1 << 20;

const ATTRS: u8 = 2;
const LINE_HEADER: usize = 9;

/// Appends one line. `whole` lines get their newline back.
pub(super) fn encode(stream: Stream, text: &[u8], whole: bool, at: Timestamp, out: &mut Vec<u8>) {
    let length = ((LINE_HEADER + text.len() + usize::from(whole)) as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.push(stream as u8);
    out.extend_from_slice(&at.as_nanos().to_le_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(if whole { b"\n" } else { b"" });
    out.extend_from_slice(&length);
}

/// The start of a file: the magic, and the attributes if there are any.
pub(super) fn file_start(attrs: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&attrs_record(attrs));
    out
}

/// The attributes as a record; nothing without any.
pub(super) fn attrs_record(attrs: &BTreeMap<String, String>) -> Vec<u8> {
    let json = serde_json::to_vec(attrs).unwrap_or_default();
    if attrs.is_empty() || json.len() >= MAX_BODY {
        return Vec::new();
    }
    let length = (json.len() as u32 + 1).to_le_bytes();
    [&length[..], &[ATTRS], &json, &length].concat()
}

/// What lies at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Record {
        length: usize,
    },
    /// More bytes are needed.
    Short,
    /// No record can start here.
    Broken,
}

/// Looks at the record at the start of `bytes`; its whole length on disk is `length + 8`.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let Some(header) = bytes.first_chunk::<4>() else {
        return Cut::Short;
    };
    let length = u32::from_le_bytes(*header) as usize;
    if !(1..=MAX_BODY).contains(&length) {
        return Cut::Broken;
    }
    match bytes.get(4 + length..8 + length) {
        None => Cut::Short,
        Some(trailer) if trailer == header => Cut::Record { length },
        Some(_) => Cut::Broken,
    }
}

/// Reads records' bodies.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    attrs: String,
}

impl Decoder {
    /// Reads a body; `None` for one that is no line.
    pub(super) fn decode(&mut self, body: &[u8]) -> Option<Decoded> {
        let stream = match body.first()? {
            0 => Stream::Stdout,
            1 => Stream::Stderr,
            &ATTRS => {
                self.attrs = details(&serde_json::from_slice(&body[1..]).unwrap_or_default());
                return None;
            }
            _ => return None,
        };
        let at = i64::from_le_bytes(*body.get(1..)?.first_chunk()?);
        Some(Decoded {
            stream,
            at: Timestamp::from_nanos(at),
            text: LINE_HEADER..body.len(),
        })
    }

    /// What `--details` shows with the line that was decoded last.
    pub(super) fn attrs(&self) -> &str {
        &self.attrs
    }
}
