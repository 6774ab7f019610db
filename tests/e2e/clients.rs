//! Both clients against one daemon: what they print, where, and with which exit code must be the same.

use tests::{Cli, IMAGE, Run, daemon_test};

/// Runs the same words with both and compares. What names the client itself is made equal.
fn same(docker: &Cli, tare: &Cli, args: &[&str]) {
    let plain = |text: String| text.replace("tare", "docker").trim_end().to_owned();
    // Usage hints after an error are each client's own.
    let first = |text: String| plain(text).lines().next().unwrap_or_default().to_owned();
    let seen = |run: Run| (run.code, plain(run.out()), first(run.err()));
    // Ages move on meanwhile: ours has to be what docker says just before or just after.
    let (before, ours, after) = (docker.run(args), tare.run(args), docker.run(args));
    let (before, ours, after) = (seen(before), seen(ours), seen(after));
    if ours != before {
        assert_eq!(ours, after, "exit code, stdout, stderr of {args:?}");
    }
}

daemon_test!(they_print_the_same, |d| {
    let (docker, tare) = (d.docker(), d.tare());
    let [a, b, c] = ["a", "b", "c"].map(|name| d.name(name));
    let label = d.name("label");
    docker.run(&[
        "run",
        "--name",
        &a,
        "-l",
        &label,
        "-l",
        "x=y",
        IMAGE,
        "sh",
        "-c",
        "echo one; echo two >&2; exit 3",
    ]);
    docker.ok(&[
        "run", "-d", "--name", &b, "-l", &label, IMAGE, "sleep", "1000",
    ]);
    docker.ok(&[
        "create", "--name", &c, "-l", &label, "-v", "/data", "-m", "64m", IMAGE, "true",
    ]);
    let (ours, none) = (format!("label={label}"), d.name("none"));
    let commands: &[&[&str]] = &[
        &["ps", "--filter", &ours],
        &["ps", "-a", "--filter", &ours],
        &["ps", "-aq", "--no-trunc", "--filter", &ours],
        &["ps", "-a", "--filter", &ours, "--format", "json"],
        &[
            "ps",
            "-a",
            "--filter",
            &ours,
            "--format",
            "table {{.ID}}\t{{.Names}}\t{{.Mounts}}\t{{.Label \"x\"}}",
        ],
        &["ps", "-as", "--filter", &ours],
        &["container", "ls", "-a", "--filter", &ours],
        &["ps", "--filter", "nonsense=x"],
        &["ps", "--format", "{{"],
        &["inspect", &a],
        &["inspect", &a, &none],
        &[
            "inspect",
            "-f",
            "{{.State.ExitCode}} {{json .Config.Labels}} {{len .Mounts}} {{.NetworkSettings.IPAddress}}",
            &a,
            &b,
        ],
        &[
            "inspect",
            "-f",
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}",
            &a,
        ],
        &["inspect", "-s", &a],
        &["inspect", IMAGE],
        &["container", "inspect", IMAGE],
        &["image", "inspect", &none],
        &["logs", &a],
        &["logs", "-n", "1", &a],
        &["logs", &none],
        &["diff", &a],
        &["top", &b],
        &["top", &c],
        &["images", IMAGE],
        &["images", "--digests", IMAGE],
        &["images", "-q", "--no-trunc", IMAGE],
        &[
            "image",
            "ls",
            "--format",
            "{{.ID}} {{.Repository}} {{.Size}}",
            IMAGE,
        ],
        &["history", IMAGE],
        &["history", "--no-trunc", "--format", "json", IMAGE],
        &["port", &b],
        &["wait", &none],
        &["start", &none],
        &["stop", &none],
        &["kill", &a],
        &["pause", &a],
        &["rm", &b],
        &["rm", &none],
        &["rmi", &none],
        &["tag", &none, "x"],
        &["tag", IMAGE, "UPPER"],
        &["rename", &b, &a],
        &["exec", &a, "true"],
        &["exec", &b, "sh", "-c", "echo x; exit 5"],
        &["exec", &none, "true"],
        &["attach", &a],
        &["cp", &format!("{a}:/no/such"), "/tmp/x"],
        &["export", &none],
        &["save", &none],
        &[
            "run",
            "--rm",
            IMAGE,
            "sh",
            "-c",
            "echo out; echo err >&2; exit 7",
        ],
        &["run", "--rm", IMAGE, "no-such-program"],
        &["run", "--rm", IMAGE, "/etc/passwd"],
        &["run", "--no-such-flag"],
        &["run"],
        &["run", "--rm", "--memory", "nonsense", IMAGE],
        &["run", "--rm", "--memory", "1k", IMAGE],
        &["run", "--rm", "-v", "/a:/b:nonsense", IMAGE],
        &["run", "--rm", "--mount", "type=nonsense,dst=/x", IMAGE],
        &["run", "--rm", "-e", "", IMAGE, "true"],
        &["run", "--rm", "--ulimit", "nothing=1", IMAGE, "true"],
        &["run", "--rm", "--name", "a b", IMAGE, "true"],
        &["run", "--rm", "-u", "nobody-here", IMAGE, "true"],
        &["run", "--rm", "--pull", "never", &none, "true"],
        &["create", "--pull", "nonsense", IMAGE],
        &[
            "events", "--since", "1h", "--until", "1h", "--filter", &ours,
        ],
        &[
            "version",
            "-f",
            "{{.Server.Version}} {{.Server.APIVersion}}",
        ],
        &["info", "-f", "{{.Driver}} {{.NCPU}} {{.OSType}}"],
        &[
            "system",
            "df",
            "--format",
            "{{.Type}} {{.TotalCount}} {{.Size}}",
        ],
        &["nonsense"],
        &["container", "nonsense"],
    ];
    let mut different = Vec::new();
    for args in commands {
        let outcome = std::panic::catch_unwind(|| same(&docker, &tare, args));
        if outcome.is_err() {
            different.push(args.join(" "));
        }
    }
    assert!(different.is_empty(), "different:\n{}", different.join("\n"));
});
