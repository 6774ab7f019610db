//! Signals by name, as `docker kill -s` takes them.

use linux::signal::Signal;

use crate::error::{Error, Result};

/// The number of `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+1`.
pub(crate) fn number(text: &str) -> Result<i32> {
    let refusal = || {
        // Docker reads any number as a signal, and refuses it in another place.
        match text.parse::<i32>() {
            Ok(number) if number != 0 => format!("the linux daemon does not support signal {text}"),
            _ => format!("invalid signal: {text}"),
        }
    };
    Signal::parse(text)
        .map(Signal::number)
        .ok_or_else(|| Error::invalid(refusal()))
}
