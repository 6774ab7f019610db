//! `network prune`: remove networks that nobody uses.

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::print::print;
use crate::reclaim;

const WARNING: &str =
    "WARNING! This will remove all custom networks not used by at least one container.";

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["network prune"],
    about: "Remove networks that no running container is in",
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
    if !matches.flag("force") && !confirm(WARNING)? {
        return Ok(Exit::OK);
    }
    let filters = filter::filters(matches);
    let reclaimed = context.talk(async |client| Ok(reclaim::networks(client, &filters).await?))?;
    print(&reclaimed.text)
}
