//! `load`: images from an archive.

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use api::client::{Request, UploadBody};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome, errno_text};
use crate::flags::Matches;
use crate::options::platform;
use crate::progress::{self, Place};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image load", "load"],
    about: "Read images from a tar archive (from stdin unless a file is named)",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("input", Some('i'), "The file to read"),
        platform::list("Only these platforms of images that have several, as os[/arch[/variant]]"),
        Flag::bool("quiet", Some('q'), "Do not tell how far it is"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let archive = open(matches.text("input").filter(|input| !input.is_empty()))?;
    let quiet = matches.flag("quiet") || !io::stdout().is_terminal();
    let request = Request::post("/images/load").query("quiet", if quiet { "1" } else { "0" });
    let request = platform::asked(request, matches)?;
    context.talk(async |client| {
        let request = request.upload(UploadBody::from_reader(archive));
        progress::show(client.messages(request).await?, Place::Stdout).await
    })
}

fn open(input: Option<&str>) -> Result<Box<dyn Read + Send>, Failure> {
    match input {
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Failure::new(format!("open {path}: {}", errno_text(&error))))?;
            Ok(Box::new(file))
        }
        None if io::stdin().is_terminal() => Err(Failure::new(
            "requested load from stdin, but stdin is empty",
        )),
        None => Ok(Box::new(io::stdin())),
    }
}
