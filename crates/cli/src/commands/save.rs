//! `save`: images into an archive.

use std::io::{self, IsTerminal};
use std::path::Path;

use api::client::Request;
use rustix::stdio::stdout;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::options::platform;
use crate::output_file::{check_output, write_file};
use crate::streams::write_all;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image save", "save"],
    about: "Write images into a tar archive (to stdout unless a file is named)",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("output", Some('o'), "The file to write"),
        platform::list("Only these platforms of images that have several, as os[/arch[/variant]]"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let output = matches
        .text("output")
        .filter(|output| !output.is_empty())
        .map(Path::new);
    let refused = |reason: String| Failure::new(format!("failed to save image: {reason}"));
    match output {
        None if io::stdout().is_terminal() => {
            return Err(refused(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect".to_owned(),
            ));
        }
        None => {}
        Some(path) => check_output(path).map_err(refused)?,
    }
    let request = matches
        .args
        .iter()
        .fold(Request::get("/images/get"), |request, image| {
            request.query("names", image)
        });
    let request = platform::asked(request, matches)?;
    context.talk(async |client| {
        let mut body = client.send(request).await?.body;
        match output {
            Some(path) => write_file(path, body).await?,
            None => {
                while let Some(piece) = body.next().await? {
                    write_all(stdout(), &piece)?;
                }
            }
        }
        Ok(Exit::OK)
    })
}
