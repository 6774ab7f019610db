//! `logs`: show what a container wrote.

use api::client::{Client, Request, Response, ResponseBody};
use api::types::container::ContainerInspect;
use jiff::Timestamp;

use super::each::path;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::options::timestamp;
use crate::signals::breakable;
use crate::streams::{Framing, Output};

static FLAGS: &[Flag] = &[
    Flag::bool(
        "details",
        None,
        "Show the attributes that the log options asked for",
    ),
    Flag::bool(
        "follow",
        Some('f'),
        "Go on with what is written from now on",
    ),
    Flag::text(
        "since",
        None,
        "Only from this time on: 2013-01-02T13:23:37Z, or 42m for minutes ago",
    ),
    Flag::text("tail", Some('n'), "Only the last lines (default all)"),
    Flag::bool("timestamps", Some('t'), "Show when each line was written"),
    Flag::text("until", None, "Only up to this time"),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container logs", "logs"],
    about: "Show the logs of a container",
    usage: "[OPTIONS] CONTAINER",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    let now = Timestamp::now();
    let time = |flag: &str| {
        let text = matches.text_or_empty(flag);
        if text.is_empty() {
            return Ok(None);
        }
        timestamp::parse(text, now)
            .map(Some)
            .map_err(|reason| Failure::new(format!("invalid value for {flag:?}: {reason}")))
    };
    let (since, until) = (time("since")?, time("until")?);
    context.talk(async |client| {
        let mut request = Request::get(path(name, "logs")?)
            .query("stdout", "1")
            .query("stderr", "1")
            .query_flag("follow", matches.flag("follow"))
            .query_flag("timestamps", matches.flag("timestamps"))
            .query_flag("details", matches.flag("details"))
            .query("tail", matches.text("tail").unwrap_or("all"));
        for (flag, time) in [("since", &since), ("until", &until)] {
            if let Some(time) = time {
                request = request.query(flag, time);
            }
        }
        let response = client.send(request).await?;
        let framing = framing(client, name, &response).await?;
        breakable(copy(response.body, Output::new(framing))).await
    })
}

/// The daemon says how it sends since API 1.42; before, the container must be asked.
async fn framing(client: &Client, name: &str, response: &Response) -> Result<Framing, Failure> {
    let kind = response
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind.ends_with("multiplexed-stream") {
        return Ok(Framing::Frames);
    }
    if response.headers.contains_key("api-version")
        && kind.ends_with("raw-stream")
        && !is_before_multiplexed(&client.api_version())
    {
        return Ok(Framing::Raw);
    }
    let container: ContainerInspect = client.json(Request::get(path(name, "json")?)).await?;
    let tty = container.config.is_some_and(|config| config.tty);
    Ok(if tty { Framing::Raw } else { Framing::Frames })
}

fn is_before_multiplexed(version: &str) -> bool {
    version
        .strip_prefix("1.")
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor < 42)
}

async fn copy(mut body: ResponseBody, mut output: Output) -> Outcome {
    while let Some(piece) = body.next().await? {
        output.write(&piece)?;
    }
    Ok(Exit::OK)
}
