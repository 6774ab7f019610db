//! `commit`: an image of what a container has changed.

use api::client::Request;
use api::types::image::ImageIdResponse;
use oci::Reference;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container commit", "commit"],
    about: "Make an image of what a container has changed",
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    args: Args::Between(1, 2),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text(
            "author",
            Some('a'),
            "Who made it (such as \"Jane Doe <jane@example.org>\")",
        ),
        Flag::list(
            "change",
            Some('c'),
            "A Dockerfile instruction to apply, such as 'CMD [\"sh\"]'",
        ),
        Flag::text("message", Some('m'), "What to say about it in the history"),
        Flag::bool(
            "pause",
            Some('p'),
            "Pause the container meanwhile (on unless --pause=false)",
        ),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let name = matches
        .args
        .get(1)
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .map(tagged)
        .transpose()?;
    let mut request = Request::post("/commit")
        .query("container", &matches.args[0])
        .query_if("author", matches.text("author"))
        .query_if("comment", matches.text("message"));
    if let Some(name) = name {
        request = request
            .query("repo", name.familiar_name())
            .query_if("tag", name.tag());
    }
    for change in matches.list("change") {
        request = request.query("changes", change);
    }
    if !matches.flag_or("pause", true) {
        request = request.query("pause", "0");
    }
    let made: ImageIdResponse = context.talk(async |client| Ok(client.json(request).await?))?;
    print(&format!("{}\n", made.id))
}

fn tagged(name: &str) -> Result<Reference, Failure> {
    let name: Reference = name
        .parse()
        .map_err(|error: oci::InvalidReference| Failure::new(error.to_string()))?;
    if name.digest().is_some() {
        return Err(Failure::new(
            "refusing to create a tag with a digest reference",
        ));
    }
    Ok(name.or_latest())
}
