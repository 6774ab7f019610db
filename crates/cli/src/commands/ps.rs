//! `ps`: list containers.

use api::client::Request;
use api::types::container::ContainerSummary;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::filter;
use crate::flags::Matches;
use crate::format::Format;
use crate::print::print;
use crate::sheets::Trunc;
use crate::sheets::container::{PS, PS_SIZE, Row, SHEET};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container ls", "container list", "container ps", "ps"],
    about: "List containers",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("all", Some('a'), "Also those that do not run"),
        filter::FLAG,
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::int(
            "last",
            Some('n'),
            "The last few that were made, running or not; -1 is all",
        ),
        Flag::bool(
            "latest",
            Some('l'),
            "The last one that was made, running or not",
        ),
        Flag::bool("no-trunc", None, "Do not shorten ids and commands"),
        Flag::bool("quiet", Some('q'), "Only ids"),
        Flag::bool("size", Some('s'), "How much they take on disk"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let format = format(context, matches);
    let with_size = matches.flag("size") || format.uses("Size");
    let containers: Vec<ContainerSummary> =
        context.talk(async |client| Ok(client.json(request(matches, with_size)).await?))?;
    let trunc = Trunc::unless(matches.flag("no-trunc"));
    if matches.flag("quiet") {
        let ids: String = containers
            .iter()
            .map(|container| format!("{}\n", trunc.id(&container.id)))
            .collect();
        return print(&ids);
    }
    let rows: Vec<Row> = containers
        .into_iter()
        .map(|container| Row { container, trunc })
        .collect();
    let table = if matches.flag("size") { PS_SIZE } else { PS };
    print(&SHEET.print_table_of(&format, table, &rows)?)
}

fn format(context: &Context, matches: &Matches) -> Format {
    match matches.text_or_empty("format") {
        "" if matches.flag("quiet") => Format::Table,
        "" => Format::parse(&context.config_file().ps_format),
        text => Format::parse(text),
    }
}

fn request(matches: &Matches, with_size: bool) -> Request {
    let limit = match matches.int("last") {
        Some(last) if last > -1 => last,
        _ if matches.flag("latest") => 1,
        _ => 0,
    };
    Request::get("/containers/json")
        .query_flag("all", matches.flag("all"))
        .query_if("limit", (limit > 0).then(|| limit.to_string()))
        .query_flag("size", with_size)
        .filters(&filter::filters(matches))
}
