//! The table of commands: one file a command, and the group `container run` and the top-level `run` are one row.

use crate::command::{Command, Group};

mod attach;
mod create;
mod diff;
mod each;
mod exec;
mod export;
mod kill;
mod logs;
mod pause;
mod port;
mod rename;
mod restart;
mod rm;
mod run;
mod start;
mod stop;
mod stopping;
mod unpause;
mod wait;

/// Every command. Alphabetical by file.
pub static COMMANDS: &[&Command] = &[
    &attach::COMMAND,
    &create::COMMAND,
    &diff::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &kill::COMMAND,
    &logs::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &rename::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &run::COMMAND,
    &start::COMMAND,
    &stop::COMMAND,
    &unpause::COMMAND,
    &wait::COMMAND,
];

/// The groups that commands are below.
pub static GROUPS: &[Group] = &[
    Group {
        name: "container",
        about: "Manage containers",
    },
    Group {
        name: "context",
        about: "Manage contexts",
    },
    Group {
        name: "image",
        about: "Manage images",
    },
    Group {
        name: "system",
        about: "Manage the whole",
    },
];

/// Docker's commands that this version does not have: refused by name.
pub static NOT_BUILT: &[&str] = &[
    "build",
    "builder",
    "buildx",
    "checkpoint",
    "commit",
    "compose",
    "config",
    "login",
    "logout",
    "manifest",
    "network",
    "node",
    "plugin",
    "pull",
    "push",
    "search",
    "secret",
    "service",
    "stack",
    "stats",
    "swarm",
    "trust",
    "update",
    "volume",
];

/// The command with this full name.
pub fn find(path: &str) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .copied()
        .find(|command| command.paths.contains(&path))
}

/// The group with this name.
pub fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}
