//! exec: streams, terminals, users, exit codes, what `inspect` of one says.

use serde_json::json;
use tests::{Cli, Daemon, IMAGE, Terminal, both, daemon_test};

/// A running container of this name.
fn box_of(d: &Daemon, cli: &Cli) -> String {
    let name = d.name("box");
    cli.ok(&[
        "run", "-d", "--name", &name, "-e", "FROM=run", "-w", "/tmp", "-h", "box", IMAGE, "sleep",
        "1000",
    ]);
    name
}

both!(streams_and_codes, |d, cli| {
    let name = box_of(d, cli);
    let run = cli.run(&["exec", &name, "sh", "-c", "echo out; echo err >&2; exit 11"]);
    assert_eq!(
        (run.code, run.out().as_str(), run.err().as_str()),
        (11, "out", "err")
    );
    assert_eq!(
        cli.command(&["exec", "-i", &name, "cat"])
            .input("through")
            .run()
            .ok(),
        "through"
    );
    assert_eq!(
        cli.command(&["exec", &name, "wc", "-c"])
            .input("lost")
            .run()
            .ok(),
        "0"
    );
    assert_eq!(
        cli.command(&["exec", "-i", &name, "wc", "-c"])
            .input(vec![b'y'; 2_000_000])
            .run()
            .ok(),
        "2000000"
    );
});

both!(not_found_and_not_executable, |d, cli| {
    let name = box_of(d, cli);
    // The error comes as the process's output would.
    let run = cli.run(&["exec", &name, "no-such-program"]);
    run.exits(127);
    let said = format!("{}{}", run.out(), run.err());
    assert!(
        said.contains(r#"exec: "no-such-program": executable file not found in $PATH"#),
        "{said}"
    );
    let run = cli.run(&["exec", &name, "/etc/passwd"]);
    run.exits(126);
    assert!(format!("{}{}", run.out(), run.err()).contains("permission denied"));
    cli.run(&["exec", &d.name("none"), "true"])
        .fails(1, "No such container");
    cli.ok(&["kill", &name]);
    cli.run(&["exec", &name, "true"]).fails(1, "is not running");
});

both!(what_the_process_finds, |d, cli| {
    let name = box_of(d, cli);
    assert_eq!(
        cli.ok(&[
            "exec",
            &name,
            "sh",
            "-c",
            "echo $FROM $HOME $(pwd) $(hostname)"
        ]),
        "run /root /tmp box"
    );
    let args = [
        "exec",
        "-e",
        "FROM=exec",
        "-e",
        "MORE=1",
        "-w",
        "/etc",
        "-u",
        "user",
        &name,
        "sh",
        "-c",
        "echo $FROM $MORE $(pwd) $(id -u):$(id -g) $HOME",
    ];
    assert_eq!(cli.ok(&args), "exec 1 /etc 1000:1000 /home");
    let ours = cli.ok(&[
        "exec",
        &name,
        "sh",
        "-c",
        "readlink /proc/self/ns/pid /proc/self/ns/mnt; cat /proc/self/cgroup",
    ]);
    let first = cli.ok(&[
        "exec",
        &name,
        "sh",
        "-c",
        "readlink /proc/1/ns/pid /proc/1/ns/mnt; cat /proc/1/cgroup",
    ]);
    assert_eq!(ours, first);
    cli.run(&["exec", "-u", "nobody-here", &name, "true"])
        .fails(1, "unable to find user nobody-here");
    let relative = cli.run(&["exec", "-w", "rel", &name, "true"]);
    relative.exits(128);
    assert!(relative.out().contains("Cwd must be an absolute path"));
    cli.run(&["exec", "-w", "/no/such", &name, "true"])
        .fails(127, "");
});

both!(privileges, |d, cli| {
    let name = box_of(d, cli);
    let effective = |args: &[&str]| {
        let line = cli.ok(&[
            &["exec"],
            args,
            &[&name, "grep", "CapEff", "/proc/self/status"],
        ]
        .concat());
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(effective(&[]), "00000000a80425fb");
    assert_eq!(effective(&["-u", "user"]), "0000000000000000");
    assert_ne!(effective(&["--privileged"]), "00000000a80425fb");
});

both!(detached, |d, cli| {
    let name = box_of(d, cli);
    assert_eq!(
        cli.ok(&[
            "exec",
            "-d",
            &name,
            "sh",
            "-c",
            "mkfifo /tmp/f; echo done >/tmp/f"
        ]),
        ""
    );
    assert_eq!(
        cli.ok(&[
            "exec",
            &name,
            "sh",
            "-c",
            "until [ -p /tmp/f ]; do usleep 1000; done; cat /tmp/f"
        ]),
        "done"
    );
    cli.run(&["exec", "-d", &name, "no-such-program"])
        .fails(1, "executable file not found");
});

both!(a_terminal, |d, cli| {
    let name = box_of(d, cli);
    let mut terminal = Terminal::start(cli.command(&["exec", "-it", &name, "sh"]), 77, 22);
    terminal.read_until("# ");
    terminal.write("stty size; tty; echo $TERM; exit 13\n");
    terminal.read_until("22 77");
    terminal.read_until("/dev/pts/");
    terminal.read_until("xterm");
    assert_eq!(terminal.end().0, 13);
    let mut terminal = Terminal::start(
        cli.command(&["exec", "-it", "--detach-keys", "ctrl-x", &name, "sh"]),
        77,
        22,
    );
    terminal.read_until("# ");
    terminal.write("\x18");
    let (_, rest) = terminal.end();
    assert!(rest.contains("read escape sequence"), "{rest}");
});

both!(many_at_once, |d, cli| {
    let name = box_of(d, cli);
    let numbers: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let clients: Vec<_> = numbers
        .iter()
        .map(|number| {
            cli.spawn(&[
                "exec",
                &name,
                "sh",
                "-c",
                &format!("echo {number}; exit {number}"),
            ])
        })
        .collect();
    for (number, client) in numbers.iter().zip(clients) {
        let run = client.end();
        assert_eq!(
            (run.code.to_string(), run.out()),
            (number.clone(), number.clone())
        );
    }
});

both!(it_ends_with_its_container, |d, cli| {
    let name = box_of(d, cli);
    let mut client = cli.spawn(&["exec", &name, "sh", "-c", "echo up; sleep 1000"]);
    client.line_with("up");
    cli.ok(&["kill", &name]);
    client.end().exits(137);
});

daemon_test!(inspect_of_an_exec, |d| {
    let cli = d.docker();
    let name = box_of(d, &cli);
    let body = json!({"Cmd": ["sh", "-c", "exit 21"], "AttachStdout": true, "AttachStderr": true, "Env": ["A=1"], "User": "user"});
    let created = d.api(
        "POST",
        &format!("/containers/{name}/exec"),
        &body.to_string(),
    );
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["Id"].as_str().expect("Id").to_owned();
    let before = d.api("GET", &format!("/exec/{id}/json"), "").json();
    assert_eq!(
        (&before["Running"], &before["ExitCode"], &before["Pid"]),
        (&json!(false), &json!(null), &json!(0))
    );
    assert_eq!(before["ProcessConfig"]["entrypoint"], "sh");
    assert_eq!(
        before["ProcessConfig"]["arguments"],
        json!(["-c", "exit 21"])
    );
    assert_eq!(before["ProcessConfig"]["user"], "user");
    let started = d.api(
        "POST",
        &format!("/exec/{id}/start"),
        r#"{"Detach":false,"Tty":false}"#,
    );
    assert!(
        started.status == 200 || started.status == 101,
        "{}",
        started.status
    );
    let after = d.api("GET", &format!("/exec/{id}/json"), "").json();
    assert_eq!(
        (&after["Running"], &after["ExitCode"]),
        (&json!(false), &json!(21))
    );
    assert!(after["Pid"].as_u64().is_some_and(|pid| pid > 1), "{after}");
    assert_eq!(
        d.api("POST", &format!("/exec/{id}/start"), r#"{"Detach":true}"#)
            .status,
        409
    );
    assert_eq!(d.api("GET", "/exec/abcdef/json", "").status, 404);
    let inspect = d.api("POST", &format!("/containers/{name}/exec"), r#"{"Cmd":[]}"#);
    assert_eq!(
        (inspect.status, inspect.message().as_str()),
        (400, "No exec command specified")
    );
});
