//! `start`: start containers that were made or have ended.

use std::io::Write;

use api::client::{Client, Request};
use api::types::container::ContainerInspect;

use super::each::path;
use crate::command::Takes::Value;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;
use crate::session::{Condition, Session, begin_wait, end_own, end_wait};
use crate::signals::Proxy;
use crate::streams::End;
use crate::terminal;

static FLAGS: &[Flag] = &[
    Flag::bool("attach", Some('a'), "Show the output and pass signals on"),
    Flag::not_built("checkpoint", None, Value),
    Flag::not_built("checkpoint-dir", None, Value),
    Flag::text(
        "detach-keys",
        None,
        "Keys that leave the container running, in place of ctrl-p,ctrl-q",
    ),
    Flag::bool("interactive", Some('i'), "Send stdin to the container"),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container start", "start"],
    about: "Start one or more stopped containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    if !matches.flag("attach") && !matches.flag("interactive") {
        return context.talk(async |client| start_all(client, &matches.args).await);
    }
    if matches.args.len() > 1 {
        return Err(Failure::new(
            "you cannot start and attach multiple containers at once",
        ));
    }
    context.talk(async |client| start_attached(context, client, matches).await)
}

async fn start_all(client: &Client, names: &[String]) -> Outcome {
    let mut failed = Vec::new();
    for name in names {
        match start(client, name).await {
            Ok(()) => drop(print(&format!("{name}\n"))?),
            Err(failure) => {
                let _ = writeln!(std::io::stderr(), "{failure}");
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(Exit::OK);
    }
    Err(Failure::new(format!(
        "Error: failed to start containers: {}",
        failed.join(", ")
    )))
}

async fn start(client: &Client, name: &str) -> Result<(), Failure> {
    client.call(Request::post(path(name, "start")?)).await?;
    Ok(())
}

async fn start_attached(context: &Context, client: &Client, matches: &Matches) -> Outcome {
    let container: ContainerInspect = client
        .json(Request::get(path(&matches.args[0], "json")?))
        .await?;
    let config = container.config.unwrap_or_default();
    let id = container.id;
    let stdin = matches.flag("interactive") && config.open_stdin;
    if stdin && config.tty && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let keys = context.detach_keys(matches);
    let mut request = Request::post(path(&id, "attach")?)
        .query("stream", "1")
        .query_flag("stdin", stdin)
        .query("stdout", "1")
        .query("stderr", "1");
    if !keys.is_empty() {
        request = request.query("detachKeys", keys);
    }
    let proxy = if config.tty {
        None
    } else {
        Some(Proxy::catch()?)
    };
    let removes = container.host_config.is_some_and(|host| host.auto_remove);
    let condition = if removes {
        Condition::Removed
    } else {
        Condition::NextExit
    };
    let attach = async { Ok(client.hijack(request).await?) };
    let (connection, waiting) = tokio::try_join!(attach, begin_wait(client, &id, condition))?;
    if let Err(failure) = start(client, &id).await {
        drop(connection);
        if removes {
            let _ = end_wait(waiting).await;
        }
        return Err(failure);
    }
    let session = Session {
        resize_path: format!("/containers/{id}/resize"),
        tty: config.tty,
        stdin,
        detach_keys: keys,
        redraw: false,
        signals: proxy.map(|proxy| (proxy, id.as_str())),
    };
    match session.run(client, connection).await? {
        End::Left => Ok(Exit::OK),
        End::Interrupted(number) => Err(Failure::silent(128 + number)),
        End::Output => end_own(waiting, context.program, &matches.args[0]).await,
    }
}
