//! `search`: look for images on Docker Hub, or on another registry that can be searched.

use api::client::Request;
use api::types::registry::{AUTH_HEADER, SearchResult};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::credentials;
use crate::failure::{Failure, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::format::Format;
use crate::print::{print, warn};
use crate::sheets::Trunc;
use crate::sheets::search::{Marks, Row, SHEET};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["search"],
    about: "Look for images on Docker Hub",
    usage: "[OPTIONS] TERM",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        filter::FLAG,
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::int("limit", None, "How many to tell of at most"),
        Flag::bool("no-trunc", None, "Do not shorten descriptions"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let term = matches.args[0].as_str();
    if term.starts_with('-') {
        return Err(Failure::new(format!("invalid search term: {term}")));
    }
    let mut given = matches.list("filter");
    if given.any(|filter| filter.trim().starts_with("is-automated=")) {
        warn(
            "WARNING: the \"is-automated\" filter is deprecated, and searching for \"is-automated=true\" will not yield any results in future.",
        );
    }
    let mut request = Request::get("/images/search").query("term", term);
    if let Some(limit) = matches.int("limit").filter(|limit| *limit > 0) {
        request = request.query("limit", limit.to_string());
    }
    let auth = credentials::stored(context, registry(term)).to_header();
    let request = request
        .filters(&filter::filters(matches))
        .header(AUTH_HEADER, &auth);
    let found: Vec<SearchResult> = context.talk(async |client| Ok(client.json(request).await?))?;
    let trunc = Trunc::unless(matches.flag("no-trunc"));
    let format = Format::parse(matches.text_or_empty("format"));
    let marks = match format == Format::Json || format.uses("json .") {
        true => Marks::Json,
        false => Marks::Table,
    };
    let row = |result| Row {
        result,
        trunc,
        marks,
    };
    let rows: Vec<Row> = found.into_iter().map(row).collect();
    print(&SHEET.print(&format, &rows)?)
}

/// The registry that a term names before its first slash, else Docker Hub.
fn registry(term: &str) -> &str {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => credentials::HUB,
    }
}
