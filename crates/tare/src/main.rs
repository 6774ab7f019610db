//! One file, three roles: `tare daemon ...` is the daemon, `tare registry ...` a registry, everything else is the
//! client, also when called as `docker`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next();
    match first.as_ref().and_then(|word| word.to_str()) {
        Some("daemon") => daemon::main(words),
        Some("registry") => daemon::registry_main(words),
        _ => cli::main(std::env::args_os()),
    }
}
