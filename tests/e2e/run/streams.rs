//! Standard streams: pipes, terminals, attach flags, detach keys.

use tests::{IMAGE, Terminal, both};

both!(standard_input_arrives_and_ends, |_d, cli| {
    assert_eq!(
        cli.command(&["run", "--rm", "-i", IMAGE, "cat"])
            .input("one\ntwo\n")
            .run()
            .ok(),
        "one\ntwo"
    );
    assert_eq!(
        cli.command(&["run", "--rm", "-i", IMAGE, "wc", "-c"])
            .input(vec![b'x'; 3_000_000])
            .run()
            .ok(),
        "3000000"
    );
    // Without -i there is none.
    assert_eq!(
        cli.command(&["run", "--rm", IMAGE, "wc", "-c"])
            .input("lost")
            .run()
            .ok(),
        "0"
    );
});

both!(both_outputs_stay_apart, |_d, cli| {
    let run = cli.run(&["run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((run.out().as_str(), run.err().as_str()), ("out", "err"));
});

both!(large_output_is_whole, |_d, cli| {
    let run = cli.run(&[
        "run",
        "--rm",
        IMAGE,
        "sh",
        "-c",
        "yes 0123456789abcdef | head -c 20000000",
    ]);
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout.len(), 20_000_000);
    assert!(
        run.stdout
            .chunks_exact(17)
            .all(|line| line == b"0123456789abcdef\n")
    );
});

both!(only_the_attached_streams, |d, cli| {
    let run = cli.run(&[
        "run",
        "--rm",
        "-a",
        "stderr",
        IMAGE,
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!((run.out().as_str(), run.err().as_str()), ("", "err"));
    // Standard input alone: nothing is printed.
    let name = d.name("a");
    let run = cli
        .command(&["run", "-i", "-a", "stdin", "--name", &name, IMAGE, "cat"])
        .input("word")
        .run();
    assert_eq!(run.ok(), "");
    assert_eq!(cli.ok(&["wait", &name]), "0");
    assert_eq!(cli.ok(&["logs", &name]), "word");
});

both!(detached_prints_the_id, |d, cli| {
    let name = d.name("a");
    let id = cli.ok(&["run", "-d", "--name", &name, IMAGE, "echo", "hello"]);
    assert!(
        id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(cli.ok(&["wait", &id]), "0");
    assert_eq!(cli.ok(&["logs", &name]), "hello");
    cli.run(&["run", "-d", "-a", "stdout", IMAGE, "true"])
        .fails(
            1,
            "conflicting options: cannot specify both --attach and --detach",
        );
});

both!(a_terminal_has_a_size_that_follows, |_d, cli| {
    let script = "trap 'stty size' WINCH; tty; stty size; echo ready; until [ \"$line\" = end ]; do read line; echo got $line; done";
    let command = cli
        .command(&["run", "--rm", "-it", IMAGE, "sh", "-c", script])
        .env("TERM", "xterm");
    let mut terminal = Terminal::start(command, 91, 33);
    terminal.read_until("/dev/pts/0");
    terminal.read_until("ready");
    // A shell runs its traps between commands.
    terminal.write("\n");
    terminal.resize_until(101, 44, "44 101");
    terminal.write("word\n");
    terminal.read_until("got word");
    terminal.write("end\n");
    assert_eq!(terminal.end().0, 0);
});

both!(
    a_terminal_sets_the_environment_and_cooks_lines,
    |_d, cli| {
        let mut terminal = Terminal::start(
            cli.command(&[
                "run",
                "--rm",
                "-it",
                IMAGE,
                "sh",
                "-c",
                "echo $TERM; exit 6",
            ]),
            80,
            24,
        );
        terminal.read_until("xterm\r\n");
        assert_eq!(terminal.end().0, 6);
        // -t without a terminal of one's own works for output, and -it refuses.
        let run = cli.run(&["run", "--rm", "-t", IMAGE, "sh", "-c", "echo a; echo b >&2"]);
        assert_eq!(String::from_utf8_lossy(&run.stdout), "a\r\nb\r\n");
        cli.command(&["run", "--rm", "-it", IMAGE, "true"])
            .input("x")
            .run()
            .fails(1, "input device is not a TTY");
    }
);

both!(keys_detach, |d, cli| {
    let name = d.name("a");
    let mut terminal = Terminal::start(
        cli.command(&["run", "-it", "--name", &name, IMAGE, "sh"]),
        80,
        24,
    );
    terminal.read_until("# ");
    terminal.write("echo mark$((1+1))\n");
    terminal.read_until("mark2\r\n");
    terminal.write("\x10\x11");
    let (code, rest) = terminal.end();
    assert_eq!(code, 0, "{rest}");
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}}", &name]),
        "running"
    );
    // Other keys, and attach to the same shell.
    let mut terminal = Terminal::start(
        cli.command(&["attach", "--detach-keys", "ctrl-a,x", &name]),
        80,
        24,
    );
    terminal.write("echo again$((2+2))\n");
    terminal.read_until("again4\r\n");
    terminal.write("\x01x");
    let (code, rest) = terminal.end();
    assert_eq!(code, 1, "{rest}");
    assert!(rest.contains("read escape sequence"), "{rest}");
    cli.ok(&["rm", "-f", &name]);
});
