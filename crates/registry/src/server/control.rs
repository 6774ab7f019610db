//! How `tare registry gc` and `check` reach a registry that is being served: the database is open once, so who has it does the work.
//!
//! `ROOT/control.sock`, a unix socket that only its owner reaches. The client writes a command and a line end; the answer is
//! `ok TEXT`, `bad TEXT` (it went well, and what it found is not) or `failed TEXT`, up to the end of the stream.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::Registry;
use super::failure::chain;
use super::store::{Checked, Repair};

const NAME: &str = "control.sock";
const GREETING: Duration = Duration::from_secs(5);

/// Listens beside the store. What a dead registry left there is replaced: the store's lock is ours already.
pub(super) fn listen(root: &Path) -> io::Result<UnixListener> {
    let path = root.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers for as long as it is not dropped.
pub(super) async fn serve(registry: Arc<Registry>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    if let Err(error) = answer(&registry, stream).await {
                        tracing::debug!("control socket: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("control socket: {error}");
                return;
            }
        }
    }
}

async fn answer(registry: &Arc<Registry>, stream: UnixStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let reading = tokio::time::timeout(GREETING, stream.read_line(&mut line));
    reading.await.map_err(|_| io::ErrorKind::TimedOut)??;
    let text = match line.trim() {
        "gc" => match registry.collect_and_count().await {
            Ok(collected) => format!("ok {collected}\n"),
            Err(error) => format!("failed {error}\n"),
        },
        "check" => checked(registry.check(Repair::No).await),
        "check repair" => checked(registry.check(Repair::Drop).await),
        other => format!("failed unknown command {other:?}\n"),
    };
    stream.get_mut().write_all(text.as_bytes()).await
}

fn checked(done: Result<Checked, String>) -> String {
    match done {
        Ok(checked) if checked.is_fine() => format!("ok {checked}\n"),
        Ok(checked) => format!("bad {checked}\n"),
        Err(error) => format!("failed {error}\n"),
    }
}

/// What came of a command.
pub(super) struct Told {
    pub(super) text: String,
    pub(super) is_fine: bool,
}

/// Reaches the registry that serves `root`; `None` when none does.
pub(super) fn connect(root: &Path) -> io::Result<Option<BlockingStream>> {
    match BlockingStream::connect(root.join(NAME)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks it to do something; what it says is how that went.
pub(super) fn ask(mut stream: BlockingStream, command: &str) -> io::Result<Result<Told, String>> {
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let text = text.trim_end();
    Ok(match text.split_once(' ') {
        Some((how @ ("ok" | "bad"), said)) => Ok(Told {
            text: said.to_owned(),
            is_fine: how == "ok",
        }),
        Some(("failed", said)) => Err(said.to_owned()),
        _ => Err(format!("the registry broke off: {text:?}")),
    })
}

impl Registry {
    /// Reads everything now; one check at a time.
    async fn check(self: &Arc<Registry>, repair: Repair) -> Result<Checked, String> {
        let _turn = self.checking.lock().await;
        let registry = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let ending = registry.ending.clone();
            registry.store.check(repair, &|| !*ending.borrow())
        });
        work.await
            .map_err(|e| e.to_string())?
            .map_err(|e| chain(&e))
    }

    /// Collects for somebody who asked for it, and wants to know what stayed.
    async fn collect_and_count(self: &Arc<Registry>) -> Result<super::Collected, String> {
        let mut collected = self.collect().await?;
        let registry = Arc::clone(self);
        let work =
            tokio::task::spawn_blocking(move || registry.store.left_untagged(&registry.rules));
        let left = work.await.map_err(|e| e.to_string())?;
        collected.untagged = left.map_err(|e| chain(&e))?;
        Ok(collected)
    }

    /// Collects now; one collection at a time.
    pub(super) async fn collect(self: &Arc<Registry>) -> Result<super::Collected, String> {
        let _turn = self.collecting.lock().await;
        let registry = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let ending = registry.ending.clone();
            let go_on = || !*ending.borrow();
            registry
                .store
                .collect(&registry.rules, registry.grace, &go_on)
        });
        let collected = work
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| chain(&e))?;
        self.metrics.collected(&collected);
        Ok(collected)
    }
}
