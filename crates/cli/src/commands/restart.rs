//! `restart`: stop containers and start them again.

use super::each::{each, path};
use super::stopping::{FLAGS, stop_request, stop_timeout};
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container restart", "restart"],
    about: "Restart one or more containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let timeout = stop_timeout(matches)?;
    each(context, &matches.args, &async |client, name| {
        client
            .call(stop_request(path(name, "restart")?, matches, timeout))
            .await?;
        Ok(())
    })
}
