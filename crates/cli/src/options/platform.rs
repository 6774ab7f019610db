//! `--platform os[/arch[/variant]]`.

use api::client::Request;
use oci::Platform;

use crate::command::Flag;
use crate::failure::Failure;
use crate::flags::Matches;

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
    text.parse()
        .map_err(|error: oci::InvalidPlatform| error.to_string())
}

/// The platform of `create` and `run`, held against Docker's rules before anything is asked of the daemon.
pub(crate) fn checked(text: &str) -> Result<(), Failure> {
    match parse(text) {
        Err(told) if !text.is_empty() => Err(Failure::new(format!(
            "error parsing specified platform: {told}"
        ))),
        _ => Ok(()),
    }
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
