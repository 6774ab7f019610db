//! How the messages look in bytes: numbers little-endian, texts and lists behind their length in 32 bits, a byte for which of an enum.
//!
//! By hand, since serde's code for these types would be a tenth of `tare-shim`. What comes is not believed: nothing is allocated by
//! what a length says.

use std::net::{IpAddr, SocketAddr};

use network::Identity;
use network::dns::Named;

use super::{HostNames, Kept, Op, Reply, Request, Server, Side, Upstream, Use, Value, Zone};

/// Something that travels. `get` takes it from the front of the bytes; `None` for what is none.
pub trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(bytes: &mut &[u8]) -> Option<Self>;
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Numbers.
macro_rules! number {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &mut &[u8]) -> Option<Self> {
                let taken = take(bytes, size_of::<Self>())?;
                Some(Self::from_le_bytes(taken.try_into().ok()?))
            }
        }
    )*};
}

number!(u8, u16, u32, u64);

/// Structs: their fields, one after the other.
macro_rules! fields {
    ($type:ident: $($field:ident),*) => {
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn get(bytes: &mut &[u8]) -> Option<Self> {
                $(let $field = Wire::get(bytes)?;)*
                Some(Self { $($field),* })
            }
        }
    };
}

fields!(Request: seq, op);
fields!(Reply: seq, result);
fields!(Zone: network, name, entries);
fields!(Named: endpoint, names, addresses);
fields!(Server: id, networks, private, upstreams);
fields!(HostNames: at, domain);
fields!(Upstream: address, from);
fields!(Kept: networks, servers, keys);

fn length(length: usize) -> u32 {
    // A frame is shorter than that.
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        length(self.len()).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        let length = u32::get(bytes)?;
        let text = take(bytes, length as usize)?;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        length(self.len()).put(out);
        for one in self {
            one.put(out);
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        let mut all = Self::new();
        // Each takes at least a byte, so this ends with the bytes.
        for _ in 0..u32::get(bytes)? {
            all.push(T::get(bytes)?);
        }
        Some(all)
    }
}

impl Wire for usize {
    fn put(&self, out: &mut Vec<u8>) {
        length(*self).put(out);
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        Some(u32::get(bytes)? as Self)
    }
}

impl Wire for Identity {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        let digits = std::str::from_utf8(take(bytes, 64)?).ok()?;
        digits.parse().ok()
    }
}

impl Wire for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(ip) => {
                4u8.put(out);
                out.extend_from_slice(&ip.octets());
            }
            Self::V6(ip) => {
                6u8.put(out);
                out.extend_from_slice(&ip.octets());
            }
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match u8::get(bytes)? {
            4 => Some(<[u8; 4]>::try_from(take(bytes, 4)?).ok()?.into()),
            6 => Some(<[u8; 16]>::try_from(take(bytes, 16)?).ok()?.into()),
            _ => None,
        }
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self::new(Wire::get(bytes)?, Wire::get(bytes)?))
    }
}

impl Wire for Side {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u8).put(out);
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match u8::get(bytes)? {
            0 => Some(Self::Host),
            1 => Some(Self::Container),
            _ => None,
        }
    }
}

impl Wire for Use {
    fn put(&self, out: &mut Vec<u8>) {
        let (kind, to) = match self {
            Self::Reserve => return 0u8.put(out),
            Self::ProxyTcp { to } => (1u8, to),
            Self::ProxyUdp { to } => (2u8, to),
        };
        kind.put(out);
        to.put(out);
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match u8::get(bytes)? {
            0 => Some(Self::Reserve),
            1 => Some(Self::ProxyTcp {
                to: Wire::get(bytes)?,
            }),
            2 => Some(Self::ProxyUdp {
                to: Wire::get(bytes)?,
            }),
            _ => None,
        }
    }
}

impl Wire for Op {
    fn put(&self, out: &mut Vec<u8>) {
        let mut tag = |tag: u8| out.push(tag);
        match self {
            Self::Unknown => tag(0),
            Self::Hello { version } => {
                tag(1);
                version.put(out);
            }
            Self::Kept => tag(2),
            Self::Names(zone) => {
                tag(3);
                zone.put(out);
            }
            Self::Forget { network } => {
                tag(4);
                network.put(out);
            }
            Self::Serve(server) => {
                tag(5);
                server.put(out);
            }
            Self::Unserve { id } => {
                tag(6);
                id.put(out);
            }
            Self::Hold { key, sockets } => {
                tag(7);
                key.put(out);
                sockets.put(out);
            }
            Self::Lend { key, skip } => {
                tag(8);
                key.put(out);
                skip.put(out);
            }
            Self::Release { key } => {
                tag(9);
                key.put(out);
            }
            Self::End => tag(10),
            Self::ServeHost(names) => {
                tag(11);
                names.put(out);
            }
            Self::UnserveHost => tag(12),
            Self::Part { key } => {
                tag(13);
                key.put(out);
            }
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        Some(match u8::get(bytes)? {
            1 => Self::Hello {
                version: Wire::get(bytes)?,
            },
            2 => Self::Kept,
            3 => Self::Names(Wire::get(bytes)?),
            4 => Self::Forget {
                network: Wire::get(bytes)?,
            },
            5 => Self::Serve(Wire::get(bytes)?),
            6 => Self::Unserve {
                id: Wire::get(bytes)?,
            },
            7 => Self::Hold {
                key: Wire::get(bytes)?,
                sockets: Wire::get(bytes)?,
            },
            8 => Self::Lend {
                key: Wire::get(bytes)?,
                skip: Wire::get(bytes)?,
            },
            9 => Self::Release {
                key: Wire::get(bytes)?,
            },
            10 => Self::End,
            11 => Self::ServeHost(Wire::get(bytes)?),
            12 => Self::UnserveHost,
            13 => Self::Part {
                key: Wire::get(bytes)?,
            },
            _ => Self::Unknown,
        })
    }
}

impl Wire for Value {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.push(0),
            Self::Done => out.push(1),
            Self::Welcome { version, pid } => {
                out.push(2);
                version.put(out);
                pid.put(out);
            }
            Self::Kept(kept) => {
                out.push(3);
                kept.put(out);
            }
            Self::Held { sockets } => {
                out.push(4);
                sockets.put(out);
            }
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        Some(match u8::get(bytes)? {
            1 => Self::Done,
            2 => Self::Welcome {
                version: Wire::get(bytes)?,
                pid: Wire::get(bytes)?,
            },
            3 => Self::Kept(Wire::get(bytes)?),
            4 => Self::Held {
                sockets: Wire::get(bytes)?,
            },
            _ => Self::Unknown,
        })
    }
}

impl Wire for Result<Value, String> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Ok(value) => {
                out.push(0);
                value.put(out);
            }
            Err(text) => {
                out.push(1);
                text.put(out);
            }
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match u8::get(bytes)? {
            0 => Some(Ok(Wire::get(bytes)?)),
            1 => Some(Err(Wire::get(bytes)?)),
            _ => None,
        }
    }
}
