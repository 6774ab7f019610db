//! Signals: those the client gets and passes on to the container.

use api::client::{Client, Request};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// What is passed on, with the names the daemon knows. SIGWINCH is not: it speaks of the client's window, and httpd takes it for
/// an order to stop. Nor are those that stop a program in the background. The real-time signals follow by number.
const PROXIED: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
];

/// The real-time signals; those below are glibc's own.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// So many requests to end are passed on; who asks once more wants the client itself to end.
const PATIENCE: u32 = 2;

/// Receives the signals that are passed on, from its making on.
#[derive(Debug)]
pub(crate) struct Proxy {
    signals: Vec<(Signal, String)>,
}

impl Proxy {
    /// Catches the signals. Call it within the runtime.
    pub(crate) fn catch() -> Result<Proxy, Failure> {
        let mut proxy = Self::catch_named()?;
        proxy.catch_real_time()?;
        Ok(proxy)
    }

    /// Catches those with a name. The others are left for a moment when there is nothing else to do: with every signal tokio copies
    /// all that it has, so catching forty takes longer than everything else that a `run` does.
    pub(crate) fn catch_named() -> Result<Proxy, Failure> {
        let mut proxy = Proxy {
            signals: Vec::with_capacity(PROXIED.len() + REAL_TIME.count()),
        };
        for (number, name) in PROXIED {
            proxy.add(*number, (*name).to_owned())?;
        }
        Ok(proxy)
    }

    /// Catches the real-time signals too.
    pub(crate) fn catch_real_time(&mut self) -> Result<(), Failure> {
        for number in REAL_TIME {
            self.add(number, number.to_string())?;
        }
        Ok(())
    }

    fn add(&mut self, number: i32, name: String) -> Result<(), Failure> {
        let signal = signal(SignalKind::from_raw(number))?;
        self.signals.push((signal, name));
        Ok(())
    }

    /// Passes signals on to the container. Returns when the user has asked for the end three times.
    pub(crate) async fn forward(mut self, client: &Client, container: &str) -> Failure {
        let mut asked = 0;
        loop {
            let name = self.next().await;
            asked += u32::from(matches!(name.as_str(), "INT" | "TERM"));
            if asked > PATIENCE {
                return Failure::new("\ngot 3 SIGTERM/SIGINTs, forcefully exiting");
            }
            // A container that has just ended takes no signal any more; its exit says so.
            let _ = client.call(kill_request(container, &name)).await;
        }
    }

    async fn next(&mut self) -> String {
        std::future::poll_fn(|context| {
            let caught = self.signals.iter_mut().find_map(|(signal, name)| {
                signal.poll_recv(context).is_ready().then(|| name.clone())
            });
            caught.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Sends the container's first process a signal.
pub(crate) fn kill_request(container: &str, signal: &str) -> Request {
    Request::post(format!("/containers/{}/kill", Request::escape(container)))
        .query("signal", signal)
}

/// Waits for a signal that ends the client itself; returns its number. For what holds the terminal in raw mode, which must be
/// restored first.
pub(crate) async fn ending() -> Result<u8, Failure> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = hangup.recv() => Ok(1),
        _ = interrupt.recv() => Ok(2),
        _ = terminate.recv() => Ok(15),
    }
}

/// Waits for the user to break off; returns the signal's number. A hangup is left to the system, because `nohup` has it ignored.
pub(crate) async fn interruption() -> Result<u8, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(2),
        _ = terminate.recv() => Ok(15),
    }
}

/// Does what lasts until the user breaks off. The end is then an ordinary one, with the status that the shell has for the signal:
/// a script that was not itself interrupted goes on.
pub(crate) async fn breakable<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        number = interruption() => Err(Failure::silent(128 + number?)),
        done = work => done,
    }
}

/// Tells of every change of the window's size.
pub(crate) fn window_changes() -> Result<Signal, Failure> {
    Ok(signal(SignalKind::window_change())?)
}
