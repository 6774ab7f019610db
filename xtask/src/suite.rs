//! `cargo xtask test`: sets up, builds, runs every test and closes with one line that counts them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::{self, binaries, cargo, target};
use crate::setup;

/// What the command line asked for.
#[derive(Default)]
struct Options {
    /// Only the end-to-end tests, against the real Docker here.
    oracle: Option<String>,
    filters: Vec<String>,
}

/// The counts of nextest's summary.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = parse(args)?;
    let tools = setup::all()?;
    command::run(cargo().args(["build", "--quiet", "-p", "tare", "-p", "shim"]))?;
    let skips = target().join("skipped-tests");
    let _ = fs::remove_file(&skips);

    let mut nextest = cargo();
    nextest.args(["nextest", "run", "--no-fail-fast", "--color", "never"]);
    nextest.env("TARE_TEST_BIN", binaries("debug")?);
    nextest
        .env("TARE_TEST_DOCKER", &tools.docker)
        .env("TARE_TEST_PYTHON", &tools.python)
        .env("TARE_TEST_REGISTRY", &tools.registry)
        .env("TARE_TEST_SKIPS", &skips);
    match &options.oracle {
        Some(host) => nextest.args(["-p", "tests"]).env("TARE_E2E_ORACLE", host),
        None => nextest.arg("--workspace"),
    };
    nextest.args(&options.filters);
    let (counts, success) = watch(&mut nextest)?;

    let skipped = fs::read_to_string(&skips).unwrap_or_default();
    for line in skipped.lines() {
        println!("skipped: {line}");
    }
    let skipped = skipped.lines().count() as u64;
    println!(
        "{} passed, {} failed, {skipped} skipped",
        counts.passed.saturating_sub(skipped),
        counts.failed
    );
    if !success {
        bail!("some tests failed");
    }
    if skipped > 0 && std::env::var_os("CI").is_some_and(|value| value == "true") {
        bail!("CI skips no test: give the machine what the lines above say it lacks");
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--oracle" => options.oracle = Some(args.next().context("--oracle HOST")?.clone()),
            _ => options.filters.push(arg.clone()),
        }
    }
    Ok(options)
}

/// Runs nextest, passes on what it says and reads its summary.
fn watch(nextest: &mut Command) -> Result<(Counts, bool)> {
    let mut child = nextest
        .stderr(Stdio::piped())
        .spawn()
        .context("run cargo nextest")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stderr.take().context("no stderr")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if let Some(found) = parse_summary(&line) {
            counts = found;
        }
    }
    Ok((counts, child.wait()?.success()))
}

/// Reads `Summary [ 1.2s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped`.
fn parse_summary(line: &str) -> Option<Counts> {
    let (_, parts) = line
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once(" run: ")?;
    let mut counts = Counts::default();
    for part in parts.split(", ") {
        let mut words = part.split(' ');
        let number: u64 = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => counts.passed += number,
            "failed" | "timed" | "exec" => counts.failed += number,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::{Counts, parse_summary};

    #[test]
    fn reads_the_summary_of_nextest() {
        let check = |line, passed, failed| {
            assert_eq!(
                parse_summary(line),
                Some(Counts { passed, failed }),
                "{line}"
            );
        };
        check(
            "     Summary [   0.01s] 3 tests run: 3 passed, 0 skipped",
            3,
            0,
        );
        check(
            "     Summary [   1.20s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 3 skipped",
            10,
            2,
        );
        assert_eq!(parse_summary("        PASS [   0.003s] oci digest"), None);
    }
}
