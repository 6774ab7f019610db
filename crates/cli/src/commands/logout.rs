//! `logout`: forget who one is to a registry.

use super::login::registry;
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::credentials::{self, HUB};
use crate::failure::{Exit, Outcome};
use crate::flags::Matches;
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["logout"],
    about: "Log out from a registry (Docker Hub unless another is named)",
    usage: "[SERVER]",
    args: Args::AtMost(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let given = matches.args.first().map(String::as_str);
    let registry = registry(given);
    print(&format!("Removing login credentials for {registry}\n"))?;
    let mut failures = Vec::new();
    let names = names(&registry, given);
    for name in &names {
        if let Err(failure) = credentials::erase(context, name) {
            failures.push(format!("{name}: {}", failure.message));
        }
    }
    // One name is enough to have it gone; the others are from older clients.
    if failures.len() == names.len() {
        warn("WARNING: could not erase credentials:");
        failures.iter().for_each(|line| warn(line));
    }
    Ok(Exit::OK)
}

/// What older clients may have called the registry.
fn names(registry: &str, given: Option<&str>) -> Vec<String> {
    if registry == HUB {
        return vec![HUB.to_owned()];
    }
    let mut names = vec![
        registry.to_owned(),
        format!("http://{registry}"),
        format!("https://{registry}"),
    ];
    names.extend(given.map(str::to_owned));
    names.dedup();
    names
}
