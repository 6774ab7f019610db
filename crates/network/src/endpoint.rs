//! A container's place in a network, as data.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{DeviceName, Error, Mac, Prefix, Published};

/// The id of a network or an endpoint: 64 lowercase hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Box<str>);

/// A container's place in a network. Everything is decided already; connecting carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: Identity,
    /// The device's name in the container, `eth0`.
    pub device: DeviceName,
    pub mac: Mac,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Address>,
    /// Further addresses (`--link-local-ip`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Address>,
    /// Where the container's default routes lead, if this endpoint has them (`gw-priority` is decided by the caller).
    /// An internal network has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_v4: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_v6: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Settings of the device below `net.ipv4.conf.DEVICE` and the like, as full names with the word `IFNAME` in place
    /// of the device, as Docker has them: (`net.ipv4.conf.IFNAME.log_martians`, `1`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<(String, String)>,
    /// Whether this connection makes the container's name server, at 127.0.0.11. A container has one: it is wanted of the first endpoint
    /// on a network with names, which is every one but the default bridge. Wanted again, the port leads to the new sockets.
    #[serde(default)]
    pub names: bool,
    /// Whether it may send with other addresses than its own; for routers, and addresses that move between containers.
    #[serde(default)]
    pub any_source: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Published>,
    /// Whether the proxy carries its ports on, all of them: then there are no rules for them.
    #[serde(default)]
    pub carried: bool,
}

/// An address and the length of its network's prefix: `172.17.0.2/16`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    pub ip: IpAddr,
    length: u8,
}

/// A route in the container beside the default one; without a gateway, `to` is on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub to: Prefix,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
}

impl Endpoint {
    /// All its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.v4.iter().chain(&self.v6).chain(&self.extra)
    }
}

impl Identity {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.into()))
        } else {
            Err(Error::Invalid(format!("invalid id {text:.80}")))
        }
    }
}

impl Address {
    pub fn new(ip: IpAddr, length: u8) -> Result<Self, Error> {
        Prefix::of(ip, length)?;
        Ok(Self { ip, length })
    }

    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let prefix: Prefix = text.parse()?;
        let ip = text.split('/').next().unwrap_or_default();
        let ip = ip
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid CIDR address: {text:.60}")))?;
        Self::new(ip, prefix.length())
    }
}

/// What all of these have in common: they are written and read as text.
macro_rules! as_text {
    ($type:ty) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Identity);
as_text!(Address);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_bits() {
        let address: Address = "172.17.0.2/16".parse().unwrap();
        assert_eq!(
            (address.to_string().as_str(), address.length()),
            ("172.17.0.2/16", 16)
        );
        assert!("172.17.0.2/33".parse::<Address>().is_err());
        assert!("172.17.0.2".parse::<Address>().is_err());
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!(
            "ab".repeat(32).parse::<Identity>().unwrap().short(),
            "abababababab"
        );
        for wrong in ["", "ab", &"AB".repeat(32), &"é".repeat(32)] {
            assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
        }
    }
}
