//! Versions of the Engine API.

use std::fmt;
use std::str::FromStr;

/// A version as the path has it: `/v1.44/...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    pub(crate) major: u16,
    pub(crate) minor: u16,
}

impl ApiVersion {
    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this is API 1.`minor` or newer.
    pub(crate) fn at_least(self, minor: u16) -> bool {
        self >= Self::new(1, minor)
    }
}

/// The newest version that we speak, which a path without a version means.
pub(crate) const MAX_VERSION: ApiVersion = ApiVersion::new(1, 55);
/// The oldest version that we speak. Old clients have it hard-coded, so it stays.
pub(crate) const MIN_VERSION: ApiVersion = ApiVersion::new(1, 24);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    /// Compares numbers, not text: `1.041` is `1.41`. `1` alone is `1.0`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        // Of `1.40.2`, which the pattern of the path admits, the first two numbers count.
        let minor = minor.split('.').next().unwrap_or("0");
        Ok(Self::new(
            major.parse().map_err(|_| ())?,
            minor.parse().map_err(|_| ())?,
        ))
    }
}

/// Why a version cannot be spoken; Docker's texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    TooOld(ApiVersion, ApiVersion),
    TooNew(ApiVersion),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::TooOld(got, min) => write!(
                f,
                "client version {got} is too old. Minimum supported API version is {min}, please upgrade your client to a newer version"
            ),
            Mismatch::TooNew(got) => {
                write!(
                    f,
                    "client version {got} is too new. Maximum supported API version is {MAX_VERSION}"
                )
            }
        }
    }
}

/// Whether we speak `version` when `min` is the oldest allowed.
pub(crate) fn check(version: ApiVersion, min: ApiVersion) -> Result<ApiVersion, Mismatch> {
    if version < min {
        Err(Mismatch::TooOld(version, min))
    } else if version > MAX_VERSION {
        Err(Mismatch::TooNew(version))
    } else {
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_not_text() {
        let v = |s: &str| s.parse::<ApiVersion>().unwrap();
        assert_eq!(v("1.041"), v("1.41"));
        assert!(v("1.9") < v("1.24"));
        assert!(v("1.55").at_least(55) && !v("1.54").at_least(55));
        assert!("1.x".parse::<ApiVersion>().is_err());
        assert!("".parse::<ApiVersion>().is_err());
        assert!("1.99999999".parse::<ApiVersion>().is_err());
    }

    #[test]
    fn bounds_with_dockers_texts() {
        let old = check(ApiVersion::new(1, 23), MIN_VERSION)
            .unwrap_err()
            .to_string();
        assert_eq!(
            old,
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        let new = check(ApiVersion::new(1, 99), MIN_VERSION)
            .unwrap_err()
            .to_string();
        assert_eq!(
            new,
            "client version 1.99 is too new. Maximum supported API version is 1.55"
        );
        assert!(check(ApiVersion::new(1, 24), MIN_VERSION).is_ok());
        assert!(check(MAX_VERSION, MIN_VERSION).is_ok());
    }
}
