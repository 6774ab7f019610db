//! `--log` and `--log-format`: where errors go, in the forms of logrus that conmon and containerd read.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use super::args::Args;
use super::time;
use crate::{Error, Result};

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    path: Option<PathBuf>,
    is_json: bool,
    is_debug: bool,
}

impl Log {
    pub(super) fn new(global: &Args) -> Result<Self> {
        let is_json = match global.value("log-format") {
            None | Some("text") => false,
            Some("json") => true,
            Some(format) => return Err(Error::invalid(format!("invalid log-format: {format}"))),
        };
        let path = global
            .value("log")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        Ok(Self {
            path,
            is_json,
            is_debug: global.has("debug"),
        })
    }

    /// To the log, and for people to standard error.
    pub(super) fn error(&self, message: &str) {
        if self.write("error", message) || self.path.is_none() {
            eprintln!("{message}");
        }
    }

    pub(super) fn warn(&self, message: &str) {
        self.write("warning", message);
    }

    pub(super) fn debug(&self, message: &str) {
        if self.is_debug {
            self.write("debug", message);
        }
    }

    /// False when there is no log, or it cannot be written to: then nothing can be done about that.
    fn write(&self, level: &str, message: &str) -> bool {
        let Some(path) = &self.path else { return false };
        let now = time::now();
        let line = if self.is_json {
            serde_json::json!({"level": level, "msg": message, "time": now}).to_string()
        } else {
            format!("time={now:?} level={level} msg={message:?}")
        };
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}")).is_ok()
    }
}
