//! What the loop waits for.

use std::os::fd::AsFd;

use linux::epoll::{Epoll, EventFlags};

/// The epoll and the numbers by which it tells descriptors apart.
pub(super) struct Watch {
    pub(super) epoll: Epoll,
    next: u32,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Listener,
    Daemon,
    /// Where a container asks by datagram, and by connection.
    Datagrams,
    Streams,
    /// A container's connection.
    Stream,
    /// A question to another name server.
    Query,
    /// A port that leads to a container, the sides of a connection through it, and the container's side of datagrams.
    Door,
    Client,
    Target,
    Flow,
}

const KINDS: [Kind; 10] = [
    Kind::Listener,
    Kind::Daemon,
    Kind::Datagrams,
    Kind::Streams,
    Kind::Stream,
    Kind::Query,
    Kind::Door,
    Kind::Client,
    Kind::Target,
    Kind::Flow,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) number: u32,
}

impl Token {
    pub(super) const fn new(kind: Kind, number: u32) -> Self {
        Self { kind, number }
    }
}

impl From<u64> for Token {
    fn from(token: u64) -> Self {
        let kind = KINDS.get((token >> 32) as usize);
        Self::new(*kind.unwrap_or(&Kind::Listener), token as u32)
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        (token.kind as Self) << 32 | Self::from(token.number)
    }
}

impl Watch {
    pub(super) fn new() -> linux::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            next: 0,
        })
    }

    /// A number that nothing has had for four billion others.
    pub(super) fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Watches a descriptor; it is forgotten with its last copy.
    pub(super) fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> linux::Result<()> {
        self.epoll.add(fd, token.into(), flags)
    }

    pub(super) fn modify(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: EventFlags,
    ) -> linux::Result<()> {
        self.epoll.modify(fd, token.into(), flags)
    }

    /// For a descriptor that may have copies elsewhere, which would keep it watched.
    pub(super) fn remove(&self, fd: impl AsFd) {
        let _was_watched = self.epoll.delete(fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for (place, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            for number in [0, 1, u32::MAX] {
                let token = Token::new(kind, number);
                assert_eq!(Token::from(u64::from(token)), token);
            }
        }
    }
}
