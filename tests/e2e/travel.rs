//! From one engine to another without a registry, through an `ssh` that runs on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;
use tests::{Cli, Daemon, Entry, IMAGE, Image, Layer, Options, Run, binary};

use crate::killed::noise;

/// Makes a program `ssh` that runs what it is told here, with the daemon `there` as the one of the other machine. The first
/// connection ends after so many reads of 4 KiB at most, if a bound is named.
fn ssh(folder: &Path, there: &Daemon, cut: Option<u32>) -> String {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).expect("mkdir");
    let home = binary("tare")
        .parent()
        .expect("its folder")
        .display()
        .to_string();
    let (log, flag) = (programs.join("log"), programs.join("cut"));
    let cut = cut.map_or_else(String::new, |reads| {
        let flag = flag.display();
        format!("[ -e {flag} ] || {{ touch {flag}; dd bs=4096 count={reads} status=none | sh -c \"$2\"; exit; }}")
    });
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nwhile [ \"$1\" != -- ]; do shift; done; shift\n\
         export DOCKER_HOST={} PATH={home}:/usr/sbin:/usr/bin:/sbin:/bin\n{cut}\nexec sh -c \"$2\"\n",
        log.display(),
        there.host(),
    );
    let path = programs.join("ssh");
    fs::write(&path, script).expect("write ssh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    format!("{}:/usr/bin:/bin", programs.display())
}

fn run(cli: &Cli, path: &str, args: &[&str]) -> Run {
    cli.command(args).env("PATH", path).run()
}

fn id_of(d: &Daemon, name: &str) -> String {
    d.tare().ok(&["image", "inspect", "-f", "{{.Id}}", name])
}

fn load(d: &Daemon, name: &str, layers: Vec<Layer>) -> String {
    d.load(&Image::new(name, layers, json!({"Cmd": ["ls", "/own"]})).docker_archive());
    id_of(d, name)
}

/// Two engines.
fn two(check: impl FnOnce(&Daemon, &Daemon)) {
    if tests::oracle().is_some() {
        return;
    }
    Daemon::with(Options::default(), |here| {
        Daemon::with(Options::default(), |there| check(here, there));
    });
}

#[test]
fn an_image_goes_there_and_another_comes_back() {
    two(|here, there| {
        let (cli, path) = (here.tare(), ssh(here.folder(), there, None));
        let own = |text: &str| Layer::new(&[Entry::file("own", text.as_bytes())]);
        let mine = load(
            here,
            "team/mine:1",
            vec![tests::busybox_layer(), own("mine")],
        );
        let there_name = "ssh://joe@other:2222/team/mine:1";
        let told = run(&cli, &path, &["push", there_name]).ok();
        assert!(
            told.starts_with("Pushing team/mine:1 to ssh://joe@other:2222\n"),
            "{told}"
        );
        assert_eq!(told.matches(": Layer already exists").count(), 1, "{told}");
        assert_eq!(told.matches(": Done").count(), 1, "{told}");
        assert_eq!(id_of(there, "team/mine:1"), mine);
        assert_eq!(
            there
                .tare()
                .ok(&["run", "--rm", "--network", "none", "team/mine:1"]),
            "/own"
        );
        let told = run(&cli, &path, &["push", there_name]).ok();
        assert!(
            told.ends_with("Status: team/mine:1 is up to date"),
            "{told}"
        );
        let words = fs::read_to_string(here.folder().join("programs/log")).expect("the log");
        assert!(words.contains("-l joe -p 2222 -- other sh -c"), "{words}");

        let theirs = load(there, "theirs:latest", vec![own("theirs")]);
        let told = run(&cli, &path, &["pull", "-q", "ssh://other/theirs"]).ok();
        assert_eq!(told, "docker.io/library/theirs:latest");
        assert_eq!(id_of(here, "theirs"), theirs);
        let names = cli
            .command(&["images", "-q", IMAGE])
            .env("DOCKER_HOST", "ssh://other");
        assert!(!names.env("PATH", &path).run().ok().is_empty());

        let refused = |args: &[&str], words: &str| run(&cli, &path, args).fails(1, words);
        refused(&["pull", "ssh://other/none:1"], "No such image: none:1");
        refused(&["push", "-a", "ssh://other/theirs"], "--all-tags");
        refused(&["push", "ssh://other"], "it names no image");
        refused(
            &["push", "ssh://-oProxyCommand=x/theirs"],
            "ssh://-oProxyCommand=x",
        );
        for d in [here, there] {
            let checked = d.api("POST", "/system/check", "").json();
            assert_eq!(checked["Problems"], json!([]));
        }
    });
}

#[test]
fn a_layer_that_was_cut_off_goes_on_where_it_ended() {
    two(|here, there| {
        let large = || Layer::new(&[Entry::file("own", noise(3_000_000))]);
        let id = load(here, "large:latest", vec![large()]);
        let path = ssh(here.folder(), there, Some(400));
        let told = run(&here.tare(), &path, &["push", "ssh://other/large"]).ok();
        assert_eq!(id_of(there, "large"), id, "{told}");
        assert!(here.folder().join("programs/cut").exists());
        let log = fs::read_to_string(here.folder().join("programs/log")).expect("the log");
        assert!(log.lines().count() >= 2, "it was not cut: {log}");
    });
}
