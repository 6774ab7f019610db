//! `volume ls`: list volumes.

use api::client::Request;
use api::types::volume::VolumeList;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::filter;
use crate::flags::Matches;
use crate::format::{Format, natural};
use crate::print::{print, warn};
use crate::sheets::volume::SHEET;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["volume ls", "volume list"],
    about: "List volumes",
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
        Flag::bool("quiet", Some('q'), "Only names"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let request = Request::get("/volumes").filters(&filter::filters(matches));
    let list: VolumeList = context.talk(async |client| Ok(client.json(request).await?))?;
    list.warnings.iter().flatten().for_each(|line| warn(line));
    let mut volumes = list.volumes.unwrap_or_default();
    volumes.sort_by(|a, b| natural::compare(&a.name, &b.name));
    let format = match matches.text_or_empty("format") {
        "" if matches.flag("quiet") => Format::Template("{{.Name}}".to_owned()),
        "" => Format::parse(&context.config_file().volumes_format),
        text => Format::parse(text),
    };
    print(&SHEET.print(&format, &volumes)?)
}
