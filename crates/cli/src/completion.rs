//! What a shell offers when the user asks it to complete a word.
//!
//! The scripts that `completion` prints call `__complete` with the words so far, the last one unfinished. The answer is that of
//! the library which Docker's client uses (cobra): a line for each candidate, its description behind a tab, and last a colon
//! with a number that says what else to do. So Docker's own scripts work with this client too. Names of containers, images,
//! volumes and networks come from the daemon, which is asked but never started for that.

mod names;
mod places;

use crate::command::{Command, Flag, Kind, Order};
use crate::commands::{self, COMMANDS, GROUPS};
use crate::context::Context;
use crate::flags::{self, Matches};
use crate::globals::{self, Globals};
use crate::help;
use places::Place;

/// What the shell does beside offering the candidates; cobra's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    /// It offers files if there are no candidates.
    Files = 0,
    /// It offers nothing else.
    NoFiles = 4,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    /// Words with descriptions, which may be empty.
    candidates: Vec<(String, String)>,
    directive: Directive,
}

impl Answer {
    fn of(place: Place, offered: Vec<String>) -> Self {
        Self {
            candidates: offered
                .into_iter()
                .map(|word| (word, String::new()))
                .collect(),
            directive: match place {
                Place::Files => Directive::Files,
                _ => Directive::NoFiles,
            },
        }
    }

    fn none() -> Self {
        Self::of(Place::Nothing, Vec::new())
    }

    fn text(&self, partial: &str) -> String {
        let mut text: String = self
            .candidates
            .iter()
            .filter(|(word, _)| word.starts_with(partial))
            .map(|(word, about)| match about.as_str() {
                "" => format!("{word}\n"),
                about => format!("{word}\t{about}\n"),
            })
            .collect();
        text.push_str(&format!(":{}\n", self.directive as u8));
        text
    }
}

/// Answers for these words, the last of which is unfinished.
pub(crate) fn answer(program: &'static str, words: &[String]) -> String {
    let Some((partial, before)) = words.split_last() else {
        return Answer::none().text("");
    };
    let (partial, answer) = complete(program, before, partial);
    answer.text(partial)
}

fn complete<'a>(program: &'static str, before: &[String], partial: &'a str) -> (&'a str, Answer) {
    let mut globals = match flags::parse(&globals::flags(), Order::Before, before.to_vec()) {
        Ok(globals) => globals,
        Err(flags::FlagError::NoValue(name)) if name == "context" => {
            let context = Context::new(program, Globals::default());
            return (partial, at(&context, Place::Contexts, &[]));
        }
        Err(_) => return (partial, Answer::none()),
    };
    let rest = std::mem::take(&mut globals.args);
    let Ok(globals) = Globals::from_matches(&globals) else {
        return (partial, Answer::none());
    };
    let context = Context::new(program, globals);
    let Some((command, rest)) = called(&rest) else {
        return (partial, names_of_commands(&rest, partial));
    };
    in_command(&context, command, rest, partial)
}

/// The command that words call, and the words behind it.
fn called(words: &[String]) -> Option<(&'static Command, &[String])> {
    let (first, rest) = words.split_first()?;
    if commands::group(first).is_none() {
        return Some((commands::find(first)?, rest));
    }
    let (second, rest) = rest.split_first()?;
    Some((commands::find(&format!("{first} {second}"))?, rest))
}

fn names_of_commands(words: &[String], partial: &str) -> Answer {
    let candidates = match words {
        [] if partial.starts_with('-') => flags_of(globals::FLAGS.iter(), partial),
        [] => top_level(),
        [group] if commands::group(group).is_some() => below(group),
        _ => return Answer::of(Place::Files, Vec::new()),
    };
    Answer {
        candidates,
        directive: Directive::NoFiles,
    }
}

fn top_level() -> Vec<(String, String)> {
    let groups = GROUPS.iter().map(|group| (group.name, group.about));
    let commands = COMMANDS.iter().filter_map(|command| {
        let own = command.paths.iter().find(|path| !path.contains(' '));
        own.map(|path| (*path, command.about))
    });
    sorted(groups.chain(commands).chain(help::ROLES))
}

fn below(group: &str) -> Vec<(String, String)> {
    let name = |path: &'static &str| match path.split_once(' ') {
        Some((first, name)) if first == group => Some(name),
        _ => None,
    };
    // Further names of the same command are known, but not offered.
    sorted(COMMANDS.iter().filter_map(|command| {
        let own = command.paths.iter().find_map(name);
        own.map(|name| (name, command.about))
    }))
}

fn sorted<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut words: Vec<_> = words
        .map(|(word, about)| (word.to_owned(), about.to_owned()))
        .collect();
    words.sort();
    words
}

fn in_command<'a>(
    context: &Context,
    command: &'static Command,
    words: &[String],
    partial: &'a str,
) -> (&'a str, Answer) {
    let all: Vec<_> = command.flags().collect();
    let matches = match flags::parse(&all, command.order, words.to_vec()) {
        Ok(matches) => matches,
        // The last word is a flag, and the unfinished one its value.
        Err(flags::FlagError::NoValue(name)) => {
            return (partial, at(context, places::of_flag(command, &name), &[]));
        }
        Err(flags::FlagError::NoValueShort(letter, _)) => {
            let flag = command.flags().find(|flag| flag.short == Some(letter));
            let name = flag.map_or("", |flag| flag.long);
            return (partial, at(context, places::of_flag(command, name), &[]));
        }
        Err(_) => return (partial, Answer::none()),
    };
    let is_flag = partial.starts_with('-') && takes_flags(command, &matches, words);
    match partial.split_once('=') {
        Some((name, value)) if is_flag => {
            let name = name.trim_start_matches('-');
            (value, at(context, places::of_flag(command, name), &[]))
        }
        _ if is_flag => {
            let candidates = flags_of(command.flags(), partial);
            let directive = Directive::NoFiles;
            (
                partial,
                Answer {
                    candidates,
                    directive,
                },
            )
        }
        _ => {
            let place = places::of_argument(command, &matches);
            (partial, at(context, place, &matches.args))
        }
    }
}

/// Behind `--`, and behind the image of `run`, what begins with a dash is no flag of ours.
fn takes_flags(command: &Command, matches: &Matches, words: &[String]) -> bool {
    let ended = words.iter().any(|word| word == "--");
    !ended && (command.order == Order::Anywhere || matches.args.is_empty())
}

/// Flags that are offered: not those that are refused or do nothing.
fn flags_of<'a>(flags: impl Iterator<Item = &'a Flag>, partial: &str) -> Vec<(String, String)> {
    let shown = |flag: &&Flag| {
        !flag.about.is_empty() && !matches!(flag.kind, Kind::NotBuilt(_) | Kind::NoOp(_))
    };
    let mut words = Vec::new();
    for flag in flags.filter(shown) {
        words.push((format!("--{}", flag.long), flag.about.to_owned()));
        if let Some(short) = flag.short.filter(|_| !partial.starts_with("--")) {
            words.push((format!("-{short}"), flag.about.to_owned()));
        }
    }
    words.push(("--help".to_owned(), "Print usage".to_owned()));
    words.sort();
    words
}

fn at(context: &Context, place: Place, given: &[String]) -> Answer {
    let mut offered = names::offered(context, place);
    offered.retain(|name| !given.contains(name));
    Answer::of(place, offered)
}

#[cfg(test)]
mod tests;
