//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, which read on stdin and answer on stdout
//! (docker/docker-credential-helpers, README, "Development").

use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::failure::errno_text;

/// What every helper says of a registry it knows nothing about.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// One helper.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    program: String,
}

/// What a helper keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Credentials {
    #[serde(rename = "ServerURL")]
    pub(crate) server_url: String,
    pub(crate) username: String,
    pub(crate) secret: String,
}

/// A helper that failed, in the words of Docker's client.
#[derive(Debug, thiserror::Error)]
#[error("error {doing} credentials - err: {reason}, out: `{out}`")]
pub(crate) struct ProgramError {
    doing: &'static str,
    reason: String,
    out: String,
}

impl Program {
    /// The helper of this name: the end of its program's. Nothing with a slash is one, or a file below the current folder
    /// would be run.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let program = format!("docker-credential-{name}");
        (!name.is_empty() && !name.contains('/')).then_some(Self { program })
    }

    /// The credentials of a registry, if it has any.
    pub(crate) fn get(&self, registry: &str) -> Result<Option<Credentials>, ProgramError> {
        let out = match self.call("getting", "get", registry.as_bytes()) {
            Ok(out) => out,
            Err(error) if error.out == NOT_FOUND => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_str(&out)
            .map(Some)
            .map_err(|error| ProgramError {
                doing: "getting",
                reason: error.to_string(),
                // It may hold a secret.
                out: String::new(),
            })
    }

    /// Keeps the credentials of a registry.
    pub(crate) fn store(
        &self,
        registry: &str,
        username: &str,
        secret: &str,
    ) -> Result<(), ProgramError> {
        let credentials = Credentials {
            server_url: registry.to_owned(),
            username: username.to_owned(),
            secret: secret.to_owned(),
        };
        // Three texts can always be written as JSON.
        let text = serde_json::to_vec(&credentials).unwrap_or_default();
        self.call("storing", "store", &text).map(drop)
    }

    /// Forgets those of a registry.
    pub(crate) fn erase(&self, registry: &str) -> Result<(), ProgramError> {
        match self.call("erasing", "erase", registry.as_bytes()) {
            Err(error) if error.out == NOT_FOUND => Ok(()),
            other => other.map(drop),
        }
    }

    /// Runs it; what it says on stderr is the user's to read.
    fn call(
        &self,
        doing: &'static str,
        action: &str,
        input: &[u8],
    ) -> Result<String, ProgramError> {
        let failed = |reason: String, out: String| ProgramError { doing, reason, out };
        let refused = |error: std::io::Error| failed(self.start_failure(&error), String::new());
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(refused)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading tells why by its status.
            let _ = stdin.write_all(input);
        }
        let ended = child.wait_with_output().map_err(refused)?;
        let out = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        match ended.status.code() {
            Some(0) => Ok(out),
            Some(code) => Err(failed(format!("exit status {code}"), out)),
            None => Err(failed(ended.status.to_string(), out)),
        }
    }

    fn start_failure(&self, error: &std::io::Error) -> String {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
            _ => errno_text(error),
        };
        format!("exec: {:?}: {reason}", self.program)
    }
}
