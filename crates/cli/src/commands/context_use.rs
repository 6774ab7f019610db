//! `context use` and `context rm`: change which daemon is meant, forget one.

use crate::command::{Args, Command, Flag, Order};
use crate::config_file::set_current_context;
use crate::context::Context;
use crate::contexts::{DEFAULT, Store, check_name};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["context use"],
    about: "Change which daemon is meant from now on",
    usage: "CONTEXT",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[],
    run: use_context,
};

/// The row of the table.
pub(super) static RM: Command = Command {
    paths: &["context rm", "context remove"],
    about: "Forget named daemons",
    usage: "CONTEXT [CONTEXT...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[Flag::bool(
        "force",
        Some('f'),
        "Also the one that is meant now; those not there are no error",
    )]],
    run: remove,
};

fn use_context(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    if name != DEFAULT {
        check_name(name)?;
        context.contexts().get(name)?;
    }
    set_current_context(
        &context.config_folder(),
        Some(name.as_str()).filter(|name| *name != DEFAULT),
    )?;
    let outcome = print(&format!("{name}\n"));
    warn(&format!("Current context is now {name:?}"));
    if name != DEFAULT && std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty()) {
        warn(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {name:?}, either set the global \
             --context flag, or unset DOCKER_HOST environment variable."
        ));
    }
    outcome
}

fn remove(context: &Context, matches: &Matches) -> Outcome {
    let store = context.contexts();
    let mut failures = Vec::new();
    for name in &matches.args {
        match remove_one(context, &store, name, matches.flag("force")) {
            Ok(()) => drop(print(&format!("{name}\n"))?),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::join(failures)
}

fn remove_one(context: &Context, store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    if name == DEFAULT {
        return Err(Failure::new("context \"default\" cannot be removed"));
    }
    if !force && !store.has(name) {
        return Err(Failure::new(format!("context {name:?} does not exist")));
    }
    if context.config_file().current_context == name {
        if !force {
            return Err(Failure::new(format!(
                "context {name:?} is in use, set -f flag to force remove"
            )));
        }
        set_current_context(&context.config_folder(), None)?;
    }
    store.remove(name)
}
