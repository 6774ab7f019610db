//! `volume prune`: remove volumes that nobody uses.

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::print::print;
use crate::reclaim;

const ANONYMOUS: &str =
    "WARNING! This will remove anonymous local volumes not used by at least one container.";
const ALL: &str = "WARNING! This will remove all local volumes not used by at least one container.";

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["volume prune"],
    about: "Remove volumes that have no name and that no container uses",
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
    let mut filters = filter::filters(matches);
    let all = matches.flag("all");
    if all {
        if filters.get("all").next().is_some() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --all and --filter all=1",
            ));
        }
        filters.add("all", "true");
    }
    if !matches.flag("force") && !confirm(if all { ALL } else { ANONYMOUS })? {
        return Ok(Exit::OK);
    }
    let reclaimed = context.talk(async |client| Ok(reclaim::volumes(client, &filters).await?))?;
    print(&reclaimed.report())
}
