//! `events`: what happens, as it happens.

use api::client::Request;
use api::types::event::Event;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::format::json::{Html, Json};
use crate::format::{Data, Missing, Template, time};
use crate::options::timestamp;
use crate::print::print;
use crate::signals::breakable;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system events", "events"],
    about: "Show what happens, as it happens",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        filter::FLAG,
        Flag::text("format", None, "How to print: json or a Go template"),
        Flag::text(
            "since",
            None,
            "Also what happened since this time (Unix, RFC 3339, or 10m for ten minutes ago)",
        ),
        Flag::text("until", None, "Stop at this time"),
    ]],
    run,
};

/// How an event is printed.
enum Form {
    Plain,
    Json,
    Template(Box<Template>),
}

fn run(context: &Context, matches: &Matches) -> Outcome {
    let form = match matches.text_or_empty("format") {
        "" => Form::Plain,
        "json" => Form::Json,
        source => Form::Template(Box::new(Template::parse(source).map_err(|error| {
            Failure::with_status(64, format!("Error parsing format: {error}"))
        })?)),
    };
    let request = Request::get("/events")
        .query_if("since", at(matches, "since")?)
        .query_if("until", at(matches, "until")?)
        .filters(&filter::filters(matches));
    context.talk(async |client| {
        breakable(async {
            let mut events = client.messages::<Event>(request).await?;
            while let Some(event) = events.next().await? {
                print(&text(&form, &event)?)?;
            }
            Ok(Exit::OK)
        })
        .await
    })
}

fn at(matches: &Matches, flag: &str) -> Result<Option<String>, Failure> {
    let text = matches.text(flag).filter(|text| !text.is_empty());
    text.map(|text| timestamp::parse(text, jiff::Timestamp::now()))
        .transpose()
        .map_err(Failure::new)
}

fn text(form: &Form, event: &Event) -> Result<String, Failure> {
    let document = || Json::of(event).map_err(|error| Failure::new(error.to_string()));
    match form {
        Form::Plain => Ok(plain(event)),
        Form::Json => Ok(format!("{}\n", document()?.compact(Html::Plain))),
        Form::Template(template) => template
            .render(
                &Data::renamed(
                    as_go_struct(event, &attributes_of(template.source())),
                    document()?,
                ),
                Missing::Field("*events.Message"),
            )
            .map(|line| format!("{}\n", line.replace(ABSENT, "<no value>")))
            .map_err(|error| Failure::with_status(64, format!("Error parsing format: {error}"))),
    }
}

/// Stands for an attribute that an event does not have; no attribute's text has this character.
const ABSENT: &str = "\u{0}";

/// The attributes that a template names. They are a map in Go, where what is absent is no error.
fn attributes_of(template: &str) -> Vec<&str> {
    let names = template.split(".Attributes.").skip(1);
    let name = |rest: &'_ str| {
        rest.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len())
    };
    names
        .map(|rest| &rest[..name(rest)])
        .filter(|name| !name.is_empty())
        .collect()
}

/// Templates name the members of Go's struct, JSON its tags.
fn as_go_struct(event: &Event, asked: &[&str]) -> Json {
    let has = &event.actor.attributes;
    let absent = asked
        .iter()
        .filter(|name| !has.contains_key(**name))
        .map(|name| (*name, Json::text(ABSENT)));
    let attributes = has
        .iter()
        .map(|(name, value)| (name.as_str(), Json::text(value)))
        .chain(absent);
    let actor = Json::object([
        ("ID", Json::text(&event.actor.id)),
        ("Attributes", Json::object(attributes)),
    ]);
    Json::object([
        ("Status", Json::text(&event.status)),
        ("ID", Json::text(&event.id)),
        ("From", Json::text(&event.from)),
        ("Type", Json::text(&event.r#type)),
        ("Action", Json::text(&event.action)),
        ("Actor", actor),
        ("Scope", Json::text(&event.scope)),
        ("Time", Json::Number(event.time.into())),
        ("TimeNano", Json::Number(event.time_nano.into())),
    ])
}

/// As `2026-11-22T01:26:30.897761698Z container create 6c5d... (image=busybox, name=x)`.
fn plain(event: &Event) -> String {
    let nanoseconds = match event.time_nano {
        0 => event.time.saturating_mul(1_000_000_000),
        known => known,
    };
    let mut line = format!(
        "{} {} {}",
        time::rfc3339_nano(nanoseconds),
        event.r#type,
        event.action
    );
    if !event.actor.id.is_empty() {
        line.push(' ');
        line.push_str(&event.actor.id);
    }
    let attributes: Vec<String> = event
        .actor
        .attributes
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !attributes.is_empty() {
        line.push_str(&format!(" ({})", attributes.join(", ")));
    }
    line.push('\n');
    line
}
