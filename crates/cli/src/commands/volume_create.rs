//! `volume create`: make a volume.

use std::collections::BTreeMap;

use api::client::Request;
use api::types::volume::{Volume, VolumeCreateRequest};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::options::{environment, key_values};
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["volume create"],
    about: "Create a volume",
    usage: "[OPTIONS] [VOLUME]",
    args: Args::AtMost(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("driver", Some('d'), "Its driver (default local)"),
        Flag::checked_list(
            "label",
            None,
            "list",
            environment::check_label,
            "Set a label: NAME=VALUE",
        ),
        // What Docker called the argument before 1.13; the help shows only flags with a description.
        Flag::text("name", None, ""),
        Flag::list("opt", Some('o'), "Set an option of the driver: NAME=VALUE"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let named = matches.text("name").filter(|name| !name.is_empty());
    let name = match (named, matches.args.first()) {
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
            ));
        }
        (Some(name), None) => name.to_owned(),
        (None, argument) => argument.cloned().unwrap_or_default(),
    };
    let wanted = VolumeCreateRequest {
        name,
        driver: matches.text("driver").unwrap_or("local").to_owned(),
        driver_opts: some(key_values(matches.list("opt"))),
        labels: some(key_values(matches.list("label"))),
        ..VolumeCreateRequest::default()
    };
    let request = Request::post("/volumes/create").body(&wanted);
    let made: Volume = context.talk(async |client| Ok(client.json(request).await?))?;
    print(&format!("{}\n", made.name))
}

fn some(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then_some(map)
}
