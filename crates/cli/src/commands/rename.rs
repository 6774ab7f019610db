//! `rename`: give a container another name.

use api::client::Request;

use super::each::path;
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container rename", "rename"],
    about: "Rename a container",
    usage: "CONTAINER NEW_NAME",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let [old, new] = &matches.args[..] else {
        return Err(Failure::new(
            "Error: Neither old nor new names may be empty",
        ));
    };
    if old.trim().is_empty() || new.trim().is_empty() {
        return Err(Failure::new(
            "Error: Neither old nor new names may be empty",
        ));
    }
    context.talk(async |client| {
        let renamed = client
            .call(Request::post(path(old, "rename")?).query("name", new))
            .await;
        renamed.map_err(|error| {
            Failure::new(format!(
                "{error}\nError: failed to rename container named {old}"
            ))
        })?;
        Ok(Exit::OK)
    })
}
