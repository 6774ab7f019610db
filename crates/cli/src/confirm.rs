//! Questions before something is deleted.

use std::io::{BufRead, Write};

use crate::failure::Failure;

/// Asks on stdout and reads the answer; only `y` and `Y` are a yes.
pub(crate) fn confirm(warning: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout();
    write!(out, "{warning}\nAre you sure you want to continue? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
