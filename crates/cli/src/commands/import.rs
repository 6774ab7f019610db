//! `import`: an image of one layer from an archive of files.

use std::fs::File;
use std::io::{self, Read};

use api::client::{Request, UploadBody};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome, errno_text};
use crate::flags::Matches;
use crate::progress::{self, Place};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image import", "import"],
    about: "Make an image of the files in a tar archive, which the daemon can fetch from an address",
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    args: Args::Between(1, 2),
    order: Order::Anywhere,
    flags: &[&[
        Flag::list(
            "change",
            Some('c'),
            "A Dockerfile instruction to apply, such as 'CMD [\"sh\"]'",
        ),
        Flag::text("message", Some('m'), "What to say about it in the history"),
        Flag::text(
            "platform",
            None,
            "The platform the files are for, as os[/arch[/variant]]",
        ),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let source = matches.args[0].as_str();
    // The daemon fetches it.
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| source.starts_with(scheme));
    let archive = match is_address {
        true => None,
        false => Some(open(source)?),
    };
    let name = matches
        .args
        .get(1)
        .map(|name| name.parse::<oci::Reference>())
        .transpose();
    let name = name.map_err(|error| Failure::new(error.to_string()))?;
    let from = if is_address { source } else { "-" };
    let mut request = Request::post("/images/create").query("fromSrc", from);
    if let Some(name) = &name {
        request = request
            .query("repo", name.familiar_name())
            .query_if("tag", name.tag());
    }
    request = request
        .query_if("message", matches.text("message"))
        .query_if("platform", matches.text("platform"));
    for change in matches.list("change") {
        request = request.query("changes", change);
    }
    context.talk(async |client| {
        if let Some(archive) = archive {
            request = request.upload(UploadBody::from_reader(archive));
        }
        progress::show(client.messages(request).await?, Place::Stdout).await
    })
}

fn open(source: &str) -> Result<Box<dyn Read + Send>, Failure> {
    if source == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(source)
        .map_err(|error| Failure::new(format!("open {source}: {}", errno_text(&error))))?;
    Ok(Box::new(file))
}
