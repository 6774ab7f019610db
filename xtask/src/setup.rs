//! Installs what the tests need and a fresh machine lacks: Debian packages by name, docker-py in a venv, nextest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, command, on_path, output, root, run, target};

/// Programs of the tests with the Debian package that brings each.
const PROGRAMS: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("runc", "runc"),
    ("python3", "python3"),
    ("nft", "nftables"),
];

/// What was installed, as the tests find it.
pub(crate) struct Tools {
    /// The real docker client.
    pub(crate) docker: PathBuf,
    /// A Python that can `import docker`.
    pub(crate) python: PathBuf,
    /// Debian's docker-registry.
    pub(crate) registry: PathBuf,
}

/// Installs everything that is missing; quick when nothing is.
pub(crate) fn all() -> Result<Tools> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        apt(
            &["install", "-y", "-q", "--no-install-recommends"],
            &missing,
        )?;
    }
    nextest()?;
    Ok(Tools {
        docker: docker_client()?,
        python: docker_py()?,
        registry: docker_registry()?,
    })
}

fn nextest() -> Result<()> {
    if cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return Ok(());
    }
    // Not through our own .cargo/config.toml: a tool of the host is built as its author meant it.
    run(cargo()
        .current_dir("/")
        .args(["install", "--locked", "cargo-nextest"]))
}

/// The docker client on PATH, or the one of Debian's package, unpacked and not installed: installing would start a daemon.
fn docker_client() -> Result<PathBuf> {
    if let Some(found) = find_on_path("docker") {
        return Ok(found);
    }
    let folder = target().join("tools/docker");
    let client = folder.join("usr/bin/docker");
    if client.exists() {
        return Ok(client);
    }
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for package in ["docker-cli", "docker.io"] {
        if download(package, &folder).is_ok() && client.exists() {
            return Ok(client);
        }
    }
    bail!(
        "no docker client: none on PATH, and neither docker-cli nor docker.io could be fetched by apt-get"
    )
}

/// The registry of Debian's package, unpacked and not installed: installing would make a service of it.
fn docker_registry() -> Result<PathBuf> {
    if let Some(found) = find_on_path("docker-registry") {
        return Ok(found);
    }
    let folder = target().join("tools/docker-registry");
    let registry = folder.join("usr/bin/docker-registry");
    if !registry.exists() {
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        download("docker-registry", &folder)?;
    }
    Ok(registry)
}

pub(crate) fn download(package: &str, folder: &Path) -> Result<()> {
    apt(&["download", "-q"], &[package])?;
    for entry in fs::read_dir(root())? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(package) && name.ends_with(".deb") {
            run(command("dpkg").arg("-x").arg(&path).arg(folder))?;
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A venv under target/ with docker-py, made once.
fn docker_py() -> Result<PathBuf> {
    let folder = target().join("tools/venv");
    let python = folder.join("bin/python");
    let works = |python: &Path| {
        command(python)
            .args(["-c", "import docker"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if works(&python) {
        return Ok(python);
    }
    if works(Path::new("python3")) {
        return Ok("python3".into());
    }
    let venv = run(command("python3").args(["-m", "venv"]).arg(&folder));
    let pip = venv.and_then(|()| {
        run(command(&python).args([
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "docker>=7",
        ]))
    });
    if pip.is_ok() && works(&python) {
        return Ok(python);
    }
    apt(
        &["install", "-y", "-q", "--no-install-recommends"],
        &["python3-docker"],
    )?;
    let system = PathBuf::from("/usr/bin/python3");
    if works(&system) {
        Ok(system)
    } else {
        bail!("docker-py could be had neither from pip nor as python3-docker")
    }
}

/// `apt-get`, once more after `apt-get update` where the lists are old or missing.
pub(crate) fn apt(arguments: &[&str], packages: &[&str]) -> Result<()> {
    println!("apt-get {} {}", arguments.join(" "), packages.join(" "));
    let install = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments)
            .args(packages);
        output(&mut apt).map(drop)
    };
    install().or_else(|_| {
        run(command("apt-get").args(["update", "-q"]))?;
        install()
    })
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
