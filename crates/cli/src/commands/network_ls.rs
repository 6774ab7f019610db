//! `network ls`: list networks.

use api::client::Request;
use api::types::network::Network;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::filter;
use crate::flags::Matches;
use crate::format::{Format, natural};
use crate::print::print;
use crate::sheets::Trunc;
use crate::sheets::network::{Row, SHEET};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["network ls", "network list"],
    about: "List networks",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        filter::FLAG,
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::bool("no-trunc", None, "Do not shorten ids"),
        Flag::bool("quiet", Some('q'), "Only ids"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let request = Request::get("/networks").filters(&filter::filters(matches));
    let mut networks: Vec<Network> =
        context.talk(async |client| Ok(client.json(request).await?))?;
    networks.sort_by(|a, b| natural::compare(&a.name, &b.name));
    let format = match matches.text_or_empty("format") {
        "" if matches.flag("quiet") => Format::Template("{{.ID}}".to_owned()),
        "" => Format::parse(&context.config_file().networks_format),
        text => Format::parse(text),
    };
    let trunc = Trunc::unless(matches.flag("no-trunc"));
    let rows: Vec<_> = networks
        .into_iter()
        .map(|network| Row { network, trunc })
        .collect();
    print(&SHEET.print(&format, &rows)?)
}
