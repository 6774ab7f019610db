//! `export`: write a container's filesystem as a tar archive.

use std::path::Path;

use api::client::Request;
use rustix::stdio::stdout;
use rustix::termios::isatty;

use super::each::path;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::output_file::{check_output, write_file};
use crate::streams::write_all;

static FLAGS: &[Flag] = &[Flag::text(
    "output",
    Some('o'),
    "Write to this file in place of stdout",
)];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container export", "export"],
    about: "Write a container's filesystem as a tar archive",
    usage: "[OPTIONS] CONTAINER",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    let path_out = matches.text("output").filter(|path| !path.is_empty());
    if path_out.is_none() && isatty(stdout()) {
        return Err(Failure::new(
            "failed to export container: cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    if let Some(path) = path_out {
        check_output(Path::new(path))
            .map_err(|reason| Failure::new(format!("failed to export container: {reason}")))?;
    }
    context.talk(async |client| {
        let mut body = client.send(Request::get(path(name, "export")?)).await?.body;
        match path_out {
            Some(path) => write_file(Path::new(path), body).await?,
            None => {
                while let Some(piece) = body.next().await? {
                    write_all(stdout(), &piece)?;
                }
            }
        }
        Ok(Exit::OK)
    })
}
