//! `diff`: show what a container changed in its filesystem.

use std::fmt::Write as _;

use api::client::Request;
use api::types::container::Change;
use rustix::stdio::stdout;

use super::each::path;
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::streams::write_all;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container diff", "diff"],
    about: "Show what changed in a container's filesystem",
    usage: "CONTAINER",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    if name.is_empty() {
        return Err(Failure::new("Container name cannot be empty"));
    }
    let changes: Option<Vec<Change>> = context
        .talk(async |client| Ok(client.json(Request::get(path(name, "changes")?)).await?))?;
    let mut text = String::new();
    for change in changes.unwrap_or_default() {
        let kind = match change.kind {
            0 => "C",
            1 => "A",
            2 => "D",
            _ => "?",
        };
        let _ = writeln!(text, "{kind} {}", change.path);
    }
    write_all(stdout(), text.as_bytes())?;
    Ok(Exit::OK)
}
