//! `attach`: join a running container's streams.

use api::client::Request;
use api::types::container::ContainerInspect;

use super::each::path;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::session::{self, Condition, Session, begin_wait, end_wait};
use crate::signals::Proxy;
use crate::streams::End;
use crate::terminal;

static FLAGS: &[Flag] = &[
    Flag::text(
        "detach-keys",
        None,
        "Keys that leave the container running, in place of ctrl-p,ctrl-q",
    ),
    Flag::bool("no-stdin", None, "Do not send stdin"),
    Flag::bool(
        "sig-proxy",
        None,
        "Pass the client's signals on to the process (default true)",
    ),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container attach", "attach"],
    about: "Join a running container's input and output",
    usage: "[OPTIONS] CONTAINER",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    context.talk(async |client| {
        let name = &matches.args[0];
        let container: ContainerInspect = client.json(Request::get(path(name, "json")?)).await?;
        check_state(&container)?;
        let config = container.config.unwrap_or_default();
        let stdin = config.open_stdin && !matches.flag("no-stdin");
        if stdin && config.tty && !terminal::stdin_is_terminal() {
            return Err(Failure::new("the input device is not a TTY"));
        }
        let keys = context.detach_keys(matches);
        let id = container.id;
        let mut request = Request::post(path(&id, "attach")?)
            .query("stream", "1")
            .query_flag("stdin", stdin)
            .query("stdout", "1")
            .query("stderr", "1");
        if !keys.is_empty() {
            request = request.query("detachKeys", keys);
        }
        // With a terminal the keys already reach the process as signals.
        let proxies = matches.flag_or("sig-proxy", true) && !config.tty;
        let proxy = if proxies { Some(Proxy::catch()?) } else { None };
        let attach = async { Ok(client.hijack(request).await?) };
        let (connection, waiting) =
            tokio::try_join!(attach, begin_wait(client, &id, Condition::NotRunning))?;
        let session = Session {
            resize_path: format!("/containers/{id}/resize"),
            tty: config.tty,
            stdin,
            detach_keys: keys,
            redraw: true,
            signals: proxy.map(|proxy| (proxy, id.as_str())),
        };
        match session.run(client, connection).await? {
            End::Left => Err(Failure::new("read escape sequence")),
            End::Interrupted(_) => Ok(Exit::OK),
            End::Output => end_wait(waiting).await.map(session::exit),
        }
    })
}

fn check_state(container: &ContainerInspect) -> Result<(), Failure> {
    let state = container.state.clone().unwrap_or_default();
    let refused = |text: &str| Err(Failure::new(text));
    if !state.running {
        return refused("You cannot attach to a stopped container, start it first");
    }
    if state.paused {
        return refused("You cannot attach to a paused container, unpause it first");
    }
    if state.restarting {
        return refused("You cannot attach to a restarting container, wait until it is running");
    }
    Ok(())
}
