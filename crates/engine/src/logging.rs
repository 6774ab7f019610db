//! The log options of a container turned into what the shim's writer wants.

use std::collections::BTreeMap;

use oci::ContainerId;
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

/// What `labels=`, `env=` and `tag=` add to every line.
fn attributes(
    log: &LogOptions,
    id: &ContainerId,
    name: &str,
    options: &ContainerOptions,
) -> Result<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    let keys = |option: &str| {
        log.options
            .get(option)
            .map(String::as_str)
            .unwrap_or_default()
            .split(',')
    };
    for key in keys("labels") {
        if let Some(value) = options.labels.get(key) {
            attributes.insert(key.to_owned(), value.clone());
        }
    }
    for key in keys("env").filter(|key| !key.is_empty()) {
        let value = options
            .env
            .iter()
            .find_map(|e| e.strip_prefix(key)?.strip_prefix('='));
        if let Some(value) = value {
            attributes.insert(key.to_owned(), value.to_owned());
        }
    }
    if let Some(tag) = log.options.get("tag").filter(|tag| !tag.is_empty()) {
        attributes.insert("tag".to_owned(), render_tag(tag, id, name, options)?);
    }
    Ok(attributes)
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
