//! What may stand where: arguments by command, values by flag.

use crate::command::Command;
use crate::flags::Matches;

/// A kind of word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Nothing,
    Files,
    Words(&'static [&'static str]),
    /// Containers in one of these states; in any if there are none.
    Containers(&'static [&'static str]),
    Images,
    Volumes,
    Networks,
    Contexts,
    /// Containers, images, volumes and networks.
    Everything,
    /// Variables of the environment.
    Variables,
}

const ANY: Place = Place::Containers(&[]);
const RUNNING: Place = Place::Containers(&["running"]);
const ALIVE: Place = Place::Containers(&["running", "paused", "restarting"]);
const PAUSED: Place = Place::Containers(&["paused"]);
const ENDED: Place = Place::Containers(&["created", "exited", "dead"]);

/// How many arguments are of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    First,
    Each,
}

/// Arguments by the command's canonical name.
static ARGUMENTS: &[(&str, Place, Count)] = &[
    ("container attach", RUNNING, Count::First),
    (
        "completion",
        Place::Words(&["bash", "fish", "zsh"]),
        Count::First,
    ),
    ("container commit", ANY, Count::First),
    ("container cp", Place::Files, Count::Each),
    ("container create", Place::Images, Count::First),
    ("container diff", ANY, Count::First),
    ("container exec", RUNNING, Count::First),
    ("container export", ANY, Count::First),
    ("container inspect", ANY, Count::Each),
    ("container kill", ALIVE, Count::Each),
    ("container logs", ANY, Count::First),
    ("container pause", RUNNING, Count::Each),
    ("container port", ANY, Count::First),
    ("container rename", ANY, Count::First),
    ("container restart", ANY, Count::Each),
    ("container rm", ENDED, Count::Each),
    ("container run", Place::Images, Count::First),
    ("container start", ENDED, Count::Each),
    ("container stop", ALIVE, Count::Each),
    ("container top", ALIVE, Count::First),
    ("container unpause", PAUSED, Count::Each),
    ("container wait", ANY, Count::Each),
    ("context export", Place::Contexts, Count::First),
    ("context inspect", Place::Contexts, Count::Each),
    ("context rm", Place::Contexts, Count::Each),
    ("context update", Place::Contexts, Count::First),
    ("context use", Place::Contexts, Count::First),
    ("image history", Place::Images, Count::First),
    ("image import", Place::Files, Count::First),
    ("image inspect", Place::Images, Count::Each),
    ("image ls", Place::Images, Count::First),
    ("image push", Place::Images, Count::First),
    ("image rm", Place::Images, Count::Each),
    ("image save", Place::Images, Count::Each),
    ("image tag", Place::Images, Count::Each),
    ("inspect", Place::Everything, Count::Each),
    ("network connect", Place::Networks, Count::First),
    ("network disconnect", Place::Networks, Count::First),
    ("network inspect", Place::Networks, Count::Each),
    ("network rm", Place::Networks, Count::Each),
    ("volume inspect", Place::Volumes, Count::Each),
    ("volume rm", Place::Volumes, Count::Each),
];

/// Values by the flag's name, where they mean the same in every command.
static VALUES: &[(&str, Place)] = &[
    ("attach", Place::Words(&["stderr", "stdin", "stdout"])),
    ("cgroupns", Place::Words(&["host", "private"])),
    ("cidfile", Place::Files),
    ("context", Place::Contexts),
    ("env", Place::Variables),
    ("env-file", Place::Files),
    ("from", Place::Contexts),
    ("input", Place::Files),
    ("label-file", Place::Files),
    ("log-driver", Place::Words(&["json-file", "local", "none"])),
    (
        "mount",
        Place::Words(&["type=bind,", "type=tmpfs,", "type=volume,"]),
    ),
    ("network", Place::Networks),
    ("output", Place::Files),
    (
        "platform",
        Place::Words(&[
            "linux/386",
            "linux/amd64",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64",
            "linux/ppc64le",
            "linux/riscv64",
            "linux/s390x",
        ]),
    ),
    ("pull", Place::Words(&["always", "missing", "never"])),
    ("restart", Place::Words(&["no"])),
    (
        "signal",
        Place::Words(&["HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"]),
    ),
    (
        "stop-signal",
        Place::Words(&["HUP", "INT", "QUIT", "TERM", "USR1"]),
    ),
    (
        "type",
        Place::Words(&["container", "image", "network", "volume"]),
    ),
    ("userns", Place::Words(&["host"])),
    ("uts", Place::Words(&["host"])),
    ("volume", Place::Files),
    ("volumes-from", ANY),
];

/// What the next argument may be.
pub(super) fn of_argument(command: &Command, matches: &Matches) -> Place {
    if command.name() == "inspect" && matches.given("type") {
        return of_type(matches.text_or_empty("type"));
    }
    if command.name() == "rm" && matches.flag("force") && command.paths.contains(&"rm") {
        return ANY;
    }
    let found = ARGUMENTS
        .iter()
        .find(|(name, _, _)| command.paths.contains(name));
    match found {
        Some((_, place, Count::Each)) => *place,
        Some((_, place, Count::First)) if matches.args.is_empty() => *place,
        _ => Place::Nothing,
    }
}

fn of_type(kind: &str) -> Place {
    match kind {
        "container" => ANY,
        "image" => Place::Images,
        "network" => Place::Networks,
        "volume" => Place::Volumes,
        _ => Place::Nothing,
    }
}

/// What the value of a flag may be.
pub(super) fn of_flag(command: &Command, name: &str) -> Place {
    let known = command.flags().any(|flag| flag.long == name);
    let found = VALUES.iter().find(|(flag, _)| known && *flag == name);
    found.map_or(Place::Nothing, |(_, place)| *place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    #[test]
    fn every_name_in_the_tables_is_a_commands_or_a_flags() {
        for (name, _, _) in ARGUMENTS {
            assert!(commands::find(name).is_some(), "no command {name}");
        }
        for (name, _) in VALUES {
            let mut flags = commands::COMMANDS
                .iter()
                .flat_map(|command| command.flags());
            assert!(
                *name == "context" || flags.any(|flag| flag.long == *name),
                "no flag {name}"
            );
        }
    }
}
