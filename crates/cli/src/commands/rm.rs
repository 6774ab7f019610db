//! `rm`: remove containers.

use api::client::Request;

use super::each::each_forgiving;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;

static FLAGS: &[Flag] = &[
    Flag::bool(
        "force",
        Some('f'),
        "Kill a container that is running, then remove it",
    ),
    Flag::bool(
        "link",
        Some('l'),
        "Remove the link that a name like web/db means, not a container",
    ),
    Flag::bool("volumes", Some('v'), "Remove its anonymous volumes too"),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container rm", "container remove", "rm"],
    about: "Remove one or more containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let force = matches.flag("force");
    each_forgiving(context, &matches.args, force, &async |client, name| {
        // Docker takes the slash that inspect shows before a name.
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Err(Failure::new("container name cannot be empty"));
        }
        let request = Request::delete(format!("/containers/{}", Request::escape(name)))
            .query_flag("v", matches.flag("volumes"))
            .query_flag("link", matches.flag("link"))
            .query_flag("force", force);
        client.call(request).await?;
        Ok(())
    })
}
