//! `exec`: run a further process in a running container.

use api::client::{Client, Request};
use api::types::exec::{ExecCreateRequest, ExecCreateResponse, ExecInspect, ExecStartRequest};

use super::each::path;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::options::environment;
use crate::session::{self, Session};
use crate::streams::End;
use crate::terminal;

static FLAGS: &[Flag] = &[
    Flag::bool(
        "detach",
        Some('d'),
        "Leave the process running in the background",
    ),
    Flag::text(
        "detach-keys",
        None,
        "Keys that leave the process running, in place of ctrl-p,ctrl-q",
    ),
    Flag::checked_list(
        "env",
        Some('e'),
        "list",
        environment::check_variable,
        "Set a variable: NAME=VALUE, or NAME to pass the client's on",
    ),
    Flag::list("env-file", None, "Read variables from a file"),
    Flag::bool("interactive", Some('i'), "Send stdin to the process"),
    Flag::bool("privileged", None, "Give the process every capability"),
    Flag::bool("tty", Some('t'), "Give the process a terminal"),
    Flag::text(
        "user",
        Some('u'),
        "User, and group: <name|uid>[:<group|gid>]",
    ),
    Flag::text("workdir", Some('w'), "Folder the process starts in"),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container exec", "exec"],
    about: "Run a command in a running container",
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    args: Args::AtLeast(2),
    order: Order::Before,
    flags: &[FLAGS],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let detach = matches.flag("detach");
    let request = request(context, matches, detach)?;
    if !detach && request.attach_stdin && request.tty && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    context.talk(async |client| {
        let create = Request::post(path(&matches.args[0], "exec")?).body(&request);
        // The start takes the first connection over; the one to ask for the exit code on is made meanwhile.
        let (made, _) = tokio::join!(client.json(create), client.connect());
        let made: ExecCreateResponse = made?;
        if made.id.is_empty() {
            return Err(Failure::new("exec ID empty"));
        }
        let start = ExecStartRequest {
            detach,
            tty: request.tty,
            console_size: request.console_size,
        };
        let start = Request::post(format!("/exec/{}/start", made.id)).body(&start);
        if detach {
            client.call(start).await?;
            return Ok(Exit::OK);
        }
        let way_back = session::way_back(context.program, &matches.args[0]);
        attached(client, &made.id, start, &request, way_back).await
    })
}

fn request(
    context: &Context,
    matches: &Matches,
    detach: bool,
) -> Result<ExecCreateRequest, Failure> {
    let env = environment::variables(
        matches.list("env-file"),
        matches.list("env"),
        &environment::own,
    )?;
    let tty = matches.flag("tty");
    Ok(ExecCreateRequest {
        user: matches.text_or_empty("user").to_owned(),
        privileged: matches.flag("privileged"),
        tty,
        console_size: (tty && !detach)
            .then(terminal::size)
            .filter(|size| *size != [0, 0]),
        attach_stdin: !detach && matches.flag("interactive"),
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach_keys: context.detach_keys(matches).to_owned(),
        env: Some(env).filter(|env| !env.is_empty()),
        working_dir: matches.text_or_empty("workdir").to_owned(),
        cmd: Some(matches.args[1..].to_vec().into()),
    })
}

async fn attached(
    client: &Client,
    id: &str,
    start: Request,
    request: &ExecCreateRequest,
    way_back: String,
) -> Outcome {
    let connection = client.hijack(start).await?;
    let session = Session {
        resize_path: format!("/exec/{id}/resize"),
        tty: request.tty,
        stdin: request.attach_stdin,
        detach_keys: &request.detach_keys,
        redraw: false,
        signals: None,
    };
    match session.run(client, connection).await? {
        End::Left => return Err(Failure::new("read escape sequence")),
        End::Interrupted(number) => return Err(Failure::silent(128 + number)),
        End::Output => {}
    }
    let inspect = Request::get(format!("/exec/{id}/json"));
    match client.json::<ExecInspect>(inspect).await {
        Ok(end) => Ok(session::exit(end.exit_code.unwrap_or(0))),
        // Docker's status for a command whose end nobody can tell any more.
        Err(error) if error.is_lost() || error.is_nobody_there() => {
            Err(Failure::with_status(255, way_back))
        }
        Err(error) => Err(error.into()),
    }
}
