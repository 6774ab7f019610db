//! `wait`: block until containers stop, print their exit codes.

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container wait", "wait"],
    about: "Wait until containers stop, and print their exit codes",
    usage: "CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(_context: &Context, _matches: &Matches) -> Outcome {
    Err(Failure::new("todo"))
}
