//! Questions before something is deleted.

use std::io::Write;

use crate::failure::Failure;
use crate::signals;

/// Asks on stdout and reads the answer; only `y` and `Y` are a yes. Who breaks off has answered too: nothing is done, and that
/// is no failure.
pub(crate) fn confirm(warning: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout();
    write!(out, "{warning}\nAre you sure you want to continue? [y/N] ")
        .and_then(|()| out.flush())
        .map_err(Failure::of_output)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(async {
        tokio::select! {
            biased;
            number = signals::interruption() => number.map(|_| None),
            answer = tokio::task::spawn_blocking(line) => match answer {
                Ok(answer) => Ok(Some(answer?)),
                Err(error) => Err(Failure::new(error.to_string())),
            },
        }
    });
    // The thread that reads is not waited for: it may never get its line.
    runtime.shutdown_background();
    match answer? {
        Some(answer) => Ok(answer.trim().eq_ignore_ascii_case("y")),
        None => {
            writeln!(out).map_err(Failure::of_output)?;
            Err(Failure::silent(0))
        }
    }
}

fn line() -> std::io::Result<String> {
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
