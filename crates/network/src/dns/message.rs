//! Messages of DNS (RFC 1035), as far as a server needs them that answers one question or hands it on. What comes is a
//! stranger's: nothing is allocated by what it says, and no pointer is followed that does not lead backwards.

use std::net::IpAddr;

const HEADER: usize = 12;
const ANSWER: u8 = 0x80;
const OPCODE: u8 = 0x78;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;
const INTERNET: u16 = 1;
const ANY_CLASS: u16 = 255;
const OPT: u16 = 41;
/// A name in a message is at most this long, dots included.
const MAX_NAME: usize = 253;
/// Where the question's name is, as a pointer: every answer is about it.
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, HEADER as u8];
/// What fits into a datagram without more being agreed on (RFC 1035, 2.3.4).
const PLAIN_DATAGRAM: usize = 512;
/// A datagram that says it takes more gets no more than this (DNS flag day 2020).
const LARGEST_DATAGRAM: usize = 1232;

pub(super) const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
pub(super) const NOT_IMPLEMENTED: u8 = 4;
pub(super) const NO_SUCH_NAME: u8 = 3;
pub(super) const REFUSED: u8 = 5;
const CODE: u8 = 0x0f;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// In lower case, without a dot at the end. Bytes that are no ASCII are left as `?`, which no name of ours has.
    pub name: String,
    pub kind: RecordType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    A,
    Aaaa,
    Ptr,
    Other(u16),
}

impl RecordType {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Ptr => 12,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            12 => Self::Ptr,
            other => Self::Other(other),
        }
    }
}

/// A query that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub question: Question,
    /// Where the question ends.
    end: usize,
    /// How large a datagram the asker takes, if it says so (EDNS).
    datagram: usize,
    has_edns: bool,
}

impl Parsed {
    /// How large a datagram of ours may be.
    pub(super) fn room(&self) -> usize {
        self.datagram.clamp(PLAIN_DATAGRAM, LARGEST_DATAGRAM)
    }
}

/// Why a message is no query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Too short to have an id, or itself an answer.
    NotAQuery,
    Malformed {
        id: [u8; 2],
    },
    /// Another operation or class than that of looking names up.
    Unsupported {
        id: [u8; 2],
    },
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Reads a query.
pub fn parse(query: &[u8]) -> Result<Parsed, Wire> {
    let header: &[u8; HEADER] = query.first_chunk().ok_or(Wire::NotAQuery)?;
    if header[2] & ANSWER != 0 {
        return Err(Wire::NotAQuery);
    }
    let id = [header[0], header[1]];
    if header[2] & OPCODE != 0 {
        return Err(Wire::Unsupported { id });
    }
    let malformed = Wire::Malformed { id };
    if u16_at(query, 4) != Some(1) {
        return Err(malformed);
    }
    let (name, at) = read_name(query, HEADER).ok_or(malformed)?;
    let kind = u16_at(query, at).ok_or(malformed)?;
    let class = u16_at(query, at + 2).ok_or(malformed)?;
    if !matches!(class, INTERNET | ANY_CLASS) {
        return Err(Wire::Unsupported { id });
    }
    let end = at + 4;
    let edns = read_edns(query, end);
    Ok(Parsed {
        question: Question {
            name,
            kind: RecordType::from_number(kind),
        },
        end,
        datagram: edns.unwrap_or(0),
        has_edns: edns.is_some(),
    })
}

/// A name at `at`, and where it ends. In a question there is nothing before it that a pointer could lead to.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        let label = bytes.get(at..at + length)?;
        name.extend(label.iter().map(|&byte| match byte {
            // A dot within a label is no dot between two.
            b'.' => '?',
            byte if byte.is_ascii_graphic() => char::from(byte.to_ascii_lowercase()),
            _ => '?',
        }));
        if name.len() > MAX_NAME {
            return None;
        }
        at += length;
    }
}

/// How large a datagram may be (RFC 6891), if the first additional record says so and there is nothing else.
fn read_edns(query: &[u8], end: usize) -> Option<usize> {
    let others = (u16_at(query, 6)?, u16_at(query, 8)?);
    let is_opt = query.get(end) == Some(&0) && u16_at(query, end + 1)? == OPT;
    (others == (0, 0) && u16_at(query, 10)? > 0 && is_opt)
        .then(|| u16_at(query, end + 3).map(usize::from))
        .flatten()
}

/// An answer that says only why there is none.
pub(super) fn refuse(id: [u8; 2], code: u8) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&id);
    reply[2] = ANSWER;
    reply[3] = RECURSION_AVAILABLE | code;
    reply
}

/// What the asker hears when no upstream server has answered; `None` for what is no query.
#[must_use]
pub fn servfail(query: &[u8]) -> Option<Vec<u8>> {
    let parsed = parse(query).ok()?;
    let mut reply = Reply::to(query, &parsed, usize::from(u16::MAX));
    reply.bytes[2] &= !AUTHORITATIVE;
    reply.bytes[3] |= SERVER_FAILURE;
    Some(reply.finish())
}

/// What is left of an upstream server's answer that is too large for the datagram of who asked: that there is more, over TCP.
#[must_use]
pub fn truncate(query: &[u8]) -> Option<Vec<u8>> {
    let parsed = parse(query).ok()?;
    let mut reply = Reply::to(query, &parsed, usize::from(u16::MAX));
    reply.bytes[2] = reply.bytes[2] & !AUTHORITATIVE | TRUNCATED;
    Some(reply.finish())
}

/// Whether a message is an answer to a query: of its number, and to its question. A server may leave the question out when it could
/// not read it.
#[must_use]
pub fn is_answer(query: &[u8], reply: &[u8]) -> bool {
    let (Some(header), Ok(asked)) = (reply.first_chunk::<HEADER>(), parse(query)) else {
        return false;
    };
    if header[..2] != query[..2] || header[2] & ANSWER == 0 {
        return false;
    }
    match u16_at(reply, 4) {
        Some(0) => header[3] & CODE != 0,
        Some(1) => read_question(reply).is_some_and(|(name, kind, class)| {
            (name.as_str(), kind) == (asked.question.name.as_str(), asked.question.kind.number())
                && Some(class) == u16_at(query, asked.end - 2)
        }),
        _ => false,
    }
}

fn read_question(message: &[u8]) -> Option<(String, u16, u16)> {
    let (name, at) = read_name(message, HEADER)?;
    Some((name, u16_at(message, at)?, u16_at(message, at + 2)?))
}

/// Whether an answer says that its server could not, or would not, find out.
#[must_use]
pub fn is_failure(reply: &[u8]) -> bool {
    let code = reply.get(3).map(|flags| flags & CODE);
    matches!(code, Some(SERVER_FAILURE | REFUSED))
}

/// Whether who sent the query takes a datagram of that length.
#[must_use]
pub fn has_room(query: &[u8], length: usize) -> bool {
    let agreed = parse(query).map_or(0, |parsed| parsed.datagram);
    length <= agreed.max(PLAIN_DATAGRAM)
}

/// An answer in the making.
pub(super) struct Reply {
    bytes: Vec<u8>,
    room: usize,
    answers: u16,
    has_edns: bool,
    kind: u16,
}

/// The record that says that we know of EDNS, too.
const OPT_RECORD: [u8; 11] = {
    let [high, low] = (LARGEST_DATAGRAM as u16).to_be_bytes();
    [0, 0, OPT as u8, high, low, 0, 0, 0, 0, 0, 0]
};

impl Reply {
    /// An answer of at most `room` bytes, without records.
    pub(super) fn to(query: &[u8], parsed: &Parsed, room: usize) -> Self {
        let mut bytes = query.get(..parsed.end).unwrap_or_default().to_vec();
        if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
            header[2] = ANSWER | AUTHORITATIVE | header[2] & RECURSION_DESIRED;
            header[3] = RECURSION_AVAILABLE;
            header[4..].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        }
        Self {
            bytes,
            room,
            answers: 0,
            has_edns: parsed.has_edns,
            kind: parsed.question.kind.number(),
        }
    }

    pub(super) fn address(&mut self, address: IpAddr, ttl: u32) {
        match address {
            IpAddr::V4(v4) => self.record(ttl, &v4.octets()),
            IpAddr::V6(v6) => self.record(ttl, &v6.octets()),
        }
    }

    /// Those of one family, another one of them first each time.
    pub(super) fn addresses(&mut self, all: Vec<IpAddr>, wants_v4: bool, turn: usize, ttl: u32) {
        let mut all = all;
        all.retain(|address| address.is_ipv4() == wants_v4);
        if !all.is_empty() {
            let by = turn % all.len();
            all.rotate_left(by);
        }
        for address in all {
            self.address(address, ttl);
        }
    }

    /// Says why there is nothing in it. Who refuses speaks with nobody's authority.
    pub(super) fn deny(&mut self, code: u8) {
        if code == REFUSED {
            self.bytes[2] &= !AUTHORITATIVE;
        }
        self.bytes[3] |= code;
    }

    pub(super) fn pointer(&mut self, name: &str, ttl: u32) {
        let mut data = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = &label.as_bytes()[..label.len().min(63)];
            data.push(label.len() as u8);
            data.extend_from_slice(label);
        }
        data.push(0);
        self.record(ttl, &data);
    }

    /// What does not fit is left out, and the answer says so: the asker comes again over TCP.
    fn record(&mut self, ttl: u32, data: &[u8]) {
        let edns = if self.has_edns { OPT_RECORD.len() } else { 0 };
        let length = 12 + data.len();
        let Ok(data_length) = u16::try_from(data.len()) else {
            return;
        };
        if self.bytes.len() + length + edns > self.room || self.bytes[2] & TRUNCATED != 0 {
            self.bytes[2] |= TRUNCATED;
            return;
        }
        self.bytes.extend_from_slice(&POINTER_TO_QUESTION);
        self.bytes.extend_from_slice(&self.kind.to_be_bytes());
        self.bytes.extend_from_slice(&INTERNET.to_be_bytes());
        self.bytes.extend_from_slice(&ttl.to_be_bytes());
        self.bytes.extend_from_slice(&data_length.to_be_bytes());
        self.bytes.extend_from_slice(data);
        self.answers += 1;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes[6..8].copy_from_slice(&self.answers.to_be_bytes());
        if self.has_edns {
            self.bytes[10..12].copy_from_slice(&1u16.to_be_bytes());
            self.bytes.extend_from_slice(&OPT_RECORD);
        }
        self.bytes
    }
}
