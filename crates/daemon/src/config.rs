//! What the daemon was told: flags over `daemon.json` over defaults.
//!
//! Two steps, as everywhere here: [`flags`] and [`file`] say what the user wrote, [`Config`] says what we will do.

mod file;
mod flags;
mod gc;
mod host_names;
mod networking;
mod reader;
mod registries;
mod size;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use flags::{Given, Settings};
use reader::Reader;

use crate::http::version::ApiVersion;

const DEFAULT_FILE: &str = "/etc/tare/daemon.json";

/// What can be wrong with flags and file. The texts are dockerd's where dockerd has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("unknown flag: {0}")]
    UnknownFlag(String),
    #[error("unknown shorthand flag: '{0}' in -{1}")]
    UnknownShort(char, String),
    #[error("flag needs an argument: {0}")]
    FlagNeedsValue(String),
    #[error("invalid argument \"{value}\" for \"--{flag}\" flag: {why}")]
    InvalidFlag {
        flag: String,
        value: String,
        why: String,
    },
    #[error("\"tare daemon\" accepts no arguments, got \"{0}\"")]
    Argument(String),
    #[error("{option} is not supported by this daemon: {why}")]
    Unsupported { option: String, why: &'static str },
    #[error("the following directives don't match any configuration option: {0}")]
    UnknownKeys(String),
    #[error(
        "the following directives are specified both as a flag and in the configuration file: {0}"
    )]
    Conflicts(String),
    #[error("invalid JSON: {0}")]
    InvalidJson(#[source] serde_json::Error),
    #[error("invalid JSON: cannot unmarshal {got} into field {key} of type {want}")]
    WrongType {
        key: String,
        got: &'static str,
        want: &'static str,
    },
    #[error("the file is longer than {0} bytes")]
    FileTooLong(u64),
    #[error("{0}")]
    ReadFile(#[source] std::io::Error),
    #[error("open {}: no such file or directory", .0.display())]
    NoSuchFile(PathBuf),
    #[error("unable to configure the daemon with file {}: {problem}", .file.display())]
    InFile {
        file: PathBuf,
        problem: Box<ConfigError>,
    },
    #[error("invalid logging level: {0}")]
    LogLevel(String),
    #[error("invalid log format: {0}")]
    LogFormat(String),
    #[error("bad attribute format: {0}")]
    Label(String),
    #[error("conflict labels for {0}")]
    LabelConflict(String),
    #[error("{0}")]
    Network(String),
    #[error("invalid value for {option}: {value}: {why}")]
    Value {
        option: &'static str,
        value: String,
        why: String,
    },
}

/// A runtime beside our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime {
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
}

/// A limit that new containers get when they name none of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ulimit {
    pub(crate) name: String,
    pub(crate) soft: i64,
    pub(crate) hard: i64,
}

/// How much the daemon says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// Reads one of Docker's names of levels.
    pub(crate) fn parse(text: &str) -> Option<LogLevel> {
        match text {
            "trace" | "debug" => Some(LogLevel::Debug),
            "info" => Some(LogLevel::Info),
            "warn" | "warning" => Some(LogLevel::Warn),
            "error" | "fatal" | "panic" => Some(LogLevel::Error),
            _ => None,
        }
    }
}

/// Everything the daemon was told, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) hosts: Vec<String>,
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) pidfile: PathBuf,
    pub(crate) group: Group,
    pub(crate) cgroup_parent: String,
    pub(crate) default_runtime: String,
    pub(crate) runtimes: BTreeMap<String, Runtime>,
    pub(crate) log_driver: String,
    pub(crate) log_opts: BTreeMap<String, String>,
    pub(crate) labels: Vec<String>,
    pub(crate) dns: Vec<String>,
    pub(crate) dns_options: Vec<String>,
    pub(crate) dns_search: Vec<String>,
    pub(crate) init: bool,
    pub(crate) default_shm_size: i64,
    pub(crate) default_stop_timeout: u32,
    pub(crate) default_ulimits: Vec<Ulimit>,
    pub(crate) default_ipc_mode: String,
    pub(crate) default_cgroupns_mode: Option<String>,
    pub(crate) shutdown_timeout: u32,
    /// `builtin`, `unconfined`, or a path.
    pub(crate) seccomp_profile: String,
    pub(crate) no_new_privileges: bool,
    pub(crate) min_api_version: ApiVersion,
    pub(crate) networking: engine::Networking,
    /// Where the host may ask for names of containers.
    pub(crate) host_names: Option<engine::HostNames>,
    pub(crate) registries: engine::Registries,
    pub(crate) storage_driver: image::DriverKind,
    /// Bytes of files that one layer may hold.
    pub(crate) max_layer_size: Option<u64>,
    /// Nothing unless it is switched on.
    pub(crate) gc: Option<image::GcPolicy>,
    pub(crate) shim: Option<PathBuf>,
    /// An inherited descriptor that is told when the daemon serves.
    pub(crate) ready_fd: Option<u32>,
    pub(crate) debug: bool,
    pub(crate) log_level: LogLevel,
    pub(crate) json_logs: bool,
    pub(crate) plain_logs: bool,
}

/// The group of the unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Group {
    /// Nobody named one: the usual group if it exists, else root alone.
    Usual(&'static str),
    Named(String),
}

/// What `tare daemon` was asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Version,
    Validate(Box<Config>),
    Serve(Box<Config>),
}

/// The command line, kept so that a reload can read the file again under the same flags.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    settings: Settings,
}

impl CommandLine {
    pub(crate) fn parse<I: IntoIterator<Item = String>>(words: I) -> Result<Self, ConfigError> {
        Ok(Self {
            settings: flags::parse(words)?,
        })
    }

    /// What to do, with flags and file put together.
    pub(crate) fn request(&self) -> Result<Request, ConfigError> {
        if self.switch("help") {
            return Ok(Request::Help);
        }
        if self.switch("version") {
            return Ok(Request::Version);
        }
        let config = Box::new(self.config()?);
        Ok(if self.switch("validate") {
            Request::Validate(config)
        } else {
            Request::Serve(config)
        })
    }

    /// Reads the file (again) and puts it under the flags.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let (path, named) = match self.settings.get("config-file") {
            Some(Given::Text(path)) => (PathBuf::from(path), true),
            _ => (PathBuf::from(DEFAULT_FILE), false),
        };
        let in_file = |problem| ConfigError::InFile {
            file: path.clone(),
            problem: Box::new(problem),
        };
        let from_file = match file::read(&path).map_err(in_file)? {
            Some(settings) => settings,
            None if named => return Err(in_file(ConfigError::NoSuchFile(path.clone()))),
            None => Settings::new(),
        };
        let merged = file::merge(self.settings.clone(), from_file).map_err(in_file)?;
        Reader(merged).config()
    }

    fn switch(&self, name: &str) -> bool {
        matches!(self.settings.get(name), Some(Given::Switch(true)))
    }
}

/// The usage text: every option that does something here.
pub(crate) fn usage() -> String {
    let mut text = String::from(
        "Usage:  tare daemon [OPTIONS]\n\nThe daemon of the Tare container engine.\n\nOptions:\n",
    );
    for opt in table::OPTIONS
        .iter()
        .filter(|o| o.support == table::Support::Yes && !o.flag.is_empty())
    {
        let short = opt
            .short
            .map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
        let value = match opt.kind {
            table::Kind::Switch => "",
            table::Kind::Number => " int",
            table::Kind::Text => " string",
            table::Kind::List | table::Kind::Map | table::Kind::Table => " list",
        };
        let flag = format!("{short}--{}{value}", opt.flag);
        text.push_str(&format!("  {flag:<36}{}\n", opt.help));
    }
    text
}
