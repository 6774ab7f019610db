//! `history`: the steps that made an image.

use api::client::Request;
use api::types::image::HistoryItem;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::Format;
use crate::options::platform;
use crate::print::print;
use crate::sheets::Trunc;
use crate::sheets::history::{HUMAN, MACHINE, Row, SHEET, Style};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image history", "history"],
    about: "Show the steps that made an image",
    usage: "[OPTIONS] IMAGE",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::bool(
            "human",
            Some('H'),
            "Sizes and times for people (on unless --human=false)",
        ),
        Flag::bool("no-trunc", None, "Do not shorten ids and steps"),
        platform::flag("Of this platform, as os[/arch[/variant]], if the image has several"),
        Flag::bool("quiet", Some('q'), "Only ids"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let request = Request::get(format!(
        "/images/{}/history",
        Request::escape(&matches.args[0])
    ));
    let request = platform::asked(request, matches)?;
    let steps: Vec<HistoryItem> = context.talk(async |client| Ok(client.json(request).await?))?;
    let trunc = Trunc::unless(matches.flag("no-trunc"));
    if matches.flag("quiet") {
        return print(
            &steps
                .iter()
                .map(|step| format!("{}\n", trunc.id(&step.id)))
                .collect::<String>(),
        );
    }
    let (style, table) = match matches.flag_or("human", true) {
        true => (Style::Human, HUMAN),
        false => (Style::Machine, MACHINE),
    };
    let rows: Vec<Row> = steps
        .into_iter()
        .map(|step| Row { step, trunc, style })
        .collect();
    print(&SHEET.print_table_of(
        &Format::parse(matches.text_or_empty("format")),
        table,
        &rows,
    )?)
}
