//! Nothing is lost: the daemon or a shim is killed at any moment, and what ran runs on, what ended is known, what was
//! half made is gone.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::{Cli, Client, Daemon, IMAGE, own_test, process_end};

/// Counts up forever, a line each, with a pause of a fifth of a millisecond.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i; usleep 200; done";

fn run(d: &Daemon, cli: &Cli, name: &str, script: &str) -> String {
    let name = d.name(name);
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sh", "-c", script]);
    name
}

fn first_process(cli: &Cli, name: &str) -> u32 {
    cli.ok(&["inspect", "-f", "{{.State.Pid}}", name])
        .parse()
        .expect("a pid")
}

/// The shim of a container: the parent of its first process.
fn shim(cli: &Cli, name: &str) -> u32 {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", first_process(cli, name))).expect("stat");
    let fields = stat.rsplit(") ").next().expect("fields");
    fields
        .split(' ')
        .nth(1)
        .and_then(|parent| parent.parse().ok())
        .expect("the parent's pid")
}

fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(pid, signal).expect("signal");
}

/// Asserts that the log counts up from 1 without a hole and returns the last number.
fn counts_without_a_hole(cli: &Cli, name: &str) -> u64 {
    let out = cli.ok(&["logs", name]);
    let numbers: Vec<u64> = out
        .lines()
        .map(|line| {
            line.parse()
                .unwrap_or_else(|_| panic!("half a line: {line:?}"))
        })
        .collect();
    for (at, number) in numbers.iter().enumerate() {
        assert_eq!(*number, at as u64 + 1, "a hole in the log");
    }
    numbers.len() as u64
}

own_test!(containers_run_on_and_their_logs_have_no_hole, |d| {
    let cli = d.docker();
    let name = run(d, &cli, "a", COUNTER);
    let pid = first_process(&cli, &name);
    for _ in 0..5 {
        let seen = counts_without_a_hole(&cli, &name);
        d.stop(Signal::KILL);
        d.start();
        let mut follow = cli.spawn(&["logs", "-f", &name]);
        follow.line_with(&(seen + 500).to_string());
    }
    assert_eq!(first_process(&cli, &name), pid);
    counts_without_a_hole(&cli, &name);
    assert_eq!(cli.ok(&["exec", &name, "echo", "still here"]), "still here");
    let mut attached = cli.spawn(&["attach", "--no-stdin", "--sig-proxy=false", &name]);
    attached.line().expect("a line");
    drop(attached);
    cli.ok(&["pause", &name]);
    cli.ok(&["unpause", &name]);
    cli.ok(&["kill", &name]);
    assert_eq!(cli.ok(&["wait", &name]), "137");
});

own_test!(
    a_shim_that_does_not_answer_keeps_no_daemon_from_starting,
    |d| {
        let cli = d.docker();
        let (stopped, other) = (run(d, &cli, "a", COUNTER), run(d, &cli, "b", COUNTER));
        let (shim, first) = (shim(&cli, &stopped), first_process(&cli, &stopped));
        signal(shim, Signal::STOP);
        d.crash();
        let state = |name: &str| {
            let answer = cli.ok(&["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", name]);
            answer
                .split_once(' ')
                .map(|(status, pid)| (status.to_owned(), pid.to_owned()))
        };
        let running = |pid: u32| Some(("running".to_owned(), pid.to_string()));
        assert_eq!(state(&stopped), running(0));
        assert_eq!(cli.ok(&["exec", &other, "echo", "fine"]), "fine");
        signal(shim, Signal::CONT);
        // An exec is answered after what was asked before it.
        assert_eq!(cli.ok(&["exec", &stopped, "echo", "fine"]), "fine");
        assert_eq!(state(&stopped), running(first));
        cli.ok(&["kill", &stopped, &other]);
        assert_eq!(cli.ok(&["wait", &stopped]), "137");
    }
);

own_test!(an_orderly_end_of_the_daemon_leaves_containers_too, |d| {
    let cli = d.tare();
    let name = run(d, &cli, "a", COUNTER);
    let pid = first_process(&cli, &name);
    d.stop(Signal::TERM);
    d.start();
    assert_eq!(first_process(&cli, &name), pid);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}}", &name]),
        "running"
    );
});

/// Runs `then` while no daemon runs and container `name` has just ended, by way of a gate in a bind mount.
fn ends_meanwhile(d: &Daemon, flags: &[&str], name: &str, script: &str) {
    let cli = d.docker();
    let gate = d.folder().join("gate");
    fs::create_dir_all(&gate).expect("mkdir");
    let bind = format!("{}:/gate", gate.display());
    let script = format!("echo up; until [ -e /gate/open ]; do usleep 1000; done; {script}");
    cli.ok(&[
        &["run", "-d", "--name", name, "-v", &bind],
        flags,
        &[IMAGE, "sh", "-c", &script],
    ]
    .concat());
    cli.spawn(&["logs", "-f", name]).line_with("up");
    let shim = shim(&cli, name);
    d.stop(Signal::KILL);
    fs::write(gate.join("open"), "").expect("open the gate");
    assert!(
        process_end(shim, Duration::from_secs(30)),
        "the shim goes on"
    );
    d.start();
}

/// Tells those who work meanwhile to stop, also when the test fails: they would go on forever.
pub(crate) struct AtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

own_test!(exit_codes_of_those_that_ended_meanwhile, |d| {
    let (cli, name) = (d.docker(), d.name("a"));
    ends_meanwhile(d, &[], &name, "echo last words; exit 9");
    assert_eq!(cli.ok(&["wait", &name]), "9");
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}",
            &name
        ]),
        "exited 9 0"
    );
    assert_eq!(cli.ok(&["logs", &name]), "up\nlast words");
    let again = cli.run(&["start", "-a", &name]);
    again.exits(9);
    assert_eq!(again.out(), "up\nlast words");
});

own_test!(one_to_be_removed_is_removed_after_the_restart, |d| {
    let (cli, name) = (d.docker(), d.name("a"));
    ends_meanwhile(d, &["--rm"], &name, "exit 0");
    // It may take the daemon a moment: its end is what `wait` for removal tells.
    d.api(
        "POST",
        &format!("/containers/{name}/wait?condition=removed"),
        "",
    );
    cli.run(&["inspect", &name]).exits(1);
});

own_test!(pauses_and_execs_survive, |d| {
    let cli = d.docker();
    let name = run(d, &cli, "a", COUNTER);
    let mut exec = cli.spawn(&[
        "exec",
        "-i",
        &name,
        "sh",
        "-c",
        "echo up; read x; touch /tmp/exec-went-on",
    ]);
    exec.line_with("up");
    cli.ok(&["pause", &name]);
    d.crash();
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}}", &name]),
        "paused"
    );
    cli.ok(&["unpause", &name]);
    assert_eq!(cli.ok(&["exec", &name, "echo", "again"]), "again");
});

own_test!(input_can_be_attached_again, |d| {
    let (cli, name) = (d.docker(), d.name("a"));
    cli.ok(&[
        "run",
        "-di",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo up; while read x; do echo got $x; done; exit 5",
    ]);
    cli.spawn(&["logs", "-f", &name]).line_with("up");
    d.crash();
    let mut attached = cli.spawn(&["attach", &name]);
    attached.write("word\n");
    attached.line_with("got word");
    drop(attached);
    cli.ok(&["kill", &name]);
});

own_test!(a_killed_shim_is_a_dead_container, |d| {
    let cli = d.docker();
    let name = run(d, &cli, "a", "echo up; sleep 1000 & sleep 1000");
    cli.spawn(&["logs", "-f", &name]).line_with("up");
    let (shim, first) = (shim(&cli, &name), first_process(&cli, &name));
    kill(shim);
    assert_eq!(cli.ok(&["wait", &name]), "137");
    assert!(
        process_end(first, Duration::from_secs(10)),
        "its process goes on"
    );
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}}",
            &name
        ]),
        "exited 137"
    );
    // It can start again.
    cli.ok(&["start", &name]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}}", &name]),
        "running"
    );
});

own_test!(a_shim_killed_while_no_daemon_runs, |d| {
    let cli = d.docker();
    let name = run(d, &cli, "a", "echo up; exec sleep 1000");
    cli.spawn(&["logs", "-f", &name]).line_with("up");
    let (shim, first) = (shim(&cli, &name), first_process(&cli, &name));
    d.stop(Signal::KILL);
    kill(shim);
    assert!(process_end(shim, Duration::from_secs(10)));
    d.start();
    assert_eq!(cli.ok(&["wait", &name]), "137");
    assert!(
        process_end(first, Duration::from_secs(10)),
        "its process goes on"
    );
});

own_test!(images_and_names_survive, |d| {
    let cli = d.docker();
    cli.ok(&["tag", IMAGE, "other:tag"]);
    let name = run(d, &cli, "a", COUNTER);
    cli.ok(&["rename", &name, "renamed"]);
    d.crash();
    assert_eq!(cli.ok(&["ps", "--format", "{{.Names}}"]), "renamed");
    assert_eq!(cli.ok(&["run", "--rm", "other:tag", "echo", "x"]), "x");
});

/// One worker's churn: errors are expected, because the daemon dies all the time.
pub(crate) fn churn(d: &Daemon, worker: usize, stop: &AtomicBool) {
    let cli = d.cli(if worker.is_multiple_of(2) {
        Client::Docker
    } else {
        Client::Tare
    });
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("churn-{worker}-{number}");
        number += 1;
        cli.run(&[
            "create",
            "--name",
            &name,
            "-v",
            "/data",
            IMAGE,
            "sh",
            "-c",
            "echo up; exec sleep 1000",
        ]);
        cli.run(&["start", &name]);
        cli.run(&["exec", &name, "touch", "/made", "/data/made"]);
        if number % 3 != 0 {
            cli.run(&["rm", "-f", "-v", &name]);
        }
    }
}

own_test!(fifty_kills_at_random_moments_during_a_churn, |d| {
    let layers = entries(&d.data_root().join("overlay2"));
    let stop = AtomicBool::new(false);
    let mut seed = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::thread::scope(|scope| {
        let _end = AtEnd(&stop);
        for worker in 0..3 {
            let stop = &stop;
            scope.spawn(move || churn(d, worker, stop));
        }
        // A channel on which nothing ever comes: a moment between 0 and 60 ms passes.
        let (_quiet, never) = channel::<()>();
        for _ in 0..50 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let _ = never.recv_timeout(Duration::from_micros((seed >> 33) % 60_000));
            d.crash();
        }
    });
    invariants(d);
    let cli = d.docker();
    for id in cli.ok(&["ps", "-aq"]).lines() {
        cli.ok(&["rm", "-f", "-v", id]);
    }
    d.crash();
    nothing_is_left(d, &layers);
    // And it still works.
    assert_eq!(cli.ok(&["run", "--rm", IMAGE, "echo", "fine"]), "fine");
});

/// Every container that is listed can be inspected, and is running exactly when its process lives.
pub(crate) fn invariants(d: &Daemon) {
    for one in d
        .api("GET", "/containers/json?all=1", "")
        .json()
        .as_array()
        .expect("a list")
    {
        let id = one["Id"].as_str().expect("Id");
        let inspect = d.api("GET", &format!("/containers/{id}/json"), "").json();
        let pid = inspect["State"]["Pid"].as_u64().expect("Pid");
        let alive = pid > 0 && Path::new(&format!("/proc/{pid}")).exists();
        assert_eq!(
            inspect["State"]["Running"].as_bool(),
            Some(alive),
            "{}",
            inspect["State"]
        );
        assert!(
            d.data_root().join("containers").join(id).is_dir(),
            "{id} has no folder"
        );
    }
}

/// No folder of a container, no layer but those that were there before, no bundle, no process, mount or cgroup.
pub(crate) fn nothing_is_left(d: &Daemon, layers: &[String]) {
    assert_eq!(entries(&d.data_root().join("containers")), [""; 0]);
    assert_eq!(entries(&d.data_root().join("overlay2")), layers);
    assert_eq!(entries(&d.data_root().join("tmp")), [""; 0]);
    assert_eq!(entries(&d.data_root().join("volumes")), [""; 0]);
    assert_eq!(entries(&d.folder().join("run/containers")), [""; 0]);
    let daemon = d.pid();
    let others: Vec<String> = d
        .leftovers()
        .processes()
        .into_iter()
        .filter(|(pid, _)| *pid != daemon)
        .map(|(_, words)| words)
        .collect();
    assert_eq!(others, [""; 0]);
    assert_eq!(d.leftovers().mounts(), [""; 0]);
    assert!(
        d.leftovers().cgroups().is_empty(),
        "{:?}",
        d.leftovers().cgroups()
    );
}

/// The names in a folder, sorted; the shared folder of short layer names and databases are not containers' things.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "l")
        .collect();
    names.sort();
    names
}

own_test!(execs_are_known_to_the_next_daemon, |d| {
    let cli = d.docker();
    let name = run(d, &cli, "a", "sleep 1000");
    let create = |script: &str| {
        let body = serde_json::json!({"Cmd": ["sh", "-c", script]});
        let path = format!("/containers/{name}/exec");
        let made = d.api("POST", &path, &body.to_string()).json();
        made["Id"].as_str().expect("an id").to_owned()
    };
    let start = |id: &str| d.api("POST", &format!("/exec/{id}/start"), r#"{"Detach":true}"#);
    let state = |id: &str| {
        let seen = d.api("GET", &format!("/exec/{id}/json"), "").json();
        let number = |key: &str| seen[key].as_i64();
        (seen["Running"].clone(), number("ExitCode"), number("Pid"))
    };
    let [made, ended, failed] = ["true", "exit 7", "true"].map(create);
    let [meanwhile, running] = ["read x <>/tmp/go; exit 9", "sleep 1000"].map(create);
    cli.ok(&["exec", &name, "mkfifo", "/tmp/go"]);
    for id in [&meanwhile, &running] {
        assert_eq!(start(id).status, 200);
    }
    let bad = serde_json::json!({"Cmd": ["/nope"]}).to_string();
    let bad = d
        .api("POST", &format!("/containers/{name}/exec"), &bad)
        .json();
    let bad = bad["Id"].as_str().expect("an id");
    assert_eq!(start(bad).status, 400);
    let since = tests::now();
    assert_eq!(start(&ended).status, 200);
    cli.spawn(&["events", "--since", &since, "--filter", "event=exec_die"])
        .line_with(&ended);
    let before = [&ended, &running, &meanwhile].map(|id| state(id));
    assert_eq!(before[0].1, Some(7));

    d.stop(Signal::KILL);
    // One ends while there is no daemon.
    let root = format!("/proc/{}/root/tmp/go", before[1].2.expect("a pid"));
    let pid = before[2].2.expect("a pid");
    fs::write(root, "go\n").expect("write");
    assert!(process_end(
        u32::try_from(pid).expect("a pid"),
        Duration::from_secs(20)
    ));
    d.start();

    assert_eq!(state(&ended), before[0]);
    assert_eq!(state(&running), before[1]);
    assert_eq!(state(&meanwhile), (false.into(), Some(9), Some(pid)));
    assert_eq!(state(&made), (false.into(), None, Some(0)));
    assert_eq!(state(bad).1, Some(127));
    // One that was made before can still be started, and one that runs ends as it should.
    assert_eq!(start(&failed).status, 200);
    cli.ok(&["kill", &name]);
    assert_eq!(state(&running).1, Some(137));
    d.crash();
    assert_eq!(state(&running).1, Some(137));
    cli.ok(&["rm", &name]);
    assert_eq!(d.api("GET", &format!("/exec/{ended}/json"), "").status, 404);
});
