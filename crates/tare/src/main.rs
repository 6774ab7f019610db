//! One file, two roles: `tare daemon ...` is the daemon, everything else is the client, also when called as `docker`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
