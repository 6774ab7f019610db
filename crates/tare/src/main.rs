//! One file, two roles: `tare daemon ...` is the daemon, everything else is the client, also when called as `docker`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == "daemon") {
        return daemon::main(words);
    }
    cli::main(std::env::args_os())
}
