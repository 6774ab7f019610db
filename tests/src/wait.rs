//! Waiting for events of the kernel in place of sleeping.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Longer than anything a test waits for: reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time as `--since` and `--until` take it to the nanosecond. (A duration is rounded down to whole seconds by docker.)
pub fn now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// Waits until the process has ended (by its pidfd); false when it has not within `limit`.
pub fn process_end(pid: u32, limit: Duration) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return true;
    };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&timespec(limit))).is_ok_and(|ready| ready > 0)
}

/// Waits until `met` gives something, looking again whenever something changes in `folder`.
///
/// A file that is bound but not yet listened on changes nothing more in its folder, so it also looks on its own
/// every 20 ms.
pub fn until_change<T>(folder: &Path, mut met: impl FnMut() -> Option<T>) -> T {
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)
        .expect("inotify");
    let changes = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE;
    inotify::add_watch(watch.as_fd(), folder, changes).expect("watch the folder");
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    loop {
        if let Some(found) = met() {
            return found;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "nothing came to pass in {}",
            folder.display()
        );
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        poll(&mut fds, Some(&timespec(Duration::from_millis(20)))).expect("poll");
        while rustix::io::read(&watch, &mut buffer).is_ok() {}
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
