//! `context export` and `context import`: a named daemon as a file.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::OpenOptionsExt;

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::contexts::{archive, check_name};
use crate::failure::{Exit, Failure, Outcome, errno_text};
use crate::flags::Matches;
use crate::print::{print, warn};

/// The row of the table.
pub(super) static EXPORT: Command = Command {
    paths: &["context export"],
    about: "Write what is known about a named daemon into a tar archive (into NAME.dockercontext unless a file is named)",
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    args: Args::Between(1, 2),
    order: Order::Anywhere,
    flags: &[],
    run: export,
};

/// The row of the table.
pub(super) static IMPORT: Command = Command {
    paths: &["context import"],
    about: "Read what is known about a daemon from a tar archive",
    usage: "CONTEXT FILE|-",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[],
    run: import,
};

fn export(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    let store = context.contexts();
    let found = store.get(name)?;
    let default = format!("{name}.dockercontext");
    let path = matches.args.get(1).unwrap_or(&default);
    if path == "-" {
        if io::stdout().is_terminal() {
            return Err(Failure::new(
                "cowardly refusing to export to a terminal, specify a file path",
            ));
        }
        archive::export(&store, &found, io::stdout().lock())?;
        return Ok(Exit::OK);
    }
    // It may hold keys.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| refused(path, &error))?;
    archive::export(&store, &found, file)?;
    warn(&format!("Written file {path:?}"));
    Ok(Exit::OK)
}

fn import(context: &Context, matches: &Matches) -> Outcome {
    let (name, path) = (&matches.args[0], &matches.args[1]);
    check_name(name)?;
    let store = context.contexts();
    if store.has(name) {
        return Err(Failure::new(format!("context {name:?} already exists")));
    }
    let archive: Box<dyn Read> = match path.as_str() {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(|error| refused(path, &error))?),
    };
    archive::import(&store, name, archive)?;
    let outcome = print(&format!("{name}\n"));
    warn(&format!("Successfully imported context {name:?}"));
    outcome
}

fn refused(path: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::AlreadyExists => "file exists".to_owned(),
        _ => errno_text(error),
    };
    Failure::new(format!("open {path}: {reason}"))
}
