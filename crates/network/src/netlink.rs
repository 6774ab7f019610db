//! Speaking netlink: several messages in one send, and what the kernel answers to each.

mod decode;
mod encode;

pub(crate) use decode::{Attributes, Message, Messages, u16_at, u32_at};
pub(crate) use encode::{Batch, MessageWriter};

use std::os::fd::{AsFd, BorrowedFd};

use linux::Errno;
use linux::netlink::{Protocol, Socket};

use crate::error::Doing as _;
use crate::{Error, Result};

/// `nlmsg_flags`.
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const ACK: u16 = 0x4;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
}

const DONE: u16 = 3;
const ERROR: u16 = 2;
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
/// What is beyond is no errno.
const LAST_ERRNO: i32 = 4095;
const DUMP_INTR: u16 = 0x10;
/// The kernel never makes a larger answer than the buffer, up to 32 KiB.
const BUFFER: usize = 64 << 10;
/// For transactions: ten thousand ports that are shifted take a megabyte.
const SEND_ROOM: u32 = 32 << 20;
/// So often is a dump begun anew that was disturbed by changes.
const DUMP_ATTEMPTS: usize = 10;

/// A socket and the number of the last message.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    protocol: Protocol,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What the kernel says to a message that it refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    sequence: u32,
    errno: Errno,
    text: String,
}

impl Connection {
    /// To the tables of the network namespace that the calling thread is in.
    pub(crate) fn open(protocol: Protocol) -> Result<Self> {
        let socket =
            Socket::open(protocol).doing(|| "failed to reach the kernel's network tables")?;
        if protocol == Protocol::Netfilter {
            socket
                .set_send_room(SEND_ROOM)
                .doing(|| "failed to make room for messages")?;
        }
        Ok(Self {
            socket,
            protocol,
            sequence: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// Sends all messages of a batch at once. The first error is told; route messages behind one that fails are
    /// carried out nonetheless, a netfilter transaction is carried out as a whole or not at all.
    pub(crate) fn run(&mut self, batch: Batch) -> Result<()> {
        self.run_and_hear(batch, |_| {})
    }

    /// The same for route messages, some of which ask for objects: those are handed to `each`.
    pub(crate) fn run_and_hear(
        &mut self,
        mut batch: Batch,
        each: impl FnMut(&Message<'_>),
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.sequence = batch.number(self.sequence);
        self.socket
            .send(batch.bytes())
            .doing(|| batch.doing(None))?;
        let refusals = match self.protocol {
            Protocol::Route => self.read_each(batch.len(), each),
            Protocol::Netfilter => self.read_waiting(),
        };
        match refusals.doing(|| batch.doing(None))?.into_iter().next() {
            None => Ok(()),
            Some(refusal) => Err(Error::Kernel {
                doing: batch.doing(Some(refusal.sequence)),
                source: linux::Error::new(refusal.text, refusal.errno),
            }),
        }
    }

    /// Each message has its answer.
    fn read_each(
        &mut self,
        mut wanted: usize,
        mut each: impl FnMut(&Message<'_>),
    ) -> linux::Result<Vec<Refusal>> {
        let mut refusals = Vec::new();
        while wanted > 0 {
            let length = self.socket.receive(&mut self.buffer)?;
            for message in Messages::new(&self.buffer[..length]) {
                if message.kind == ERROR {
                    wanted = wanted.saturating_sub(1);
                    refusals.extend(refusal(&message));
                } else {
                    each(&message);
                }
            }
        }
        Ok(refusals)
    }

    /// Only the last message, and those that fail, have an answer. All of them are there when the send has returned.
    fn read_waiting(&mut self) -> linux::Result<Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut answered = false;
        while let Some(length) = self.socket.receive_waiting(&mut self.buffer)? {
            for message in Messages::new(&self.buffer[..length]).filter(|m| m.kind == ERROR) {
                answered = true;
                refusals.extend(refusal(&message));
            }
        }
        if !answered {
            return Err(linux::Error::new("recvfrom(AF_NETLINK)", Errno::NODATA));
        }
        Ok(refusals)
    }

    /// Asks for one object or for all of a kind, and hands what comes to `each`.
    pub(crate) fn ask(&mut self, batch: &Batch, mut each: impl FnMut(&Message<'_>)) -> Result<()> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut answers = Vec::new();
            if self.ask_once(batch, &mut answers)? {
                for answer in &answers {
                    Messages::new(answer).for_each(|message| each(&message));
                }
                return Ok(());
            }
        }
        Err(Error::Malformed("what was asked for changed all the time"))
    }

    /// False if the answer is of several moments.
    fn ask_once(&mut self, batch: &Batch, answers: &mut Vec<Vec<u8>>) -> Result<bool> {
        let mut batch = batch.clone();
        self.sequence = batch.number(self.sequence);
        self.socket
            .send(batch.bytes())
            .doing(|| batch.doing(None))?;
        let mut consistent = true;
        loop {
            let length = self
                .socket
                .receive(&mut self.buffer)
                .doing(|| batch.doing(None))?;
            let datagram = &self.buffer[..length];
            let mut end = false;
            for message in Messages::new(datagram) {
                consistent &= message.flags & DUMP_INTR == 0;
                if let Some(refusal) = refusal(&message) {
                    return Err(Error::Kernel {
                        doing: batch.doing(None),
                        source: linux::Error::new(refusal.text, refusal.errno),
                    });
                }
                end |= matches!(message.kind, DONE | ERROR);
            }
            answers.push(datagram.to_vec());
            if end {
                return Ok(consistent);
            }
        }
    }

    /// Hears what is told to a multicast group, with [`Connection::read_changes`].
    pub(crate) fn join(&self, group: u32) -> Result<()> {
        self.socket
            .join(group)
            .doing(|| "failed to listen for changes")
    }

    /// The number of this socket, as the messages have it that it causes.
    pub(crate) fn port(&self) -> Result<u32> {
        self.socket
            .port()
            .doing(|| "failed to ask for a socket's number")
    }

    /// Hands everything that waits to be read to `each`; false if messages were lost.
    pub(crate) fn read_changes(&mut self, mut each: impl FnMut(&Message<'_>)) -> Result<bool> {
        let mut complete = true;
        loop {
            match self.socket.receive_waiting(&mut self.buffer) {
                Ok(None) => return Ok(complete),
                Ok(Some(length)) => Messages::new(&self.buffer[..length]).for_each(|m| each(&m)),
                Err(error) if error.errno() == Errno::NOBUFS => complete = false,
                Err(error) => return Err(error).doing(|| "failed to listen for changes"),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `NLMSG_ERROR`: the errno, the header of the message it is about, and with `NLM_F_ACK_TLVS` more. An errno of 0 is no refusal.
pub(crate) fn refusal(message: &Message<'_>) -> Option<Refusal> {
    if !matches!(message.kind, ERROR | DONE) {
        return None;
    }
    let code = u32_at(message.payload, 0)?.cast_signed();
    if code >= 0 {
        return None;
    }
    let tail = if message.kind == DONE {
        4
    } else if message.flags & CAPPED != 0 {
        20
    } else {
        4 + u32_at(message.payload, 4)? as usize
    };
    let text = (message.flags & ACK_TLVS != 0)
        .then(|| message.payload.get(tail..))
        .flatten()
        .and_then(|rest| Attributes::new(rest).find(|(kind, _)| *kind == 1))
        .map(|(_, text)| {
            String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text)).into_owned()
        });
    Some(Refusal {
        sequence: message.sequence,
        errno: Errno::from_raw_os_error(code.wrapping_neg().clamp(1, LAST_ERRNO)),
        text: text.unwrap_or_else(|| "netlink".to_owned()),
    })
}

#[cfg(test)]
mod tests;
