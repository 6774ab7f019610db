//! Names that come in with a request: checked once at the door, safe everywhere behind it.

use std::fmt;
use std::str::FromStr;

use oci::{Digest, Reference};

/// A repository's name: `[a-z0-9]+([._-]...)*(/...)*` of distribution-spec 1.1, at most 255 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What stands behind `/manifests/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Tag(Tag),
    Digest(Digest),
}

/// An upload's id: 32 lower-case hexadecimal digits, which we gave out ourselves.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UploadId(Box<str>);

/// It is not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid name of its kind")]
pub struct Invalid;

/// Any host: the grammar of what follows it is what is borrowed from [`Reference`].
const HOST: &str = "registry.invalid";

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Name, Invalid> {
        let read = Reference::parse(&format!("{HOST}/{text}")).map_err(|_| Invalid)?;
        if read.is_name_only() && read.path() == text {
            Ok(Name(text.into()))
        } else {
            Err(Invalid)
        }
    }
}

impl FromStr for Tag {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Tag, Invalid> {
        let read = Reference::parse(&format!("{HOST}/x:{text}")).map_err(|_| Invalid)?;
        if read.tag() == Some(text) && read.digest().is_none() {
            Ok(Tag(text.into()))
        } else {
            Err(Invalid)
        }
    }
}

impl FromStr for UploadId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<UploadId, Invalid> {
        let ours = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        ours.then(|| UploadId(text.into())).ok_or(Invalid)
    }
}

impl UploadId {
    /// One that nobody can guess.
    pub(crate) fn fresh() -> Result<UploadId, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(UploadId(text.into()))
    }
}

macro_rules! text {
    ($($kind:ident)*) => {$(
        impl $kind {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text!(Name Tag UploadId);

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Tag(tag) => write!(f, "{tag}"),
            Reach::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for good in [
            "a",
            "a/b",
            "library/busybox",
            "a.b_c__d---e/f0",
            "blobs/uploads",
            "v2",
        ] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a/".repeat(128) + "a";
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a/B", "..", "a/..", "a/../b", "a b", "a:b", "a@b",
            "a\0", "-a", "a_", "a..b", &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags() {
        for good in ["latest", "v1.0", "_", "A-b.c_d", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".", "-a", "a/b", "a:b", "a@b", "..", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn upload_ids_are_ours_alone() {
        let id = UploadId::fresh().unwrap();
        assert_eq!(id.as_str().parse::<UploadId>().unwrap(), id);
        for bad in [
            "",
            "..",
            "x",
            &"A".repeat(32),
            &"a".repeat(33),
            "../aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(bad.parse::<UploadId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_name_climbs(text in ".{0,40}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert!(name.as_str().split('/').all(|part| !part.is_empty() && part != ".." && part != "."));
                prop_assert!(!name.as_str().contains(['\\', '\0', '%']));
            }
        }
    }
}
