//! `tag`: a further name for an image.

use api::client::Request;

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image tag", "tag"],
    about: "Give an image a further name",
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let (source, target) = (&matches.args[0], &matches.args[1]);
    let refused = |error: String| {
        Failure::new(format!(
            "Error parsing reference: {target:?} is not a valid repository/tag: {error}"
        ))
    };
    let name: oci::Reference = target
        .parse()
        .map_err(|error: oci::InvalidReference| refused(error.to_string()))?;
    if name.digest().is_some() {
        return Err(Failure::new(
            "refusing to create a tag with a digest reference",
        ));
    }
    let name = name.or_latest();
    let request = Request::post(format!("/images/{}/tag", Request::escape(source)))
        .query("repo", name.familiar_name())
        .query_if("tag", name.tag());
    context.talk(async |client| Ok(client.call(request).await?))?;
    Ok(Exit::OK)
}
