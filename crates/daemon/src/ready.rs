//! `--ready-fd`: whoever started the daemon waits on a pipe, which ends when the daemon does, and is told when it serves.

use std::fs::OpenOptions;
use std::io::{self, Write};

/// Leads a session of its own, so that the end of the terminal it was started from means nothing to it.
pub(crate) fn leave_session() {
    // EPERM: it leads its process group already, which whoever started it has seen to.
    let _ = rustix::process::setsid();
}

/// Writes a line to the inherited descriptor, and makes stdin, if it was that, /dev/null.
pub(crate) fn announce(fd: u32) -> io::Result<()> {
    // Through /proc, because taking a descriptor by its number cannot be made safe.
    let path = format!("/proc/self/fd/{fd}");
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(b"ready\n")?;
    if fd == 0 {
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(null)?;
    }
    Ok(())
}
