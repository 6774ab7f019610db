//! Running other programs from the workspace's root.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that runs in the workspace's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with our standard streams; an exit status but 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Runs `command` and returns what it printed; an exit status but 0 is an error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed no UTF-8"))
}

/// Whether a program of this name is on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// The folder of the binaries of `profile`, for the host's own target (.cargo/config.toml names it).
pub(crate) fn binaries(profile: &str) -> Result<PathBuf> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc -vV names no host")?;
    Ok(target().join(host).join(profile))
}

/// Builds `packages` (both files when none is named) in the profile that is shipped.
pub(crate) fn dist(packages: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--profile", "dist"]);
    for package in if packages.is_empty() {
        &["tare", "shim"]
    } else {
        packages
    } {
        build.args(["-p", package]);
    }
    run(&mut build)
}

/// Builds both files as shipped and lays copies into one folder, as an installation does; returns it.
///
/// What a linker has written stands in the page cache in single pages, and what a copy has written, in large pieces: every start
/// of a file fresh from the linker would take 0.15 ms longer, for pages that are mapped one by one.
pub(crate) fn ship() -> Result<PathBuf> {
    dist(&[])?;
    let (built, shipped) = (binaries("dist")?, target().join("shipped"));
    fs::create_dir_all(&shipped).with_context(|| format!("mkdir {}", shipped.display()))?;
    for name in ["tare", "tare-shim"] {
        let (from, to) = (built.join(name), shipped.join(name));
        copy_program(&from, &to)
            .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    }
    Ok(shipped)
}

/// In one write, and under another name first: the old file may be running.
fn copy_program(from: &Path, to: &Path) -> io::Result<()> {
    let draft = to.with_extension("draft");
    fs::write(&draft, fs::read(from)?)?;
    fs::set_permissions(&draft, fs::metadata(from)?.permissions())?;
    fs::rename(&draft, to)
}

/// Builds as shipped and runs the benchmarks with `args`.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let tools = crate::setup::all()?;
    let shipped = ship()?;
    let mut bench = cargo();
    bench
        .env("TARE_TEST_BIN", shipped)
        .env("TARE_TEST_DOCKER", tools.docker);
    run(bench
        .args(["run", "--quiet", "-p", "bench", "--"])
        .args(args))
}
