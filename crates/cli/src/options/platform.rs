//! `--platform os[/arch[/variant]]`.

use api::client::Request;
use oci::Platform;

use crate::command::Flag;
use crate::failure::Failure;
use crate::flags::Matches;

/// What containerd's platforms package knows, in Go's words.
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
    "macos",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: &[&str] = &[
    "386",
    "aarch64",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "armel",
    "armhf",
    "i386",
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
    "x86-64",
    "x86_64",
];

/// The flag.
pub(crate) const fn flag(about: &'static str) -> Flag {
    Flag::text("platform", None, about)
}

/// The flag where it may be given many times.
pub(crate) const fn list(about: &'static str) -> Flag {
    Flag::list("platform", None, about)
}

/// Reads a platform; what is wrong is told in containerd's words, which Docker's client has too.
pub(crate) fn parse(text: &str) -> Result<Platform, String> {
    let refused = |reason: &str| format!("{text:?}: {reason}: invalid argument");
    if text.contains('*') {
        return Err(refused("wildcards not yet supported"));
    }
    let parts: Vec<&str> = text.split('/').collect();
    if let Some(part) = parts.iter().find(|part| !is_word(part)) {
        return Err(format!(
            "{part:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$\": invalid argument"
        ));
    }
    if let [one] = parts[..] {
        let one = one.to_lowercase();
        if !SYSTEMS.contains(&one.as_str()) && !ARCHITECTURES.contains(&one.as_str()) {
            return Err(refused("unknown operating system or architecture"));
        }
    }
    text.to_lowercase()
        .parse()
        .map_err(|_| refused("cannot parse platform specifier"))
}

fn is_word(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The platforms that a command was given, as the daemon reads them.
pub(crate) fn given(matches: &Matches) -> Result<Vec<String>, Failure> {
    matches
        .list("platform")
        .flat_map(|list| list.split(','))
        .filter(|text| !text.is_empty())
        .map(|text| match parse(text) {
            Ok(platform) => Ok(json(&platform)),
            Err(told) => Err(Failure::new(format!("invalid platform: {told}"))),
        })
        .collect()
}

/// Asks for the platforms that a command was given.
pub(crate) fn asked(request: Request, matches: &Matches) -> Result<Request, Failure> {
    let ask = |request: Request, platform| request.query("platform", platform);
    Ok(given(matches)?.into_iter().fold(request, ask))
}

/// As the daemon reads it.
pub(crate) fn json(platform: &Platform) -> String {
    // Texts can always be written as JSON.
    serde_json::to_string(platform).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_and_refused_as_docker_does() {
        assert_eq!(
            json(&parse("Linux/x86_64").unwrap()),
            r#"{"architecture":"amd64","os":"linux"}"#
        );
        assert_eq!(
            json(&parse("linux/arm/v6").unwrap()),
            r#"{"architecture":"arm","os":"linux","variant":"v6"}"#
        );
        let check = |text: &str, expected: &str| assert_eq!(parse(text), Err(expected.to_owned()));
        check(
            "linux/foo/bar/baz",
            "\"linux/foo/bar/baz\": cannot parse platform specifier: invalid argument",
        );
        check(
            "foo",
            "\"foo\": unknown operating system or architecture: invalid argument",
        );
        check("*", "\"*\": wildcards not yet supported: invalid argument");
        assert!(parse("linux/").is_err());
    }
}
