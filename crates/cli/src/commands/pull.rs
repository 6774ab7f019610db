//! `pull`: an image from its registry.

use crate::command::{Args, Command, Flag, Order, Takes};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::print::print;
use crate::progress::Place;
use crate::transfer::{self, Which, wanted};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    about: "Fetch an image from a registry",
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("all-tags", Some('a'), "Every tag of the repository"),
        Flag::no_op("disable-content-trust", None, Takes::Nothing),
        Flag::text(
            "platform",
            None,
            "The platform to fetch, as os[/arch[/variant]], if the image has several",
        ),
        Flag::bool("quiet", Some('q'), "Tell only the image's name in the end"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let quiet = matches.flag("quiet");
    let which = match matches.flag("all-tags") {
        true => Which::All,
        false => Which::One,
    };
    let image = wanted(&matches.args[0], which, quiet)?;
    let platform = matches.text("platform");
    let place = Place::Stdout.unless(quiet);
    context.talk(async |client| transfer::pull(context, client, &image, platform, place).await)?;
    print(&format!("{}\n", image.canonical()))
}
