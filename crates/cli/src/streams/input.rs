//! The client's stdin, read without a thread and without making it non-blocking (others may have it open too).

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The client's stdin.
pub(super) enum Stdin {
    /// Something that epoll can watch: a terminal, a pipe, a socket.
    Watched(AsyncFd<BorrowedFd<'static>>),
    /// A file: never blocks for long.
    File,
}

impl Stdin {
    pub(super) fn new() -> Stdin {
        // epoll refuses regular files and /dev/null with EPERM.
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call, for descriptors that may be closed while registered; stdin is not"
        )]
        AsyncFd::with_interest(stdin(), Interest::READABLE).map_or(Stdin::File, Stdin::Watched)
    }

    /// The next bytes; 0 at the end.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stdin::File => {
                // Lets signals and output through between two pieces of a long file.
                tokio::task::yield_now().await;
                read(buffer)
            }
            Stdin::Watched(watched) => loop {
                let mut ready = watched.readable().await?;
                if has_input() {
                    return read(buffer);
                }
                ready.clear_ready();
            },
        }
    }
}

/// A terminal that was hung up reads as its end.
fn read(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(stdin(), &mut *buffer) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::IO) => return Ok(0),
            other => return other.map_err(io::Error::from),
        }
    }
}

fn has_input() -> bool {
    let stdin = stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
}
