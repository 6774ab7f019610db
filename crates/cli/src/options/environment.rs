//! Environment variables and labels, on the command line and in files.

use std::fs::File;
use std::io::Read;

use crate::failure::{Failure, errno_text};

/// Whether `-e` may take it.
pub(crate) fn check_variable(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

/// Whether `--label` may take it.
pub(crate) fn check_label(text: &str) -> Result<(), String> {
    let name = text
        .split('=')
        .next()
        .unwrap_or_default()
        .trim_start_matches([' ', '\t']);
    if name.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if name.contains([' ', '\t']) {
        return Err(format!("label '{name}' contains whitespaces"));
    }
    Ok(())
}

/// Reads a variable of the client's own environment.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The client's own environment.
pub(crate) fn own(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The container's variables: those of the files, then those of `-e`, a bare name taking the client's value. A bare name
/// that the client does not have stays bare: it takes the image's variable away.
pub(crate) fn variables<'a>(
    files: impl Iterator<Item = &'a str>,
    given: impl Iterator<Item = &'a str>,
    lookup: Lookup<'_>,
) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in files {
        all.extend(
            parse_file(&read(path)?, Some(lookup))
                .map_err(|reason| Failure::new(file_failure(path, &reason)))?,
        );
    }
    all.extend(given.map(|text| {
        if text.contains('=') {
            text.to_owned()
        } else {
            with_value(text, lookup).unwrap_or_else(|| text.to_owned())
        }
    }));
    Ok(all)
}

/// The container's labels: those of the files, then those of `--label`.
pub(crate) fn labels<'a>(
    files: impl Iterator<Item = &'a str>,
    given: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in files {
        all.extend(
            parse_file(&read(path)?, None)
                .map_err(|reason| Failure::new(file_failure(path, &reason)))?,
        );
    }
    all.extend(given.map(str::to_owned));
    Ok(all)
}

fn with_value(name: &str, lookup: Lookup<'_>) -> Option<String> {
    lookup(name).map(|value| format!("{name}={value}"))
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let opened = File::open(path)
        .map_err(|error| Failure::new(format!("open {path}: {}", errno_text(&error))));
    let read = |error| {
        Failure::new(file_failure(
            path,
            &format!("read {path}: {}", errno_text(&error)),
        ))
    };
    opened?.read_to_end(&mut content).map_err(read)?;
    Ok(content)
}

fn file_failure(path: &str, reason: &str) -> String {
    format!("invalid env file ({path}): {reason}")
}

/// Lines of `NAME=value`; `#` begins a comment line. A bare name takes the value of `lookup`, and is left out when that has none;
/// so it is without a `lookup` (labels).
fn parse_file(content: &[u8], lookup: Option<Lookup<'_>>) -> Result<Vec<String>, String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut all = Vec::new();
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| {
            format!(
                "invalid utf8 bytes at line {}: {}",
                number + 1,
                go_bytes(line)
            )
        })?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.trim_start().contains([' ', '\t']) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        if name.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        match lookup {
            Some(lookup) if !line.contains('=') => all.extend(with_value(line.trim_end(), lookup)),
            None if !line.contains('=') => {}
            _ => all.push(line.to_owned()),
        }
    }
    Ok(all)
}

/// A byte slice as Go's `%v` prints it.
fn go_bytes(bytes: &[u8]) -> String {
    let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    #[test]
    fn variables_of_the_command_line() {
        let given = ["A=1", "HOME", "NOPE", "B="];
        let all = variables([].into_iter(), given.into_iter(), &lookup).unwrap();
        assert_eq!(all, ["A=1", "HOME=/root", "NOPE", "B="]);
        assert_eq!(
            check_variable("=x"),
            Err("invalid environment variable: =x".to_owned())
        );
    }

    #[test]
    fn variables_of_a_file() {
        let check = |text: &[u8], expected: Result<&[&str], &str>| match (
            parse_file(text, Some(&lookup)),
            expected,
        ) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(expected)) => assert_eq!(got, expected),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        };
        check(
            b"A=1\n# no\n\n  B= x y \r\nHOME\nNOPE\n",
            Ok(&["A=1", "B= x y ", "HOME=/root"]),
        );
        check(b"\xef\xbb\xbfA=1", Ok(&["A=1"]));
        check(b"=x", Err("no variable name on line '=x'"));
        check(b"A B=x", Err("variable 'A B' contains whitespaces"));
        check(b"A=1\n\xff", Err("invalid utf8 bytes at line 2: [255]"));
    }

    #[test]
    fn labels_of_a_file_need_a_value() {
        assert_eq!(
            parse_file(b"a=b\nbare\nc=\n", None),
            Ok(vec!["a=b".to_owned(), "c=".to_owned()])
        );
    }

    #[test]
    fn labels_need_a_name() {
        assert_eq!(check_label("a=b"), Ok(()));
        assert_eq!(
            check_label("=b"),
            Err("invalid label '=b': empty name".to_owned())
        );
        assert_eq!(
            check_label("a b=c"),
            Err("label 'a b' contains whitespaces".to_owned())
        );
    }
}
