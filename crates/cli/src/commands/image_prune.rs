//! `image prune`: remove images without a name, or all that no container uses.

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::print::print;
use crate::reclaim;

const DANGLING: &str = "WARNING! This will remove all dangling images.";
const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image prune"],
    about: "Remove images that have no name",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool(
            "all",
            Some('a'),
            "Also those with a name, if no container uses them",
        ),
        filter::PRUNE_FLAG,
        Flag::bool("force", Some('f'), "Do not ask"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let all = matches.flag("all");
    if !matches.flag("force") && !confirm(if all { ALL } else { DANGLING })? {
        return Ok(Exit::OK);
    }
    let mut filters = filter::filters(matches);
    filters.add("dangling", if all { "false" } else { "true" });
    let reclaimed = context.talk(async |client| Ok(reclaim::images(client, &filters).await?))?;
    print(&reclaimed.report())
}
