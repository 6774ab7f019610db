//! What a command is: one row of the command tree, as data.
//!
//! The rows are `static`, so a start of the client builds nothing: the parser walks the one row that was called. (Building
//! clap's tree at Docker's size costs 1.9 ms per start.)

use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;

/// One command: `docker run`, also called `docker container run`.
#[derive(Debug)]
pub struct Command {
    /// Every full name, the canonical one first, without the program's name: `["container run", "run"]`.
    pub paths: &'static [&'static str],
    /// One line for the list of commands.
    pub about: &'static str,
    /// What follows the name in the usage line; several lines for several forms.
    pub usage: &'static str,
    /// How many arguments it takes.
    pub args: Args,
    /// Where flags may stand.
    pub order: Order,
    /// The flags, in groups that commands may share.
    pub flags: &'static [&'static [Flag]],
    /// Does the work.
    pub run: fn(&Context, &Matches) -> Outcome,
}

/// A group such as `container`: only a name for the commands below it.
#[derive(Debug)]
pub struct Group {
    /// First word of its commands' full names.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
}

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Args {
    /// None at all.
    None,
    /// This many, no more, no fewer.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// Between the two, both included.
    Between(usize, usize),
    /// This many or fewer.
    AtMost(usize),
}

/// Where flags may stand among the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Anywhere, until `--`.
    Anywhere,
    /// Only before the first argument; what follows belongs to the container.
    Before,
}

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Without the dashes.
    pub long: &'static str,
    /// One letter, or none.
    pub short: Option<char>,
    /// What it takes.
    pub kind: Kind,
    /// What it does, for the help.
    pub about: &'static str,
}

/// What a flag's value is. A wrong value is told when it is read, with pflag's words.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `--rm`, `--rm=false`; without a value it is true.
    Bool,
    /// Text; the last one counts.
    Text,
    /// Text that may be given many times.
    List,
    /// A whole number (Go's `ParseInt` in base 10).
    Int,
    /// A whole number from 0 on, 64 bits.
    Uint,
    /// Text that a check must pass, such as a size; the `&str` is what the help calls the value, the last one counts.
    Checked(&'static str, Check),
    /// The same, may be given many times.
    CheckedList(&'static str, Check),
    /// Docker has this flag and we do not yet: it is refused by name when given, never ignored.
    NotBuilt(Takes),
    /// Docker accepts this flag and does nothing; so do we, and the help does not show it.
    NoOp(Takes),
}

/// Says what is wrong with a value, or nothing.
pub type Check = fn(&str) -> Result<(), String>;

/// Whether a flag is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `--flag` or `--flag=false`.
    Nothing,
    /// `--flag value` or `--flag=value`.
    Value,
}

impl Flag {
    /// A flag that is on or off.
    pub const fn bool(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::Bool,
            about,
        }
    }

    /// A flag with a text value.
    pub const fn text(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::Text,
            about,
        }
    }

    /// A flag that may be given many times.
    pub const fn list(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::List,
            about,
        }
    }

    /// A flag with a whole number.
    pub const fn int(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::Int,
            about,
        }
    }

    /// A flag whose value must pass `check`.
    pub const fn checked(
        long: &'static str,
        short: Option<char>,
        name: &'static str,
        check: Check,
        about: &'static str,
    ) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::Checked(name, check),
            about,
        }
    }

    /// A flag that may be given many times, each value checked.
    pub const fn checked_list(
        long: &'static str,
        short: Option<char>,
        name: &'static str,
        check: Check,
        about: &'static str,
    ) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::CheckedList(name, check),
            about,
        }
    }

    /// Another name for a flag that may be given many times; the help, which shows only flags with a description, leaves it out.
    pub const fn hidden_list(long: &'static str, check: Check) -> Flag {
        Flag {
            long,
            short: None,
            kind: Kind::CheckedList("list", check),
            about: "",
        }
    }

    /// A flag of Docker's that is refused by name until it is built.
    pub const fn not_built(long: &'static str, short: Option<char>, takes: Takes) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::NotBuilt(takes),
            about: "",
        }
    }

    /// A flag of Docker's that does nothing there either.
    pub const fn no_op(long: &'static str, short: Option<char>, takes: Takes) -> Flag {
        Flag {
            long,
            short,
            kind: Kind::NoOp(takes),
            about: "",
        }
    }

    /// Whether a value follows it.
    pub fn takes(&self) -> Takes {
        match self.kind {
            Kind::Bool => Takes::Nothing,
            Kind::NotBuilt(takes) | Kind::NoOp(takes) => takes,
            _ => Takes::Value,
        }
    }
}

impl Command {
    /// All its flags.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> + use<> {
        self.flags.iter().flat_map(|group| group.iter())
    }

    /// The name below its group: `run` of `container run`.
    pub fn name(&self) -> &'static str {
        let path = self.paths[0];
        path.rsplit(' ').next().unwrap_or(path)
    }
}
