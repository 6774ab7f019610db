//! The log options of a container turned into what the shim's writer wants.

use std::collections::BTreeMap;

use oci::ContainerId;
use regex_lite::Regex;
use shim::log;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::options::{ContainerOptions, LogOptions};
use crate::state::Paths;

/// Logs are bounded unless someone says otherwise: 10 MB in 5 files.
const DEFAULT_SIZE: &str = "10m";
const DEFAULT_FILES: &str = "5";

/// The driver and options in force: the container's, else the daemon's, else the bounded default.
pub(crate) fn effective(asked: &LogOptions, config: &Config) -> LogOptions {
    let mut log = match asked.driver.as_str() {
        "" => LogOptions {
            driver: config.log.driver.clone(),
            options: config
                .log
                .options
                .clone()
                .into_iter()
                .chain(asked.options.clone())
                .collect(),
        },
        // The daemon's options go with the daemon's driver only, as Docker has it.
        driver if driver == config.log.driver => LogOptions {
            driver: driver.to_owned(),
            options: config
                .log
                .options
                .clone()
                .into_iter()
                .chain(asked.options.clone())
                .collect(),
        },
        _ => asked.clone(),
    };
    if log.driver.is_empty() {
        log.driver = "json-file".to_owned();
    }
    if matches!(log.driver.as_str(), "json-file" | "local") && !log.options.contains_key("max-size")
    {
        log.options
            .insert("max-size".to_owned(), DEFAULT_SIZE.to_owned());
        log.options
            .entry("max-file".to_owned())
            .or_insert_with(|| DEFAULT_FILES.to_owned());
    }
    log
}

/// Refuses options that the driver does not know, and values that none takes.
pub(crate) fn check(log: &LogOptions) -> Result<()> {
    let driver = match log.driver.as_str() {
        "" => "json-file",
        driver => driver,
    };
    let known: &[&str] = match driver {
        "json-file" => &[
            "max-size",
            "max-file",
            "compress",
            "labels",
            "labels-regex",
            "env",
            "env-regex",
            "tag",
        ],
        "local" => &["max-size", "max-file", "compress"],
        "none" => &[],
        driver => {
            return Err(Error::invalid(format!(
                "error looking up logging plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
    };
    let of_all = ["mode", "max-buffer-size"];
    let taken = |name: &&String| known.iter().chain(&of_all).any(|one| one == name);
    if let Some(name) = log.options.keys().find(|name| !taken(name)) {
        return Err(Error::invalid(match driver {
            "local" => format!("unknown log opt '{name}' for log driver local"),
            driver => format!("unknown log opt '{name}' for {driver} log driver"),
        }));
    }
    for name in ["labels-regex", "env-regex"] {
        pattern(log, name)?;
    }
    buffer(log)?;
    limits(log).map(drop)
}

/// What a container may write ahead of its log where `mode=non-blocking` is asked for, in bytes; nothing where it
/// waits for its log.
fn buffer(log: &LogOptions) -> Result<Option<u64>> {
    const DEFAULT: u64 = 1 << 20;
    let is_nonblocking = match log.options.get("mode").map_or("", String::as_str) {
        "" | "blocking" => false,
        "non-blocking" => true,
        other => {
            return Err(Error::invalid(format!(
                "logger: logging mode not supported: {other}"
            )));
        }
    };
    match log.options.get("max-buffer-size") {
        Some(_) if !is_nonblocking => Err(Error::invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        )),
        Some(text) => size(text).map(Some).ok_or_else(|| {
            Error::invalid(format!(
                "error parsing option max-buffer-size: invalid size: '{text}'"
            ))
        }),
        None => Ok(is_nonblocking.then_some(DEFAULT)),
    }
}

/// The regular expression of an option, which an empty one is not.
fn pattern(log: &LogOptions, name: &str) -> Result<Option<Regex>> {
    let text = log.options.get(name).filter(|text| !text.is_empty());
    let compiled = text.map(|text| Regex::new(text)).transpose();
    compiled.map_err(|error| {
        Error::invalid(format!(
            "failed to initialize logging driver: error parsing regexp in {name}: {error}"
        ))
    })
}

/// The sizes among the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_size: Option<u64>,
    pub(crate) max_file: u32,
    pub(crate) compress: bool,
}

/// Reads `max-size`, `max-file` and `compress`.
pub(crate) fn limits(log: &LogOptions) -> Result<Limits> {
    let option = |name: &str| log.options.get(name).map(String::as_str);
    let max_size = match option("max-size") {
        None | Some("-1") => None,
        Some(text) => {
            Some(size(text).ok_or_else(|| Error::invalid(format!("invalid size: '{text}'")))?)
        }
    };
    let max_file = match option("max-file") {
        None => 1,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| *n >= 1)
            .ok_or_else(|| Error::invalid("max-file cannot be less than 1"))?,
    };
    if max_file > 1 && max_size.is_none() && option("max-file").is_some() && log.driver != "local" {
        return Err(Error::invalid(
            "max-file may only be specified if max-size is set",
        ))
        .or_else(|error| {
            // Unset sizes get the bounded default before the log is opened; only an explicit -1 contradicts.
            if option("max-size").is_none() {
                Ok(Limits {
                    max_size,
                    max_file,
                    compress: compress(log)?,
                })
            } else {
                Err(error)
            }
        });
    }
    Ok(Limits {
        max_size,
        max_file,
        compress: compress(log)?,
    })
}

fn compress(log: &LogOptions) -> Result<bool> {
    match log.options.get("compress").map(String::as_str) {
        None => Ok(log.driver == "local"),
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(Error::invalid(format!(
            "invalid value for compress: {other:?}"
        ))),
    }
}

/// `10m`, `1.5g`, `4096`, `20kB`: powers of 1024, as Docker reads them.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..]
        .trim_end_matches('b')
        .trim_end_matches('i');
    let factor = match unit {
        "" => 1u64,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        "p" => 1 << 50,
        _ => return None,
    };
    let number: f64 = digits.trim_end().parse().ok()?;
    (number >= 0.0 && number.is_finite()).then_some((number * factor as f64) as u64)
}

/// What the shim's log writer is told.
pub(crate) fn writer(
    log: &LogOptions,
    id: &ContainerId,
    name: &str,
    options: &ContainerOptions,
    paths: &Paths,
) -> Result<log::Config> {
    let limits = limits(log)?;
    Ok(log::Config {
        driver: driver(&log.driver),
        path: paths.log(id, &log.driver),
        max_size: limits.max_size,
        max_file: limits.max_file,
        compress: limits.compress,
        buffer: buffer(log)?,
        attrs: attributes(log, id, name, options)?,
    })
}

/// The driver by its name; names are checked at creation.
pub(crate) fn driver(name: &str) -> log::Driver {
    match name {
        "local" => log::Driver::Local,
        "none" => log::Driver::None,
        _ => log::Driver::JsonFile,
    }
}

/// What `labels=`, `env=`, their patterns and `tag=` add to every line.
fn attributes(
    log: &LogOptions,
    id: &ContainerId,
    name: &str,
    options: &ContainerOptions,
) -> Result<BTreeMap<String, String>> {
    let labels = options
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let env = options.env.iter().filter_map(|entry| entry.split_once('='));
    let mut attributes = chosen(log, "labels", labels)?;
    attributes.extend(chosen(log, "env", env)?);
    if let Some(tag) = log.options.get("tag").filter(|tag| !tag.is_empty()) {
        attributes.insert("tag".to_owned(), render_tag(tag, id, name, options)?);
    }
    Ok(attributes)
}

/// Those whose keys the option `name` lists, or the one called `name-regex` matches.
fn chosen<'a>(
    log: &LogOptions,
    name: &str,
    all: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<String, String>> {
    let listed = log.options.get(name).map_or("", String::as_str);
    let pattern = pattern(log, &format!("{name}-regex"))?;
    let is_chosen = |key: &str| {
        !key.is_empty() && listed.split(',').any(|one| one == key)
            || pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(key))
    };
    let chosen = all.filter(|(key, _)| is_chosen(key));
    Ok(chosen
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// Docker's tag templates, as far as they are plain fields.
fn render_tag(
    tag: &str,
    id: &ContainerId,
    name: &str,
    options: &ContainerOptions,
) -> Result<String> {
    let mut out = String::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("{{") {
        let (field, after) = after.split_once("}}").ok_or_else(|| {
            Error::invalid(format!("invalid log tag {tag:?}: an action is not closed"))
        })?;
        out.push_str(before);
        out.push_str(match field.trim() {
            ".ID" => id.short(),
            ".FullID" => id.as_str(),
            ".Name" => name,
            ".ImageName" => &options.image,
            ".DaemonName" => "docker",
            other => {
                return Err(Error::unsupported(format_args!(
                    "{{{{{other}}}}} in a log tag"
                )));
            }
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, want) in [
            ("10m", Some(10 << 20)),
            ("1.5k", Some(1536)),
            ("7", Some(7)),
            ("20kB", Some(20 << 10)),
            ("1GiB", Some(1 << 30)),
            ("x", None),
            ("", None),
            ("-1", None),
            ("1z", None),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
    }

    fn with(options: &[(&str, &str)]) -> LogOptions {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        LogOptions {
            driver: "json-file".to_owned(),
            options: options.collect(),
        }
    }

    #[test]
    fn a_container_waits_for_its_log_unless_told_otherwise() {
        for (options, want) in [
            (&[][..], None),
            (&[("mode", "")], None),
            (&[("mode", "blocking")], None),
            (&[("mode", "non-blocking")], Some(1 << 20)),
            (
                &[("mode", "non-blocking"), ("max-buffer-size", "4m")],
                Some(4 << 20),
            ),
        ] {
            assert_eq!(buffer(&with(options)).unwrap(), want, "{options:?}");
        }
        for (options, words) in [
            (
                &[("mode", "x")][..],
                "logger: logging mode not supported: x",
            ),
            (
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                &[("mode", "non-blocking"), ("max-buffer-size", "")],
                "error parsing option max-buffer-size: invalid size: ''",
            ),
        ] {
            assert_eq!(check(&with(options)).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn attributes_are_chosen_by_name_and_by_pattern() {
        let log = with(&[
            ("labels", "b"),
            ("labels-regex", "^a"),
            ("env-regex", "^(X|Y)A$"),
            ("env", "Q,"),
        ]);
        let options = ContainerOptions {
            labels: [("abc", "1"), ("b", "2"), ("cb", "3")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            env: ["XA=4", "YB=5", "Q=6=7", "=8"].map(str::to_owned).to_vec(),
            ..ContainerOptions::default()
        };
        let found = attributes(&log, &ContainerId::random(), "n", &options).unwrap();
        let found: Vec<_> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(found, ["Q=6=7", "XA=4", "abc=1", "b=2"]);
        assert!(check(&with(&[("env-regex", "(")])).is_err());
    }

    #[test]
    fn logs_are_bounded_by_default() {
        let log = effective(&LogOptions::default(), &Config::new("/d", "/e", "/s"));
        let limits = limits(&log).unwrap();
        assert_eq!(
            (log.driver.as_str(), limits.max_size, limits.max_file),
            ("json-file", Some(10 << 20), 5)
        );
    }

    #[test]
    fn a_tag_renders_its_fields() {
        let id = ContainerId::random();
        let options = ContainerOptions {
            image: "busybox".into(),
            ..Default::default()
        };
        let tag = render_tag("{{.ImageName}}/{{ .Name }}-{{.ID}}", &id, "n", &options).unwrap();
        assert_eq!(tag, format!("busybox/n-{}", id.short()));
        assert!(render_tag("{{.Nope}}", &id, "n", &options).is_err());
        assert!(render_tag("{{.ID", &id, "n", &options).is_err());
    }
}
