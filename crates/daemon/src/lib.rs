//! The daemon: Docker's Engine API over HTTP, in front of the engine.
//!
//! [`main`] reads flags and `daemon.json`, opens the engine, listens, and answers until it is told to stop. Nothing a
//! container needs to live is here: when this process ends, in whatever way, containers run on.
//!
//! The way of a request: `http::serve` takes it from the connection, `http::router` finds its line in the table of
//! `routes`, a function there turns wire types into a call of the engine with the help of `convert`, and its error
//! becomes a status in `http::failure`, the only place that knows status codes of errors.
//!
//! [`registry_main`] is another role of the same file: `tare registry`, a registry of images.
//!
//! Who knows HTTP: this crate and nothing below it. Who knows what a container is: not this crate.
#![forbid(unsafe_code)]

mod app;
mod config;
mod convert;
mod gc;
mod host;
mod http;
mod listen;
mod logging;
mod pidfile;
mod ready;
mod registry_role;
mod routes;
mod run;
mod say;

use std::ffi::OsString;
use std::process::ExitCode;

use config::{CommandLine, Request};
pub use registry_role::registry_main;
use say::{Ended, say};

/// Runs `tare daemon` with the words after it; returns when the daemon has ended.
pub fn main<I: IntoIterator<Item = OsString>>(args: I) -> ExitCode {
    say::status(obey(args))
}

fn obey<I: IntoIterator<Item = OsString>>(args: I) -> Result<(), Ended> {
    let words = args
        .into_iter()
        .map(OsString::into_string)
        .collect::<Result<Vec<_>, _>>();
    let words = words.map_err(|word| format!("not UTF-8: {}", word.display()))?;
    let command_line =
        CommandLine::parse(words).map_err(|e| format!("{e}\nSee 'tare daemon --help'."))?;
    match command_line.request().map_err(|e| e.to_string())? {
        Request::Help => say(&config::usage()),
        Request::Version => say(&format!("Tare version {}\n", env!("CARGO_PKG_VERSION"))),
        Request::Validate(config) => {
            run::check(&config)?;
            say("configuration OK\n")
        }
        Request::Serve(config) => {
            let failed = |e| format!("failed to start daemon: {e}");
            Ok(run::daemon(&command_line, *config).map_err(failed)?)
        }
    }
}
