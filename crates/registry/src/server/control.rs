//! How `tare registry gc` reaches a registry that is being served: the database is open once, so who has it collects.
//!
//! `ROOT/control.sock`, a unix socket that only its owner reaches. The client writes `gc` and a line end; the answer is
//! one line: `ok TEXT` or `failed TEXT`.

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
        "gc" => match registry.collect().await {
            Ok(collected) => format!("ok {collected}\n"),
            Err(error) => format!("failed {error}\n"),
        },
        other => format!("failed unknown command {other:?}\n"),
    };
    stream.get_mut().write_all(text.as_bytes()).await
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

/// Asks it to collect; what it says is how that went.
pub(super) fn ask(mut stream: BlockingStream) -> io::Result<Result<String, String>> {
    stream.write_all(b"gc\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let text = text.trim_end();
    Ok(match text.split_once(' ') {
        Some(("ok", said)) => Ok(said.to_owned()),
        Some(("failed", said)) => Err(said.to_owned()),
        _ => Err(format!("the registry broke off: {text:?}")),
    })
}

impl Registry {
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
