//! `inspect`: all that the daemon knows about things. `container inspect` and `image inspect` look in one place only.

use api::client::{Client, Error, Request};
use bytes::Bytes;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::inspection::Inspection;
use crate::options::platform;
use crate::print::warn;

const FORMAT: Flag = Flag::text("format", Some('f'), "How to print: json or a Go template");
const SIZE: Flag = Flag::bool("size", Some('s'), "How much containers take on disk");

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["inspect"],
    about: "Show all that is known about containers, images, networks and volumes",
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        FORMAT,
        SIZE,
        Flag::text(
            "type",
            None,
            "Look only for things of this kind: container, image, network or volume",
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
    flags: &[&[
        FORMAT,
        platform::flag("This platform, as os[/arch[/variant]], if the image has several"),
    ]],
    run: |context, matches| run(context, matches, Kind::Image),
};

/// The row of the table.
pub(super) static NETWORK: Command = Command {
    paths: &["network inspect"],
    about: "Show all that is known about networks",
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        FORMAT,
        Flag::bool(
            "verbose",
            Some('v'),
            "More on swarm networks, of which there are none",
        ),
    ]],
    run: |context, matches| run(context, matches, Kind::Network),
};

/// The row of the table.
pub(super) static VOLUME: Command = Command {
    paths: &["volume inspect"],
    about: "Show all that is known about volumes",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[FORMAT]],
    run: |context, matches| run(context, matches, Kind::Volume),
};

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Container,
    Image,
    Network,
    Volume,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Any | Kind::Container => "container",
            Kind::Image => "image",
            Kind::Network => "network",
            Kind::Volume => "volume",
        }
    }
}

/// Where to look for a thing of any kind, in this order.
const EACH: [Kind; 4] = [Kind::Container, Kind::Image, Kind::Network, Kind::Volume];

/// Docker's kinds.
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

/// What the flags say about what is shown.
struct Wanted {
    size: bool,
    platform: Option<String>,
}

fn run_any(context: &Context, matches: &Matches) -> Outcome {
    run(context, matches, kind(matches.text("type"))?)
}

fn kind(text: Option<&str>) -> Result<Kind, Failure> {
    match text {
        None => Ok(Kind::Any),
        Some("container") => Ok(Kind::Container),
        Some("image") => Ok(Kind::Image),
        Some("network") => Ok(Kind::Network),
        Some("volume") => Ok(Kind::Volume),
        Some("") => Err(Failure::new(
            "type is empty: must be one of \"container\", \"image\", \"network\", \"volume\"",
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
    let wanted = Wanted {
        size: matches.flag("size"),
        platform: match matches.text_or_empty("platform") {
            "" => None,
            text => Some(platform::json(
                &platform::parse(text).map_err(Failure::new)?,
            )),
        },
    };
    context.talk(async |client| {
        for name in &matches.args {
            match fetch(client, kind, name, &wanted).await {
                Ok(document) => inspection.add(&document),
                Err(failure) => inspection.fail(failure),
            }
        }
        Ok(Exit::OK)
    })?;
    inspection.finish()
}

async fn fetch(client: &Client, kind: Kind, name: &str, wanted: &Wanted) -> Result<Bytes, Failure> {
    if name.is_empty() {
        // In a path it would be the list of all.
        return Err(Failure::new(match kind {
            Kind::Image => "Error: No such image: ".to_owned(),
            kind => format!("invalid {} name or ID: value is empty", kind.name()),
        }));
    }
    if kind != Kind::Any {
        return Ok(client.bytes(request(kind, name, wanted)).await?);
    }
    for kind in EACH {
        match client.bytes(request(kind, name, wanted)).await {
            Err(error) if is_absent(&error) => {}
            found => {
                if wanted.size && kind != Kind::Container && found.is_ok() {
                    warn(&format!("WARNING: --size ignored for {}", kind.name()));
                }
                return Ok(found?);
            }
        }
    }
    Err(Failure::new(format!("Error: No such object: {name}")))
}

fn request(kind: Kind, name: &str, wanted: &Wanted) -> Request {
    let name = Request::escape(name);
    match kind {
        Kind::Image => Request::get(format!("/images/{name}/json"))
            .query_if("platform", wanted.platform.as_ref()),
        Kind::Network => Request::get(format!("/networks/{name}")),
        Kind::Volume => Request::get(format!("/volumes/{name}")),
        Kind::Container | Kind::Any => {
            // As it is shown.
            let name = name.trim_start_matches('/');
            Request::get(format!("/containers/{name}/json")).query_flag("size", wanted.size)
        }
    }
}

/// A name that cannot be an image's (it has capitals) is an invalid parameter there, and may be a container's.
fn is_absent(error: &Error) -> bool {
    matches!(error.status(), Some(404 | 400))
}
