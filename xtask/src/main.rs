//! The workspace's own tool: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod budgets;
mod command;
mod metadata;
mod setup;
mod suite;
mod tidy;
mod vm;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  tidy                 hold the sources against the design: layers, unsafe, sizes, docs
  test [FILTER...]     install what the tests need, build, run them; FILTERs are nextest's name filters
  test --oracle HOST   run the end-to-end tests against the real Docker at HOST, to prove the tests right
  setup                only install what the tests need
  dist                 build both files as they are shipped, into target/shipped
  budgets              build tare-shim as it is shipped and hold its size and what it links against the budget
  vm                   run tests/vm.sh in a virtual machine that has only cgroup v2
  bench [ARGS...]      build as shipped, then measure side by side with what is installed (bench/README.md)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let result = match args.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("test") => suite::run(rest),
        Some("setup") => setup::all().map(drop),
        Some("dist") => command::ship().map(drop),
        Some("budgets") => budgets::run(),
        Some("vm") => vm::run_script(),
        Some("bench") => command::bench(rest),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
