//! `network rm`: remove networks that no running container is in.

use api::client::Request;

use super::each::each_forgiving;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["network rm", "network remove"],
    about: "Remove networks that no running container is in",
    usage: "NETWORK [NETWORK...]",
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
    let force = matches.flag("force");
    each_forgiving(context, &matches.args, false, &async |client, name| {
        let request = Request::delete(path(name, "")?);
        match client.call(request).await {
            Err(error) if force && error.status() == Some(404) => Ok(()),
            answered => Ok(answered.map(drop)?),
        }
    })
}

/// `/networks/NAME` and what follows; an empty name is refused here, since its path would be another endpoint's.
pub(super) fn path(name: &str, action: &str) -> Result<String, Failure> {
    if name.trim().is_empty() {
        return Err(Failure::new("invalid network name or ID: value is empty"));
    }
    Ok(format!("/networks/{}{action}", Request::escape(name)))
}
