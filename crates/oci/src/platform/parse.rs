//! Platforms as users write them: `os[(version+features)]/arch[/variant]`, by the rules and in the words of containerd's
//! `platforms.Parse`, which Docker's daemon and client have too.

use std::str::FromStr;

use super::{Platform, normal_architecture};

/// What Go knows; one of them alone means this machine's architecture on it.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// What Go knows; one of them alone means it under Linux.
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// The patterns that containerd names in its errors.
const SYSTEM: &str = r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$";
const COMPONENT: &str = "^[A-Za-z0-9_.-]+$";

/// Longer texts are no platforms, and are not repeated to whoever sent them.
const LONGEST: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlatform {
    #[error("{0:?}: wildcards not yet supported: invalid argument")]
    Wildcard(String),
    #[error(
        "{part:?} is an invalid OS component of {text:?}: OSAndVersion specifier component must match {SYSTEM:?}: \
         invalid argument"
    )]
    System { part: String, text: String },
    #[error(
        "{part:?} is an invalid component of {text:?}: platform specifier component must match {COMPONENT:?}: invalid \
         argument"
    )]
    Component { part: String, text: String },
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
    #[error("{0:?}: cannot parse platform specifier: invalid argument")]
    Format(String),
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.chars().take(LONGEST).collect::<String>();
        if text.len() > LONGEST {
            return Err(InvalidPlatform::Format(owned()));
        }
        if text.contains('*') {
            return Err(InvalidPlatform::Wildcard(owned()));
        }
        let mut parts = text.splitn(4, '/');
        let first = parts.next().unwrap_or_default();
        let platform = system(first).ok_or_else(|| InvalidPlatform::System {
            part: first.to_owned(),
            text: owned(),
        })?;
        let parts: Vec<&str> = parts.collect();
        if let Some(part) = parts.iter().find(|part| !is_word(part, b"_.-")) {
            return Err(InvalidPlatform::Component {
                part: (*part).to_owned(),
                text: owned(),
            });
        }
        match parts[..] {
            [] => alone(first, platform).ok_or_else(|| InvalidPlatform::Unknown(owned())),
            [architecture] => Ok(platform.of(architecture, "")),
            [architecture, variant] => Ok(platform.of(architecture, variant)),
            _ => Err(InvalidPlatform::Format(owned())),
        }
    }
}

impl Platform {
    fn of(self, architecture: &str, variant: &str) -> Platform {
        let (architecture, said) = (architecture.to_lowercase(), variant.to_lowercase());
        let (architecture, implied) = normal_architecture(&architecture);
        let variant = match (architecture, &*said) {
            // The variant that is meant in any case, unless it is said.
            ("arm", "") => implied.filter(|implied| *implied != "v7"),
            ("amd64", "v1") | ("386", _) => None,
            ("arm64", "8" | "8.0" | "v8.0") => Some("v8"),
            ("arm64", "9" | "9.0" | "v9.0") => Some("v9"),
            ("arm", "5") => Some("v5"),
            ("arm", "6") => Some("v6"),
            ("arm", "7") => Some("v7"),
            ("arm", "8") => Some("v8"),
            (_, "") => implied,
            (_, other) => Some(other),
        };
        Platform {
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            ..self
        }
    }
}

/// An operating system or an architecture, and nothing else.
fn alone(word: &str, platform: Platform) -> Option<Platform> {
    if SYSTEMS.contains(&&*platform.os) {
        let architecture = Platform::host().architecture;
        return Some(Platform {
            architecture,
            ..platform
        });
    }
    let platform = Platform::linux("").of(word, "");
    let known = ARCHITECTURES.contains(&&*platform.architecture);
    known.then_some(platform)
}

/// `linux`, or `windows(10.0.17763+feature)`.
fn system(part: &str) -> Option<Platform> {
    let (name, options) = match part.strip_suffix(')') {
        Some(rest) => rest
            .split_once('(')
            .map(|(name, rest)| (name, Some(rest)))?,
        None => (part, None),
    };
    if !is_word(name, b"_-") {
        return None;
    }
    let mut options = options.unwrap_or_default().split('+');
    let version = options.next().unwrap_or_default();
    let features: Vec<&str> = options.collect();
    let is_option = |text: &str| is_word(text, b"_.%-");
    if !(version.is_empty() || is_option(version)) || !features.iter().all(|f| is_option(f)) {
        return None;
    }
    let os = match name.to_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    };
    Some(Platform {
        os,
        os_version: Some(decoded(version)).filter(|version| !version.is_empty()),
        os_features: features.into_iter().map(decoded).collect(),
        ..Platform::default()
    })
}

/// With `%2B` and the like read; what is no such escape stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digits = match (byte, after) {
            (b'%', [a, b, ..]) => std::str::from_utf8(&[*a, *b])
                .ok()
                .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        bytes.push(digits.unwrap_or(*byte));
        rest = &after[if digits.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn is_word(part: &str, besides: &[u8]) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || besides.contains(&byte);
    !part.is_empty() && part.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Result<String, String> {
        let parsed = text.parse::<Platform>();
        parsed.map(|p| p.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn names_are_normalised() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text).unwrap(), expected);
        check("x86_64", "linux/amd64");
        check("Linux/X86_64", "linux/amd64");
        check("linux/amd64/v1", "linux/amd64");
        check("linux/amd64/v3", "linux/amd64/v3");
        check("aarch64", "linux/arm64");
        check("linux/aarch64", "linux/arm64");
        check("linux/arm64/v8", "linux/arm64/v8");
        check("linux/arm64/8", "linux/arm64/v8");
        check("linux/arm/v7", "linux/arm/v7");
        check("linux/arm/7", "linux/arm/v7");
        check("linux/arm/6", "linux/arm/v6");
        check("armhf", "linux/arm");
        check("linux/armel", "linux/arm/v6");
        check("i386", "linux/386");
        check("macos/arm64", "darwin/arm64");
        check("linux/anything", "linux/anything");
        check("linux", &Platform::host().to_string());
        let old = "windows(10.0.17763+a%2Bb+c)/amd64".parse::<Platform>();
        let old = old.unwrap();
        assert_eq!(old.os_version.as_deref(), Some("10.0.17763"));
        assert_eq!(old.os_features, ["a+b", "c"]);
        assert_eq!(old.to_string(), "windows/amd64");
    }

    #[test]
    fn refusals_have_containerds_words() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text).unwrap_err(), expected);
        check(
            "bogus",
            "\"bogus\": unknown operating system or architecture: invalid argument",
        );
        check(
            "linux/amd64/v1/x",
            "\"linux/amd64/v1/x\": cannot parse platform specifier: invalid argument",
        );
        check(
            "linux amd64",
            "\"linux amd64\" is an invalid OS component of \"linux amd64\": OSAndVersion specifier component must match \
             \"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$\": invalid argument",
        );
        check(
            "linux/",
            "\"\" is an invalid component of \"linux/\": platform specifier component must match \"^[A-Za-z0-9_.-]+$\": \
             invalid argument",
        );
        check("*", "\"*\": wildcards not yet supported: invalid argument");
        for bad in ["", "/", "linux()x/amd64", "a(b/c", "linux(+)/x", "l(a)b)/x"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "[a-zA-Z0-9_.()+%/-]{0,24}") {
            if let Ok(platform) = text.parse::<Platform>() {
                let again: Platform = platform.to_string().parse().unwrap();
                prop_assert_eq!(again.to_string(), platform.to_string());
            }
        }
    }
}
