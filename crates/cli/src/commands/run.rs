//! `run`: make a container, start it, and stay with it until it ends.
//!
//! The way to the process is three round trips: create; then attach and wait side by side, because both must stand before the
//! container runs; then start.

use api::client::{Client, Hijacked, Request};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::create::{Plan, flags};
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;
use crate::session::{Condition, Session, begin_wait, end_own, end_wait};
use crate::signals::Proxy;
use crate::streams::End;
use crate::terminal;

static OWN: &[Flag] = &[
    Flag::bool(
        "detach",
        Some('d'),
        "Print the container's id and leave it running",
    ),
    Flag::text(
        "detach-keys",
        None,
        "Keys that leave the container running, in place of ctrl-p,ctrl-q",
    ),
    Flag::bool(
        "sig-proxy",
        None,
        "Pass the client's signals on to the process (default true)",
    ),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container run", "run"],
    about: "Create a container from an image and run it",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    args: Args::AtLeast(1),
    order: Order::Before,
    flags: &[
        OWN,
        flags::PROCESS,
        flags::IDENTITY,
        flags::STORAGE,
        flags::RESOURCES,
        flags::ISOLATION,
        flags::LOGGING,
        flags::NOT_BUILT,
    ],
    run,
};

/// What `run` is to do, all read and checked.
struct Run<'a> {
    plan: Plan,
    detach: bool,
    detach_keys: &'a str,
    proxy: bool,
}

fn run(context: &Context, matches: &Matches) -> Outcome {
    let no_container = |failure: Failure| context.no_container(&failure, "run");
    let plan = Plan::read(context, matches).map_err(|failure| context.misread(&failure, "run"))?;
    let mut run = Run {
        plan,
        detach: matches.flag("detach"),
        detach_keys: context.detach_keys(matches),
        proxy: matches.flag_or("sig-proxy", true),
    };
    run.settle_streams(matches)?;
    let outcome = context.talk(async |client| Ok(run.go(context, client, &no_container).await));
    outcome.map_err(no_container)?
}

impl Run<'_> {
    fn settle_streams(&mut self, matches: &Matches) -> Result<(), Failure> {
        let config = &mut self.plan.request.config;
        if self.detach {
            if matches.given("attach") {
                return Err(Failure::new(
                    "conflicting options: cannot specify both --attach and --detach",
                ));
            }
            config.attach_stdin = false;
            config.attach_stdout = false;
            config.attach_stderr = false;
            config.stdin_once = false;
        } else if config.attach_stdin && config.tty && !terminal::stdin_is_terminal() {
            return Err(Failure::new("the input device is not a TTY"));
        }
        Ok(())
    }

    async fn go(
        &mut self,
        context: &Context,
        client: &Client,
        no_container: &dyn Fn(Failure) -> Failure,
    ) -> Outcome {
        let config = &self.plan.request.config;
        let streams = Streams {
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
            tty: config.tty,
        };
        let removes = self.plan.request.host_config.auto_remove;
        let mut proxy = if streams.any() && self.proxy {
            Some(Proxy::catch_named()?)
        } else {
            None
        };
        let (id, prepared) = tokio::join!(
            self.plan.create(context, client),
            prepare(client, &streams, proxy.as_mut())
        );
        let id = id.map_err(no_container)?;
        prepared?;
        if !streams.any() {
            print(&format!("{id}\n"))?;
            client
                .call(start_request(&id))
                .await
                .map_err(|error| no_container(error.into()))?;
            return Ok(Exit::OK);
        }
        let condition = if removes {
            Condition::Removed
        } else {
            Condition::NextExit
        };
        let (connection, waiting) = tokio::try_join!(
            attach(client, &id, &streams, self.detach_keys),
            begin_wait(client, &id, condition)
        )?;
        if let Err(error) = client.call(start_request(&id)).await {
            drop(connection);
            if removes {
                // It is not said to have failed before it is gone.
                let _ = end_wait(waiting).await;
            }
            return Err(no_container(error.into()));
        }
        let session = Session {
            resize_path: format!("/containers/{id}/resize"),
            tty: streams.tty,
            stdin: streams.stdin,
            detach_keys: self.detach_keys,
            redraw: false,
            signals: proxy.map(|proxy| (proxy, id.as_str())),
        };
        match session.run(client, connection).await? {
            // Who leaves, by key or by a signal that is not passed on, leaves the container running.
            End::Left | End::Interrupted(_) => Ok(Exit::OK),
            End::Output => end_own(waiting, context.program, &id[..id.len().min(12)]).await,
        }
    }
}

/// Which of the process's streams the user has.
struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    fn any(&self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// What the daemon's making the container leaves time for: the connections for attach and wait, and the signals that are many.
async fn prepare(
    client: &Client,
    streams: &Streams,
    proxy: Option<&mut Proxy>,
) -> Result<(), Failure> {
    if !streams.any() {
        return Ok(());
    }
    // If they fail, the requests that wanted them tell why.
    let _ = tokio::join!(client.connect(), client.connect());
    // Lets the request for the container go first.
    tokio::task::yield_now().await;
    proxy.map_or(Ok(()), Proxy::catch_real_time)
}

async fn attach(
    client: &Client,
    id: &str,
    streams: &Streams,
    detach_keys: &str,
) -> Result<Hijacked, Failure> {
    let mut request = Request::post(format!("/containers/{id}/attach"))
        .query("stream", "1")
        .query_flag("stdin", streams.stdin)
        .query_flag("stdout", streams.stdout)
        .query_flag("stderr", streams.stderr);
    if !detach_keys.is_empty() {
        request = request.query("detachKeys", detach_keys);
    }
    Ok(client.hijack(request).await?)
}

fn start_request(id: &str) -> Request {
    Request::post(format!("/containers/{id}/start"))
}
