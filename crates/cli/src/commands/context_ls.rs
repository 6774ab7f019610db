//! `context ls` and `context show`: which daemons have names, and which is meant now.

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::contexts::Stored;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::json::Json;
use crate::format::{Field, Format, Sheet, sheet};
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["context ls", "context list"],
    about: "List the daemons that have names",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::bool("quiet", Some('q'), "Only names"),
    ]],
    run,
};

/// The row of the table.
pub(super) static SHOW: Command = Command {
    paths: &["context show"],
    about: "Show the name of the daemon that is meant now",
    usage: "",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[],
    run: |context, _| print(&format!("{}\n", context.context_name())),
};

struct Row {
    context: Stored,
    current: bool,
}

static SHEET: Sheet<Row> = Sheet {
    fields: &[
        // The table shows it as a star, which has no title.
        Field {
            name: "Current",
            title: "",
            value: |row| Json::Bool(row.current),
        },
        Field {
            name: "Description",
            title: "DESCRIPTION",
            value: |row| Json::text(row.context.description()),
        },
        Field {
            name: "DockerEndpoint",
            title: "DOCKER ENDPOINT",
            value: |row| Json::text(row.context.host()),
        },
        Field {
            name: "Error",
            title: "ERROR",
            value: |_| Json::text(""),
        },
        Field {
            name: "Name",
            title: "NAME",
            value: |row| Json::text(&row.context.name),
        },
    ],
    table: &["Name", "Description", "DockerEndpoint", "Error"],
    raw: None,
    errors: sheet::PARSING,
    type_name: "*formatter.clientContextContext",
    label: None,
};

const TABLE: &str =
    "table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}";

fn run(context: &Context, matches: &Matches) -> Outcome {
    let current = context.context_name();
    let contexts = context.contexts().list()?;
    if matches.flag("quiet") {
        return print(
            &contexts
                .iter()
                .map(|context| format!("{}\n", context.name))
                .collect::<String>(),
        );
    }
    let rows: Vec<Row> = contexts
        .into_iter()
        .map(|context| Row {
            current: context.name == current,
            context,
        })
        .collect();
    let format = match Format::parse(matches.text_or_empty("format")) {
        Format::Table => Format::parse(TABLE),
        other => other,
    };
    let outcome = print(&SHEET.print(&format, &rows)?);
    if std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty()) {
        warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global \
             --context flag, or unset DOCKER_HOST environment variable.",
        );
    }
    outcome
}
