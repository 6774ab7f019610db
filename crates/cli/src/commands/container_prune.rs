//! `container prune`: remove all stopped containers.

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::print::print;
use crate::reclaim;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container prune"],
    about: "Remove all stopped containers",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        filter::PRUNE_FLAG,
        Flag::bool("force", Some('f'), "Do not ask"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    if !matches.flag("force") && !confirm("WARNING! This will remove all stopped containers.")? {
        return Ok(Exit::OK);
    }
    let filters = filter::filters(matches);
    let reclaimed =
        context.talk(async |client| Ok(reclaim::containers(client, &filters).await?))?;
    print(&reclaimed.report())
}
