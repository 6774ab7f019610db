use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a container (or an exec): 64 lowercase hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid container id {0:?}: 64 lowercase hexadecimal digits are wanted")]
pub struct InvalidContainerId(String);

impl ContainerId {
    /// A new random id. Its short form is never all digits, since such a name would look like a number to some tools
    /// (a host name made of digits only is refused by DNS software).
    pub fn random() -> ContainerId {
        loop {
            let mut bytes = [0u8; 32];
            getrandom::fill(&mut bytes)
                .expect("getrandom(2) does not fail once the kernel has booted");
            let mut text = String::with_capacity(64);
            push_hex(&mut text, &bytes);
            if !text.as_bytes()[..12].iter().all(u8::is_ascii_digit) {
                return ContainerId(text.into());
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as `ps` shows them and as the default host name.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        text.push(char::from(DIGITS[usize::from(b >> 4)]));
        text.push(char::from(DIGITS[usize::from(b & 15)]));
    }
}

impl FromStr for ContainerId {
    type Err = InvalidContainerId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let hex = s.len() == 64
            && s.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex {
            Ok(ContainerId(s.into()))
        } else {
            Err(InvalidContainerId(s.chars().take(80).collect()))
        }
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ContainerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_parse_and_differ() {
        let id = ContainerId::random();
        assert_eq!(id.as_str().parse::<ContainerId>().unwrap(), id);
        assert_ne!(id, ContainerId::random());
        assert_eq!(id.short().len(), 12);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "abc",
            &"A".repeat(64),
            &"a".repeat(63),
            &"a".repeat(65),
            &"/".repeat(64),
            &"é".repeat(32),
        ] {
            assert!(text.parse::<ContainerId>().is_err(), "{text}");
            assert!(serde_json::from_value::<ContainerId>(serde_json::json!(text)).is_err());
        }
    }
}
