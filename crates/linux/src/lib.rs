//! The kernel, as the rest of Tare calls it; the only crate with `unsafe`.
//!
//! One wrapper a system call. File descriptors come in as [`AsFd`](std::os::fd::AsFd) and go out as
//! [`OwnedFd`](std::os::fd::OwnedFd), always close-on-exec. An [`Error`] reads like a line of strace: the call, what
//! it was called with, the errno. Nothing here reads the environment, the current folder or `/etc`.

pub mod bpf;
pub mod caps;
pub mod clone;
pub mod datagram;
pub mod durable;
pub mod epoll;
mod error;
pub mod eventfd;
pub mod exe;
pub mod fd;
pub mod file;
pub mod inotify;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod ns;
pub mod pidfd;
pub mod process;
pub mod rlimit;
pub mod rootfs;
pub mod seccomp;
pub mod signal;
pub mod signalfd;
pub mod socket;
pub mod spawn;
pub mod timerfd;
pub mod tty;
pub mod xattr;

pub use error::{Errno, Error, Result, errno_text};
