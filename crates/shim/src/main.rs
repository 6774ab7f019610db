//! `tare-shim`: one file, five roles, chosen by the name it is called by.
//!
//! - `tare-shim`: the process beside every container (see [`supervise`]).
//! - `tare-keeper`: the process beside an engine that has names to answer or ports to hold (see [`keeper`]).
//! - `tare-runtime`: an OCI runtime with runc's command line.
//! - `docker-init`: the first process of a container run with `--init` (see [`init`]).
//! - `hello`: the first container of a fresh machine.
#![forbid(unsafe_code)]

mod hello;
mod init;
mod keeper;
mod supervise;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some("hello") => hello::main(),
        Some("docker-init" | "tare-init") => init::main(args),
        Some(shim::keeping::PROGRAM) => keeper::main(&args),
        Some("tare-runtime") => runtime::cli::main(args.into_iter()),
        _ => supervise::main(&args),
    }
}
