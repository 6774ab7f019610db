//! `inspect`: all that the daemon knows about things. `container inspect` and `image inspect` look in one place only.

use api::client::{Client, Error, Request};
use bytes::Bytes;

use crate::command::{Args, Command, Flag, Order, Takes};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::inspection::Inspection;

const FORMAT: Flag = Flag::text("format", Some('f'), "How to print: json or a Go template");
const SIZE: Flag = Flag::bool("size", Some('s'), "How much containers take on disk");

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["inspect"],
    about: "Show all that is known about containers and images",
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        FORMAT,
        SIZE,
        Flag::text(
            "type",
            None,
            "Look only for things of this kind: container or image",
        ),
    ]],
    run: run_any,
};

/// The row of the table.
pub(super) static CONTAINER: Command = Command {
    paths: &["container inspect"],
    about: "Show all that is known about containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[FORMAT, SIZE]],
    run: |context, matches| run(context, matches, Kind::Container),
};

/// The row of the table.
pub(super) static IMAGE: Command = Command {
    paths: &["image inspect"],
    about: "Show all that is known about images",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[FORMAT, Flag::not_built("platform", None, Takes::Value)]],
    run: |context, matches| run(context, matches, Kind::Image),
};

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Container,
    Image,
}

/// Docker's kinds, of which this version has two.
const KINDS: [&str; 10] = [
    "config",
    "container",
    "image",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "task",
    "volume",
];

fn run_any(context: &Context, matches: &Matches) -> Outcome {
    run(context, matches, kind(matches.text("type"))?)
}

fn kind(text: Option<&str>) -> Result<Kind, Failure> {
    match text {
        None => Ok(Kind::Any),
        Some("container") => Ok(Kind::Container),
        Some("image") => Ok(Kind::Image),
        Some("") => Err(Failure::new(
            "type is empty: must be one of \"container\", \"image\"",
        )),
        Some(known) if KINDS.contains(&known) => {
            Err(Failure::new(format!("not built yet: --type {known}")))
        }
        Some(other) => {
            let kinds = KINDS.map(|kind| format!("{kind:?}")).join(", ");
            Err(Failure::new(format!(
                "unknown type: {other:?}: must be one of {kinds}"
            )))
        }
    }
}

fn run(context: &Context, matches: &Matches, kind: Kind) -> Outcome {
    let mut inspection = Inspection::new(matches.text_or_empty("format"))?;
    context.talk(async |client| {
        for name in &matches.args {
            match fetch(client, kind, name, matches.flag("size")).await {
                Ok(document) => inspection.add(&document),
                Err(failure) => inspection.fail(failure),
            }
        }
        Ok(Exit::OK)
    })?;
    inspection.finish()
}

async fn fetch(client: &Client, kind: Kind, name: &str, size: bool) -> Result<Bytes, Failure> {
    let name = name.to_owned();
    let container = || {
        Request::get(format!("/containers/{}/json", Request::escape(&name)))
            .query_flag("size", size)
    };
    let image = || Request::get(format!("/images/{}/json", Request::escape(&name)));
    let found = match kind {
        Kind::Container => client.bytes(container()).await,
        Kind::Image => client.bytes(image()).await,
        Kind::Any => match client.bytes(container()).await {
            Err(error) if is_absent(&error) => match client.bytes(image()).await {
                Err(error) if is_absent(&error) => {
                    return Err(Failure::new(format!("Error: No such object: {name}")));
                }
                other => other,
            },
            other => other,
        },
    };
    Ok(found?)
}

/// A name that cannot be an image's (it has capitals) is an invalid parameter there, and may be a container's.
fn is_absent(error: &Error) -> bool {
    matches!(error.status(), Some(404 | 400))
}
