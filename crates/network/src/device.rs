//! Names of network devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Identity, Owner};

/// The name of a network device, as the kernel takes it: 1 to 15 bytes, without slashes, colons and white space.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceName(Box<str>);

impl DeviceName {
    /// The longest name, in bytes.
    pub const MAX: usize = 15;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a network's bridge is called if nobody asked for a name: `br-` and the short id, as Docker's.
    #[must_use]
    pub fn of_bridge(network: &Identity) -> Self {
        Self(format!("br-{}", network.short()).into())
    }

    /// The host's end of an endpoint's pair.
    #[must_use]
    pub fn of_port(owner: Owner, endpoint: &Identity) -> Self {
        let (tag, id) = (owner.tag() & 0xffff, &endpoint.as_str()[..9]);
        Self(format!("tv{tag:04x}{id}").into())
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = (1..=Self::MAX).contains(&text.len()) && !matches!(text, "." | "..");
        let clean = text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'));
        if !fits || !clean {
            return Err(Error::Invalid(format!(
                "invalid interface name {text:.40}: 1 to 15 printable characters are wanted, without slash, colon and per cent sign"
            )));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for DeviceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceName {
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
    fn names_that_the_kernel_takes() {
        for right in ["eth0", "br-0123456789ab", "a", "docker0.1"] {
            assert_eq!(right.parse::<DeviceName>().unwrap().as_str(), right);
        }
        for wrong in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a:1",
            "eth%d",
            "0123456789abcdef",
            "ä",
        ] {
            assert!(wrong.parse::<DeviceName>().is_err(), "{wrong}");
        }
    }
}
