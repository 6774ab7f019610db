//! The table of commands: one file a command, and the group `container run` and the top-level `run` are one row.

use crate::command::{Command, Group};

mod attach;
mod commit;
mod completion;
mod container_prune;
mod context_archive;
mod context_create;
mod context_inspect;
mod context_ls;
mod context_use;
mod cp;
mod create;
mod df;
mod diff;
mod each;
mod events;
mod exec;
mod export;
mod history;
mod image_prune;
mod images;
mod import;
mod info;
mod inspect;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest_annotate;
mod manifest_create;
mod manifest_inspect;
mod manifest_push;
mod manifest_rm;
mod network_connect;
mod network_create;
mod network_ls;
mod network_prune;
mod network_rm;
mod pause;
mod port;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod stop;
mod stopping;
mod system_check;
mod system_dial_stdio;
mod system_prune;
mod tag;
mod top;
mod unpause;
mod update;
mod version;
mod volume_create;
mod volume_ls;
mod volume_prune;
mod volume_rm;
mod wait;

/// Every command. Alphabetical by file.
pub static COMMANDS: &[&Command] = &[
    &attach::COMMAND,
    &commit::COMMAND,
    &completion::COMMAND,
    &container_prune::COMMAND,
    &context_archive::EXPORT,
    &context_archive::IMPORT,
    &context_create::COMMAND,
    &context_create::UPDATE,
    &context_inspect::COMMAND,
    &context_ls::COMMAND,
    &context_ls::SHOW,
    &context_use::COMMAND,
    &context_use::RM,
    &cp::COMMAND,
    &create::COMMAND,
    &df::COMMAND,
    &diff::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &history::COMMAND,
    &image_prune::COMMAND,
    &images::COMMAND,
    &import::COMMAND,
    &info::COMMAND,
    &inspect::COMMAND,
    &inspect::CONTAINER,
    &inspect::IMAGE,
    &inspect::NETWORK,
    &inspect::VOLUME,
    &kill::COMMAND,
    &load::COMMAND,
    &login::COMMAND,
    &logout::COMMAND,
    &logs::COMMAND,
    &manifest_annotate::COMMAND,
    &manifest_create::COMMAND,
    &manifest_inspect::COMMAND,
    &manifest_push::COMMAND,
    &manifest_rm::COMMAND,
    &network_connect::CONNECT,
    &network_connect::DISCONNECT,
    &network_create::COMMAND,
    &network_ls::COMMAND,
    &network_prune::COMMAND,
    &network_rm::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &ps::COMMAND,
    &pull::COMMAND,
    &push::COMMAND,
    &rename::COMMAND,
    &update::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &rmi::COMMAND,
    &run::COMMAND,
    &save::COMMAND,
    &search::COMMAND,
    &start::COMMAND,
    &stop::COMMAND,
    &system_check::COMMAND,
    &system_dial_stdio::COMMAND,
    &system_prune::COMMAND,
    &tag::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &version::COMMAND,
    &volume_create::COMMAND,
    &volume_ls::COMMAND,
    &volume_prune::COMMAND,
    &volume_rm::COMMAND,
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
        name: "manifest",
        about: "Manage lists of images for several platforms",
    },
    Group {
        name: "network",
        about: "Manage networks",
    },
    Group {
        name: "system",
        about: "Manage the whole",
    },
    Group {
        name: "volume",
        about: "Manage volumes",
    },
];

/// Docker's commands that this version does not have: refused by name.
pub static NOT_BUILT: &[&str] = &[
    "build",
    "builder",
    "buildx",
    "checkpoint",
    "compose",
    "config",
    "container stats",
    "image build",
    "node",
    "plugin",
    "secret",
    "service",
    "stack",
    "stats",
    "swarm",
    "trust",
    "volume update",
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
