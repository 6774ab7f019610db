//! logs: both streams, tail, since, until, timestamps, follow, drivers, rotation.

use std::fs;

use tests::{Cli, Daemon, IMAGE, both, own_test};

/// A container that has printed the numbers up to `last`, a line each.
fn counted(d: &Daemon, cli: &Cli, last: u32) -> String {
    let name = d.name("a");
    cli.ok(&["run", "--name", &name, IMAGE, "seq", "1", &last.to_string()]);
    name
}

both!(both_streams_apart_and_in_order, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo 1; usleep 2000; echo 2 >&2; usleep 2000; echo 3; printf unfinished",
    ]);
    let run = cli.run(&["logs", &name]);
    assert_eq!(
        (run.out().as_str(), run.err().as_str()),
        ("1\n3\nunfinished", "2")
    );
    cli.run(&["logs", &d.name("none")])
        .fails(1, "No such container");
});

both!(tail, |d, cli| {
    let name = counted(d, cli, 2000);
    assert_eq!(cli.ok(&["logs", &name]).lines().count(), 2000);
    assert_eq!(cli.ok(&["logs", "--tail", "3", &name]), "1998\n1999\n2000");
    assert_eq!(cli.ok(&["logs", "-n", "0", &name]), "");
    assert_eq!(cli.ok(&["logs", "-n", "all", &name]).lines().count(), 2000);
    assert_eq!(cli.ok(&["logs", "-n", "5000", &name]).lines().count(), 2000);
});

both!(since_and_until, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "for n in 1 2 3 4 5; do echo $n; usleep 20000; done",
    ]);
    let stamped = cli.ok(&["logs", "-t", &name]);
    let stamps: Vec<&str> = stamped
        .lines()
        .map(|line| line.split_once(' ').expect("a time").0)
        .collect();
    assert!(
        stamps
            .iter()
            .all(|stamp| stamp.len() == 30 && stamp.ends_with('Z')),
        "{stamps:?}"
    );
    assert!(stamps.is_sorted());
    assert_eq!(cli.ok(&["logs", "--since", stamps[2], &name]), "3\n4\n5");
    assert_eq!(cli.ok(&["logs", "--until", stamps[1], &name]), "1\n2");
    assert_eq!(
        cli.ok(&["logs", "--since", stamps[1], "--until", stamps[3], &name]),
        "2\n3\n4"
    );
    assert_eq!(
        cli.ok(&["logs", "--since", stamps[1], "--tail", "2", &name]),
        "4\n5"
    );
    assert_eq!(cli.ok(&["logs", "--since", "1h", &name]).lines().count(), 5);
    assert_eq!(cli.ok(&["logs", "--until", "1h", &name]), "");
});

both!(follow_ends_with_the_container, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-di",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo first; read x; echo $x; echo err >&2; exit 3",
    ]);
    let mut follow = cli.spawn(&["logs", "-f", &name]);
    follow.line_with("first");
    cli.command(&["attach", &name]).input("second\n").run();
    let run = follow.end();
    assert_eq!(
        (run.code, run.out().as_str(), run.err().as_str()),
        (0, "second", "err")
    );
    // Of one that has ended, it ends at once.
    assert_eq!(cli.ok(&["logs", "-f", &name]), "first\nsecond");
});

both!(follow_from_the_tail, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-di",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "seq 1 100; echo ready; read x; echo more; read x",
    ]);
    cli.spawn(&["logs", "-f", &name]).line_with("ready");
    let mut follow = cli.spawn(&["logs", "-f", "-n", "2", &name]);
    assert_eq!(follow.line().as_deref(), Some("100"));
    assert_eq!(follow.line().as_deref(), Some("ready"));
    let mut attached = cli.spawn(&["attach", &name]);
    attached.write("go\n");
    assert_eq!(follow.line().as_deref(), Some("more"));
    drop(attached);
    cli.ok(&["rm", "-f", &name]);
});

both!(follow_across_a_restart, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ]);
    cli.spawn(&["logs", "-f", &name]).line_with("up");
    cli.ok(&["restart", "-t", "0", &name]);
    let mut follow = cli.spawn(&["logs", "-f", &name]);
    follow.line_with("up");
    follow.line_with("up");
});

both!(terminal_output_is_one_stream, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "-t",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo a; echo b >&2",
    ]);
    cli.ok(&["wait", &name]);
    let run = cli.run(&["logs", &name]);
    assert_eq!(
        (
            String::from_utf8_lossy(&run.stdout).as_ref(),
            run.err().as_str()
        ),
        ("a\r\nb\r\n", "")
    );
});

both!(bytes_and_long_lines_come_back_as_they_were, |d, cli| {
    let name = d.name("a");
    let script = r#"printf 'quote " back \\ tab \t bell \a del \177 \303\274 <>& \n'; head -c 100000 /dev/zero | tr '\0' x; echo; printf '\342\200\250\n'"#;
    cli.ok(&["run", "--name", &name, IMAGE, "sh", "-c", script]);
    let run = cli.run(&["logs", &name]);
    let lines: Vec<&[u8]> = run.stdout.split(|byte| *byte == b'\n').collect();
    assert_eq!(
        lines[0],
        b"quote \" back \\ tab \t bell \x07 del \x7f \xc3\xbc <>& "
    );
    assert_eq!(lines[1].len(), 100_000);
    assert_eq!(lines[2], "\u{2028}".as_bytes());
    let stamped = cli.run(&["logs", "-t", &name]);
    assert_eq!(stamped.out().lines().count(), 3);
});

both!(drivers, |d, cli| {
    let name = d.name("none");
    cli.ok(&[
        "run",
        "--name",
        &name,
        "--log-driver",
        "none",
        IMAGE,
        "echo",
        "x",
    ]);
    cli.run(&["logs", &name])
        .fails(1, "configured logging driver does not support reading");
    let name = d.name("local");
    cli.ok(&[
        "run",
        "--name",
        &name,
        "--log-driver",
        "local",
        IMAGE,
        "sh",
        "-c",
        "seq 1 1000; echo e >&2",
    ]);
    let run = cli.run(&["logs", &name]);
    assert_eq!((run.out().lines().count(), run.err().as_str()), (1000, "e"));
    assert_eq!(
        cli.ok(&["logs", "--tail", "2", &name]).lines().last(),
        Some("1000")
    );
    cli.run(&["run", "--log-driver", "nonsense", IMAGE, "true"])
        .fails(125, "nonsense");
    cli.run(&["run", "--log-opt", "nonsense=1", IMAGE, "true"])
        .fails(125, "unknown log opt 'nonsense' for json-file log driver");
    cli.run(&["run", "--log-opt", "max-size=x", IMAGE, "true"])
        .fails(125, "");
    cli.run(&["run", "--log-opt", "max-buffer-size=1m", IMAGE, "true"])
        .fails(
            125,
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        );
    let name = d.name("c");
    cli.ok(&[
        "run",
        "--name",
        &name,
        "--log-opt",
        "mode=non-blocking",
        "--log-opt",
        "max-buffer-size=2m",
        "--label",
        "abc=1",
        "--label",
        "bcd=2",
        "--log-opt",
        "labels-regex=^a",
        IMAGE,
        "echo",
        "hi",
    ]);
    assert_eq!(cli.ok(&["logs", "--details", &name]).trim_end(), "abc=1 hi");
});

both!(rotated_logs_are_bounded_and_read_across_files, |d, cli| {
    let name = d.name("a");
    let options = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3"];
    cli.ok(&[
        &["run", "--name", &name],
        &options[..],
        &[IMAGE, "seq", "1", "3000"],
    ]
    .concat());
    let out = cli.ok(&["logs", &name]);
    let numbers: Vec<u32> = out
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert_eq!(numbers.last(), Some(&3000));
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "a hole"
    );
    assert!(
        (100..1000).contains(&numbers.len()),
        "{} lines are left",
        numbers.len()
    );
    assert_eq!(
        cli.ok(&["logs", "--tail", "200", &name]).lines().next(),
        Some("2801")
    );
    if tests::oracle().is_none() {
        let path = cli.ok(&["inspect", "-f", "{{.LogPath}}", &name]);
        let size: u64 = ["", ".1", ".2"]
            .iter()
            .filter_map(|end| fs::metadata(format!("{path}{end}")).ok())
            .map(|meta| meta.len())
            .sum();
        assert!(size < 40_000, "{size} bytes");
        assert!(fs::metadata(format!("{path}.3")).is_err());
    }
});

both!(compressed_rotated_logs, |d, cli| {
    let name = d.name("a");
    let options = [
        "--log-opt",
        "max-size=10k",
        "--log-opt",
        "max-file=3",
        "--log-opt",
        "compress=true",
    ];
    cli.ok(&[
        &["run", "--name", &name],
        &options[..],
        &[IMAGE, "seq", "1", "3000"],
    ]
    .concat());
    let out = cli.ok(&["logs", &name]);
    assert_eq!(out.lines().last(), Some("3000"));
    assert!(out.lines().count() > 100, "{} lines", out.lines().count());
});

own_test!(the_file_is_dockers_own_format, |d| {
    let cli = d.tare();
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        "-l",
        "seen=yes",
        "--log-opt",
        "labels=seen",
        IMAGE,
        "sh",
        "-c",
        "echo out; echo err >&2; printf end",
    ]);
    let path = cli.ok(&["inspect", "-f", "{{.LogPath}}", &name]);
    let id = cli.ok(&["inspect", "-f", "{{.Id}}", &name]);
    assert!(
        path.ends_with(&format!("containers/{id}/{id}-json.log")),
        "{path}"
    );
    let text = fs::read_to_string(path).expect("read the log");
    let mut lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    lines.sort_by_key(|line| line["log"].as_str().unwrap_or_default().to_owned());
    let shown: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            (
                line["log"].as_str().unwrap_or(""),
                line["stream"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("end", "stdout"), ("err\n", "stderr"), ("out\n", "stdout")]
    );
    assert!(
        lines.iter().all(|line| line["attrs"]["seen"] == "yes"),
        "{text}"
    );
    assert!(
        lines.iter().all(|line| line["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))),
        "{text}"
    );
});

own_test!(logs_are_bounded_by_default, |d| {
    let cli = d.tare();
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let config = cli.ok(&["inspect", "-f", "{{json .HostConfig.LogConfig}}", &name]);
    assert!(
        config.contains(r#""max-size":"10m""#) && config.contains(r#""max-file":"5""#),
        "{config}"
    );
});
