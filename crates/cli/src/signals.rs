//! Signals: those the client gets and passes on to the container.

use api::client::{Client, Request};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// What is passed on, with the names the daemon knows. SIGWINCH is not: it speaks of the client's window, and httpd takes it for
/// an order to stop. Nor are those that stop a program in the background.
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

/// Receives the signals that are passed on, from its making on.
#[derive(Debug)]
pub(crate) struct Proxy {
    signals: Vec<(Signal, &'static str)>,
}

impl Proxy {
    /// Catches the signals. Call it within the runtime.
    pub(crate) fn catch() -> Result<Proxy, Failure> {
        let signals = PROXIED
            .iter()
            .map(|(number, name)| Ok((signal(SignalKind::from_raw(*number))?, *name)))
            .collect::<std::io::Result<_>>()?;
        Ok(Proxy { signals })
    }

    /// Passes signals on to the container, for ever.
    pub(crate) async fn forward(
        mut self,
        client: &Client,
        container: &str,
    ) -> std::convert::Infallible {
        loop {
            let name = self.next().await;
            // A container that has just ended takes no signal any more; its exit says so.
            let _ = client.call(kill_request(container, name)).await;
        }
    }

    async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            let caught = self
                .signals
                .iter_mut()
                .find_map(|(signal, name)| signal.poll_recv(context).is_ready().then_some(*name));
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

/// Tells of every change of the window's size.
pub(crate) fn window_changes() -> Result<Signal, Failure> {
    Ok(signal(SignalKind::window_change())?)
}
