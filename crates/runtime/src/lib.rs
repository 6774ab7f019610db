//! The OCI runtime, as a library.
//!
//! [`create`] makes a container of a [`Spec`](oci::runtime::Spec) with one `clone3`, up to the point of executing its
//! program; [`Created::start`] lets it. [`Container`] is what can then be done with it. Called from one thread only:
//! the child is a copy of the caller, not a new program.
//!
//! Nothing is mounted in the caller's mount namespace. Nothing here reads the environment, the current folder or
//! `/etc`; [`cli`] is the exception, being a program's main function.
#![forbid(unsafe_code)]

mod cgroup;
mod channel;
pub mod cli;
mod container;
mod error;
mod exec;
mod hooks;
mod init;
mod launch;
mod mounts;
mod namespaces;
mod plan;
mod process;
mod program;
mod rootfs;
mod scheduling;
mod seccomp;
mod sysctl;

pub use cgroup::OomWatch;
pub use container::{Container, Exec};
pub use error::{Error, Kind, Result};
pub use launch::{Created, Launch, Overlay, ProcessIo, Rootfs, create};
