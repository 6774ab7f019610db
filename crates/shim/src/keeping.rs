//! The protocol between the daemon and the keeper: the process that holds what containers need of the network while no daemon
//! runs. Names are answered there, published ports are reserved there, and connections are carried on that the kernel
//! cannot translate.
//!
//! One unix stream socket. A frame is `u32` little-endian length of what follows, one byte with the number of descriptors
//! that belong to it, and the message (see [`Wire`]). The descriptors travel with the frame's bytes (`SCM_RIGHTS`), never behind them. The daemon asks and the
//! keeper answers each [`Request`] with the [`Reply`] of the same number, in order. The first request is [`Op::Hello`].
//!
//! **Versions.** A keeper outlives the daemon that started it. Messages never change; what a version adds are further operations, and
//! one that the keeper does not know is an error whose text says so. [`Value::Welcome`] tells its version.

mod frame;
mod wire;

use std::net::SocketAddr;

use network::Identity;
use network::dns::Named;

pub use frame::{Decoder, FrameError, MAX_FDS, MAX_FRAME, receive, send};
pub use wire::Wire;

/// The version this library speaks.
pub const VERSION: u32 = 2;
/// The first version that knows [`Op::Part`].
pub const PARTS: u32 = 2;

/// The name that makes `tare-shim` the keeper.
pub const PROGRAM: &str = "tare-keeper";
/// The keeper's folder in the exec root; in it its socket, and the file for its last words.
pub const FOLDER: &str = "keeper";
pub const SOCKET_FILE: &str = "keeper.sock";
pub const ERRORS_FILE: &str = "keeper.err";
/// What it inherits: the listening socket, and the first connection.
pub const LISTENER_FD: i32 = 3;
pub const CONTROL_FD: i32 = 4;

/// A question to the keeper, and the number its reply will carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub seq: u64,
    pub op: Op,
}

/// What the keeper is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Answered by [`Value::Welcome`].
    Hello {
        version: u32,
    },
    /// What it keeps: [`Value::Kept`]. For a daemon that finds the keeper of an earlier one.
    Kept,
    /// The names of a network, in place of those it had.
    Names(Zone),
    /// The network has no names any more.
    Forget {
        network: Identity,
    },
    /// Answers a container's questions. With descriptors: the datagram and the listening socket in its namespace, then
    /// the namespace itself; without, only what is asked is changed, for a container that is served already.
    Serve(Server),
    Unserve {
        id: String,
    },
    /// Holds sockets, a descriptor each, under a key; those that it has under the same key it holds further.
    Hold {
        key: String,
        sockets: Vec<Use>,
    },
    /// Gives copies of what is held under a key: [`Value::Held`], with the descriptors. At most [`MAX_FDS`], those behind the first
    /// `skip`.
    Lend {
        key: String,
        skip: usize,
    },
    /// Closes what it holds under the key.
    Release {
        key: String,
    },
    /// Ends the keeper, whatever it keeps.
    End,
    /// Answers the host itself, out of all networks. With descriptors: the datagram and the listening socket, then the host's
    /// namespace; without, it is done already at this very address, or an error.
    ServeHost(HostNames),
    /// Answers the host no more.
    UnserveHost,
    /// Closes some of what it holds under the key, and what goes through them ends: those sockets of which descriptors come along. What it
    /// does not hold is no error. Of version 2.
    Part {
        key: String,
    },
    /// What a later version asks for.
    Unknown,
}

/// The names of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub network: Identity,
    /// May follow a container's: `web.frontend`.
    pub name: String,
    pub entries: Vec<Named>,
}

/// Whose questions are answered, and out of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The container's.
    pub id: String,
    /// The networks it is in, that of its default route first.
    pub networks: Vec<Identity>,
    /// Names that this container alone knows (`--link`); they go before all others.
    pub private: Vec<Named>,
    /// Asked in this order for what nobody here has. Nobody: such names are not to be had.
    pub upstreams: Vec<Upstream>,
}

/// Where the host asks for names of containers, and how they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNames {
    pub at: SocketAddr,
    /// In lower case, without dots at either end.
    pub domain: String,
}

/// A name server elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub address: SocketAddr,
    /// From where it is asked.
    pub from: Side,
}

/// A network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Host,
    Container,
}

/// What is done with a bound socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It keeps others from the port, no more.
    Reserve,
    /// Connections to it are carried on to `to`, from the host's namespace. The socket is bound and does not listen yet.
    ProxyTcp { to: SocketAddr },
    /// The same for datagrams.
    ProxyUdp { to: SocketAddr },
}

/// The answer to a [`Request`]. The error is a sentence for the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub seq: u64,
    pub result: Result<Value, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Done,
    Welcome { version: u32, pid: u32 },
    Kept(Kept),
    Held { sockets: Vec<Use> },
    Unknown,
}

/// All that a keeper keeps, by the names it was given with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub networks: Vec<Identity>,
    pub servers: Vec<String>,
    pub keys: Vec<String>,
}

#[cfg(test)]
mod tests;
