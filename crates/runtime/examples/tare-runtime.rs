//! The runtime's command line on its own, for this crate's tests and for trying it under other engines; what is
//! shipped is `tare-shim`, called as `tare-runtime`.

fn main() -> std::process::ExitCode {
    runtime::cli::main(std::env::args_os().skip(1))
}
