//! The command line: pflag's habits over the table of options. What the user said, nothing more.

use std::collections::BTreeMap;

use super::ConfigError;
use super::table::{self, Kind, Opt, Support};

/// One option's value as it was written, before it is understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Switch(bool),
    Text(String),
    Number(i64),
    /// A list, or a table that was written on the command line as `NAME=VALUE` words.
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    /// A table as the file has it.
    Table(serde_json::Map<String, serde_json::Value>),
}

impl std::fmt::Display for Given {
    /// As Go's `%v` writes it: dockerd's texts about conflicts have that form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::Switch(on) => write!(f, "{on}"),
            Given::Text(text) => f.write_str(text),
            Given::Number(number) => write!(f, "{number}"),
            Given::List(list) => write!(f, "[{}]", list.join(" ")),
            Given::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                write!(f, "map[{}]", pairs.join(" "))
            }
            Given::Table(table) => write!(
                f,
                "map[{}]",
                table.keys().cloned().collect::<Vec<_>>().join(" ")
            ),
        }
    }
}

/// Values by the option's name.
pub(crate) type Settings = BTreeMap<&'static str, Given>;

/// Reads the words after `tare daemon`.
pub(crate) fn parse<I: IntoIterator<Item = String>>(words: I) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--").filter(|l| !l.is_empty()) {
            long_flag(long, &mut words, &mut settings)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
            short_flags(letters, &mut words, &mut settings)?;
        } else {
            return Err(ConfigError::Argument(word));
        }
    }
    Ok(settings)
}

fn long_flag(
    long: &str,
    words: &mut impl Iterator<Item = String>,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let opt = table::by_flag(name).ok_or_else(|| ConfigError::UnknownFlag(format!("--{name}")))?;
    let value = match value {
        Some(value) => value,
        None if opt.kind == Kind::Switch => "true".to_owned(),
        None => words
            .next()
            .ok_or_else(|| ConfigError::FlagNeedsValue(format!("--{name}")))?,
    };
    put(opt, value, settings)
}

/// `-D`, `-DH x`, `-Hx`, `-H=x`.
fn short_flags(
    letters: &str,
    words: &mut impl Iterator<Item = String>,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        let unknown = || ConfigError::UnknownShort(letter, letters.to_owned());
        let opt = table::by_short(letter).ok_or_else(unknown)?;
        let attached = rest.as_str();
        if opt.kind == Kind::Switch && !attached.starts_with('=') {
            put(opt, "true".to_owned(), settings)?;
            continue;
        }
        let value = match attached.strip_prefix('=').unwrap_or(attached) {
            "" => words
                .next()
                .ok_or_else(|| ConfigError::FlagNeedsValue(format!("-{letter}")))?,
            attached => attached.to_owned(),
        };
        return put(opt, value, settings);
    }
    Ok(())
}

fn put(opt: &'static Opt, value: String, settings: &mut Settings) -> Result<(), ConfigError> {
    let invalid = |why: &str| ConfigError::InvalidFlag {
        flag: opt.flag.to_owned(),
        value: value.clone(),
        why: why.to_owned(),
    };
    let given = match opt.kind {
        Kind::Switch => Given::Switch(go_bool(&value).ok_or_else(|| invalid("not a boolean"))?),
        Kind::Number => Given::Number(value.parse().map_err(|_| invalid("not a number"))?),
        Kind::Text => Given::Text(value),
        Kind::Map => {
            let (key, text) = value
                .split_once('=')
                .ok_or_else(|| invalid("not in the form KEY=VALUE"))?;
            let mut map = match settings.remove(opt.name()) {
                Some(Given::Map(map)) => map,
                _ => BTreeMap::new(),
            };
            map.insert(key.to_owned(), text.to_owned());
            Given::Map(map)
        }
        Kind::List | Kind::Table => {
            let mut list = match settings.remove(opt.name()) {
                Some(Given::List(list)) => list,
                _ => Vec::new(),
            };
            list.push(value);
            Given::List(list)
        }
    };
    refuse_unsupported(opt, &given, format!("--{}", opt.flag))?;
    settings.insert(opt.name(), given);
    Ok(())
}

/// Refuses an option that nothing here honours; a switch turned off is honoured by doing nothing.
pub(crate) fn refuse_unsupported(
    opt: &Opt,
    given: &Given,
    shown: String,
) -> Result<(), ConfigError> {
    match (opt.support, given) {
        (Support::Yes, _) | (Support::No(_), Given::Switch(false)) => Ok(()),
        (Support::No(why), _) => Err(ConfigError::Unsupported { option: shown, why }),
    }
}

/// Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
