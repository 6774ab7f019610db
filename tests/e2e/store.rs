//! The image store as its keeper sees it: `system check`, and garbage collection by daemon.json.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{Daemon, IMAGE, Options, OwnRegistry, oracle, own_test};

fn checked(d: &Daemon, repair: bool) -> Value {
    let path = if repair {
        "/system/check?repair=1"
    } else {
        "/system/check"
    };
    d.api("POST", path, "").json()
}

own_test!(check_finds_and_mends_what_is_wrong, |d| {
    let cli = d.docker();
    let name = d.name("c");
    cli.ok(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &name,
        IMAGE,
        "sleep",
        "1000",
    ]);
    let report = checked(d, false);
    assert_eq!(report["Problems"], json!([]));
    assert_eq!(
        (&report["Images"], &report["Snapshots"]),
        (&json!(2), &json!(1))
    );
    fs::create_dir(d.data_root().join("overlay2").join("f".repeat(64)))
        .expect("make a stray folder");
    assert_eq!(checked(d, false)["Problems"][0]["Kind"], "stray file");
    assert_eq!(checked(d, true)["Problems"][0]["Repaired"], true);
    assert_eq!(checked(d, false)["Problems"], json!([]));
    // A layer that somebody changed, under a container and then without one.
    let top = cli.ok(&[
        "image",
        "inspect",
        "-f",
        "{{.GraphDriver.Data.UpperDir}}",
        IMAGE,
    ]);
    fs::write(format!("{top}/more"), "x").expect("change the layer");
    let problem = &checked(d, true)["Problems"][0];
    assert_eq!(
        (&problem["Kind"], &problem["Repaired"]),
        (&json!("damaged layer"), &json!(false))
    );
    cli.ok(&["rm", "-f", &name]);
    assert_eq!(checked(d, true)["Problems"][0]["Repaired"], true);
    assert_eq!(checked(d, false)["Problems"], json!([]));
    cli.run(&["image", "inspect", IMAGE])
        .fails(1, "No such image");
    // And it can be had again.
    d.load(&tests::busybox());
    cli.ok(&["run", "--rm", "--network", "none", IMAGE, "true"]);
});

own_test!(a_repair_says_what_it_would_do_and_asks, |d| {
    let tare = d.tare();
    tare.ok(&["tag", IMAGE, "harmed:1"]);
    let inspect = ["image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}"];
    let top = tare.ok(&[&inspect[..], &[IMAGE]].concat());
    fs::write(format!("{top}/more"), "x").expect("change the layer");
    let told = tare.run(&["system", "check"]);
    told.exits(1);
    let plan = format!("remove image {IMAGE}:latest, harmed:1 (sha256:");
    assert!(
        told.out().contains("system check --repair' would:"),
        "{}",
        told.out()
    );
    assert!(told.out().contains(&plan), "{}", told.out());
    tare.run(&["system", "check", "--force"])
        .fails(1, "only together with --repair");
    for answer in ["", "n\n"] {
        let asked = tare
            .command(&["system", "check", "--repair"])
            .input(answer.as_bytes())
            .run();
        asked.fails(1, "nothing is repaired");
        assert!(
            asked.out().contains("WARNING! This will:"),
            "{}",
            asked.out()
        );
        tare.ok(&["image", "inspect", IMAGE]);
    }
    let done = tare
        .command(&["system", "check", "--repair"])
        .input("y\n")
        .run()
        .ok();
    assert!(done.contains("Done:") && done.contains(&plan), "{done}");
    tare.run(&["image", "inspect", IMAGE]).exits(1);
    // In order there is nothing to ask.
    let done = tare.ok(&["system", "check", "--repair"]);
    assert!(done.ends_with("Nothing is wrong."), "{done}");
    d.load(&tests::busybox());
});

own_test!(what_check_found_damaged_is_mended_by_load_and_pull, |d| {
    let tare = d.tare();
    let registry = OwnRegistry::serve(&d.folder().join("registry"), &[]);
    let name = format!("{}/healed:1", registry.address());
    tare.ok(&["tag", IMAGE, &name]);
    tare.ok(&["push", "-q", &name]);
    tare.ok(&["rmi", &name]);
    tare.ok(&["pull", "-q", &name]);
    let harm = || {
        let inspect = ["image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}"];
        let top = tare.ok(&[&inspect[..], &[&name]].concat());
        fs::write(format!("{top}/more"), "x").expect("change the layer");
        tare.run(&["system", "check"]).exits(1);
    };
    harm();
    tare.ok(&["pull", "-q", &name]);
    tare.ok(&["system", "check"]);
    harm();
    d.load(&tests::busybox());
    tare.ok(&["system", "check"]);
    tare.ok(&["run", "--rm", "--network", "none", &name, "true"]);
});

// `system check` found documents without an owner after what everybody does with images.
own_test!(what_is_usual_leaves_nothing_behind, |d| {
    let tare = d.tare();
    let registry = OwnRegistry::serve(&d.folder().join("registry"), &[]);
    let at = registry.address();
    let (first, second) = (format!("{at}/first:1"), format!("{at}/second:1"));
    let archive = d.folder().join("archive.tar").display().to_string();
    let container = d.name("c");
    let create = ["create", "--network", "none", "--name", &container, &first];
    let steps: &[&[&str]] = &[
        &["tag", IMAGE, &first],
        &["push", "-q", &first],
        &["rmi", &first],
        &["pull", "-q", &first],
        // The same image under another manifest.
        &["tag", &first, &second],
        &["push", "-q", &second],
        &["rmi", &second],
        &["pull", "-q", &second],
        &create,
        &["commit", &container, "committed:1"],
        &["commit", &container, "committed:1"],
        &["save", "-o", &archive, "committed:1", &first],
        &["rmi", "-f", "committed:1", &first, &second],
        &["load", "-i", &archive],
        &["rmi", &first],
        &["image", "prune", "-f"],
        &["rm", &container],
        &["image", "prune", "-a", "-f"],
        &["load", "-i", &archive],
        &["push", "-q", &first],
        &["rmi", "-f", &first, "committed:1"],
        &["pull", "-q", &second],
        &["image", "prune", "-a", "-f"],
    ];
    for step in steps {
        tare.ok(step);
        let report = checked(d, false);
        assert_eq!(report["Problems"], json!([]), "after {step:?}");
    }
    d.load(&tests::busybox());
});

#[test]
fn gc_keeps_space_free_but_never_what_is_used_or_named() {
    if oracle().is_some() {
        return;
    }
    // More than any disk has: everything that may go goes.
    let gc = json!({"gc": {"enabled": true, "keep-free": "99%", "min-age": "0s"}});
    let options = Options {
        config: Some(gc.to_string()),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.docker();
        let name = d.name("c");
        cli.ok(&[
            "create",
            "--network",
            "none",
            "--name",
            &name,
            IMAGE,
            "true",
        ]);
        let used = cli.ok(&["commit", &name, "used:1"]);
        let second = d.name("d");
        let create = [
            "create",
            "--network",
            "none",
            "--name",
            &second,
            "used:1",
            "true",
        ];
        cli.ok(&create);
        // From here on a container is all that keeps it.
        cli.ok(&["commit", "-m", "newer", &name, "used:1"]);
        // With what was before: gc may be quicker than this client's start.
        let mut events = cli.spawn(&[
            "events",
            "--since",
            "0",
            "-f",
            "type=image",
            "--format",
            "{{.Action}} {{.ID}}",
        ]);
        // Nameless and unused: it may go as soon as it is there. The next growth at the latest takes it.
        let unused = cli.ok(&["commit", "-m", "other", &name]);
        cli.ok(&["commit", "-m", "more", &name]);
        events.line_with(&format!("delete {unused}"));
        events.signal(Signal::TERM);
        events.end();
        for image in [&used, "used:1", IMAGE] {
            cli.ok(&["image", "inspect", image]);
        }
        cli.ok(&["rm", "-f", &name, &second]);
    });
}

#[test]
fn a_reload_takes_over_what_gc_is_to_do() {
    if oracle().is_some() {
        return;
    }
    let options = Options {
        config: Some("{}".to_owned()),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.docker();
        let container = cli.ok(&["create", "--network", "none", IMAGE, "true"]);
        let unused = cli.ok(&["commit", &container]);
        let since = ["events", "--since", "0", "--format", "{{.Action}} {{.ID}}"];
        let mut events = cli.spawn(&since);
        // The stream stands before the signal is sent.
        events.line_with("create");
        let gc = json!({"gc": {"enabled": true, "keep-free": "99%", "min-age": "0s"}});
        fs::write(d.folder().join("daemon.json"), gc.to_string()).expect("write daemon.json");
        let pid = i32::try_from(d.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), Signal::HUP).expect("signal the daemon");
        events.line_with(&format!("delete {unused}"));
        events.signal(Signal::TERM);
        events.end();
        cli.ok(&["rm", &container]);
    });
}

#[test]
fn vfs_runs_containers_without_overlayfs() {
    if oracle().is_some() {
        return;
    }
    let options = Options {
        args: vec!["--storage-driver".to_owned(), "vfs".to_owned()],
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.docker();
        assert_eq!(cli.ok(&["info", "-f", "{{.Driver}}"]), "vfs");
        let name = d.name("c");
        let script = "mount | grep ' on / ' | grep -c overlay; echo hi > /new; rm /bin/vi";
        let out = cli.ok(&[
            "run",
            "--network",
            "none",
            "--name",
            &name,
            "-v",
            "/etc/anew",
            IMAGE,
            "sh",
            "-c",
            script,
        ]);
        assert_eq!(out, "0");
        let diff = cli.ok(&["diff", &name]);
        let mut lines: Vec<&str> = diff.lines().collect();
        lines.sort_unstable();
        assert!(
            lines.contains(&"A /new") && lines.contains(&"D /bin/vi"),
            "{diff}"
        );
        cli.ok(&[
            "cp",
            &format!("{name}:/new"),
            &d.folder().join("new").display().to_string(),
        ]);
        assert_eq!(
            fs::read_to_string(d.folder().join("new")).expect("the copy"),
            "hi\n"
        );
        cli.ok(&["commit", &name, "made"]);
        let seen = cli.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-u",
            "0:0",
            "made",
            "sh",
            "-c",
            "cat /new; ls /bin/vi || true",
        ]);
        assert_eq!(seen, "hi");
        let inspect = d.api("GET", &format!("/containers/{name}/json"), "").json();
        assert_eq!(
            (&inspect["Driver"], &inspect["GraphDriver"]["Name"]),
            (&json!("vfs"), &json!("vfs"))
        );
        cli.ok(&["rm", "-v", &name]);
        assert_eq!(checked(d, false)["Problems"], json!([]));
        assert_eq!(
            fs::read_dir(d.data_root().join("vfs"))
                .expect("the folder")
                .count(),
            0
        );
    });
}
