//! What rules are made of, as the kernel's virtual machine has it: load something into a register, compare or look it up, decide.

use crate::netlink::MessageWriter;

/// Registers of 4 bytes: the n-th.
pub(super) const fn register(n: u32) -> u32 {
    8 + n
}

/// What can be loaded from the packet and its surroundings, always into whole registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    InDevice,
    OutDevice,
    Family,
    L4Protocol,
    EtherSource,
    EtherDestination,
    EtherType,
    ArpSource,
    ArpSourceMac,
    ArpTarget,
    Source4,
    Destination4,
    Source6,
    Destination6,
    /// Whether more of a packet follows, and where in it this piece belongs.
    FragmentOffset4,
    SourcePort,
    DestinationPort,
    TcpFlags,
    /// The first byte of an ICMP message.
    IcmpType,
    /// The address that a neighbour advertisement is about.
    NeighbourTarget,
    CtState,
    CtStatus,
    /// What kind of route leads to the packet's destination.
    DestinationType,
}

impl Load {
    /// How many registers it fills.
    pub(super) const fn registers(self) -> u32 {
        match self {
            Self::InDevice
            | Self::OutDevice
            | Self::Source6
            | Self::Destination6
            | Self::NeighbourTarget => 4,
            Self::EtherSource | Self::EtherDestination | Self::ArpSourceMac => 2,
            _ => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Accept,
    Return,
    Jump(&'static str),
    /// Returning from there is returning from here.
    Goto(&'static str),
}

/// The expressions of a rule, written one behind the other.
pub(super) struct Expressions<'a, 'b>(&'a mut MessageWriter<'b>);

const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

impl<'a, 'b> Expressions<'a, 'b> {
    pub(super) const fn new(writer: &'a mut MessageWriter<'b>) -> Self {
        Self(writer)
    }

    fn expression(&mut self, name: &str, data: impl FnOnce(&mut MessageWriter<'_>)) -> &mut Self {
        self.0.nest(1, |element| {
            element.text(1, name).nest(2, |inside| data(inside));
        });
        self
    }

    pub(super) fn load(&mut self, what: Load, at: u32) -> &mut Self {
        match what {
            Load::InDevice => self.meta(6, at),
            Load::OutDevice => self.meta(7, at),
            Load::Family => self.meta(15, at),
            Load::L4Protocol => self.meta(16, at),
            Load::EtherSource => self.payload(LINK, 6, 6, at),
            Load::EtherDestination => self.payload(LINK, 0, 6, at),
            Load::EtherType => self.meta(1, at),
            Load::ArpSourceMac => self.payload(NETWORK, 8, 6, at),
            Load::ArpSource => self.payload(NETWORK, 14, 4, at),
            Load::ArpTarget => self.payload(NETWORK, 24, 4, at),
            Load::FragmentOffset4 => self.payload(NETWORK, 6, 2, at),
            Load::Source4 => self.payload(NETWORK, 12, 4, at),
            Load::Destination4 => self.payload(NETWORK, 16, 4, at),
            Load::Source6 => self.payload(NETWORK, 8, 16, at),
            Load::Destination6 => self.payload(NETWORK, 24, 16, at),
            Load::SourcePort => self.payload(TRANSPORT, 0, 2, at),
            Load::DestinationPort => self.payload(TRANSPORT, 2, 2, at),
            Load::TcpFlags => self.payload(TRANSPORT, 13, 1, at),
            Load::IcmpType => self.payload(TRANSPORT, 0, 1, at),
            Load::NeighbourTarget => self.payload(TRANSPORT, 8, 16, at),
            Load::CtState => self.ct(0, at),
            Load::CtStatus => self.ct(2, at),
            Load::DestinationType => self.expression("fib", |data| {
                data.be32(1, at).be32(2, 3).be32(3, 2);
            }),
        }
    }

    /// Loads one behind the other, from the first register on: a key.
    pub(super) fn load_all(&mut self, parts: &[Load]) -> &mut Self {
        let mut at = 0;
        for &part in parts {
            self.load(part, register(at));
            at += part.registers();
        }
        self
    }

    fn meta(&mut self, key: u32, at: u32) -> &mut Self {
        self.expression("meta", |data| {
            data.be32(2, key).be32(1, at);
        })
    }

    fn ct(&mut self, key: u32, at: u32) -> &mut Self {
        self.expression("ct", |data| {
            data.be32(2, key).be32(1, at);
        })
    }

    fn payload(&mut self, base: u32, offset: u32, length: u32, at: u32) -> &mut Self {
        self.expression("payload", |data| {
            data.be32(1, at)
                .be32(2, base)
                .be32(3, offset)
                .be32(4, length);
        })
    }

    /// The rule goes on if the register holds `value` (`wanted`) or does not.
    pub(super) fn compare(&mut self, at: u32, wanted: bool, value: &[u8]) -> &mut Self {
        self.expression("cmp", |data| {
            data.be32(1, at)
                .be32(2, u32::from(!wanted))
                .nest(3, |data| {
                    data.bytes(1, value);
                });
        })
    }

    /// Puts a value into registers.
    pub(super) fn set(&mut self, at: u32, value: &[u8]) -> &mut Self {
        self.expression("immediate", |data| {
            data.be32(1, at).nest(2, |data| {
                data.bytes(1, value);
            });
        })
    }

    /// Keeps only the bits of `mask`.
    pub(super) fn mask(&mut self, at: u32, mask: &[u8]) -> &mut Self {
        let zeros = vec![0; mask.len()];
        self.expression("bitwise", |data| {
            data.be32(1, at)
                .be32(2, at)
                .be32(3, mask.len() as u32)
                .nest(4, |data| {
                    data.bytes(1, mask);
                })
                .nest(5, |data| {
                    data.bytes(1, &zeros);
                });
        })
    }

    /// The rule goes on if what is in the registers is in the set (`wanted`) or is not.
    pub(super) fn lookup(&mut self, set: &str, at: u32, wanted: bool) -> &mut Self {
        self.expression("lookup", |data| {
            data.text(1, set).be32(2, at);
            if !wanted {
                data.be32(5, 1);
            }
        })
    }

    /// The same with a map, whose value goes into the registers from `to` on.
    pub(super) fn map(&mut self, map: &str, at: u32, to: u32) -> &mut Self {
        self.expression("lookup", |data| {
            data.text(1, map).be32(2, at).be32(3, to);
        })
    }

    pub(super) fn translate(&mut self, nat: Nat) -> &mut Self {
        self.expression("nat", |data| {
            data.be32(1, u32::from(nat.destination))
                .be32(2, nat.family)
                .be32(3, nat.address);
            if let Some(port) = nat.port {
                data.be32(5, port);
            }
        })
    }

    /// Sends the frame out of the device whose index is in a register; no other rule sees it.
    pub(super) fn send_by(&mut self, at: u32) -> &mut Self {
        self.expression("fwd", |data| {
            data.be32(1, at);
        })
    }

    pub(super) fn masquerade(&mut self) -> &mut Self {
        self.expression("masq", |_| {})
    }

    pub(super) fn decide(&mut self, verdict: Verdict) -> &mut Self {
        const DROP: u32 = 0;
        const ACCEPT: u32 = 1;
        const JUMP: u32 = (-3i32).cast_unsigned();
        const GOTO: u32 = (-4i32).cast_unsigned();
        const RETURN: u32 = (-5i32).cast_unsigned();
        self.expression("immediate", |data| {
            data.be32(1, 0).nest(2, |data| {
                data.nest(2, |data| {
                    match verdict {
                        Verdict::Drop => data.be32(1, DROP),
                        Verdict::Accept => data.be32(1, ACCEPT),
                        Verdict::Return => data.be32(1, RETURN),
                        Verdict::Jump(chain) => data.be32(1, JUMP).text(2, chain),
                        Verdict::Goto(chain) => data.be32(1, GOTO).text(2, chain),
                    };
                });
            });
        })
    }
}

/// Another address, and port, for a connection; out of registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nat {
    /// Of the destination, else of the source.
    pub(super) destination: bool,
    /// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    pub(super) family: u32,
    pub(super) address: u32,
    pub(super) port: Option<u32>,
}
