//! `info`: the daemon, its host, and what it has.

use api::client::Request;
use api::types::system::Info;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::format::json::{Html, Json};
use crate::format::{Data, Missing, Template};
use crate::info_text::server;
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system info", "info"],
    about: "Show what the daemon is, has and can do",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[Flag::text(
        "format",
        Some('f'),
        "How to print: json or a Go template",
    )]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let format = matches.text_or_empty("format");
    let template = match format {
        "" | "json" => None,
        source => Some(Template::parse(source).map_err(|error| {
            Failure::with_status(64, format!("template parsing error: {error}"))
        })?),
    };
    let info: Result<Info, Failure> =
        context.talk(async |client| Ok(client.json(Request::get("/info")).await?));
    if format.is_empty() {
        return plain(context, info);
    }
    let document = document(context, &info?)?;
    match template {
        None => print(&format!("{}\n", document.compact(Html::Plain))),
        Some(template) => {
            let rendered = template.render(
                &Data::document(document),
                Missing::Field("system.dockerInfo"),
            );
            print(&format!("{}\n", rendered.as_deref().unwrap_or_default()))?;
            rendered
                .map(|_| Exit::OK)
                .map_err(|error| Failure::new(error.to_string()))
        }
    }
}

/// The client's half is there even when the daemon is not.
fn plain(context: &Context, info: Result<Info, Failure>) -> Outcome {
    let client = format!(
        "Client:\n Version:    {}\n Context:    {}\n Debug Mode: {}\n\nServer:\n",
        env!("CARGO_PKG_VERSION"),
        context.context_name(),
        context.globals.debug
    );
    print(&client)?;
    let info = info?;
    print(&server(&info))?;
    info.warnings
        .iter()
        .flatten()
        .for_each(|warning| warn(warning));
    Ok(Exit::OK)
}

/// The daemon's members, then the client's.
fn document(context: &Context, info: &Info) -> Result<Json, Failure> {
    let told = |error: serde_json::Error| Failure::new(error.to_string());
    let Json::Object(members) = Json::of(info).map_err(told)? else {
        return Err(Failure::new("info is no document"));
    };
    let client = Json::object([
        ("Debug", Json::Bool(context.globals.debug)),
        ("Version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("Context", Json::text(context.context_name())),
        ("Plugins", Json::List(Vec::new().into())),
        ("Warnings", Json::Null),
    ]);
    Ok(Json::Object(
        members
            .iter()
            .cloned()
            .chain([("ClientInfo".into(), client)])
            .collect(),
    ))
}
