//! The Dockerfile lines that `import --change` and `commit --change` take, on an image's config.

use std::iter::Peekable;
use std::str::Chars;

use oci::{ContainerConfig, Healthcheck};

use crate::{Error, Result};

/// Applies lines in their order. All are read before the first changes anything.
pub fn apply_all(lines: &[String], config: &mut ContainerConfig) -> Result<()> {
    let mut changed = config.clone();
    for line in lines {
        apply(line, &mut changed).map_err(Error::Invalid)?;
    }
    *config = changed;
    Ok(())
}

/// Those that mean nothing alone. An empty command is one: it takes away what the image below says.
const WITH_ARGUMENTS: [&str; 9] = [
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

fn apply(line: &str, config: &mut ContainerConfig) -> Result<(), String> {
    let line = line.trim();
    let (word, rest) = line
        .split_once(char::is_whitespace)
        .map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let word = word.to_ascii_uppercase();
    if rest.is_empty() && WITH_ARGUMENTS.contains(&&*word) {
        return Err(format!("{word} requires at least one argument"));
    }
    match &*word {
        "CMD" => {
            config.cmd = Some(command(rest));
            config.args_escaped = false;
        }
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)).filter(|words| !words.is_empty()),
        "ENV" => pairs(&word, rest)?
            .into_iter()
            .for_each(|(key, value)| set_env(config, &key, &value)),
        "LABEL" => config
            .labels
            .get_or_insert_default()
            .extend(pairs(&word, rest)?),
        "EXPOSE" => expose(rest, config)?,
        "VOLUME" => volumes(rest, config)?,
        "USER" => config.user = one(&word, rest)?,
        "WORKDIR" => config.working_dir = work_dir(&config.working_dir, &one(&word, rest)?),
        "STOPSIGNAL" => config.stop_signal = Some(one(&word, rest)?),
        "HEALTHCHECK" => config.healthcheck = Some(health_check(rest)?),
        "ONBUILD" => config
            .on_build
            .get_or_insert_default()
            .push(on_build(rest)?),
        other => return Err(format!("{other} is not a valid change command")),
    }
    Ok(())
}

/// `["a", "b"]`, or a line for the shell.
fn command(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    list(text).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// A JSON list of strings, if it is one.
fn list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

fn one(word: &str, text: &str) -> Result<String, String> {
    match &words(text)?[..] {
        [only] => Ok(only.clone()),
        _ => Err(format!("{word} requires exactly one argument")),
    }
}

fn set_env(config: &mut ContainerConfig, key: &str, value: &str) {
    let env = config.env.get_or_insert_default();
    let new = format!("{key}={value}");
    match env
        .iter_mut()
        .find(|have| have.split('=').next() == Some(key))
    {
        Some(have) => *have = new,
        None => env.push(new),
    }
}

/// `key=value key2="a value"`, or the old form of one pair, `key value to the end`.
fn pairs(word: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let first = text.split(char::is_whitespace).next().unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or(format!("{word} must have two arguments"))?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    let mut pairs = Vec::new();
    for item in words(text)? {
        match item.split_once('=') {
            Some(("", _)) => return Err(format!("{word} names can not be blank")),
            Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
            None => {
                return Err(format!(
                    "Syntax error - can't find = in {item:?}. Must be of the form: name=value"
                ));
            }
        }
    }
    Ok(pairs)
}

/// Words as Dockerfiles have them: blanks separate, quotes and backslashes take that away.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
        } else {
            words.push(next_word(&mut chars)?);
        }
    }
    Ok(words)
}

fn next_word(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(c) = chars.peek().copied() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => break,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            // Within single quotes a backslash is a backslash.
            (None | Some('"'), '\\') => {
                chars.next();
                word.push(
                    *chars
                        .peek()
                        .ok_or("unexpected end of statement after a backslash")?,
                );
            }
            (_, c) => word.push(c),
        }
        chars.next();
    }
    match quote {
        None => Ok(word),
        Some(open) => Err(format!(
            "unexpected end of statement while looking for matching {open}"
        )),
    }
}

fn expose(text: &str, config: &mut ContainerConfig) -> Result<(), String> {
    for word in words(text)? {
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
            return Err(format!("Invalid proto: {protocol}"));
        }
        let port = |text: &str| {
            text.parse::<u16>()
                .map_err(|_| format!("Invalid containerPort: {range}"))
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(range)?, port(range)?),
        };
        if first > last {
            return Err(format!("Invalid containerPort: {range}"));
        }
        let set = config.exposed_ports.get_or_insert_default();
        set.0
            .extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(())
}

fn volumes(text: &str, config: &mut ContainerConfig) -> Result<(), String> {
    let paths = list(text).map_or_else(|| words(text), Ok)?;
    for path in paths {
        let path = path.trim();
        if path.is_empty() {
            return Err("VOLUME specified can not be an empty string".to_owned());
        }
        config
            .volumes
            .get_or_insert_default()
            .0
            .insert(path.to_owned());
    }
    Ok(())
}

/// A relative folder counts from the one before; the result is clean and absolute.
fn work_dir(before: &str, text: &str) -> String {
    let whole = if text.starts_with('/') {
        text.to_owned()
    } else {
        format!("{before}/{text}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn health_check(text: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option
            .split_once(char::is_whitespace)
            .unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) = option
            .split_once('=')
            .ok_or(format!("HEALTHCHECK: --{option} needs a value"))?;
        match name {
            "interval" => check.interval = duration(name, value)?,
            "timeout" => check.timeout = duration(name, value)?,
            "start-period" => check.start_period = duration(name, value)?,
            "start-interval" => check.start_interval = duration(name, value)?,
            "retries" => {
                let retries = value.parse().ok().filter(|n| *n >= 0);
                check.retries = retries.ok_or(format!(
                    "HEALTHCHECK: --retries={value} is no number of at least 0"
                ))?;
            }
            other => return Err(format!("HEALTHCHECK: unknown flag: {other}")),
        }
    }
    let (kind, command_text) = rest
        .split_once(char::is_whitespace)
        .map_or((rest, ""), |(k, t)| (k, t.trim()));
    check.test = match (&*kind.to_ascii_uppercase(), command_text) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("NONE", _) => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        ("CMD", "") => return Err("Missing command after HEALTHCHECK CMD".to_owned()),
        ("CMD", text) => match list(text) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), text.to_owned()],
        },
        (other, _) => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    Ok(check)
}

/// Go's durations (`1m30s`, `500ms`) in nanoseconds; below a millisecond only 0 is allowed.
fn duration(name: &str, text: &str) -> Result<i64, String> {
    let bad = || format!("HEALTHCHECK: --{name}={text} is no duration");
    if text == "0" {
        return Ok(0);
    }
    let mut total = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        total += number.parse::<f64>().map_err(|_| bad())? * scale;
        rest = after;
    }
    if text.is_empty() || !(total == 0.0 || (1e6..9e18).contains(&total)) {
        return Err(format!(
            "HEALTHCHECK: --{name}={text} cannot be less than 1ms"
        ));
    }
    Ok(total as i64)
}

fn on_build(text: &str) -> Result<String, String> {
    let word = text
        .split(char::is_whitespace)
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    match &*word {
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "MAINTAINER" | "FROM" => Err(format!("{word} isn't allowed as an ONBUILD trigger")),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(lines: &[&str]) -> Result<ContainerConfig, String> {
        let mut config = ContainerConfig::default();
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        apply_all(&lines, &mut config)
            .map(|()| config)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn every_instruction_changes_its_field() {
        let config = changed(&[
            "CMD [\"a\", \"b\"]",
            "entrypoint run this",
            "ENV A=1 B=\"x y\" C=a\\ b",
            "ENV D the rest",
            "ENV A=2",
            "EXPOSE 80 90-91/udp",
            "LABEL k=v 'q q'='z'",
            "USER me:us",
            "VOLUME /a /b",
            "VOLUME [\"/c d\"]",
            "WORKDIR /x",
            "WORKDIR ../y/./z",
            "STOPSIGNAL SIGINT",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x",
            "ONBUILD RUN x",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run this"]);
        assert_eq!(config.env.unwrap(), ["A=2", "B=x y", "C=a b", "D=the rest"]);
        assert_eq!(
            config.exposed_ports,
            Some(["80/tcp", "90/udp", "91/udp"].into_iter().collect())
        );
        let labels: Vec<_> = config.labels.unwrap().into_iter().collect();
        assert_eq!(
            labels,
            [
                ("k".to_owned(), "v".to_owned()),
                ("q q".to_owned(), "z".to_owned())
            ]
        );
        assert_eq!(config.user, "me:us");
        assert_eq!(
            config.volumes,
            Some(["/a", "/b", "/c d"].into_iter().collect())
        );
        assert_eq!(config.working_dir, "/y/z");
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        let check = config.healthcheck.unwrap();
        assert_eq!((check.interval, check.retries), (90_000_000_000, 3));
        assert_eq!(check.test, ["CMD-SHELL", "curl -f x"]);
        assert_eq!(config.on_build.unwrap(), ["RUN x"]);
    }

    #[test]
    fn an_empty_command_takes_the_old_one_away() {
        let config = changed(&["CMD a", "ENTRYPOINT b", "CMD", "ENTRYPOINT"]).unwrap();
        assert_eq!((config.cmd, config.entrypoint), (Some(Vec::new()), None));
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for line in [
            "",
            "RUN x",
            "FROM a",
            "ENV =x",
            "ENV A=1 B",
            "EXPOSE x",
            "EXPOSE 70000",
            "EXPOSE 9-8",
            "EXPOSE 1/x",
            "USER a b",
            "LABEL a=\"x",
            "HEALTHCHECK --x=1 CMD a",
            "HEALTHCHECK CMD",
            "HEALTHCHECK NONE x",
            "HEALTHCHECK --interval=1us CMD a",
            "HEALTHCHECK --interval=s CMD a",
            "ONBUILD FROM a",
            "ONBUILD ONBUILD x",
        ] {
            assert!(changed(&[line]).is_err(), "{line}");
        }
        assert_eq!(
            changed(&["FOO"]).unwrap_err(),
            "FOO is not a valid change command"
        );
        assert_eq!(
            changed(&["ENV"]).unwrap_err(),
            "ENV requires at least one argument"
        );
        assert_eq!(
            changed(&["RUN x"]).unwrap_err(),
            "RUN is not a valid change command"
        );
    }
}
