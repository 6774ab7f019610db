//! Signals by name, as `docker kill -s` takes them.

use linux::signal::Signal;

use crate::error::{Error, Result};

/// The number of `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+1`.
pub(crate) fn number(text: &str) -> Result<i32> {
    Signal::parse(text)
        .map(Signal::number)
        .ok_or_else(|| Error::invalid(format!("invalid signal: {text}")))
}
