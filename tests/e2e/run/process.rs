//! What the process gets: arguments, environment, working folder, entry point, init, signals.

use std::fs;

use rustix::process::Signal;
use tests::{IMAGE, both};

both!(arguments_arrive_as_they_were, |_d, cli| {
    let out = cli.ok(&[
        "run", "--rm", IMAGE, "printf", "[%s]", "a b", "", "-it", "--rm", "$HOME", "ü",
    ]);
    assert_eq!(out, "[a b][][-it][--rm][$HOME][ü]");
});

both!(environment_in_dockers_order_of_precedence, |d, cli| {
    let file = d.folder().join("env");
    fs::write(
        &file,
        "# a comment\nFROM_FILE=file\nBOTH=file\nPASSED\n\n  SPACED=x y\n",
    )
    .expect("write");
    let file = file.display().to_string();
    let script = "echo \"$FROM_FILE|$BOTH|$PASSED|$SPACED|$EMPTY|$ALSO|$HOSTNAME|$HOME|$PATH\"";
    let args = [
        "run",
        "--rm",
        "-h",
        "box",
        "--env-file",
        &file,
        "-e",
        "BOTH=flag",
        "-e",
        "EMPTY=",
        "-e",
        "ALSO",
        IMAGE,
        "sh",
        "-c",
        script,
    ];
    let out = cli
        .command(&args)
        .env("PASSED", "through")
        .env("ALSO", "this")
        .run()
        .ok();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(out, format!("file|flag|through|x y||this|box|/root|{path}"));
    // A name that the client does not have is left out, not set to nothing.
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "-e",
            "NOT_SET",
            IMAGE,
            "sh",
            "-c",
            "echo ${NOT_SET-unset}"
        ]),
        "unset"
    );
    cli.run(&["run", "--rm", "--env-file", "/no/such", IMAGE, "true"])
        .fails(125, "no such file or directory");
});

both!(entrypoint_and_command, |_d, cli| {
    assert_eq!(
        cli.ok(&["run", "--rm", "--entrypoint", "echo", IMAGE, "a", "b"]),
        "a b"
    );
    assert_eq!(
        cli.ok(&["run", "--rm", "--entrypoint", "/bin/echo", IMAGE]),
        ""
    );
    // An empty one takes the image's away.
    assert_eq!(
        cli.ok(&["run", "--rm", "--entrypoint", "", IMAGE, "echo", "x"]),
        "x"
    );
});

both!(init_is_process_one, |_d, cli| {
    assert_eq!(cli.ok(&["run", "--rm", IMAGE, "sh", "-c", "echo $$"]), "1");
    let out = cli.ok(&[
        "run",
        "--rm",
        "--init",
        IMAGE,
        "sh",
        "-c",
        "echo $$; cat /proc/1/comm",
    ]);
    let mut lines = out.lines();
    assert_ne!(lines.next(), Some("1"));
    assert!(lines.next().is_some_and(|comm| comm != "sh"), "{out}");
    // It hands on the exit code and signals.
    cli.run(&["run", "--rm", "--init", IMAGE, "sh", "-c", "exit 9"])
        .exits(9);
    let mut client = cli.spawn(&[
        "run",
        "--rm",
        "--init",
        IMAGE,
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ]);
    client.line_with("up");
    client.signal(Signal::TERM);
    client.end().exits(143);
});

both!(the_client_hands_signals_on, |d, cli| {
    let name = d.name("a");
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 4' TERM; echo up; while :; do sleep 1000 & wait $!; done";
    let mut client = cli.spawn(&["run", "--name", &name, IMAGE, "sh", "-c", script]);
    client.line_with("up");
    client.signal(Signal::USR1);
    client.line_with("usr1");
    client.signal(Signal::TERM);
    client.line_with("term");
    client.end().exits(4);
});

both!(stop_sends_the_stop_signal_and_then_kills, |d, cli| {
    let name = d.name("polite");
    let script = "trap 'echo usr2; exit 7' USR2; echo up; while :; do sleep 1000 & wait $!; done";
    let mut client = cli.spawn(&[
        "run",
        "--name",
        &name,
        "--stop-signal",
        "USR2",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    client.line_with("up");
    assert_eq!(cli.ok(&["stop", &name]), name);
    client.end().exits(7);
    let name = d.name("deaf");
    let mut client = cli.spawn(&[
        "run",
        "--name",
        &name,
        "--stop-timeout",
        "0",
        IMAGE,
        "sh",
        "-c",
        "trap '' TERM; echo up; while :; do sleep 1000; done",
    ]);
    client.line_with("up");
    cli.ok(&["stop", &name]);
    client.end().exits(137);
});

both!(the_id_file, |d, cli| {
    let file = d.folder().join("cid").display().to_string();
    let name = d.name("a");
    let id = cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        "--cidfile",
        &file,
        IMAGE,
        "true",
    ]);
    assert_eq!(fs::read_to_string(&file).expect("read"), id);
    assert_eq!(id.len(), 64);
    cli.run(&["run", "--cidfile", &file, IMAGE, "true"])
        .fails(125, "make sure the other container isn't running");
});

both!(labels_and_annotations, |d, cli| {
    let file = d.folder().join("labels");
    fs::write(&file, "from.file=1\nboth=file\n").expect("write");
    let name = d.name("a");
    let file = file.display().to_string();
    cli.ok(&[
        "create",
        "--name",
        &name,
        "--label-file",
        &file,
        "-l",
        "both=flag",
        "-l",
        "bare",
        "--annotation",
        "an=nn",
        IMAGE,
        "true",
    ]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{json .Config.Labels}}", &name]),
        r#"{"bare":"","both":"flag","from.file":"1"}"#
    );
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{json .HostConfig.Annotations}}", &name]),
        r#"{"an":"nn"}"#
    );
});

both!(removed_when_it_ends, |d, cli| {
    let name = d.name("a");
    cli.ok(&["run", "--rm", "--name", &name, IMAGE, "true"]);
    cli.run(&["inspect", &name]).fails(1, "No such");
    let name = d.name("b");
    cli.ok(&["run", "-d", "--rm", "--name", &name, IMAGE, "sleep", "1000"]);
    let mut wait = cli.spawn(&[
        "events",
        "--filter",
        &format!("container={name}"),
        "--since",
        "0",
        "--filter",
        "event=destroy",
        "--format",
        "{{.Action}}",
    ]);
    cli.ok(&["kill", &name]);
    wait.line_with("destroy");
    cli.run(&["inspect", &name]).fails(1, "No such");
});

both!(names_are_checked, |_d, cli| {
    cli.run(&["run", "--rm", "--name", "a b", IMAGE, "true"])
        .fails(
            125,
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        );
    // Without one, it gets one of the kind adjective_surname.
    let id = cli.ok(&["create", IMAGE, "true"]);
    let name = cli.ok(&["inspect", "-f", "{{.Name}}", &id]);
    cli.ok(&["rm", &id]);
    assert!(name.starts_with('/') && name.contains('_'), "{name}");
});
