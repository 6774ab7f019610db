use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A range of addresses that a route can name, as `172.17.0.0/16`. No bit is set behind the length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of this length that holds `address`.
    pub fn of(address: IpAddr, length: u8) -> Result<Self, Error> {
        if length > width(address) {
            return Err(Error::Invalid(format!(
                "invalid CIDR address: {address}/{length}"
            )));
        }
        let host_bits = width(address) - length;
        let network = u128::MAX
            .checked_shl(host_bits.into())
            .map_or(0, |mask| number(address) & mask);
        Ok(Self {
            address: like(address, network),
            length,
        })
    }

    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    #[must_use]
    pub const fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// The lowest address.
    #[must_use]
    pub const fn first(self) -> IpAddr {
        self.address
    }

    /// The highest address; for IPv4 that is the broadcast address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        like(self.address, number(self.address) | self.host_mask())
    }

    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4()
            && number(address) & !self.host_mask() == number(self.address)
    }

    /// Whether all of `other` is in here.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    fn host_mask(self) -> u128 {
        u128::MAX
            .checked_shr((128 - (width(self.address) - self.length)).into())
            .unwrap_or(0)
    }
}

/// How many bits an address of this family has.
pub(crate) const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The address of this number, in the family of `family`. What does not fit is cut off.
pub(crate) fn like(family: IpAddr, number: u128) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::from(number as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid(format!("invalid CIDR address: {text:.60}"));
        let (address, length) = text.split_once('/').ok_or_else(invalid)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let address = address.parse().map_err(|_| invalid())?;
        Self::of(address, length.parse().map_err(|_| invalid())?).map_err(|_| invalid())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn bits_behind_the_length_are_cut() {
        assert_eq!(prefix("172.17.3.4/16").to_string(), "172.17.0.0/16");
        assert_eq!(prefix("fd00::1/64").to_string(), "fd00::/64");
        assert_eq!(prefix("1.2.3.4/0").to_string(), "0.0.0.0/0");
        assert_eq!(prefix("::1/128").to_string(), "::1/128");
        for wrong in [
            "",
            "1.2.3.4",
            "1.2.3.4/33",
            "::/129",
            "1.2.3/8",
            "1.2.3.4/+8",
            "1.2.3.4/",
        ] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn borders() {
        let bridge = prefix("172.17.0.0/16");
        assert_eq!(bridge.last().to_string(), "172.17.255.255");
        assert_eq!(prefix("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert_eq!(prefix("1.2.3.4/32").last().to_string(), "1.2.3.4");
        assert_eq!(
            prefix("::/0").last(),
            IpAddr::from(Ipv6Addr::from(u128::MAX))
        );
        assert!(bridge.contains("172.17.255.255".parse().unwrap()));
        assert!(!bridge.contains("172.18.0.0".parse().unwrap()));
        assert!(!prefix("::/0").contains("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn overlapping_is_covering_one_way_or_the_other() {
        assert!(prefix("172.16.0.0/12").overlaps(prefix("172.17.0.0/16")));
        assert!(prefix("172.17.0.0/16").overlaps(prefix("172.16.0.0/12")));
        assert!(!prefix("172.17.0.0/16").overlaps(prefix("172.18.0.0/16")));
        assert!(!prefix("0.0.0.0/0").overlaps(prefix("::/0")));
    }
}
