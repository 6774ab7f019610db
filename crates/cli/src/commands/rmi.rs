//! `rmi`: remove images.

use api::client::{Client, Request};
use api::types::image::DeleteItem;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::options::platform;
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
        platform::list("Only these platforms of an image that has several, as os[/arch[/variant]]"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let platforms = platform::given(matches)?;
    context.talk(async |client| {
        let mut failures = Vec::new();
        let mut all_missing = true;
        for image in &matches.args {
            match remove(client, matches, &platforms, image).await {
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
    platforms: &[String],
    image: &str,
) -> api::client::Result<Vec<DeleteItem>> {
    let request = Request::delete(format!("/images/{}", Request::escape(image)))
        .query_flag("force", matches.flag("force"))
        .query_flag("noprune", matches.flag("no-prune"));
    let request = platforms.iter().fold(request, |request, platform| {
        request.query("platforms", platform)
    });
    client.json(request).await
}
