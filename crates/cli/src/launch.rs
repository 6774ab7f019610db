//! From the words of a command line to the command: global flags, the command's name, its flags, its run, its exit status.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::command::{Args, Command, Order};
use crate::commands::{self, COMMANDS};
use crate::completion;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::{self, FlagError, Matches};
use crate::globals::{self, Globals};
use crate::help;
use crate::print::{print, warn};

/// Status of a command line that cannot be read, and of failures before a container's process was there.
const STATUS_USAGE: u8 = 125;

/// Runs what the words ask for, prints what went wrong, and returns the exit status.
pub(crate) fn launch(words: impl IntoIterator<Item = OsString>) -> u8 {
    let mut words = words.into_iter();
    let program = program_name(words.next());
    let outcome = utf8(words).and_then(|words| dispatch(program, words));
    match outcome {
        Ok(Exit(status)) => status,
        Err(failure) => {
            if !failure.message.is_empty() {
                let _ = writeln!(std::io::stderr(), "{}", failure.message);
            }
            failure.status
        }
    }
}

/// The name the texts use: `docker` when called as that, else `tare`.
fn program_name(called: Option<OsString>) -> &'static str {
    let called = called.unwrap_or_default();
    let is_docker = Path::new(&called)
        .file_name()
        .is_some_and(|name| name == "docker");
    if is_docker { "docker" } else { "tare" }
}

fn utf8(words: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    words
        .map(|word| {
            word.into_string().map_err(|word| {
                Failure::new(format!("argument is not valid UTF-8: {}", word.display()))
            })
        })
        .collect()
}

fn dispatch(program: &'static str, words: Vec<String>) -> Outcome {
    if let [first, rest @ ..] = words.as_slice()
        && first == "__complete"
    {
        return print(&completion::answer(program, rest));
    }
    let mut globals = match flags::parse(&globals::flags(), Order::Before, words) {
        Ok(globals) => globals,
        Err(error) => return top_level_error(program, &error),
    };
    let rest = std::mem::take(&mut globals.args);
    if globals.flag("version") {
        return print(&format!("{}\n", help::version_line(program)));
    }
    let context = Context::new(program, Globals::from_matches(&globals)?);
    let mut rest = rest.into_iter();
    match rest.next().as_deref() {
        None => nothing_called(&help::top(program)),
        Some("help") => help::topic(program, &rest.collect::<Vec<_>>()),
        Some(first) => call(&context, first, rest),
    }
}

fn top_level_error(program: &str, error: &FlagError) -> Outcome {
    if *error == FlagError::Help {
        return print(&help::top(program));
    }
    let text = format!(
        "{error}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
    );
    Err(Failure::with_status(STATUS_USAGE, text))
}

fn call(context: &Context, first: &str, mut rest: std::vec::IntoIter<String>) -> Outcome {
    let program = context.program;
    let Some(group) = commands::group(first) else {
        let command = commands::find(first).ok_or_else(|| unknown_command(program, first))?;
        return run(context, command, first.to_owned(), rest);
    };
    match rest.next().as_deref() {
        None => nothing_called(&help::group(program, group)),
        Some("--help" | "-h") => print(&help::group(program, group)),
        Some(word) if word.starts_with('-') => {
            let shown = word.split('=').next().unwrap_or(word);
            let text = format!(
                "unknown flag: {shown}\n\n{}",
                help::usage_of_group(program, group)
            );
            Err(Failure::with_status(STATUS_USAGE, text))
        }
        Some(second) => {
            let path = format!("{first} {second}");
            match commands::find(&path) {
                Some(command) => run(context, command, path, rest),
                None if commands::NOT_BUILT.contains(&path.as_str()) => {
                    Err(unknown_command(program, &path))
                }
                None => {
                    let usage = help::usage_of_group(program, group);
                    Err(Failure::new(format!(
                        "{program}: unknown command: {program} {path}\n\n{usage}"
                    )))
                }
            }
        }
    }
}

/// Help that nobody asked for goes to stderr, as in Docker's client.
fn nothing_called(help: &str) -> Outcome {
    warn(help.trim_end());
    Ok(Exit::OK)
}

fn unknown_command(program: &str, name: &str) -> Failure {
    if let Some(name) = commands::NOT_BUILT.iter().find(|known| **known == name) {
        return Failure::new(format!("{program}: not built yet: {program} {name}"));
    }
    Failure::new(format!(
        "{program}: unknown command: {program} {name}\n\nRun '{program} --help' for more information"
    ))
}

fn run(
    context: &Context,
    command: &'static Command,
    called_as: String,
    rest: impl Iterator<Item = String>,
) -> Outcome {
    let all: Vec<_> = command.flags().collect();
    let mut matches = match flags::parse(&all, command.order, rest) {
        Ok(matches) => matches,
        Err(FlagError::Help) => {
            return print(&help::command(context.program, command, &called_as));
        }
        Err(error) => {
            let usage = help::usage(context.program, command, &called_as);
            return Err(Failure::with_status(
                STATUS_USAGE,
                format!("{error}\n\n{usage}"),
            ));
        }
    };
    matches.called_as = called_as;
    check_args(context.program, command, &matches)?;
    (command.run)(context, &matches)
}

fn check_args(program: &str, command: &Command, matches: &Matches) -> Result<(), Failure> {
    let count = matches.args.len();
    let (fine, wanted) = match command.args {
        Args::None => (count == 0, "accepts no arguments".to_owned()),
        Args::Exactly(n) => (count == n, format!("requires {}", arguments(n))),
        Args::AtLeast(n) => (count >= n, format!("requires at least {}", arguments(n))),
        Args::AtMost(n) => (count <= n, format!("requires at most {}", arguments(n))),
        Args::Between(low, high) => (
            count >= low && count <= high,
            format!("requires at least {low} and at most {}", arguments(high)),
        ),
    };
    if fine {
        return Ok(());
    }
    let name = format!("{program} {}", matches.called_as);
    let usage = help::usage(program, command, &matches.called_as);
    // Docker says "See" for this one kind and "Run" for the others.
    let usage = if matches!(command.args, Args::AtLeast(_)) {
        usage.replacen("\nRun '", "\nSee '", 1)
    } else {
        usage
    };
    Err(Failure::new(format!(
        "{program}: '{name}' {wanted}\n\n{usage}"
    )))
}

fn arguments(n: usize) -> String {
    if n == 1 {
        "1 argument".to_owned()
    } else {
        format!("{n} arguments")
    }
}

/// Every command, for what needs the whole tree.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().copied()
}

#[cfg(test)]
mod tests;
