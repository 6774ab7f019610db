//! `completion`: scripts that teach a shell the commands and flags. Only here is the whole tree built for clap.

use std::collections::BTreeMap;

use clap_complete::Shell;

use crate::command::{Args, Command, Flag, Kind, Order, Takes};
use crate::commands::{COMMANDS, GROUPS};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::globals;
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["completion"],
    about: "Print the completion script for a shell",
    usage: "bash|fish|zsh",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let shell = match matches.args[0].as_str() {
        "bash" => Shell::Bash,
        "fish" => Shell::Fish,
        "zsh" => Shell::Zsh,
        other => {
            return Err(Failure::new(format!(
                "no completion for {other:?}: bash, fish and zsh have one"
            )));
        }
    };
    print(&script(shell, context.program))
}

fn script(shell: Shell, program: &'static str) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut tree(program), program, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn tree(program: &'static str) -> clap::Command {
    let mut top = bare(program).args(globals::FLAGS.iter().filter_map(argument));
    let mut groups: BTreeMap<&str, clap::Command> = GROUPS
        .iter()
        .map(|group| (group.name, bare(group.name).about(group.about)))
        .collect();
    for command in COMMANDS {
        for path in command.paths {
            match path.split_once(' ') {
                None => top = top.subcommand(subcommand(path, command)),
                Some((group, name)) => {
                    let entry = groups.entry(group).or_insert_with(|| bare(group));
                    *entry = std::mem::take(entry).subcommand(subcommand(name, command));
                }
            }
        }
    }
    top.subcommands(groups.into_values())
}

/// Without clap's `-h`, which means something else in some commands.
fn bare(name: &'static str) -> clap::Command {
    let help = clap::Arg::new("help")
        .long("help")
        .action(clap::ArgAction::SetTrue);
    clap::Command::new(name)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg(help)
}

fn subcommand(name: &'static str, command: &'static Command) -> clap::Command {
    bare(name)
        .about(command.about)
        .args(command.flags().filter_map(argument))
}

/// A flag for clap; those that are refused or do nothing are not offered.
fn argument(flag: &Flag) -> Option<clap::Arg> {
    if matches!(flag.kind, Kind::NotBuilt(_) | Kind::NoOp(_)) {
        return None;
    }
    let mut argument = clap::Arg::new(flag.long)
        .long(flag.long)
        .help(flag.about)
        .action(match flag.takes() {
            Takes::Nothing => clap::ArgAction::SetTrue,
            Takes::Value => clap::ArgAction::Append,
        });
    if let Some(short) = flag.short {
        argument = argument.short(short);
    }
    Some(argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        tree("tare").debug_assert();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let script = script(shell, "tare");
            for word in ["container", "inspect", "no-trunc", "completion"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
        }
    }
}
