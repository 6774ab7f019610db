//! `pull`: an image from its registry.

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;
use crate::progress::Place;
use crate::transfer::{self, Which, wanted};
use crate::travel::{self, Asked, Way};
use crate::trust;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    about: "Fetch an image from a registry, or from another engine",
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]|ssh://[USER@]HOST[:PORT]/NAME[:TAG]",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("all-tags", Some('a'), "Every tag of the repository"),
        trust::FLAG,
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
    let address = &matches.args[0];
    let platform = matches.text("platform");
    if travel::is_elsewhere(address) {
        trust::check(matches, None)?;
        if which == Which::All {
            return Err(Failure::new(
                "not built yet: --all-tags from another engine; pull one tag at a time",
            ));
        }
        let asked = Asked {
            way: Way::Pull,
            platform,
            quiet,
        };
        return travel::travel(context, address, &asked);
    }
    let image = wanted(address, which, quiet)?;
    trust::check(matches, Some(&image))?;
    let place = Place::Stdout.unless(quiet);
    let found = context
        .talk(async |client| transfer::pull(context, client, &image, platform, place).await)?;
    // The daemon goes by the digest alone.
    let shown = match image.tag() {
        Some(tag) if found.digest().is_some() => found
            .with_tag(tag)
            .map_err(|error| Failure::new(error.to_string()))?,
        _ => found,
    };
    print(&format!("{}\n", shown.canonical()))
}
