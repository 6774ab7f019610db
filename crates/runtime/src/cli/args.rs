//! Flags as Go's `flag` package reads them: `--name value`, `--name=value`, one dash or two, until the first operand.

use crate::{Error, Result};

/// One flag of a command.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    name: &'static str,
    short: Option<char>,
    takes_value: bool,
}

impl Flag {
    pub(super) const fn switch(name: &'static str, short: Option<char>) -> Self {
        Self {
            name,
            short,
            takes_value: false,
        }
    }

    pub(super) const fn value(name: &'static str, short: Option<char>) -> Self {
        Self {
            name,
            short,
            takes_value: true,
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.short.is_some_and(|short| name.chars().eq([short]))
    }
}

/// A command line taken apart.
#[derive(Debug, Default)]
pub(super) struct Args {
    flags: Vec<(&'static str, String)>,
    operands: Vec<String>,
}

impl Args {
    /// Flags up to the first operand, and what follows.
    pub(super) fn parse_leading(known: &[Flag], args: Vec<String>) -> Result<(Self, Vec<String>)> {
        let parsed = Self::parse(known, args.into_iter())?;
        let rest = parsed.operands;
        Ok((
            Self {
                flags: parsed.flags,
                operands: Vec::new(),
            },
            rest,
        ))
    }

    pub(super) fn parse(known: &[Flag], mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self::default();
        while let Some(arg) = args.next() {
            let Some(name) = arg
                .strip_prefix("--")
                .or_else(|| arg.strip_prefix('-'))
                .filter(|_| arg != "-")
            else {
                parsed.operands.push(arg);
                break;
            };
            if name.is_empty() {
                break;
            }
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let flag = known.iter().find(|flag| flag.is_called(name));
            let flag = flag
                .ok_or_else(|| Error::invalid(format!("flag provided but not defined: -{name}")))?;
            let value = match (inline, flag.takes_value) {
                (Some(value), _) => value,
                (None, false) => "true".to_owned(),
                (None, true) => args
                    .next()
                    .ok_or_else(|| Error::invalid(format!("flag needs an argument: -{name}")))?,
            };
            parsed.flags.push((flag.name, value));
        }
        parsed.operands.extend(args);
        Ok(parsed)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| !matches!(value, "false" | "0" | "f" | "F" | "FALSE" | "False"))
    }

    /// The last value given.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.flags
            .iter()
            .filter(move |(given, _)| *given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u32>> {
        let parse = |value: &str| {
            value
                .parse()
                .map_err(|_| Error::invalid(format!("invalid value {value:?} for --{name}")))
        };
        self.value(name).map(parse).transpose()
    }

    pub(super) fn operands(&self) -> &[String] {
        &self.operands
    }

    /// The container's id, which every command but a few has as its first operand.
    pub(super) fn id(&self) -> Result<&str> {
        self.operands
            .first()
            .map(String::as_str)
            .ok_or_else(|| Error::invalid("container id cannot be empty"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::value("bundle", Some('b')),
        Flag::switch("detach", Some('d')),
        Flag::value("env", Some('e')),
    ];

    fn parse(line: &str) -> Result<Args> {
        Args::parse(FLAGS, line.split(' ').map(str::to_owned))
    }

    #[test]
    fn flags_end_at_the_first_operand() {
        let args = parse("-b /x --detach -e A=1 --env=B=2 id ls -l").unwrap();
        assert_eq!(args.value("bundle"), Some("/x"));
        assert!(args.has("detach"));
        assert_eq!(args.values("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert_eq!(args.operands(), ["id", "ls", "-l"]);
        assert!(!parse("--detach=false id").unwrap().has("detach"));
        assert_eq!(parse("-- -d").unwrap().operands(), ["-d"]);
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        assert!(
            parse("--nope id")
                .unwrap_err()
                .to_string()
                .contains("-nope")
        );
        assert!(
            parse("--bundle")
                .unwrap_err()
                .to_string()
                .contains("-bundle")
        );
    }
}
