//! create, start, stop, restart, kill, pause, rename, wait, rm, prune.

use tests::{Cli, Daemon, IMAGE, Running, Terminal, both};

/// A script that says `up`, and ends with 5 on SIGTERM.
const POLITE: &str = "trap 'exit 5' TERM; echo up; while :; do sleep 1000 & wait $!; done";

fn state(cli: &Cli, name: &str) -> String {
    cli.ok(&["inspect", "-f", "{{.State.Status}}", name])
}

/// A container that runs and has set up its trap.
fn polite(d: &Daemon, cli: &Cli, name: &str) -> String {
    let name = d.name(name);
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sh", "-c", POLITE]);
    cli.spawn(&["logs", "-f", &name]).line_with("up");
    name
}

/// The attach events of a container, from the first on.
fn attached(cli: &Cli, name: &str) -> Running {
    let filter = format!("container={name}");
    cli.spawn(&[
        "events",
        "--since",
        "0",
        "--filter",
        &filter,
        "--filter",
        "event=attach",
        "--format",
        "{{.Action}}",
    ])
}

both!(created_started_ended, |d, cli| {
    let name = d.name("a");
    let id = cli.ok(&[
        "create",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo hello; exit 3",
    ]);
    assert_eq!(state(cli, &name), "created");
    assert_eq!(cli.ok(&["start", &name]), name);
    assert_eq!(cli.ok(&["wait", &id[..10]]), "3");
    assert_eq!(state(cli, &name), "exited");
    let run = cli.run(&["start", "-a", &name]);
    assert_eq!((run.code, run.out().as_str()), (3, "hello"));
    assert_eq!(cli.ok(&["rm", &name]), name);
    cli.run(&["start", &name])
        .fails(1, &format!("No such container: {name}"));
});

both!(start_with_input, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "-i", "--name", &name, IMAGE, "cat"]);
    assert_eq!(
        cli.command(&["start", "-ai", &name])
            .input("through\n")
            .run()
            .ok(),
        "through"
    );
});

both!(start_of_several_with_one_missing, |d, cli| {
    let (one, missing) = (d.name("a"), d.name("none"));
    cli.ok(&["create", "--name", &one, IMAGE, "true"]);
    let run = cli.run(&["start", &one, &missing]);
    run.fails(1, "failed to start containers: ");
    assert_eq!(run.out(), one);
});

both!(stop_and_restart, |d, cli| {
    let name = polite(d, cli, "a");
    let pid = cli.ok(&["inspect", "-f", "{{.State.Pid}}", &name]);
    assert_eq!(cli.ok(&["restart", &name]), name);
    assert_eq!(state(cli, &name), "running");
    assert_ne!(cli.ok(&["inspect", "-f", "{{.State.Pid}}", &name]), pid);
    let mut logs = cli.spawn(&["logs", "-f", &name]);
    logs.line_with("up");
    logs.line_with("up");
    assert_eq!(cli.ok(&["stop", &name]), name);
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}",
            &name
        ]),
        "exited 5 0"
    );
    // Once more is no error.
    assert_eq!(cli.ok(&["stop", &name]), name);
    let deaf = d.name("deaf");
    cli.ok(&["run", "-d", "--name", &deaf, IMAGE, "sleep", "1000"]);
    assert_eq!(cli.ok(&["stop", "-t", "0", &deaf]), deaf);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.ExitCode}}", &deaf]),
        "137"
    );
});

// What ends at once has ended, as often as not, when the SIGKILL comes that follows at once.
both!(stop_at_once, |d, cli| {
    let names: Vec<_> = (0..6).map(|n| d.name(&format!("quick{n}"))).collect();
    for name in &names {
        cli.ok(&[
            "run", "-d", "--init", "--name", name, IMAGE, "sleep", "1000",
        ]);
    }
    let stops: Vec<_> = names
        .iter()
        .map(|name| cli.spawn(&["stop", "-t", "0", name]))
        .collect();
    for (stop, name) in stops.into_iter().zip(&names) {
        assert_eq!(stop.end().ok().trim(), name);
    }
    for name in &names {
        cli.ok(&["rm", name]);
    }
});

both!(stop_with_another_signal, |d, cli| {
    let name = polite(d, cli, "a");
    cli.ok(&["stop", "-s", "KILL", &name]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.ExitCode}}", &name]),
        "137"
    );
});

both!(kill_by_name_and_number, |d, cli| {
    let name = polite(d, cli, "a");
    assert_eq!(cli.ok(&["kill", "-s", "15", &name]), name);
    assert_eq!(cli.ok(&["wait", &name]), "5");
    cli.run(&["kill", &name]).fails(1, "is not running");
    let name = polite(d, cli, "b");
    cli.run(&["kill", "-s", "NONSENSE", &name])
        .fails(1, "invalid signal: NONSENSE");
    cli.ok(&["kill", "--signal", "SIGTERM", &name]);
    assert_eq!(cli.ok(&["wait", &name]), "5");
});

both!(pause_and_unpause, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "while :; do echo tick; usleep 1000; done",
    ]);
    assert_eq!(cli.ok(&["pause", &name]), name);
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.Paused}} {{.State.Running}}",
            &name
        ]),
        "paused true true"
    );
    cli.run(&["pause", &name]).fails(1, "is already paused");
    cli.run(&["exec", &name, "true"])
        .fails(1, "is paused, unpause the container before exec");
    let before = cli.ok(&["logs", &name]).len();
    assert_eq!(cli.ok(&["logs", &name]).len(), before);
    assert_eq!(cli.ok(&["unpause", &name]), name);
    assert_eq!(state(cli, &name), "running");
    cli.run(&["unpause", &name]).fails(1, "is not paused");
    // A paused one can be killed.
    cli.ok(&["pause", &name]);
    cli.ok(&["kill", &name]);
    assert_eq!(cli.ok(&["wait", &name]), "137");
});

both!(rename, |d, cli| {
    let (old, new) = (d.name("old"), d.name("new"));
    let id = cli.ok(&["create", "--name", &old, IMAGE, "true"]);
    cli.ok(&["rename", &old, &new]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.Id}} {{.Name}}", &new]),
        format!("{id} /{new}")
    );
    cli.run(&["inspect", &old]).exits(1);
    cli.ok(&["create", "--name", &old, IMAGE, "true"]);
    cli.run(&["rename", &new, &old])
        .fails(1, "is already in use by container");
    cli.run(&["rename", &new, &new]).fails(
        1,
        "Renaming a container with the same name as its current name",
    );
});

both!(wait_for_several_and_for_the_next, |d, cli| {
    let (one, two) = (d.name("a"), d.name("b"));
    cli.ok(&["create", "--name", &one, IMAGE, "sh", "-c", "exit 1"]);
    cli.ok(&["create", "--name", &two, IMAGE, "sh", "-c", "exit 2"]);
    cli.ok(&["start", &one, &two]);
    assert_eq!(cli.ok(&["wait", &one, &two]), "1\n2");
    cli.run(&["wait", &d.name("none")])
        .fails(1, "No such container");
});

both!(remove, |d, cli| {
    let name = polite(d, cli, "a");
    cli.run(&["rm", &name]).fails(
        1,
        "container is running: stop the container before removing or force remove",
    );
    assert_eq!(cli.ok(&["rm", "-f", &name]), name);
    cli.run(&["rm", &name])
        .fails(1, &format!("No such container: {name}"));
    // By -f, what is not there is no failure.
    cli.run(&["rm", "-f", &name]).exits(0);
});

both!(prune_takes_what_ended, |d, cli| {
    let label = d.name("mine");
    let (ended, running) = (d.name("ended"), d.name("running"));
    let id = cli.ok(&["create", "--name", &ended, "-l", &label, IMAGE, "true"]);
    cli.ok(&[
        "run", "-d", "--name", &running, "-l", &label, IMAGE, "sleep", "1000",
    ]);
    let out = cli.ok(&[
        "container",
        "prune",
        "-f",
        "--filter",
        &format!("label={label}"),
    ]);
    assert!(
        out.starts_with(&format!(
            "Deleted Containers:\n{id}\n\nTotal reclaimed space: "
        )),
        "{out}"
    );
    assert_eq!(
        cli.ok(&[
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            &format!("label={label}")
        ])
        .lines()
        .count(),
        1
    );
});

both!(ids_by_prefix, |d, cli| {
    let name = d.name("a");
    let id = cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    assert_eq!(cli.ok(&["inspect", "-f", "{{.Id}}", &id[..16]]), id);
    cli.run(&["inspect", "-f", "{{.Id}}", "zzz"]).exits(1);
});

both!(restart_of_a_created_one_starts_it, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "sleep", "1000"]);
    cli.ok(&["restart", "-t", "0", &name]);
    assert_eq!(state(cli, &name), "running");
});

both!(attach_to_a_running_one, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-di",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "read x; echo bad >&2; echo got $x; read x; exit 8",
    ]);
    let mut client = cli.spawn(&["attach", &name]);
    attached(cli, &name).line_with("attach");
    client.write("word\n");
    client.line_with("got word");
    client.write("\n");
    let run = client.end();
    assert_eq!((run.code, run.err().as_str()), (8, "bad"));
    cli.run(&["attach", &name])
        .fails(1, "cannot attach to a stopped container, start it first");
});

both!(attach_without_input, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "trap 'echo bye; exit 2' TERM; while :; do sleep 1000 & wait $!; done",
    ]);
    let client = cli.spawn(&["attach", "--no-stdin", &name]);
    let other = cli.spawn(&["attach", "--sig-proxy=false", "--no-stdin", &name]);
    // Both are attached once the daemon says so.
    let mut events = attached(cli, &name);
    events.line_with("attach");
    events.line_with("attach");
    cli.ok(&["stop", &name]);
    for client in [client, other] {
        let run = client.end();
        assert_eq!((run.code, run.out().as_str()), (2, "bye"));
    }
});

both!(a_second_start_of_a_running_one_is_nothing, |d, cli| {
    let name = d.name("a");
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
    let begun = cli.ok(&["inspect", "-f", "{{.State.StartedAt}}", &name]);
    cli.ok(&["start", &name]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.StartedAt}}", &name]),
        begun
    );
});

both!(a_terminal_of_a_created_container, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "-it", "--name", &name, IMAGE, "sh"]);
    let mut terminal = Terminal::start(cli.command(&["start", "-ai", &name]), 70, 20);
    terminal.read_until("# ");
    terminal.write("stty size; exit 4\n");
    terminal.read_until("20 70");
    assert_eq!(terminal.end().0, 4);
});

both!(top_shows_the_processes, |d, cli| {
    let name = d.name("a");
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
    let out = cli.ok(&["top", &name]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    );
    assert!(
        lines.len() == 2 && lines[1].ends_with("sleep 1000"),
        "{out}"
    );
    let out = cli.ok(&["top", &name, "-o", "pid,comm"]);
    assert!(
        out.lines()
            .nth(1)
            .is_some_and(|line| line.ends_with("sleep")),
        "{out}"
    );
    cli.ok(&["kill", &name]);
    cli.run(&["top", &name]).fails(1, "is not running");
});
