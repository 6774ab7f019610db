//! `kill`: send containers a signal.

use api::client::Request;

use super::each::{each, path};
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;

static FLAGS: &[Flag] = &[Flag::text(
    "signal",
    Some('s'),
    "Signal to send (default KILL)",
)];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container kill", "kill"],
    about: "Kill one or more running containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let signal = matches.text("signal").filter(|signal| !signal.is_empty());
    each(context, &matches.args, &async |client, name| {
        let mut request = Request::post(path(name, "kill")?);
        if let Some(signal) = signal {
            request = request.query("signal", signal);
        }
        client.call(request).await?;
        Ok(())
    })
}
