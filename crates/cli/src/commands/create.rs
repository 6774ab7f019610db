//! `create`: make a container without starting it.

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::create::{Plan, flags};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container create", "create"],
    about: "Create a container",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    args: Args::AtLeast(1),
    order: Order::Before,
    flags: &[
        flags::PROCESS,
        flags::IDENTITY,
        flags::STORAGE,
        flags::RESOURCES,
        flags::ISOLATION,
        flags::LOGGING,
        flags::NOT_BUILT,
    ],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let plan =
        Plan::read(context, matches).map_err(|failure| context.misread(&failure, "create"))?;
    let id = context.talk(async |client| plan.create(context, client).await)?;
    print(&format!("{id}\n"))
}
