//! Starts the daemon when none answers at its default socket.
//!
//! The daemon is given the write end of a pipe (`tare daemon --ready-fd 0`) and writes a word into it once it serves, so waiting for
//! it is one read, which also ends when the daemon does. With that flag it leads a session of its own. Two clients that come at once both start one; the lock makes the second wait for the first and find
//! the socket answering.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, errno_text};
use crate::host::DEFAULT_SOCKET;

/// Where a daemon started from here writes what it has to say.
const LOG: &str = "/var/log/tare.log";
/// Held while one client starts a daemon.
const LOCK: &str = "/run/tare/autostart.lock";

/// Only root can run the daemon, and `TARE_AUTOSTART=0` keeps the client from it.
pub(crate) fn is_wanted() -> bool {
    let refused = std::env::var("TARE_AUTOSTART")
        .is_ok_and(|value| matches!(value.as_str(), "0" | "false" | "no"));
    !refused && rustix::process::geteuid().is_root()
}

/// Starts the daemon and returns when it serves.
pub(crate) fn start() -> Result<(), Failure> {
    let _lock = lock()?;
    if UnixStream::connect(DEFAULT_SOCKET).is_ok() {
        // Another client was first.
        return Ok(());
    }
    let program = std::env::current_exe()
        .map_err(|error| failed(&format!("the program's own path: {}", errno_text(&error))))?;
    let _ = writeln!(
        std::io::stderr(),
        "tare: no daemon answers at {DEFAULT_SOCKET}; starting one (log: {LOG})"
    );
    spawn(&program)
}

fn lock() -> Result<File, Failure> {
    let folder = Path::new(LOCK).parent().unwrap_or(Path::new("/"));
    let describe = |error: std::io::Error| failed(&format!("{LOCK}: {}", errno_text(&error)));
    std::fs::create_dir_all(folder).map_err(describe)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(LOCK)
        .map_err(describe)?;
    file.lock().map_err(describe)?;
    Ok(file)
}

fn spawn(program: &PathBuf) -> Result<(), Failure> {
    let describe = |error: std::io::Error| failed(&format!("{LOG}: {}", errno_text(&error)));
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(LOG)
        .map_err(describe)?;
    let said = log.metadata().map_err(describe)?.len();
    let errors = log.try_clone().map_err(describe)?;
    // Stdin is the one inherited descriptor that std lets us choose without unsafe code: the daemon gets the pipe there.
    let (mut ready, notify) = std::io::pipe()?;
    let mut child = Command::new(program)
        .args(["daemon", "--ready-fd", "0"])
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(notify)))
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(|error| failed(&format!("{}: {}", program.display(), errno_text(&error))))?;
    if ready.read(&mut [0])? == 0 {
        let status = child.wait()?;
        return Err(failed(&format!(
            "it ended with {status}{}",
            last_words(said)
        )));
    }
    Ok(())
}

/// What the daemon wrote since `from`, to tell why it ended.
fn last_words(from: u64) -> String {
    let log = std::fs::read(LOG).unwrap_or_default();
    let new = log
        .get(usize::try_from(from).unwrap_or(usize::MAX)..)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&new[new.len().saturating_sub(2000)..])
        .trim()
        .to_owned();
    if text.is_empty() {
        String::new()
    } else {
        format!(":\n{text}")
    }
}

fn failed(reason: &str) -> Failure {
    Failure::new(format!(
        "the daemon could not be started: {reason}\nSee {LOG}, or start it by hand: tare daemon"
    ))
}
