use std::net::{IpAddr, SocketAddr};

use crate::{Prefix, Protocol};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller has to tell apart; the daemon makes a status code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense.
    Invalid,
    /// It is taken: an address, a subnet, a port, a device name.
    Conflict,
    /// There is none left.
    Exhausted,
    /// This kernel cannot do it.
    Unsupported,
    /// The machine failed.
    System,
}

/// Everything that can go wrong with networks. Where Docker has a wording that tools look for, it is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(String),
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    Overlap { wanted: Prefix, other: Prefix },
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnet,
    #[error("no available addresses in {0}")]
    NoAddress(Prefix),
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// An endpoint of ours has it.
    #[error("Bind for {0} failed: port is already allocated")]
    PortInUse(SocketAddr),
    /// Somebody else has it, or the address is not the host's.
    #[error("failed to bind host port {address}/{protocol}: {}", linux::errno_text(.source.errno()))]
    PortRefused {
        address: SocketAddr,
        protocol: Protocol,
        source: linux::Error,
    },
    #[error("all ports are allocated")]
    NoPort,
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Unsupported(String),
    /// What was being done, and what the kernel said.
    #[error("{doing}")]
    Kernel { doing: String, source: linux::Error },
    /// A netlink answer that is not one.
    #[error("the kernel's answer makes no sense: {0}")]
    Malformed(&'static str),
    /// A step failed, and taking it back failed too.
    #[error("{first}; and taking back what was done failed: {}", .others.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Undo {
        first: Box<Error>,
        others: Vec<Error>,
    },
}

impl Error {
    /// Tells that taking back failed too, if it did.
    pub(crate) fn with_undo(self, others: Vec<Self>) -> Self {
        if others.is_empty() {
            return self;
        }
        Self::Undo {
            first: Box::new(self),
            others,
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Overlap { .. }
            | Self::AddressInUse(_)
            | Self::PortInUse(_)
            | Self::PortRefused { .. }
            | Self::Conflict(_) => Kind::Conflict,
            Self::NoSubnet | Self::NoAddress(_) | Self::NoPort => Kind::Exhausted,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::Kernel { .. } | Self::Malformed(_) => Kind::System,
            Self::Undo { first, .. } => first.kind(),
        }
    }

    /// The kernel's errno, if it was the kernel that refused.
    #[must_use]
    pub fn errno(&self) -> Option<linux::Errno> {
        match self {
            Self::Kernel { source, .. } | Self::PortRefused { source, .. } => Some(source.errno()),
            Self::Undo { first, .. } => first.errno(),
            _ => None,
        }
    }
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Doing<T> for linux::Result<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|source| Error::Kernel {
            doing: doing().into(),
            source,
        })
    }
}

impl From<linux::Error> for Error {
    fn from(source: linux::Error) -> Self {
        Self::Kernel {
            doing: "a system call failed".into(),
            source,
        }
    }
}
