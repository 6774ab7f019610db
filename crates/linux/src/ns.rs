//! Namespaces: making, entering, and entering for a moment.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::UnshareFlags;

use crate::error::{Context as _, check};
use crate::{Errno, Result, file, mount};

/// A set of namespace kinds, as `CLONE_NEW*` flags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);
    pub const IPC: Self = Self(libc::CLONE_NEWIPC as u64);
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS as u64);
    pub const NETWORK: Self = Self(libc::CLONE_NEWNET as u64);
    pub const PID: Self = Self(libc::CLONE_NEWPID as u64);
    pub const TIME: Self = Self(0x80);
    pub const USER: Self = Self(libc::CLONE_NEWUSER as u64);
    pub const UTS: Self = Self(libc::CLONE_NEWUTS as u64);

    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in `self` but not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::ops::BitOr for Kinds {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (Self::CGROUP, "CLONE_NEWCGROUP"),
            (Self::IPC, "CLONE_NEWIPC"),
            (Self::MOUNT, "CLONE_NEWNS"),
            (Self::NETWORK, "CLONE_NEWNET"),
            (Self::PID, "CLONE_NEWPID"),
            (Self::TIME, "CLONE_NEWTIME"),
            (Self::USER, "CLONE_NEWUSER"),
            (Self::UTS, "CLONE_NEWUTS"),
        ];
        let held: Vec<_> = names
            .iter()
            .filter(|(kind, _)| self.contains(*kind))
            .map(|(_, name)| *name)
            .collect();
        f.write_str(if held.is_empty() { "0" } else { "" })?;
        f.write_str(&held.join("|"))
    }
}

/// Puts the calling thread into new namespaces. New pid and time namespaces are only its later children's.
pub fn unshare(kinds: Kinds) -> Result<()> {
    // SAFETY: CLONE_NEW* flags share nothing that safe code relies on; CLONE_FILES and CLONE_VM cannot be in `Kinds`.
    check(unsafe { libc::unshare(kinds.0 as i32) })
        .map(drop)
        .context(|| format!("unshare({kinds:?})"))
}

/// Puts the calling thread into namespaces: all of `kinds` of a process, given its pidfd (Linux 5.8), or the one
/// that a namespace file is, which must be of that kind. A pid namespace is only its later children's.
pub fn enter(target: impl AsFd, kinds: Kinds) -> Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: setns has no memory arguments.
    check(unsafe { libc::setns(target.as_fd().as_raw_fd(), kinds.0 as i32) })
        .map(drop)
        .context(|| format!("setns({kinds:?})"))
}

fn detach_filesystem_state() -> Result<()> {
    // SAFETY: CLONE_FS only gives this thread its own root, current folder and umask.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }.context(|| "unshare(CLONE_FS)")
}

/// Runs `work` in a namespace of another process, on a throw-away thread: `in_namespace(fd, Kinds::MOUNT, ...)`.
/// `target` as in [`enter`].
pub fn in_namespace<T: Send, E: From<crate::Error> + Send>(
    target: impl AsFd,
    kinds: Kinds,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let target = target.as_fd();
    on_thread(move || {
        enter(target, kinds)?;
        work()
    })
}

/// Runs `work` in a mount namespace of its own, in which nothing it mounts is seen outside, and which is gone when it
/// returns (unless `work` gives out a descriptor into it).
pub fn in_private_mounts<T: Send, E: From<crate::Error> + Send>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    on_thread(move || {
        unshare(Kinds::MOUNT)?;
        mount::change_propagation(
            Path::new("/"),
            mount::Propagation::Private,
            mount::Depth::Recursive,
        )?;
        work()
    })
}

/// Runs `work` on a throw-away thread, so that the namespaces, root, current folder and credentials it changes end
/// with it. The thread shares none of its filesystem state with the others.
pub fn on_thread<T: Send, E: From<crate::Error> + Send>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let run = || {
        detach_filesystem_state()?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, run)
            .context(|| "clone3(thread)")?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A new network namespace with its loopback interface up, held by nothing but the descriptor.
pub fn new_network() -> Result<std::os::fd::OwnedFd> {
    on_thread(|| {
        unshare(Kinds::NETWORK)?;
        bring_loopback_up()?;
        let path = "/proc/thread-self/ns/net";
        let file = std::fs::File::open(path).context(|| format!("open({path:?})"))?;
        Ok(file.into())
    })
}

/// Whether two namespace files are the same namespace.
pub fn is_same(one: impl AsFd, other: impl AsFd) -> Result<bool> {
    let (one, other) = (file::stat(one)?, file::stat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Brings the loopback interface of the calling thread's network namespace up.
pub fn bring_loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    );
    match socket {
        Ok(socket) => set_interface_up(&socket, b"lo"),
        Err(Errno::AFNOSUPPORT) => Ok(()),
        Err(errno) => Err(errno).context(|| "socket(AF_INET, SOCK_DGRAM)"),
    }
}

fn set_interface_up(socket: impl AsFd, name: &[u8]) -> Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: a zeroed ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads the ifreq, which is initialised and outlives the call.
    check(unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            libc::SIOCSIFFLAGS,
            &raw const request,
        )
    })
    .map(drop)
    .context(|| format!("ioctl(SIOCSIFFLAGS, {:?})", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named() {
        assert_eq!(
            format!("{:?}", Kinds::MOUNT | Kinds::PID),
            "CLONE_NEWNS|CLONE_NEWPID"
        );
        assert_eq!(format!("{:?}", Kinds::empty()), "0");
    }

    #[test]
    fn private_mounts_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        in_private_mounts(|| -> Result<()> {
            let tmpfs = mount::FsContext::new("tmpfs")?
                .create()?
                .mount(mount::Attributes::empty())?;
            mount::attach(tmpfs, file::open_path(dir.path())?)?;
            std::fs::write(dir.path().join("x"), b"x").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(!dir.path().join("x").exists());
        assert_eq!(
            std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
            before
        );
    }
}
