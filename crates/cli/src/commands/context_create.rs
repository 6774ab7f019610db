//! `context create` and `context update`: name a daemon.

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::contexts::{Store, Stored, check_name};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::host::Host;
use crate::print::{print, warn};

const DESCRIPTION: Flag = Flag::text("description", None, "What it is for");
const DOCKER: Flag = Flag::list("docker", None, "How to reach the daemon, as host=ADDRESS");

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["context create"],
    about: "Name a daemon",
    usage: "[OPTIONS] CONTEXT",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        DESCRIPTION,
        DOCKER,
        Flag::text("from", None, "Copy the context of this name"),
    ]],
    run: create,
};

/// The row of the table.
pub(super) static UPDATE: Command = Command {
    paths: &["context update"],
    about: "Change what is known about a named daemon",
    usage: "[OPTIONS] CONTEXT",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[DESCRIPTION, DOCKER]],
    run: update,
};

fn create(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    check_name(name)?;
    let store = context.contexts();
    if store.has(name) {
        return Err(Failure::new(format!("context {name:?} already exists")));
    }
    let address = address(&store, matches)?;
    let mut created = match (matches.text("from"), address) {
        (None, Some(address)) => Stored::new(name, "", &address),
        (from, address) => {
            let source = store.get(from.unwrap_or(&context.context_name()))?;
            let copy = Stored {
                name: name.clone(),
                ..source
            };
            address.map_or(copy.clone(), |address| copy.at(&address))
        }
    };
    if let Some(description) = matches.text("description") {
        created = created.described(description);
    }
    store.put(&created)?;
    let outcome = print(&format!("{name}\n"));
    warn(&format!("Successfully created context {name:?}"));
    outcome
}

fn update(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    check_name(name)?;
    let store = context.contexts();
    let mut updated = store.get(name)?;
    if let Some(description) = matches.text("description") {
        updated = updated.described(description);
    }
    if let Some(address) = address(&store, matches)? {
        updated = updated.at(&address);
    }
    store.put(&updated)?;
    let outcome = print(&format!("{name}\n"));
    warn(&format!("Successfully updated context {name:?}"));
    outcome
}

/// What `--docker` says; `None` if it is not given.
fn address(store: &Store, matches: &Matches) -> Result<Option<String>, Failure> {
    let refused =
        |reason: String| Failure::new(format!("unable to create docker endpoint config: {reason}"));
    let mut address = None;
    for pair in matches.list("docker").flat_map(|list| list.split(',')) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| refused(format!("{pair} must be formatted as key=value")))?;
        match key {
            "host" => {
                let host = Host::named(value).map_err(|error| {
                    refused(format!("invalid docker endpoint options: {error}"))
                })?;
                address = Some(host.address);
            }
            "from" => address = Some(store.get(value)?.host().to_owned()),
            "skip-tls-verify" if value == "false" => {}
            "ca" | "cert" | "key" | "skip-tls-verify" => {
                return Err(Failure::new(format!(
                    "not built yet: --docker {key}=; only host= and from= work"
                )));
            }
            _ => return Err(refused(format!("unrecognized config key: {key}"))),
        }
    }
    Ok(address)
}
