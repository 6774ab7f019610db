//! The client: Docker's command line.
//!
//! A start reads the words, finds the one row of the [table](commands::COMMANDS) that was called, and runs it; nothing else is
//! built, and no file is read that the command does not need. Flags are read as Docker's client reads them
//! ([`flags`]); errors have its words and its exit statuses, because scripts know them.

#![forbid(unsafe_code)]

mod autostart;
pub mod command;
pub mod commands;
mod completion;
mod config_file;
mod confirm;
pub mod context;
mod contexts;
mod copy;
mod create;
mod credentials;
pub mod failure;
mod filter;
pub mod flags;
mod format;
pub mod globals;
mod help;
pub mod host;
mod info_text;
mod inspection;
mod launch;
mod manifests;
mod note;
mod options;
mod output_file;
mod print;
mod progress;
mod reclaim;
mod session;
mod sheets;
mod signals;
mod streams;
mod terminal;
mod transfer;
mod travel;
mod trust;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the client. `words` are the program's arguments, its own name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(launch::launch(words))
}
