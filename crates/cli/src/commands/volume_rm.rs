//! `volume rm`: remove volumes that nobody uses.

use api::client::Request;

use super::each::each;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["volume rm", "volume remove"],
    about: "Remove volumes that no container uses",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[Flag::bool(
        "force",
        Some('f'),
        "Those that are not there are no error",
    )]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    each(context, &matches.args, &async |client, name| {
        if name.trim().is_empty() {
            return Err(Failure::new("invalid volume name: value is empty"));
        }
        let request = Request::delete(format!("/volumes/{}", Request::escape(name)))
            .query_flag("force", matches.flag("force"));
        client.call(request).await?;
        Ok(())
    })
}
