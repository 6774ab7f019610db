//! The image store as its keeper sees it: `system check`, and garbage collection by daemon.json.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Daemon, IMAGE, Options, oracle, own_test};

fn check(d: &Daemon, repair: bool) -> Value {
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
    let report = check(d, false);
    assert_eq!(report["Problems"], json!([]));
    assert_eq!(
        (&report["Images"], &report["Snapshots"]),
        (&json!(2), &json!(1))
    );
    fs::create_dir(d.data_root().join("overlay2").join("f".repeat(64)))
        .expect("make a stray folder");
    assert_eq!(check(d, false)["Problems"][0]["Kind"], "stray file");
    assert_eq!(check(d, true)["Problems"][0]["Repaired"], true);
    assert_eq!(check(d, false)["Problems"], json!([]));
    // A layer that somebody changed, under a container and then without one.
    let top = cli.ok(&[
        "image",
        "inspect",
        "-f",
        "{{.GraphDriver.Data.UpperDir}}",
        IMAGE,
    ]);
    fs::write(format!("{top}/more"), "x").expect("change the layer");
    let problem = &check(d, true)["Problems"][0];
    assert_eq!(
        (&problem["Kind"], &problem["Repaired"]),
        (&json!("damaged layer"), &json!(false))
    );
    cli.ok(&["rm", "-f", &name]);
    assert_eq!(check(d, true)["Problems"][0]["Repaired"], true);
    assert_eq!(check(d, false)["Problems"], json!([]));
    cli.run(&["image", "inspect", IMAGE])
        .fails(1, "No such image");
    // And it can be had again.
    d.load(&tests::busybox());
    cli.ok(&["run", "--rm", "--network", "none", IMAGE, "true"]);
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
        let used = cli.ok(&["commit", &name]);
        let second = d.name("d");
        cli.ok(&[
            "create",
            "--network",
            "none",
            "--name",
            &second,
            &used,
            "true",
        ]);
        let mut events = cli.spawn(&[
            "events",
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
        for image in [&used, IMAGE] {
            cli.ok(&["image", "inspect", image]);
        }
        cli.ok(&["rm", "-f", &name, &second]);
    });
}
