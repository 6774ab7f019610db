//! `wait`: block until containers stop, print their exit codes.

use super::each::path;
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;
use crate::session::{Condition, begin_wait, end_wait};
use crate::signals::breakable;

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

fn run(context: &Context, matches: &Matches) -> Outcome {
    context.talk(async |client| {
        let mut failures = Vec::new();
        for name in &matches.args {
            let waited = async {
                path(name, "wait")?;
                end_wait(begin_wait(client, name, Condition::NotRunning).await?).await
            };
            match breakable(waited).await {
                Ok(status) => drop(print(&format!("{status}\n"))?),
                Err(failure) if failure.message.is_empty() => return Err(failure),
                Err(failure) => failures.push(failure),
            }
        }
        Failure::join(failures)
    })
}
