//! `daemon.json`: Docker's keys, Docker's rules about them, Docker's texts where they are broken.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::ConfigError;
use super::flags::{Given, Settings, refuse_unsupported};
use super::table::{self, Kind, Opt};

/// A configuration file may not be longer than this.
const MAX_LENGTH: u64 = 1 << 20;

/// Reads the file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Settings>, ConfigError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_LENGTH => return Err(ConfigError::FileTooLong(MAX_LENGTH)),
        _ => {}
    }
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::ReadFile(source)),
    }
}

/// Understands the text of the file.
pub(crate) fn parse(text: &str) -> Result<Settings, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Settings::new());
    }
    let value: Value = serde_json::from_str(text).map_err(ConfigError::InvalidJson)?;
    let Value::Object(object) = value else {
        return Err(ConfigError::WrongType {
            key: "the configuration".into(),
            got: type_name(&value),
            want: "object",
        });
    };
    let unknown: Vec<&str> = object
        .keys()
        .map(String::as_str)
        .filter(|k| table::by_key(k).is_none())
        .collect();
    if !unknown.is_empty() {
        return Err(ConfigError::UnknownKeys(unknown.join(", ")));
    }
    let mut settings = Settings::new();
    for (key, value) in object {
        let Some(opt) = table::by_key(&key) else {
            continue;
        };
        if value.is_null() {
            continue;
        }
        let given = typed(opt, value)?;
        refuse_unsupported(opt, &given, format!("the key {key}"))?;
        settings.insert(opt.name(), given);
    }
    Ok(settings)
}

/// The file's settings under the command line's; a setting that both make is a mistake, as dockerd has it.
pub(crate) fn merge(mut flags: Settings, file: Settings) -> Result<Settings, ConfigError> {
    let mut conflicts = Vec::new();
    for (name, from_file) in file {
        match flags.get(name) {
            None => {
                flags.insert(name, from_file);
            }
            // Runtimes of both places are put together, as in Docker.
            Some(Given::List(words)) if name == "add-runtime" => {
                let both = both_runtimes(words, from_file);
                flags.insert(name, both);
            }
            Some(from_flag) => {
                let key = table::by_flag(name).map_or(name, |o| o.key);
                conflicts.push(format!(
                    "{key}: (from flag: {from_flag}, from file: {from_file})"
                ));
            }
        }
    }
    if conflicts.is_empty() {
        Ok(flags)
    } else {
        Err(ConfigError::Conflicts(conflicts.join(", ")))
    }
}

fn both_runtimes(words: &[String], from_file: Given) -> Given {
    let mut table = match from_file {
        Given::Table(table) => table,
        _ => serde_json::Map::new(),
    };
    for word in words {
        let (name, path) = word.split_once('=').unwrap_or((word, ""));
        table.insert(name.to_owned(), serde_json::json!({ "path": path }));
    }
    Given::Table(table)
}

fn typed(opt: &Opt, value: Value) -> Result<Given, ConfigError> {
    let got = type_name(&value);
    let wrong = |want| ConfigError::WrongType {
        key: opt.key.to_owned(),
        got,
        want,
    };
    Ok(match (opt.kind, value) {
        (Kind::Switch, Value::Bool(on)) => Given::Switch(on),
        (Kind::Switch, _) => return Err(wrong("bool")),
        (Kind::Text, Value::String(text)) => Given::Text(text),
        // Sizes may be written as plain numbers.
        (Kind::Text, Value::Number(number)) if opt.key == "default-shm-size" => {
            Given::Text(number.to_string())
        }
        (Kind::Text, _) => return Err(wrong("string")),
        (Kind::Number, Value::Number(number)) => {
            Given::Number(number.as_i64().ok_or_else(|| wrong("int"))?)
        }
        (Kind::Number, _) => return Err(wrong("int")),
        (Kind::List, Value::Array(items)) => {
            Given::List(strings(items).ok_or_else(|| wrong("[]string"))?)
        }
        (Kind::List, _) => return Err(wrong("[]string")),
        (Kind::Map, Value::Object(object)) => {
            Given::Map(string_map(object).ok_or_else(|| wrong("map[string]string"))?)
        }
        (Kind::Map, _) => return Err(wrong("map[string]string")),
        (Kind::Table, Value::Object(object)) => Given::Table(object),
        // Address pools are an array of objects: the same words as on the command line are made of them.
        (Kind::Table, Value::Array(items)) if opt.key == "default-address-pools" => {
            Given::List(items.iter().map(pool_word).collect())
        }
        (Kind::Table, _) => return Err(wrong("object")),
    })
}

/// An object as `base=10.0.0.0/8,size=24`. What it is not is refused with the words.
fn pool_word(item: &Value) -> String {
    let Value::Object(object) = item else {
        return item.to_string();
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let parts: Vec<_> = object
        .iter()
        .map(|(key, value)| format!("{}={}", key.to_lowercase(), text(value)))
        .collect();
    parts.join(",")
}

fn strings(items: Vec<Value>) -> Option<Vec<String>> {
    items
        .into_iter()
        .map(|item| {
            if let Value::String(text) = item {
                Some(text)
            } else {
                None
            }
        })
        .collect()
}

fn string_map(object: serde_json::Map<String, Value>) -> Option<BTreeMap<String, String>> {
    object
        .into_iter()
        .map(|(key, item)| {
            if let Value::String(text) = item {
                Some((key, text))
            } else {
                None
            }
        })
        .collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
