//! `images`: list images.

use std::io::IsTerminal;

use api::client::Request;
use api::types::image::ImageSummary;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::format::Format;
use crate::print::{print, print_painted};
use crate::sheets::Trunc;
use crate::sheets::image::{Digests, PLAIN, Row, SHEET, WITH_DIGESTS};
use crate::sheets::tree::{self, Paper};
use crate::terminal;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image ls", "image list", "images"],
    about: "List images",
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    args: Args::AtMost(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("all", Some('a'), "Also those that are only steps to others"),
        Flag::bool("digests", None, "With digests"),
        filter::FLAG,
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::bool("no-trunc", None, "Do not shorten ids"),
        Flag::bool("quiet", Some('q'), "Only ids"),
        Flag::bool("tree", None, "With the platforms of each image under it"),
    ]],
    run,
};

/// Flags that say how a table is printed, and what Docker's refusal calls them.
const OF_TABLE: [(&str, &str); 4] = [
    ("quiet", "quiet"),
    ("no-trunc", "no-trunc"),
    ("digests", "show-digest"),
    ("format", "format"),
];

fn run(context: &Context, matches: &Matches) -> Outcome {
    let tree = matches.flag("tree");
    if tree && let Some((_, name)) = OF_TABLE.iter().find(|(flag, _)| is_set(matches, flag)) {
        return Err(Failure::new(format!(
            "--{name} is not yet supported with --tree"
        )));
    }
    let mut filters = filter::filters(matches);
    if let Some(reference) = matches.args.first() {
        filters.add("reference", reference);
    }
    let request = Request::get("/images/json")
        .query_flag("all", matches.flag("all"))
        .query_flag("manifests", tree)
        .filters(&filters);
    let images: Vec<ImageSummary> =
        context.talk(async |client| Ok(client.json(request).await?))?;
    if tree {
        return print_painted(&tree::text(&images, paper()));
    }
    let format = format(context, matches);
    let digests = match matches.flag("digests") || format.uses("Digest") {
        true => Digests::Shown,
        false => Digests::Hidden,
    };
    let trunc = Trunc::unless(matches.flag("no-trunc"));
    let rows: Vec<Row> = images
        .into_iter()
        .flat_map(|image| Row::of(image, digests, trunc))
        .collect();
    if matches.flag("quiet") {
        return print(
            &rows
                .iter()
                .map(|row| format!("{}\n", row.id()))
                .collect::<String>(),
        );
    }
    let table = if matches.flag("digests") {
        WITH_DIGESTS
    } else {
        PLAIN
    };
    print(&SHEET.print_table_of(&format, table, &rows)?)
}

fn format(context: &Context, matches: &Matches) -> Format {
    match matches.text_or_empty("format") {
        "" if matches.flag("quiet") => Format::Table,
        "" => Format::parse(&context.config_file().images_format),
        text => Format::parse(text),
    }
}

fn is_set(matches: &Matches, flag: &str) -> bool {
    match flag {
        "format" => !matches.text_or_empty(flag).is_empty(),
        _ => matches.flag(flag),
    }
}

/// A pipe is as wide as a terminal used to be.
fn paper() -> Paper {
    let width = terminal::width(std::io::stdout()) as usize;
    Paper {
        width: if width == 0 { 80 } else { width.max(20) },
        coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}
