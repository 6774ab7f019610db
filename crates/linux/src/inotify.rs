//! `inotify(7)`: wake up when a file changes.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify;
use rustix::io::Errno;

use crate::Result;
use crate::error::Context as _;

pub use rustix::fs::inotify::{ReadFlags, WatchFlags};

/// A set of watched paths. Non-blocking; readable when something has happened.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

/// What happened to a watch; `name` is set when a folder is watched.
#[derive(Clone, Debug)]
pub struct Event {
    pub watch: i32,
    pub flags: ReadFlags,
    pub name: Option<std::ffi::CString>,
}

impl Inotify {
    pub fn new() -> Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).context(|| "inotify_init1()")?;
        Ok(Self { fd })
    }

    /// Returns the number that events of this path carry.
    pub fn watch(&self, path: &Path, flags: WatchFlags) -> Result<i32> {
        inotify::add_watch(&self.fd, path, flags)
            .context(|| format!("inotify_add_watch({path:?}, {flags:?})"))
    }

    pub fn unwatch(&self, watch: i32) -> Result<()> {
        inotify::remove_watch(&self.fd, watch).context(|| format!("inotify_rm_watch({watch})"))
    }

    /// All pending events.
    pub fn read(&self) -> Result<Vec<Event>> {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(&self.fd, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    watch: event.wd(),
                    flags: event.events(),
                    name: event.file_name().map(std::ffi::CStr::to_owned),
                }),
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context(|| "read(inotify)"),
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// For event loops that ask for the number, as tokio's `AsyncFd` does.
impl std::os::fd::AsRawFd for Inotify {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}
