use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A hardware address that one device can have: not a group's, not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Mac {
    /// What an endpoint with this address gets if nothing else was asked for: `02:42:` and the address. The same address always has
    /// the same hardware address, so no neighbour's cache is wrong when it goes to another container.
    #[must_use]
    pub const fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// A locally administered address out of any bytes (an id, a digest).
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        let [a, b, c, d, e, f, ..] = seed.to_be_bytes();
        Self([a & 0xfc | 0x02, b, c, d, e, f])
    }

    /// The address on its own link that a device with this address has (RFC 4291, appendix A).
    #[must_use]
    pub const fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let pair = u16::from_be_bytes;
        Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            pair([a ^ 2, b]),
            pair([c, 0xff]),
            pair([0xfe, d]),
            pair([e, f]),
        )
    }

    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl TryFrom<[u8; 6]> for Mac {
    type Error = Error;

    fn try_from(bytes: [u8; 6]) -> Result<Self, Error> {
        if bytes == [0; 6] || bytes[0] & 1 == 1 {
            return Err(Error::Invalid(format!(
                "invalid MAC address {}: all zeros, or a group's",
                Self(bytes)
            )));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Mac {
    type Err = Error;

    /// Six pairs of hexadecimal digits with colons or dashes between them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid(format!("invalid MAC address: {text:.40}"));
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().ok_or_else(invalid)?;
            if pair.len() != 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        if pairs.next().is_some() {
            return Err(invalid());
        }
        Self::try_from(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_s_addresses_only() {
        assert_eq!(
            "02-42-AC-11-00-02".parse::<Mac>().unwrap(),
            Mac::of(Ipv4Addr::new(172, 17, 0, 2))
        );
        for wrong in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "02:42:ac:11:00:+2",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
        let made = Mac::from_seed(u64::MAX);
        assert_eq!(Mac::try_from(made.octets()).unwrap(), made);
    }
}
