//! What `stop` and `restart` share: the signal, and how long it may take.

use api::client::Request;

use crate::command::Flag;
use crate::failure::Failure;
use crate::flags::Matches;

pub(super) static FLAGS: &[Flag] = &[
    Flag::text(
        "signal",
        Some('s'),
        "Signal that asks the container to stop",
    ),
    Flag::int(
        "timeout",
        Some('t'),
        "Seconds from that signal until it is killed; -1 waits for ever",
    ),
    Flag {
        about: "",
        ..Flag::int("time", None, "")
    },
];

/// The seconds, under the flag's new or its old name.
pub(super) fn stop_timeout(matches: &Matches) -> Result<Option<i64>, Failure> {
    if matches.given("time") {
        eprintln!("Flag --time has been deprecated, use --timeout instead");
    }
    if matches.given("time") && matches.given("timeout") {
        return Err(Failure::new(
            "conflicting options: cannot specify both --timeout and --time",
        ));
    }
    Ok(matches.int("timeout").or_else(|| matches.int("time")))
}

/// `POST` to `path` with signal and seconds, where they were given.
pub(super) fn stop_request(path: String, matches: &Matches, timeout: Option<i64>) -> Request {
    let mut request = Request::post(path);
    if let Some(signal) = matches.text("signal").filter(|signal| !signal.is_empty()) {
        request = request.query("signal", signal);
    }
    if let Some(seconds) = timeout {
        request = request.query("t", seconds.to_string());
    }
    request
}
