//! `cargo xtask vm`: our two files on a machine that has only cgroup v2 and an older kernel than the one we develop on.
//!
//! Debian's cloud kernel in QEMU, emulated (no KVM is asked for), with an initramfs of busybox, `tare`, `tare-shim` and
//! `tests/vm.sh`. Boots in three seconds; the script's last line says how it went.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{binaries, cargo, command, output, root, run, target};
use crate::setup::{apt, download};

/// The script's closing word, after its `ok` lines.
const PASSED: &str = "vm: all passed";

/// Runs the script in the virtual machine and shows what it printed.
pub(crate) fn run_script() -> Result<()> {
    run(cargo().args(["build", "--quiet", "-p", "tare", "-p", "shim"]))?;
    install()?;
    let kernel = kernel()?;
    let initramfs = initramfs(&kernel)?;
    let console = target().join("tools/vm/console");
    let machine = run(command("timeout")
        .arg("180")
        .args([
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            "1024",
            "-smp",
            "2",
            "-no-reboot",
        ])
        .args(["-display", "none", "-monitor", "none", "-serial"])
        .arg(format!("file:{}", console.display()))
        .arg("-kernel")
        .arg(kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1"]));
    let console = String::from_utf8_lossy(&fs::read(&console)?).into_owned();
    println!("{console}");
    machine?;
    if !console.contains(PASSED) {
        bail!("the virtual machine did not say `{PASSED}`");
    }
    Ok(())
}

fn install() -> Result<()> {
    let wanted = [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("cpio", "cpio"),
        ("busybox", "busybox-static"),
    ];
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| !crate::command::on_path(program))
        .map(|(_, package)| *package)
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => apt(
            &["install", "-y", "-q", "--no-install-recommends"],
            &missing,
        ),
    }
}

struct Kernel {
    image: PathBuf,
    /// overlayfs, which Debian's kernel has as a module.
    overlay: PathBuf,
}

/// Debian's newest cloud kernel, unpacked under target/ and never installed.
fn kernel() -> Result<Kernel> {
    let folder = target().join("tools/kernel");
    if !folder.join("boot").exists() {
        fs::create_dir_all(&folder)?;
        let depends = || output(command("apt-cache").args(["depends", "linux-image-cloud-amd64"]));
        let listed = depends().or_else(|_| {
            run(command("apt-get").args(["update", "-q"]))?;
            depends()
        })?;
        let package = listed
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "))
            .context("linux-image-cloud-amd64 depends on no kernel")?;
        download(package, &folder)?;
    }
    let modules = only_entry(&folder.join("lib/modules"), "")?;
    Ok(Kernel {
        image: only_entry(&folder.join("boot"), "vmlinuz")?,
        overlay: modules.join("kernel/fs/overlayfs/overlay.ko"),
    })
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(named)
        .with_context(|| format!("nothing named {prefix}* in {}", folder.display()))
}

fn initramfs(kernel: &Kernel) -> Result<PathBuf> {
    let folder = target().join("tools/vm");
    let tree = folder.join("root");
    let _ = fs::remove_dir_all(&tree);
    for name in ["bin", "dev", "proc", "sys", "tmp", "etc", "run", "var/lib"] {
        fs::create_dir_all(tree.join(name))?;
    }
    let busybox = output(command("sh").args(["-c", "command -v busybox"]))?;
    let built = binaries("debug")?;
    for (from, to) in [
        (PathBuf::from(busybox.trim()), "bin/busybox"),
        (kernel.overlay.clone(), "overlay.ko"),
        (root().join("tests/vm.sh"), "init"),
    ] {
        fs::copy(&from, tree.join(to)).with_context(|| format!("copy {}", from.display()))?;
    }
    for name in ["tare", "tare-shim"] {
        run(command("strip")
            .arg(built.join(name))
            .arg("-o")
            .arg(tree.join("bin").join(name)))?;
    }
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    symlink("busybox", tree.join("bin/sh"))?;
    let archive = folder.join("initramfs.gz");
    let pack = format!(
        "cd {} && find . | cpio --quiet -o -H newc | gzip -1 > {}",
        tree.display(),
        archive.display()
    );
    run(command("sh").args(["-c", &pack]))?;
    Ok(archive)
}
