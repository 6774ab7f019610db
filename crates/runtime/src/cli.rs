//! runc's command line, so that podman, containerd and others can use this runtime. Unlike the rest of the crate it is
//! a program: it reads its environment and writes to its standard streams.

mod args;
mod create;
mod defaults;
mod exec;
mod foreground;
mod inspect;
mod kill;
mod log;
mod state;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::{Error, Result};
use args::{Args, Flag};
use log::Log;
use state::Store;

/// What every command has.
pub(crate) struct Context {
    store: Store,
    log: Log,
}

type Run = fn(&Context, &Args) -> Result<u8>;

struct Command {
    name: &'static str,
    flags: &'static [Flag],
    usage: &'static str,
    about: &'static str,
    run: Run,
}

const GLOBAL: &[Flag] = &[
    Flag::switch("debug", None),
    Flag::value("log", None),
    Flag::value("log-format", None),
    Flag::value("root", None),
    Flag::value("criu", None),
    Flag::value("rootless", None),
    Flag::switch("systemd-cgroup", None),
    Flag::switch("help", Some('h')),
    Flag::switch("version", Some('v')),
];

const COMMANDS: &[Command] = &[
    Command {
        name: "create",
        flags: create::FLAGS,
        usage: "[options] CONTAINER",
        about: "make a container of a bundle, up to its program",
        run: create::create,
    },
    Command {
        name: "delete",
        flags: kill::DELETE_FLAGS,
        usage: "[--force] CONTAINER",
        about: "remove what is left of a container",
        run: kill::delete,
    },
    Command {
        name: "exec",
        flags: exec::FLAGS,
        usage: "[options] CONTAINER COMMAND [ARGS]",
        about: "run a further process in a container",
        run: exec::exec,
    },
    Command {
        name: "features",
        flags: &[],
        usage: "",
        about: "show what this runtime can do, as JSON",
        run: defaults::features,
    },
    Command {
        name: "kill",
        flags: kill::KILL_FLAGS,
        usage: "[--all] CONTAINER [SIGNAL]",
        about: "send a signal (SIGTERM) to a container's first process",
        run: kill::kill,
    },
    Command {
        name: "list",
        flags: inspect::LIST_FLAGS,
        usage: "[-q] [-f table|json]",
        about: "list the containers below --root",
        run: inspect::list,
    },
    Command {
        name: "pause",
        flags: &[],
        usage: "CONTAINER",
        about: "freeze all processes",
        run: kill::pause,
    },
    Command {
        name: "ps",
        flags: inspect::PS_FLAGS,
        usage: "[-f table|json] CONTAINER [PS OPTIONS]",
        about: "show a container's processes",
        run: inspect::ps,
    },
    Command {
        name: "resume",
        flags: &[],
        usage: "CONTAINER",
        about: "thaw all processes",
        run: kill::resume,
    },
    Command {
        name: "run",
        flags: create::RUN_FLAGS,
        usage: "[options] CONTAINER",
        about: "create and start a container, and wait for it",
        run: create::run,
    },
    Command {
        name: "spec",
        flags: defaults::SPEC_FLAGS,
        usage: "[--bundle DIR]",
        about: "write a config.json to start from",
        run: defaults::spec,
    },
    Command {
        name: "start",
        flags: &[],
        usage: "CONTAINER",
        about: "let a created container go",
        run: create::start,
    },
    Command {
        name: "state",
        flags: &[],
        usage: "CONTAINER",
        about: "show a container's state, as JSON",
        run: inspect::state,
    },
];

/// What runc has and this runtime has not.
const NOT_YET: [&str; 4] = ["checkpoint", "restore", "update", "events"];

/// Runs one command. `args` come without the program's own name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    // Rust ignores it; but whose output nobody reads shall end in silence.
    let _ = linux::signal::set_ignored(linux::signal::Signal::PIPE, false);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut log = Log::default();
    match dispatch(args, &mut log) {
        Ok(code) => ExitCode::from(code),
        Err((error, code)) => {
            log.error(&error.chain());
            ExitCode::from(code)
        }
    }
}

/// `exec` tells its own failure from that of the program by 255.
fn dispatch(args: Vec<String>, log: &mut Log) -> Result<u8, (Error, u8)> {
    let general = |error: Error| (error, 1);
    let (global, rest) = Args::parse_leading(GLOBAL, args).map_err(general)?;
    *log = Log::new(&global).map_err(general)?;
    if global.has("version") {
        println!(
            "tare-runtime version {}\nspec: {}",
            env!("CARGO_PKG_VERSION"),
            oci::runtime::VERSION
        );
        return Ok(0);
    }
    let name = rest.first().map_or("help", String::as_str).to_owned();
    if global.has("help") || name == "help" {
        print!("{}", help());
        return Ok(0);
    }
    if global.has("systemd-cgroup") {
        return Err(general(Error::invalid(
            "--systemd-cgroup is not supported: cgroups are made directly (cgroupfs)",
        )));
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let what = if NOT_YET.contains(&name.as_str()) {
            "is not supported"
        } else {
            "does not exist; see --help"
        };
        return Err(general(Error::invalid(format!(
            "the command {name:?} {what}"
        ))));
    };
    if rest
        .iter()
        .skip(1)
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--help")
        && command.name != "exec"
    {
        println!(
            "tare-runtime {} {}\n\n{}",
            command.name, command.usage, command.about
        );
        return Ok(0);
    }
    let failure = if command.name == "exec" { 255 } else { 1 };
    let args = Args::parse(command.flags, rest.into_iter().skip(1)).map_err(general)?;
    let store = Store::new(global.value("root").unwrap_or("/run/tare-runtime"));
    let context = Context {
        store,
        log: log.clone(),
    };
    (command.run)(&context, &args).map_err(|error| (error, failure))
}

fn help() -> String {
    let mut text =
        "tare-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND\n\n"
            .to_owned();
    for command in COMMANDS {
        text.push_str(&format!(
            "  {:<9} {:<40} {}\n",
            command.name, command.usage, command.about
        ));
    }
    text
}
