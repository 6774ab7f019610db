//! `context inspect`: all that is known about named daemons.

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::json::Html;
use crate::inspection::Inspection;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["context inspect"],
    about: "Show all that is known about named daemons",
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    args: Args::AtLeast(0),
    order: Order::Anywhere,
    flags: &[&[Flag::text(
        "format",
        Some('f'),
        "How to print: json or a Go template",
    )]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let mut inspection = Inspection::new(matches.text_or_empty("format"))?;
    let store = context.contexts();
    let current = [context.context_name()];
    let names = if matches.args.is_empty() {
        &current[..]
    } else {
        &matches.args[..]
    };
    for name in names {
        match store.get(name) {
            Ok(found) => inspection.add(store.document(&found).compact(Html::Escaped).as_bytes()),
            Err(failure) => inspection.fail(failure),
        }
    }
    inspection.finish()
}
