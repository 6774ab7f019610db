//! `rmi`: remove images.

use api::client::{Client, Request};
use api::types::image::DeleteItem;

use crate::command::{Args, Command, Flag, Order, Takes};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;
use crate::sheets::told;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image rm", "image remove", "rmi"],
    about: "Remove images",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool(
            "force",
            Some('f'),
            "Remove them even if stopped containers use them; those not there are no error",
        ),
        Flag::bool("no-prune", None, "Keep the images they were built from"),
        Flag::not_built("platform", None, Takes::Value),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    context.talk(async |client| {
        let mut failures = Vec::new();
        let mut all_missing = true;
        for image in &matches.args {
            match remove(client, matches, image).await {
                Ok(items) => drop(print(&told(&items))?),
                Err(error) => {
                    all_missing &= error.is_not_found();
                    failures.push(Failure::from(error));
                }
            }
        }
        // What is not there need not be removed, if force is used.
        let outcome = Failure::join(failures);
        match outcome {
            Err(failure) if matches.flag("force") && all_missing => {
                crate::print::warn(&failure.message);
                Ok(Exit::OK)
            }
            other => other,
        }
    })
}

async fn remove(
    client: &Client,
    matches: &Matches,
    image: &str,
) -> api::client::Result<Vec<DeleteItem>> {
    let request = Request::delete(format!("/images/{}", Request::escape(image)))
        .query_flag("force", matches.flag("force"))
        .query_flag("noprune", matches.flag("no-prune"));
    client.json(request).await
}
