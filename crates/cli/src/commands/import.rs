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
    args: Args::AtLeast(1),
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
    if let Some(third) = matches.args.get(2) {
        return Err(Failure::new(format!(
            "import takes an archive and one name for the image: what is {third:?}?"
        )));
    }
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
        // With tag and digest: what may be a name is for the daemon to say.
        request = request.query("repo", name.familiar());
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
    let failed = |what: &str, error: &io::Error| {
        Failure::new(format!("{what} {source}: {}", errno_text(error)))
    };
    let file = File::open(source).map_err(|error| failed("open", &error))?;
    let is_folder = file.metadata().is_ok_and(|found| found.is_dir());
    if is_folder {
        return Err(failed("read", &rustix::io::Errno::ISDIR.into()));
    }
    Ok(Box::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said_in_dockers_words() {
        let refused = |source: &str| open(source).map(drop).unwrap_err().message;
        assert_eq!(refused("/tmp/"), "read /tmp/: is a directory");
        assert_eq!(
            refused("/nonexistent/x"),
            "open /nonexistent/x: no such file or directory"
        );
    }
}
