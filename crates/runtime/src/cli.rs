//! runc's command line.

use std::process::ExitCode;

/// `args` without the program's own name.
pub fn main(args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    todo!("{:?}", args.collect::<Vec<_>>())
}
