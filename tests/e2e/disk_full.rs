//! The disk is full in the middle of a pull, a load, a commit: an error, the space given back, a store that is whole.

use std::path::Path;
use std::process::Command;

use rustix::fs::statvfs;
use serde_json::json;
use tests::{Daemon, Entry, IMAGE, Image, Layer, Options, OwnRegistry};

use crate::killed::noise;

const MIB: usize = 1 << 20;

/// A file system of its own, gone when this is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(megabytes: usize) -> Disk {
        let disk = Disk(tempfile::tempdir().expect("a folder"));
        disk.mount(&format!("size={megabytes}m"));
        disk
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]);
        let done = command.arg(self.path()).status().expect("run mount");
        assert!(done.success(), "mount");
    }

    fn grow(&self, megabytes: usize) {
        self.mount(&format!("remount,size={megabytes}m"));
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// MiB that are taken.
    fn taken(&self) -> u64 {
        let seen = statvfs(self.path()).expect("statvfs");
        (seen.f_blocks - seen.f_bfree) * seen.f_frsize / MIB as u64
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that failed may have left something open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Incompressible, for gzip looks back 32 KiB only.
fn large(megabytes: usize) -> Layer {
    let piece = noise(MIB);
    Layer::new(&[Entry::file("large", piece.repeat(megabytes))])
}

/// MiB that the built-in image takes: it is a copy of `tare-shim`, which is large where it is built for tests.
fn built_in() -> usize {
    let shim = std::fs::metadata(tests::binary("tare-shim")).expect("tare-shim");
    usize::try_from(shim.len()).expect("a size").div_ceil(MIB)
}

/// Runs `check` with a daemon whose data are on a disk of so many MiB.
fn on_disk(megabytes: usize, check: impl FnOnce(&Daemon, &Disk)) {
    if tests::oracle().is_some() || tests::lacking().is_some() {
        return;
    }
    let disk = Disk::new(megabytes);
    let options = Options {
        args: ["--data-root", &disk.path().display().to_string()]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    };
    Daemon::with(options, |d| check(d, &disk));
}

/// What is taken is what was taken before, but for the database's own growth, and the store is whole.
fn as_before(d: &Daemon, disk: &Disk, before: u64) {
    let now = disk.taken();
    assert!(now <= before + 2, "{before} MiB were taken, now {now}");
    let checked = d.api("POST", "/system/check", "").json();
    assert_eq!(checked["Problems"], json!([]));
}

const FULL: &str = "no space left on device";

fn fails_for_space(run: &tests::Run) {
    assert_ne!(run.code, 0, "it fits");
    let told = format!("{}{}", run.out(), run.err()).to_lowercase();
    assert!(told.contains(FULL), "{told}");
}

#[test]
fn a_pull_that_does_not_fit() {
    let root = tempfile::tempdir().expect("a root");
    let registry = OwnRegistry::serve(root.path(), &[]);
    let name = format!("{}/big:1", registry.address());
    on_disk(90, |d, disk| {
        let cli = d.tare();
        let image = Image::new(&name, vec![large(30)], json!({"Cmd": ["x"]}));
        d.load(&image.docker_archive());
        cli.ok(&["push", "-q", &name]);
        cli.ok(&["rmi", &name]);
        disk.grow(45);
        let before = disk.taken();
        for _ in 0..2 {
            fails_for_space(&cli.run(&["pull", &name]));
            as_before(d, disk, before);
        }
        cli.ok(&["run", "--rm", "--network", "none", IMAGE, "true"]);
        disk.grow(90);
        cli.ok(&["pull", "-q", &name]);
        as_before(d, disk, before + 31);
    });
}

#[test]
fn a_load_that_does_not_fit() {
    on_disk(40, |d, disk| {
        let cli = d.tare();
        let image = Image::new("big:1", vec![large(12), large(50)], json!({"Cmd": ["x"]}));
        let archive = image.docker_archive();
        let before = disk.taken();
        for _ in 0..2 {
            let run = cli.command(&["load"]).input(archive.clone()).run();
            fails_for_space(&run);
            as_before(d, disk, before);
        }
        disk.grow(160);
        cli.command(&["load"]).input(archive).run().ok();
        as_before(d, disk, before + 63);
    });
}

#[test]
fn a_commit_that_does_not_fit() {
    on_disk(30 + built_in(), |d, disk| {
        let cli = d.tare();
        let script = "head -c 25000000 /dev/urandom > /large";
        let name = d.name("c");
        cli.ok(&[
            "run",
            "--network",
            "none",
            "--name",
            &name,
            IMAGE,
            "sh",
            "-c",
            script,
        ]);
        let before = disk.taken();
        for _ in 0..2 {
            fails_for_space(&cli.run(&["commit", &name, "large:1"]));
            as_before(d, disk, before);
        }
        disk.grow(100 + built_in());
        cli.ok(&["commit", &name, "large:1"]);
        as_before(d, disk, before + 25);
        cli.ok(&["rm", &name]);
    });
}

#[test]
fn a_layer_larger_than_allowed() {
    let options = Options {
        config: Some(json!({"max-layer-size": "20m"}).to_string()),
        ..Options::default()
    };
    if tests::oracle().is_some() {
        return;
    }
    Daemon::with(options, |d| {
        let load = |megabytes| {
            let image = Image::new("big:1", vec![large(megabytes)], json!({"Cmd": ["x"]}));
            let archive = image.docker_archive();
            d.tare().command(&["load"]).input(archive).run()
        };
        load(25).fails(1, "is the most that a layer may hold");
        load(15).ok();
    });
}
