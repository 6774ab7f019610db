//! Exit codes, and the errors behind 125, 126 and 127.

use tests::{IMAGE, both};

both!(the_code_of_the_process, |d, cli| {
    cli.ok(&["run", "--rm", IMAGE, "true"]);
    cli.run(&["run", "--rm", IMAGE, "sh", "-c", "exit 42"])
        .exits(42);
    let name = d.name("kept");
    cli.run(&["run", "--name", &name, IMAGE, "sh", "-c", "exit 3"])
        .exits(3);
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}}",
            &name
        ]),
        "exited 3"
    );
});

both!(no_such_executable_is_127, |d, cli| {
    let run = cli.run(&["run", "--rm", IMAGE, "no-such-program"]);
    run.fails(
        127,
        r#"exec: "no-such-program": executable file not found in $PATH"#,
    );
    cli.run(&["run", "--rm", IMAGE, "/no/such"])
        .fails(127, "no such file or directory");
    // The container stays, as created.
    let name = d.name("kept");
    cli.run(&["run", "-d", "--name", &name, IMAGE, "no-such-program"])
        .exits(127);
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}}",
            &name
        ]),
        "created 127"
    );
});

both!(not_executable_is_126, |_d, cli| {
    cli.run(&["run", "--rm", IMAGE, "/etc/passwd"])
        .fails(126, "permission denied");
    cli.run(&["run", "--rm", IMAGE, "/etc"]).fails(126, "");
});

both!(an_error_of_the_daemon_is_125, |d, cli| {
    cli.run(&["run", "--rm", "--pull", "never", &d.name("nothing"), "true"])
        .fails(125, "No such image");
    cli.run(&["run", "--rm", "--memory", "1k", IMAGE, "true"])
        .fails(125, "Minimum memory limit allowed is 6MB");
    cli.run(&["run", "--rm", "--no-such-flag", IMAGE])
        .fails(125, "unknown flag: --no-such-flag");
    let name = d.name("twice");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    cli.run(&["run", "--name", &name, IMAGE, "true"])
        .fails(125, "is already in use by container");
});

both!(a_signal_is_128_and_its_number, |d, cli| {
    let name = d.name("a");
    let mut client = cli.spawn(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo up; sleep 1000",
    ]);
    client.line_with("up");
    cli.ok(&["kill", &name]);
    client.end().exits(137);
    let name = d.name("b");
    let script = "trap 'exit 5' TERM; echo up; while :; do sleep 1000 & wait; done";
    let mut client = cli.spawn(&["run", "--name", &name, IMAGE, "sh", "-c", script]);
    client.line_with("up");
    cli.ok(&["kill", "-s", "TERM", &name]);
    client.end().exits(5);
});

both!(out_of_memory_is_137_and_said, |d, cli| {
    let name = d.name("a");
    let run = cli.run(&[
        "run",
        "--name",
        &name,
        "-m",
        "20m",
        IMAGE,
        "sh",
        "-c",
        "x=a; while :; do x=$x$x; done",
    ]);
    run.exits(137);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.OOMKilled}}", &name]),
        "true"
    );
});

both!(
    a_missing_working_folder_is_made_and_a_file_refused,
    |_d, cli| {
        assert_eq!(
            cli.ok(&["run", "--rm", "-w", "/made/here", IMAGE, "pwd"]),
            "/made/here"
        );
        cli.run(&["run", "--rm", "-w", "/etc/passwd", IMAGE, "pwd"])
            .fails(125, "Cannot mkdir: /etc/passwd is not a directory");
        cli.run(&["run", "--rm", "-w", "relative", IMAGE, "pwd"])
            .fails(125, "working directory 'relative' is invalid");
    }
);

both!(a_program_that_the_kernel_refuses, |d, cli| {
    // It was there and could be executed, so the container has started: the text is on its own stderr.
    for (content, words) in [
        ("#!/nope/sh", "exec /tmp/x: no such file or directory"),
        ("no program", "exec /tmp/x: exec format error"),
        ("#!/etc/passwd", "exec /tmp/x: permission denied"),
    ] {
        let name = d.name("a");
        cli.ok(&["create", "--name", &name, IMAGE, "/tmp/x"]);
        let file = d.folder().join("x");
        std::fs::write(&file, content).expect("write");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, mode).expect("chmod");
        cli.ok(&["cp", &file.to_string_lossy(), &format!("{name}:/tmp/x")]);
        cli.run(&["start", "-a", &name]).fails(255, words);
        assert_eq!(cli.run(&["logs", &name]).err(), words);
        assert_eq!(
            cli.ok(&["inspect", "-f", "{{.State.Status}} {{.State.Error}}", &name]),
            "exited "
        );
        cli.ok(&["rm", &name]);
    }
});

both!(an_exec_that_the_kernel_refuses, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "printf '#!/nope' >/x; chmod +x /x; touch /ready; exec sleep 1000",
    ]);
    cli.ok(&[
        "exec",
        &name,
        "sh",
        "-c",
        "until [ -e /ready ]; do usleep 10000; done",
    ]);
    cli.run(&["exec", &name, "/x"])
        .fails(255, "exec /x: no such file or directory");
});

both!(out_of_memory_is_told_when_it_happens, |d, cli| {
    let (name, since) = (d.name("a"), tests::now());
    let script = "sh -c 'x=a; while :; do x=$x$x; done'; echo alive; exec sleep 1000";
    let mut attached = cli.spawn(&[
        "run", "--name", &name, "-m", "20m", IMAGE, "sh", "-c", script,
    ]);
    // Only a child was killed: the container runs on.
    attached.line_with("alive");
    let filters = ["--filter", "event=oom", "--format", "{{.Action}}"];
    let container = format!("container={name}");
    let words = [
        &["events", "--since", &since, "--filter", &container][..],
        &filters,
    ]
    .concat();
    assert_eq!(cli.spawn(&words).line().as_deref(), Some("oom"));
    let state = cli.ok(&[
        "inspect",
        "-f",
        "{{.State.OOMKilled}} {{.State.Running}}",
        &name,
    ]);
    assert_eq!(state, "true true");
    cli.ok(&["kill", &name]);
    attached.end().exits(137);
});
