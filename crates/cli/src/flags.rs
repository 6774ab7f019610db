//! Reads a command line the way Docker's client (Go's pflag) does: `--rm=false`, `-itd`, `-eNAME=x`, `-e NAME`,
//! `--flag value`, flags before the image only. Errors have pflag's words, because scripts and people know them.

use crate::command::{Flag, Kind, Order, Takes};

/// What the user said: flags in the order given, and the arguments.
#[derive(Debug, Default)]
pub struct Matches {
    given: Vec<(&'static Flag, String)>,
    /// What is not a flag.
    pub args: Vec<String>,
    /// Every full name under which the user called the command: `container run` or `run`.
    pub called_as: String,
}

/// A command line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No such long flag.
    #[error("unknown flag: --{0}")]
    Unknown(String),
    /// No such letter; the second is the whole word it stands in.
    #[error("unknown shorthand flag: '{0}' in {1}")]
    UnknownShort(char, String),
    /// A long flag at the end of the line that wants a value.
    #[error("flag needs an argument: --{0}")]
    NoValue(String),
    /// A letter that wants a value.
    #[error("flag needs an argument: '{0}' in {1}")]
    NoValueShort(char, String),
    /// Such as `---x` or `--=x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// A value that the flag does not take.
    #[error("invalid argument {value:?} for {flag:?} flag: {reason}")]
    Value {
        /// As given.
        value: String,
        /// `-m, --memory`.
        flag: String,
        /// What is wrong.
        reason: String,
    },
    /// A flag of Docker's that this version does not have.
    #[error("not built yet: --{0}")]
    NotBuilt(&'static str),
    /// `--help` was given.
    #[error("help wanted")]
    Help,
}

/// Reads `words` with the given flags.
pub fn parse(
    flags: &[&'static Flag],
    order: Order,
    words: impl IntoIterator<Item = String>,
) -> Result<Matches, FlagError> {
    let mut words = words.into_iter();
    let mut matches = Matches::default();
    while let Some(word) = words.next() {
        if word == "--" {
            matches.args.extend(words);
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            read_long(flags, long, &word, &mut words, &mut matches)?;
        } else if word.len() > 1 && word.starts_with('-') {
            read_short(flags, &word, &mut words, &mut matches)?;
        } else {
            matches.args.push(word);
            if order == Order::Before {
                matches.args.extend(words);
                break;
            }
        }
    }
    Ok(matches)
}

fn read_long(
    flags: &[&'static Flag],
    long: &str,
    word: &str,
    words: &mut impl Iterator<Item = String>,
    matches: &mut Matches,
) -> Result<(), FlagError> {
    if long.starts_with(['-', '=']) {
        return Err(FlagError::Syntax(word.to_owned()));
    }
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let Some(flag) = flags.iter().copied().find(|flag| flag.long == name) else {
        return match (name, value.as_deref().map(parse_bool)) {
            ("help", Some(Ok(false))) => Ok(()),
            ("help", Some(Err(reason))) => Err(FlagError::Value {
                value: value.unwrap_or_default(),
                flag: "-h, --help".to_owned(),
                reason,
            }),
            ("help", _) => Err(FlagError::Help),
            _ => Err(FlagError::Unknown(name.to_owned())),
        };
    };
    let value = match (value, flag.takes()) {
        (Some(value), _) => value,
        (None, Takes::Nothing) => "true".to_owned(),
        (None, Takes::Value) => words
            .next()
            .ok_or_else(|| FlagError::NoValue(name.to_owned()))?,
    };
    matches.give(flag, value)
}

fn read_short(
    flags: &[&'static Flag],
    word: &str,
    words: &mut impl Iterator<Item = String>,
    matches: &mut Matches,
) -> Result<(), FlagError> {
    let mut rest = &word[1..];
    while let Some(letter) = rest.chars().next() {
        let whole = format!("-{rest}");
        rest = &rest[letter.len_utf8()..];
        let Some(flag) = flags
            .iter()
            .copied()
            .find(|flag| flag.short == Some(letter))
        else {
            return Err(if letter == 'h' {
                FlagError::Help
            } else {
                FlagError::UnknownShort(letter, whole)
            });
        };
        if let Some(value) = rest.strip_prefix('=') {
            return matches.give(flag, value.to_owned());
        }
        if flag.takes() == Takes::Nothing {
            matches.give(flag, "true".to_owned())?;
            continue;
        }
        let value = if rest.is_empty() {
            words.next().ok_or(FlagError::NoValueShort(letter, whole))?
        } else {
            rest.to_owned()
        };
        return matches.give(flag, value);
    }
    Ok(())
}

impl Matches {
    fn give(&mut self, flag: &'static Flag, value: String) -> Result<(), FlagError> {
        if let Kind::NotBuilt(takes) = flag.kind {
            // `--publish-all=false` asks for nothing.
            return match (takes, parse_bool(&value)) {
                (Takes::Nothing, Ok(false)) => Ok(()),
                _ => Err(FlagError::NotBuilt(flag.long)),
            };
        }
        check(flag, &value).map_err(|reason| FlagError::Value {
            value: value.clone(),
            flag: spelled(flag),
            reason,
        })?;
        self.given.push((flag, value));
        Ok(())
    }

    fn last(&self, long: &str) -> Option<&str> {
        self.given
            .iter()
            .rev()
            .find(|(flag, _)| flag.long == long)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the flag was given at all.
    pub fn given(&self, long: &str) -> bool {
        self.last(long).is_some()
    }

    /// A flag that is on or off; off when it was not given.
    pub fn flag(&self, long: &str) -> bool {
        self.flag_or(long, false)
    }

    /// A flag that is on or off, with its default.
    pub fn flag_or(&self, long: &str, default: bool) -> bool {
        self.last(long)
            .and_then(|value| parse_bool(value).ok())
            .unwrap_or(default)
    }

    /// The last value given.
    pub fn text(&self, long: &str) -> Option<&str> {
        self.last(long)
    }

    /// The last value given, or the empty text.
    pub fn text_or_empty(&self, long: &str) -> &str {
        self.last(long).unwrap_or_default()
    }

    /// The last value given, as a number.
    pub fn int(&self, long: &str) -> Option<i64> {
        self.last(long).and_then(|value| value.parse().ok())
    }

    /// Every value given, in order.
    pub fn list<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.given
            .iter()
            .filter(move |(flag, _)| flag.long == long)
            .map(|(_, value)| value.as_str())
    }

    /// Every value given, in order, as owned texts.
    pub fn texts(&self, long: &str) -> Vec<String> {
        self.list(long).map(str::to_owned).collect()
    }
}

fn check(flag: &Flag, value: &str) -> Result<(), String> {
    match flag.kind {
        Kind::Bool | Kind::NoOp(Takes::Nothing) => parse_bool(value).map(drop),
        Kind::Int => go_number("ParseInt", value, value.parse::<i64>().is_ok()),
        Kind::Uint => go_number("ParseUint", value, value.parse::<u64>().is_ok()),
        Kind::Checked(_, check) | Kind::CheckedList(_, check) => check(value),
        Kind::Text | Kind::List | Kind::NotBuilt(_) | Kind::NoOp(Takes::Value) => Ok(()),
    }
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {value:?}: invalid syntax"
        )),
    }
}

fn go_number(function: &str, value: &str, fine: bool) -> Result<(), String> {
    if fine {
        return Ok(());
    }
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let reason = if numeric && !value.starts_with('-') {
        "value out of range"
    } else {
        "invalid syntax"
    };
    Err(format!("strconv.{function}: parsing {value:?}: {reason}"))
}

/// `-m, --memory` or `--rm`.
fn spelled(flag: &Flag) -> String {
    match flag.short {
        Some(short) => format!("-{short}, --{}", flag.long),
        None => format!("--{}", flag.long),
    }
}

#[cfg(test)]
mod tests;
