use std::time::Duration;

use serde::Deserialize;

/// The outcome of a call to a registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The repository, tag or blob does not exist, or is hidden from us.
    NotFound,
    /// Who asks is not known: no credentials, or wrong ones.
    Unauthorized,
    /// Who asks may not.
    Denied,
    /// Asked too often (429), and still after waiting.
    RateLimited,
    /// No connection, or it broke and broke again.
    Unreachable,
    /// What came is not what was promised: another digest or size, no end, nonsense.
    Lied,
    /// Something that this client refuses by name, schema 1 manifests for one.
    Unsupported,
    /// The registry failed (5xx), or refused in a way of its own.
    Registry,
    /// Our own settings or files, or the content that was to be uploaded.
    Local,
}

/// A failed exchange: with whom, in which step, and what was wrong.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: Kind,
    host: Box<str>,
    step: Box<str>,
    problem: String,
    status: Option<u16>,
    answers: Vec<Answer>,
    /// What few errors have.
    more: Option<Box<More>>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Debug, Default)]
struct More {
    /// How long the server asks to be left alone.
    wait: Option<Duration>,
    /// What is told in place of host and step.
    beginning: Option<String>,
    /// Nobody was reached at all.
    never_reached: bool,
    /// Mirrors that were asked before, and what was wrong there.
    mirrors: Vec<String>,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = self.more.as_deref();
        match more.and_then(|more| more.beginning.as_deref()) {
            Some(beginning) => write!(f, "{beginning}{}", self.problem)?,
            None => write!(f, "{}{}", place(&self.host, &self.step), self.problem)?,
        }
        match more.map_or(&[][..], |more| &more.mirrors) {
            [] => Ok(()),
            mirrors => write!(f, " (mirrors asked before: {})", mirrors.join("; ")),
        }
    }
}

/// What comes before the problem: as much of host and step as is known.
fn place(host: &str, step: &str) -> String {
    let known = [host, step].into_iter().filter(|part| !part.is_empty());
    known.map(|part| format!("{part}: ")).collect()
}

/// One entry of the document that registries answer failed requests with (distribution-spec 1.1, "Error codes").
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub detail: serde_json::Value,
}

impl std::fmt::Display for Answer {
    /// As Docker writes it: `manifest unknown: manifest unknown`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.to_lowercase().replace('_', " ");
        write!(f, "{code}: {}", self.message)
    }
}

impl Error {
    pub(super) fn new(kind: Kind, problem: impl Into<String>) -> Self {
        Error {
            kind,
            host: Box::default(),
            step: Box::default(),
            problem: problem.into(),
            status: None,
            answers: Vec::new(),
            more: None,
            source: None,
        }
    }

    pub(super) fn lied(problem: impl Into<String>) -> Self {
        Error::new(Kind::Lied, problem)
    }

    pub(super) fn local(problem: impl Into<String>) -> Self {
        Error::new(Kind::Local, problem)
    }

    pub(super) fn unreachable(problem: impl Into<String>) -> Self {
        Error::new(Kind::Unreachable, problem)
    }

    #[must_use]
    pub(super) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether a connection broke that stood; not one that was given up because nothing came.
    pub(super) fn is_break(&self) -> bool {
        let source = self.source.as_deref();
        let sent = source.and_then(|source| source.downcast_ref::<reqwest::Error>());
        sent.is_some_and(|sent| !sent.is_connect())
    }

    /// Whether no connection came to stand.
    pub(super) fn is_connect(&self) -> bool {
        let source = self.source.as_deref();
        let sent = source.and_then(|source| source.downcast_ref::<reqwest::Error>());
        sent.is_some_and(reqwest::Error::is_connect)
    }

    /// The same error, told with these words before the problem, as Docker tells it.
    #[must_use]
    pub(super) fn beginning(mut self, words: impl Into<String>) -> Self {
        self.more.get_or_insert_default().beginning = Some(words.into());
        self
    }

    /// Nobody is there: whatever was wanted, it failed where it began, at `GET /v2/`.
    #[must_use]
    pub(super) fn never_reached(mut self, words: String) -> Self {
        self.more.get_or_insert_default().never_reached = true;
        self.step = "/v2/".into();
        self.beginning(words)
    }

    /// The same error with what mirrors said before.
    #[must_use]
    pub(super) fn after_mirrors(mut self, mirrors: Vec<String>) -> Self {
        if !mirrors.is_empty() {
            self.more.get_or_insert_default().mirrors = mirrors;
        }
        self
    }

    /// The same error with its reason in the text.
    #[must_use]
    pub(super) fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.problem = format!("{}: {reason}", self.problem);
        self
    }

    /// The same refusal, told as a denial, as Docker tells it.
    #[must_use]
    pub(super) fn denied(mut self) -> Self {
        let answer = Answer {
            code: "DENIED".to_owned(),
            message: "requested access to the resource is denied".to_owned(),
            ..Answer::default()
        };
        self.kind = Kind::Denied;
        self.problem = answer.to_string();
        self.answers.insert(0, answer);
        self
    }

    #[must_use]
    pub(super) fn after(mut self, wait: Option<Duration>) -> Self {
        if wait.is_some() {
            self.more.get_or_insert_default().wait = wait;
        }
        self
    }

    pub(super) fn wait(&self) -> Option<Duration> {
        self.more.as_ref()?.wait
    }

    #[must_use]
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same error with where it happened, where that is not said yet.
    #[must_use]
    pub(super) fn at(mut self, host: &str, step: &str) -> Self {
        if self.host.is_empty() {
            self.host = host.into();
        }
        if self.step.is_empty() {
            self.step = step.into();
        }
        self
    }

    /// What an answer with a bad status means.
    pub(super) fn answered(status: u16, body: &[u8]) -> Self {
        let answers = answers(body);
        let kind = kind_of(status, &answers);
        let said: Vec<String> = answers.iter().map(Answer::to_string).collect();
        let problem = if said.is_empty() {
            format!("unexpected status: {}", status_text(status))
        } else {
            said.join("; ")
        };
        Error {
            status: Some(status),
            answers,
            ..Error::new(kind, problem)
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The host that was spoken to, with its port where it is not the usual one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What was being done: `manifest of library/busybox:latest`.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// What was wrong, without host and step.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Whether there was nobody to speak to: no such host, no connection, no certificate to believe.
    pub fn is_never_reached(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.never_reached)
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// What the registry itself said.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }
}

fn kind_of(status: u16, answers: &[Answer]) -> Kind {
    let says = |code: &str| answers.iter().any(|answer| answer.code == code);
    match status {
        401 => Kind::Unauthorized,
        403 => Kind::Denied,
        404 => Kind::NotFound,
        429 => Kind::RateLimited,
        _ if says("TOOMANYREQUESTS") => Kind::RateLimited,
        _ if says("DENIED") => Kind::Denied,
        _ if says("UNAUTHORIZED") => Kind::Unauthorized,
        _ => Kind::Registry,
    }
}

/// Status and reason: `503 Service Unavailable`.
pub(super) fn status_text(status: u16) -> String {
    match reqwest::StatusCode::from_u16(status) {
        Ok(known) => known.to_string().replace(" <unknown status code>", ""),
        Err(_) => status.to_string(),
    }
}

/// The entries of an error document, as far as there are any; at most ten, and of each at most some hundred characters,
/// for they reach the user.
fn answers(body: &[u8]) -> Vec<Answer> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        errors: Vec<Answer>,
    }
    let mut answers = serde_json::from_slice::<Document>(body)
        .map(|document| document.errors)
        .unwrap_or_default();
    answers.truncate(10);
    for answer in &mut answers {
        answer.code = printable(&answer.code, 100);
        answer.message = printable(&answer.message, 500);
        answer.detail = serde_json::Value::Null;
    }
    answers
}

/// The beginning of a stranger's text, in one line and without what could move a terminal's cursor.
pub(super) fn printable(text: &str, most: usize) -> String {
    let beginning: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .take(most)
        .collect();
    oci::harmless(&beginning).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_as_in_docker() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        let error = Error::answered(404, body).at("reg:5000", "manifest of a:x");
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            error.to_string(),
            "reg:5000: manifest of a:x: manifest unknown: manifest unknown"
        );
    }

    #[test]
    fn what_is_not_known_leaves_no_gap() {
        let text = |error: Error| error.to_string();
        assert_eq!(text(Error::local("bad")), "bad");
        assert_eq!(text(Error::local("bad").at("", "ask")), "ask: bad");
        assert_eq!(text(Error::local("bad").at("a:1", "")), "a:1: bad");
    }

    #[test]
    fn an_answer_that_is_no_document_is_its_status() {
        let error = Error::answered(503, b"<html>");
        assert_eq!(
            error.problem(),
            "unexpected status: 503 Service Unavailable"
        );
        assert_eq!(error.kind(), Kind::Registry);
    }

    #[test]
    fn escape_sequences_do_not_come_through() {
        let body = "{\"errors\":[{\"code\":\"X\",\"message\":\"\\u001b[2Jhello\"}]}";
        assert!(
            !Error::answered(400, body.as_bytes())
                .to_string()
                .contains('\u{1b}')
        );
    }
}
