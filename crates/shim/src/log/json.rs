//! Docker's json-file: one JSON object a line, `{"log":"..","stream":"..","attrs":{..},"time":".."}`.

use std::collections::BTreeMap;

use super::{Decoded, Stream, details};
use crate::time::Timestamp;

const PREFIX: &[u8] = br#"{"log":""#;

/// What follows the text in every line of one batch: stream, attributes and time are the same.
pub(super) fn suffix(stream: Stream, attrs: &[u8], at: Timestamp, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(match stream {
        Stream::Stdout => br#"","stream":"stdout""#,
        Stream::Stderr => br#"","stream":"stderr""#,
    });
    out.extend_from_slice(attrs);
    out.extend_from_slice(br#","time":""#);
    at.append_to(out);
    out.extend_from_slice(b"\"}\n");
}

/// The `,"attrs":{..}` member, as Go marshals a map: keys sorted; nothing without attributes.
pub(super) fn attrs_member(attrs: &BTreeMap<String, String>) -> Vec<u8> {
    if attrs.is_empty() {
        return Vec::new();
    }
    let mut out = br#","attrs":{"#.to_vec();
    for (index, (key, value)) in attrs.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        escape(key.as_bytes(), &mut out);
        out.extend_from_slice(b"\":\"");
        escape(value.as_bytes(), &mut out);
        out.push(b'"');
    }
    out.push(b'}');
    out
}

/// Appends one line. `whole` lines get their newline back.
pub(super) fn encode(text: &[u8], whole: bool, suffix: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(PREFIX);
    escape(text, out);
    if whole {
        out.extend_from_slice(b"\\n");
    }
    out.extend_from_slice(suffix);
}

/// Appends text as the inside of a JSON string, byte for byte as Docker does: `<`, `>` and `&` are escaped as well, and
/// every byte that is not UTF-8 becomes U+FFFD.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let plain = plain_prefix(text);
    out.extend_from_slice(&text[..plain]);
    if plain < text.len() {
        escape_rest(&text[plain..], out);
    }
}

fn escape_rest(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        escape_valid(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(br"\ufffd");
        }
    }
}

fn escape_valid(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(&byte) = text.first() {
        let taken = match byte {
            b'"' | b'\\' => {
                out.extend_from_slice(&[b'\\', byte]);
                1
            }
            b'\n' => {
                out.extend_from_slice(b"\\n");
                1
            }
            b'\r' => {
                out.extend_from_slice(b"\\r");
                1
            }
            // U+2028 and U+2029, which JavaScript takes for ends of lines.
            0xe2 if text.len() > 2 && text[1] == 0x80 && text[2] & 0xfe == 0xa8 => {
                out.extend_from_slice(if text[2] == 0xa8 {
                    br"\u2028"
                } else {
                    br"\u2029"
                });
                3
            }
            0x80.. => {
                let run = text.iter().position(u8::is_ascii).unwrap_or(text.len());
                // Stops before the next character that may need an escape; the first byte itself needs none here.
                let run = text[1..run]
                    .iter()
                    .position(|&b| b == 0xe2)
                    .map_or(run, |i| i + 1);
                out.extend_from_slice(&text[..run]);
                run
            }
            _ if is_plain(byte) => {
                let run = plain_prefix(text);
                out.extend_from_slice(&text[..run]);
                run
            }
            _ => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(byte >> 4),
                    digit(byte & 15),
                ]);
                1
            }
        };
        text = &text[taken..];
    }
}

/// Judged without a branch, so that whole blocks are judged by vector instructions.
const fn is_plain(byte: u8) -> bool {
    (byte >= 0x20)
        & (byte < 0x80)
        & (byte != b'"')
        & (byte != b'\\')
        & (byte != b'<')
        & (byte != b'>')
        & (byte != b'&')
}

/// How many bytes at the start stand for themselves.
fn plain_prefix(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut plain = 0;
    for block in text.chunks_exact(BLOCK) {
        if !block.iter().fold(true, |all, &byte| all & is_plain(byte)) {
            break;
        }
        plain += BLOCK;
    }
    plain
        + text[plain..]
            .iter()
            .take_while(|&&byte| is_plain(byte))
            .count()
}

/// Reads lines. The part after the text is the same for a whole batch, so the last one is kept and compared.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    suffix: Vec<u8>,
    stream: Option<Stream>,
    at: Timestamp,
    attrs: String,
}

impl Decoder {
    /// Reads one line without its newline and unescapes the text in place; `None` for a line that is no log line.
    pub(super) fn decode(&mut self, line: &mut [u8]) -> Option<Decoded> {
        if let Some(stream) = self.stream
            && line.starts_with(PREFIX)
            && line.len() >= PREFIX.len() + self.suffix.len()
            && line.ends_with(&self.suffix)
        {
            let end = line.len() - self.suffix.len();
            if let Some(length) = unescape(&mut line[PREFIX.len()..end]) {
                return Some(Decoded {
                    stream,
                    at: self.at,
                    text: PREFIX.len()..PREFIX.len() + length,
                });
            }
        }
        self.decode_new(line)
    }

    /// What `--details` shows with the line that was decoded last.
    pub(super) fn attrs(&self) -> &str {
        &self.attrs
    }

    /// A line whose end differs from the one before.
    fn decode_new(&mut self, line: &mut [u8]) -> Option<Decoded> {
        let end = text_end(line)?;
        let (stream, at, attrs) = members(&line[end + 1..])?;
        let length = unescape(&mut line[PREFIX.len()..end])?;
        self.suffix.clear();
        self.suffix.extend_from_slice(&line[end..]);
        (self.stream, self.at, self.attrs) = (Some(stream), at, attrs);
        Some(Decoded {
            stream,
            at,
            text: PREFIX.len()..PREFIX.len() + length,
        })
    }
}

/// Where the text's closing quote is.
fn text_end(line: &[u8]) -> Option<usize> {
    if !line.starts_with(PREFIX) {
        return None;
    }
    let mut at = PREFIX.len();
    loop {
        at += memchr::memchr2(b'"', b'\\', line.get(at..)?)?;
        if line[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Reads what follows the text.
fn members(rest: &[u8]) -> Option<(Stream, Timestamp, String)> {
    #[derive(serde::Deserialize)]
    struct Members {
        #[serde(default)]
        stream: String,
        time: Timestamp,
        #[serde(default)]
        attrs: BTreeMap<String, String>,
    }
    let object = [b"{", rest.strip_prefix(b",")?].concat();
    let members: Members = serde_json::from_slice(&object).ok()?;
    let stream = if members.stream == "stderr" {
        Stream::Stderr
    } else {
        Stream::Stdout
    };
    Some((stream, members.time, details(&members.attrs)))
}

/// Unescapes the inside of a JSON string in place and tells the new length. `None`, with the bytes untouched, when it is
/// not the inside of one string.
fn unescape(text: &mut [u8]) -> Option<usize> {
    let Some(mut from) = memchr::memchr(b'\\', text) else {
        return memchr::memchr(b'"', text).is_none().then_some(text.len());
    };
    // The usual line: its only escape is its newline.
    if from + 2 == text.len() && text[from + 1] == b'n' {
        memchr::memchr(b'"', &text[..from])
            .is_none()
            .then_some(())?;
        text[from] = b'\n';
        return Some(from + 1);
    }
    check_inside(text)?;
    let mut to = from;
    while from < text.len() {
        let (taken, character) = escaped(&text[from..])?;
        from += taken;
        to += character.encode_utf8(&mut text[to..]).len();
        let run = memchr::memchr(b'\\', &text[from..]).unwrap_or(text.len() - from);
        text.copy_within(from..from + run, to);
        from += run;
        to += run;
    }
    Some(to)
}

/// Whether the bytes are the inside of one JSON string: escapes whole, no quote of its own.
fn check_inside(text: &[u8]) -> Option<()> {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += found;
        if text[at] == b'"' {
            return None;
        }
        at += escaped(&text[at..])?.0;
    }
    Some(())
}

/// The escape at the start: how long it is and what it means. A lone surrogate is U+FFFD.
fn escaped(text: &[u8]) -> Option<(usize, char)> {
    Some((
        2,
        match text.get(1)? {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
            b'u' => return escaped_unit(text),
            _ => return None,
        },
    ))
}

fn escaped_unit(text: &[u8]) -> Option<(usize, char)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = std::str::from_utf8(text.get(at..at + 4)?).ok()?;
        digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let first = unit(2)?;
    if (0xd800..0xdc00).contains(&first) && text.get(6..8) == Some(br"\u") {
        let second = unit(8)?;
        if (0xdc00..0xe000).contains(&second) {
            let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Some((12, char::from_u32(scalar)?));
        }
    }
    Some((
        6,
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
    ))
}
