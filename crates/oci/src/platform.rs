use std::fmt;

use serde::{Deserialize, Serialize};

mod parse;

pub use parse::InvalidPlatform;

/// What an image runs on (image-spec 1.1, image-index.md, `platform`), in Go's words: `linux`, `amd64`, `arm64`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    pub fn linux(architecture: &str) -> Platform {
        Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            ..Platform::default()
        }
    }

    /// The platform this program was built for.
    pub fn host() -> Platform {
        Platform::linux(normal_architecture(std::env::consts::ARCH).0)
    }

    /// Whether an image made for `image` runs where `self` is asked for. A variant that one side leaves out, or the
    /// base variant of the architecture, fits.
    pub fn accepts(&self, image: &Platform) -> bool {
        let (arch, variant) = self.normal();
        let (image_arch, image_variant) = image.normal();
        let os = if image.os.is_empty() {
            "linux"
        } else {
            &image.os
        };
        self.os == os
            && arch == image_arch
            && (variant == image_variant
                || (variant.is_none() && arch != "arm64")
                || (arch == "amd64" && image_variant.is_none()))
    }

    /// How well an image made for `image` fits where `self` is asked for: 0 is best, `None` does not run. The order is that
    /// of containerd's `platforms.Only`: the variant asked for, then older ones, then the 32-bit kin.
    pub fn rank(&self, image: &Platform) -> Option<usize> {
        let os = |platform: &Platform| match platform.os.as_str() {
            "" => "linux".to_owned(),
            other => other.to_owned(),
        };
        if os(self) != os(image) {
            return None;
        }
        let offered = image.normal();
        let offered = (offered.0, offered.1.unwrap_or(base_variant(offered.0)));
        self.runs().iter().position(|(architecture, variant)| {
            (architecture.as_str(), variant.as_str()) == offered
        })
    }

    /// What runs here, the best first: architectures with their variants.
    fn runs(&self) -> Vec<(String, String)> {
        let (architecture, variant) = self.normal();
        let variant = variant.unwrap_or(base_variant(architecture));
        // A variant that is not known runs itself and nothing older: `arm64/v7`, which there is not, is no `arm64/v8`.
        let (number, is_minor) = generation(variant);
        let mut runs = vec![(architecture.to_owned(), variant.to_owned())];
        let mut older = |architecture: &str, below: u32, oldest: u32| {
            runs.extend(
                (oldest..below)
                    .rev()
                    .map(|n| (architecture.to_owned(), format!("v{n}"))),
            );
        };
        match architecture {
            "amd64" => {
                older("amd64", number, 1);
                runs.push(("386".to_owned(), String::new()));
            }
            "arm64" if number >= 8 => {
                older("arm64", number + u32::from(is_minor), 8);
                older("arm", 9, 5);
            }
            "arm" => older("arm", number, 5),
            _ => {}
        }
        runs
    }

    fn normal(&self) -> (&str, Option<&str>) {
        let (architecture, implied) = normal_architecture(&self.architecture);
        let variant = self
            .variant
            .as_deref()
            .filter(|v| !v.is_empty())
            .or(implied);
        let variant = match (architecture, variant) {
            ("amd64", Some("v1")) | ("arm64", Some("8" | "v8")) | (_, None) => None,
            ("arm", Some("5")) => Some("v5"),
            ("arm", Some("6")) => Some("v6"),
            ("arm", Some("7")) => Some("v7"),
            (_, other) => other,
        };
        (architecture, variant)
    }
}

/// The number in `v8`, and in `v8.2` with word of a minor one; 0 where there is none that makes sense.
fn generation(variant: &str) -> (u32, bool) {
    let digits = variant.strip_prefix('v').unwrap_or_default();
    let (major, is_minor) = digits
        .split_once('.')
        .map_or((digits, false), |(major, _)| (major, true));
    let number = major.parse().ok().filter(|number| *number < 100);
    (number.unwrap_or(0), is_minor)
}

/// The variant that is meant where none is said.
fn base_variant(architecture: &str) -> &'static str {
    match architecture {
        "amd64" => "v1",
        "arm64" => "v8",
        "arm" => "v7",
        _ => "",
    }
}

/// The names that containerd's platforms package also takes for an architecture, and the variant they imply.
fn normal_architecture(name: &str) -> (&str, Option<&str>) {
    match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" | "i686" | "x86" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        "powerpc64" => ("ppc64le", None),
        other => (other, None),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn older_variants_run_and_newer_do_not() {
        let rank = |want: &str, image: &str| platform(want).rank(&platform(image));
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/amd64/v1"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/amd64/v2"), None);
        assert_eq!(rank("linux/amd64/v3", "linux/amd64/v2"), Some(1));
        assert_eq!(rank("linux/amd64", "linux/386"), Some(1));
        assert_eq!(rank("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(rank("linux/arm/v7", "linux/arm/v6"), Some(1));
        assert_eq!(rank("linux/arm/v6", "linux/arm/v7"), None);
        assert_eq!(rank("linux/arm/v7", "linux/arm"), Some(0));
        assert!(rank("linux/arm64", "linux/arm/v7") > Some(0));
        for other in ["linux/arm64", "linux/arm64/v8", "linux/arm64/v9"] {
            assert_eq!(rank("linux/arm64/v7", other), None, "{other}");
        }
        assert_eq!(rank("linux/arm64/v9", "linux/arm64/v8"), Some(1));
        assert_eq!(rank("linux/arm64/v8.2", "linux/arm64/v8"), Some(1));
        assert_eq!(rank("linux/arm64", "linux/arm64/v9"), None);
        assert_eq!(rank("linux/amd64/v4000000000", "linux/amd64"), None);
        assert_eq!(rank("linux/arm/v4", "linux/arm/v5"), None);
        assert_eq!(rank("linux/s390x", "linux/s390x"), Some(0));
        assert_eq!(rank("linux/amd64", "windows/amd64"), None);
        assert_eq!(rank("linux/amd64", "linux/s390x"), None);
    }

    #[test]
    fn the_base_variant_may_be_left_out() {
        let accepts = |want: &str, image: &str| platform(want).accepts(&platform(image));
        assert!(accepts("linux/amd64", "linux/amd64"));
        assert!(accepts("linux/arm64", "linux/arm64/v8"));
        assert!(accepts("linux/arm64/v8", "linux/arm64"));
        assert!(!accepts("linux/arm64/v7", "linux/arm64/v8"));
        assert!(!accepts("linux/arm64", "linux/arm64/v9"));
        assert!(accepts("linux/arm", "linux/arm/v7"));
        assert!(!accepts("linux/arm/v6", "linux/arm/v7"));
        assert!(!accepts("linux/amd64", "linux/arm64"));
        assert!(!accepts("linux/amd64", "windows/amd64"));
    }
}
