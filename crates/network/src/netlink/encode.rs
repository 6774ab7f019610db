//! Writing messages.

use super::flag;

const HEADER: usize = 16;

/// Messages that are sent together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    at: usize,
    sequence: u32,
    doing: String,
}

/// A message that is being written; it is complete when this is dropped.
pub(crate) struct MessageWriter<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins a message with its fixed part. `doing` completes "failed to": `create bridge br0`.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        doing: impl Into<String>,
    ) -> MessageWriter<'_> {
        let start = self.bytes.len();
        self.parts.push(Part {
            at: start,
            sequence: 0,
            doing: doing.into(),
        });
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | flag::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(fixed);
        pad(&mut self.bytes);
        MessageWriter {
            bytes: &mut self.bytes,
            start,
        }
    }

    /// Gives the messages numbers behind `last`; returns the last one given.
    pub(super) fn number(&mut self, last: u32) -> u32 {
        let mut sequence = last;
        for part in &mut self.parts {
            sequence = sequence.wrapping_add(1);
            part.sequence = sequence;
            self.bytes[part.at + 8..part.at + 12].copy_from_slice(&sequence.to_ne_bytes());
        }
        sequence
    }

    /// Asks for an answer to the last message, which says that the whole batch was carried out.
    pub(crate) fn acknowledge_last(&mut self) {
        if let Some(part) = self.parts.last() {
            let at = part.at + 6..part.at + 8;
            let flags = super::u16_at(&self.bytes, at.start).unwrap_or_default();
            self.bytes[at].copy_from_slice(&(flags | flag::ACK).to_ne_bytes());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the message of this number, or the whole batch, was to do.
    pub(super) fn doing(&self, sequence: Option<u32>) -> String {
        let part = self
            .parts
            .iter()
            .find(|part| Some(part.sequence) == sequence)
            .or_else(|| self.parts.iter().find(|part| !part.doing.is_empty()));
        format!("failed to {}", part.map_or("", |part| &part.doing))
    }
}

impl MessageWriter<'_> {
    /// An attribute of any bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.head(kind, value.len());
        self.bytes.extend_from_slice(value);
        pad(self.bytes);
        self
    }

    fn head(&mut self, kind: u16, length: usize) {
        let length = u16::try_from(length + 4).expect("what we put into attributes is short");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// As netfilter has its numbers.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A string with the zero byte that ends it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.head(kind, value.len() + 1);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        pad(self.bytes);
        self
    }

    /// Bytes that are no attribute, as the fixed part of a message within a message.
    pub(crate) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        pad(self.bytes);
        self
    }

    /// An attribute of attributes.
    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        const NESTED: u16 = 0x8000;
        let start = self.bytes.len();
        self.head(kind | NESTED, 0);
        inside(self);
        let length =
            u16::try_from(self.bytes.len() - start).expect("what we put into attributes is short");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        let length = u32::try_from(self.bytes.len() - self.start).unwrap_or(u32::MAX);
        debug_assert!(length as usize >= HEADER);
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
