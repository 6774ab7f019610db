//! The end-to-end harness: a daemon of its own per test, the real docker client and ours, raw HTTP, image fixtures,
//! and a guard that proves that nothing is left behind.
//!
//! With `TARE_E2E_ORACLE=unix:///path` set, the daemon is the real Docker listening there: a test that fails against
//! the real one is a wrong test. What looks into the data root, or kills the daemon, is skipped then.
#![forbid(unsafe_code)]

mod cli;
mod daemon;
mod fixture;
mod http;
mod leftovers;
mod network;
mod own_registry;
mod registry;
mod terminal;
mod wait;

pub use cli::{Cli, Client, Command, Run, Running};
pub use daemon::{Daemon, Options, binary};
pub use fixture::{
    Archive, Compression, Entry, IMAGE, Image, Layer, busybox, busybox_layer, digest,
};
pub use http::{Connection, Response, demux};
pub use leftovers::Leftovers;
pub use network::{Outside, OwnNetwork, TableWatch};
pub use own_registry::OwnRegistry;
pub use registry::Registry;
pub use terminal::Terminal;
pub use wait::{now, process_end, until_change};

use std::io::Write as _;

/// Keeps the calling thread, and those it starts, on one core of the machine.
pub fn stay_on_core(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).expect("stay on a core");
}

/// The address of the real Docker, when the tests are to run against that one.
pub fn oracle() -> Option<String> {
    std::env::var("TARE_E2E_ORACLE")
        .ok()
        .filter(|host| !host.is_empty())
}

/// Says that this test could not run and why; `cargo xtask test` counts these, and CI fails on them.
pub fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    eprintln!("skipped {name}: {why}");
    let Some(path) = std::env::var_os("TARE_TEST_SKIPS") else {
        return;
    };
    let line = format!("{name}: {why}\n");
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("note the skipped test");
}

/// What this machine lacks for end-to-end tests, if anything.
pub fn lacking() -> Option<String> {
    if oracle().is_none() && !rustix::process::geteuid().is_root() {
        return Some("needs root: it makes namespaces, mounts and cgroups".into());
    }
    None
}

/// Defines a test twice: with the real docker client and with ours. `$d` is the test's own daemon, `$cli` the client.
#[macro_export]
macro_rules! both {
    ($(#[$meta:meta])* $name:ident, |$d:ident, $cli:ident| $body:block) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            fn check($d: &$crate::Daemon, $cli: &$crate::Cli) $body

            #[test]
            fn docker() {
                $crate::Daemon::with($crate::Options::default(), |d| check(d, &d.cli($crate::Client::Docker)));
            }

            #[test]
            fn tare() {
                $crate::Daemon::with($crate::Options::default(), |d| check(d, &d.cli($crate::Client::Tare)));
            }
        }
    };
}

/// Defines a test against a daemon of its own, with whatever clients it likes.
#[macro_export]
macro_rules! daemon_test {
    ($(#[$meta:meta])* $name:ident, |$d:ident| $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            fn check($d: &$crate::Daemon) $body
            $crate::Daemon::with($crate::Options::default(), check);
        }
    };
}

/// Defines a test that makes no sense against the real Docker: it looks at the disk or kills processes of ours.
#[macro_export]
macro_rules! own_test {
    ($(#[$meta:meta])* $name:ident, |$d:ident| $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            fn check($d: &$crate::Daemon) $body
            if $crate::oracle().is_none() {
                $crate::Daemon::with($crate::Options::default(), check);
            }
        }
    };
}
