//! `--security-opt`.

use std::path::Path;

use crate::failure::errno_text;

/// What the options ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Security {
    /// For the daemon; a seccomp profile's name has become its content.
    pub(crate) options: Vec<String>,
    /// `systempaths=unconfined`: nothing of /proc and /sys is hidden or read-only.
    pub(crate) system_paths_unconfined: bool,
}

/// Reads the options, and the seccomp profile's file if one is named.
pub(crate) fn read<'a>(given: impl Iterator<Item = &'a str>) -> Result<Security, String> {
    let mut security = Security::default();
    for option in given {
        let (name, value) = split(option)?;
        match (name, value) {
            ("systempaths", "unconfined") => security.system_paths_unconfined = true,
            ("seccomp", "builtin" | "unconfined") => security.options.push(option.to_owned()),
            ("seccomp", path) => security.options.push(format!("seccomp={}", profile(path)?)),
            _ => security.options.push(option.to_owned()),
        }
    }
    Ok(security)
}

/// `name=value`, the old `name:value`, or the one that stands alone.
fn split(option: &str) -> Result<(&str, &str), String> {
    match option.split_once('=') {
        Some((name, value)) if !value.is_empty() || name == "no-new-privileges" => {
            Ok((name, value))
        }
        None if option == "no-new-privileges" => Ok((option, "")),
        None => option
            .split_once(':')
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(|| refused(option)),
        Some(_) => Err(refused(option)),
    }
}

fn refused(option: &str) -> String {
    format!("Invalid --security-opt: {option:?}")
}

/// The profile in the file, without its white space: the daemon may not see the client's files.
fn profile(path: &str) -> Result<String, String> {
    let text = std::fs::read(Path::new(path)).map_err(|error| {
        format!(
            "opening seccomp profile ({path}) failed: open {path}: {}",
            errno_text(&error)
        )
    })?;
    let json: Box<serde_json::value::RawValue> = serde_json::from_slice(&text)
        .map_err(|error| format!("compacting json for seccomp profile ({path}) failed: {error}"))?;
    Ok(compact(json.get()))
}

/// JSON without white space between its tokens; nothing else changes (Go's `json.Compact`).
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let all = read(
            [
                "no-new-privileges",
                "no-new-privileges=true",
                "label:disable",
                "seccomp=unconfined",
                "systempaths=unconfined",
            ]
            .into_iter(),
        )
        .unwrap();
        assert_eq!(
            all.options,
            [
                "no-new-privileges",
                "no-new-privileges=true",
                "label:disable",
                "seccomp=unconfined"
            ]
        );
        assert!(all.system_paths_unconfined);
        for refused in ["nope", "seccomp=", "seccomp"] {
            assert_eq!(
                read([refused].into_iter()),
                Err(format!("Invalid --security-opt: {refused:?}"))
            );
        }
        let missing = read(["seccomp=/nope"].into_iter()).unwrap_err();
        assert_eq!(
            missing,
            "opening seccomp profile (/nope) failed: open /nope: no such file or directory"
        );
    }

    #[test]
    fn a_profile_is_sent_without_white_space() {
        assert_eq!(
            compact("{ \"a b\" : [ 1,\n 2 ], \"c\\\" d\": \"\\\\\" }"),
            "{\"a b\":[1,2],\"c\\\" d\":\"\\\\\"}"
        );
    }
}
