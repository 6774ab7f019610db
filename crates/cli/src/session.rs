//! A user's session with a process in a container: its streams, its terminal's size, the signals passed on, its end.

use api::client::{Client, Hijacked, LOST, Request, Response};
use api::types::container::WaitResponse;

use crate::failure::{Exit, Failure, Outcome};
use crate::signals::{self, Proxy};
use crate::streams::{End, Framing, Input, relay};
use crate::terminal::keys::{self, Watcher};
use crate::terminal::{self, RawMode};

/// What a session carries.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// Path of the resize endpoint: `/containers/ID/resize` or `/exec/ID/resize`.
    pub(crate) resize_path: String,
    /// Whether the process has a terminal.
    pub(crate) tty: bool,
    /// Whether the user's input goes to it.
    pub(crate) stdin: bool,
    /// The keys that leave it; empty for Docker's.
    pub(crate) detach_keys: &'a str,
    /// Whether the process has been at its prompt for long: a window that seems to change makes it show that again.
    pub(crate) redraw: bool,
    /// The container that gets the client's signals, if any does.
    pub(crate) signals: Option<(Proxy, &'a str)>,
}

impl Session<'_> {
    /// Carries everything until the process's output ends or the user leaves. The terminal is as before when this returns.
    pub(crate) async fn run(self, client: &Client, connection: Hijacked) -> Result<End, Failure> {
        let framing = framing(&connection, self.tty);
        let raw = self.tty && self.stdin;
        let input = self.input();
        let _raw_mode = raw.then(RawMode::enter);
        let proxies = self.signals.is_some();
        let relay = async {
            let end = relay(connection, input, framing).await;
            end.map_err(|failure| match failure {
                // Docker's client does not die of SIGPIPE while it passes signals on.
                failure if proxies && failure == Failure::nobody_reads() => {
                    Failure::new("write /dev/stdout: broken pipe")
                }
                other => other,
            })
        };
        let resizes = follow_window(client, &self.resize_path, self.tty, self.redraw);
        let signals = async {
            match self.signals {
                Some((proxy, container)) => Err(proxy.forward(client, container).await),
                None if raw => signals::ending().await,
                None => signals::interruption().await,
            }
        };
        tokio::select! {
            biased;
            end = relay => end,
            number = signals => Ok(End::Interrupted(number?)),
            failed = resizes => Err(failed),
        }
    }

    fn input(&self) -> Input {
        match (self.stdin, self.tty) {
            (false, _) => Input::None,
            (true, false) => Input::Plain,
            (true, true) => Input::Keys(Watcher::new(detach_keys(self.detach_keys))),
        }
    }
}

/// Wrong keys are refused by the daemon; a daemon that takes them leaves us Docker's.
fn detach_keys(text: &str) -> Vec<u8> {
    let text = if text.is_empty() { keys::DEFAULT } else { text };
    keys::parse(text)
        .or_else(|_| keys::parse(keys::DEFAULT))
        .unwrap_or_default()
}

/// Daemons before API 1.42 do not say how they send; then a terminal is raw and all else is framed.
fn framing(connection: &Hijacked, tty: bool) -> Framing {
    let framed = connection.multiplexed.unwrap_or(!tty);
    if framed {
        Framing::Frames
    } else {
        Framing::Raw
    }
}

/// Gives the process's terminal the size of ours, now and whenever it changes. Returns only if that cannot be followed.
async fn follow_window(client: &Client, path: &str, tty: bool, redraw: bool) -> Failure {
    if !tty || terminal::size() == [0, 0] {
        return std::future::pending().await;
    }
    let mut changes = match signals::window_changes() {
        Ok(changes) => changes,
        Err(failure) => return failure,
    };
    if redraw {
        resize(client, path, terminal::size().map(|side| side + 1)).await;
    }
    loop {
        resize(client, path, terminal::size()).await;
        if changes.recv().await.is_none() {
            return std::future::pending().await;
        }
    }
}

async fn resize(client: &Client, path: &str, [height, width]: [u32; 2]) {
    let request = Request::post(path)
        .query("h", height.to_string())
        .query("w", width.to_string());
    // A process that has ended, or has not quite begun, has no terminal to size; the start gave it one already.
    let _ = client.call(request).await;
}

/// When a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It runs no more, now or later.
    NotRunning,
    /// It ends from now on.
    NextExit,
    /// It has been removed.
    Removed,
}

/// Begins to wait: what comes back has been registered, so nothing that happens from now on is missed.
pub(crate) async fn begin_wait(
    client: &Client,
    container: &str,
    condition: Condition,
) -> Result<Response, Failure> {
    let condition = match condition {
        Condition::NotRunning => "not-running",
        Condition::NextExit => "next-exit",
        Condition::Removed => "removed",
    };
    let request = Request::post(format!("/containers/{}/wait", Request::escape(container)))
        .query("condition", condition);
    Ok(client.send(request).await?)
}

/// Waits to the end; returns the container's exit status.
pub(crate) async fn end_wait(waiting: Response) -> Result<i64, Failure> {
    let answer = answer(waiting).await?;
    status(answer.ok_or_else(|| Failure::new(LOST))?)
}

/// The same for who started the container: what is told of a daemon that went away meanwhile is Docker's, with the way back
/// to the container.
pub(crate) async fn end_own(waiting: Response, program: &str, container: &str) -> Outcome {
    let Some(answer) = answer(waiting).await? else {
        return Err(Failure::with_status(
            125,
            format!(
                "error waiting for container: unexpected EOF\n{}",
                way_back(program, container)
            ),
        ));
    };
    status(answer).map(exit)
}

/// What becomes of a container whose daemon went away, and how to meet it again.
pub(crate) fn way_back(program: &str, container: &str) -> String {
    format!(
        "The connection to the daemon was lost; a container that runs goes on without it. Meet it again with '{program} attach {container}' or '{program} wait {container}'."
    )
}

/// What a wait was answered; nothing if the daemon went away before.
async fn answer(waiting: Response) -> Result<Option<WaitResponse>, Failure> {
    let body = match signals::breakable(async { Ok(waiting.body.collect().await) }).await? {
        Err(error) if error.is_lost() => return Ok(None),
        other => other?,
    };
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| {
        Failure::new(format!(
            "the daemon's answer to a wait cannot be read: {error}"
        ))
    })
}

fn status(answer: WaitResponse) -> Result<i64, Failure> {
    match answer.error {
        Some(error) if !error.message.is_empty() => Err(Failure::with_status(
            125,
            format!("Error waiting for container: {}", error.message),
        )),
        _ => Ok(answer.status_code),
    }
}

/// A container's exit status as the shell takes it.
pub(crate) fn exit(status: i64) -> Exit {
    // exit(2): the low eight bits.
    Exit(u8::try_from(status & 0xff).unwrap_or(u8::MAX))
}
