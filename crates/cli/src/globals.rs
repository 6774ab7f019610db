//! The flags before the command's name.

use crate::command::{Flag, Takes};
use crate::failure::Failure;
use crate::flags::Matches;

/// Global flags.
pub static FLAGS: &[Flag] = &[
    Flag::text("config", None, "Folder of the client's configuration"),
    Flag::text(
        "context",
        Some('c'),
        "Context that names the daemon to talk to (before DOCKER_HOST and the default context)",
    ),
    Flag::bool("debug", Some('D'), "Tell more about what goes wrong"),
    Flag::list("host", Some('H'), "Socket of the daemon to talk to"),
    Flag::text(
        "log-level",
        Some('l'),
        "How much to tell: debug, info, warn, error, fatal",
    ),
    Flag::not_built("tls", None, Takes::Nothing),
    Flag::not_built("tlscacert", None, Takes::Value),
    Flag::not_built("tlscert", None, Takes::Value),
    Flag::not_built("tlskey", None, Takes::Value),
    Flag::not_built("tlsverify", None, Takes::Nothing),
    Flag::bool("version", Some('v'), "Print the version and end"),
];

/// The same, as the parser takes them.
pub(crate) fn flags() -> Vec<&'static Flag> {
    FLAGS.iter().collect()
}

/// What the user said before the command's name.
#[derive(Debug, Default)]
pub struct Globals {
    /// `--config`.
    pub config: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// `--host`.
    pub host: Option<String>,
    /// `--debug`.
    pub debug: bool,
}

impl Globals {
    pub(crate) fn from_matches(matches: &Matches) -> Result<Globals, Failure> {
        log_level(matches.text("log-level").unwrap_or("info"))?;
        let hosts = matches.texts("host");
        if hosts.len() > 1 {
            return Err(Failure::new("Specify only one -H"));
        }
        if !hosts.is_empty() && matches.given("context") {
            return Err(Failure::new(
                "conflicting options: cannot specify both --host and --context",
            ));
        }
        Ok(Globals {
            config: matches.text("config").map(str::to_owned),
            context: matches.text("context").map(str::to_owned),
            host: hosts.into_iter().next(),
            debug: matches.flag("debug"),
        })
    }
}

fn log_level(level: &str) -> Result<(), Failure> {
    match level {
        "debug" | "info" | "warn" | "error" | "fatal" | "panic" | "trace" | "warning" => Ok(()),
        _ => Err(Failure::new(format!(
            "Unable to parse logging level: {level}"
        ))),
    }
}
