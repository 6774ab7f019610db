//! `pause`: freeze all processes of containers.

use api::client::Request;

use super::each::{each, path};
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container pause", "pause"],
    about: "Freeze all processes of one or more containers",
    usage: "CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    each(context, &matches.args, &async |client, name| {
        client.call(Request::post(path(name, "pause")?)).await?;
        Ok(())
    })
}
