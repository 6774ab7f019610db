//! ps and inspect: columns, filters, formats, order.

use serde_json::Value;
use tests::{Cli, Daemon, IMAGE, both};

/// Containers a (ended with 3), b (running), c (created), all with this test's label; the label as a filter.
fn three(d: &Daemon, cli: &Cli) -> (String, [String; 3]) {
    let label = d.name("set");
    let names = ["a", "b", "c"].map(|name| d.name(name));
    cli.run(&[
        "run", "--name", &names[0], "-l", &label, "-l", "kind=old", IMAGE, "sh", "-c", "exit 3",
    ])
    .exits(3);
    cli.ok(&[
        "run", "-d", "--name", &names[1], "-l", &label, "-l", "kind=new", IMAGE, "sleep", "1000",
    ]);
    cli.ok(&["create", "--name", &names[2], "-l", &label, IMAGE, "true"]);
    (format!("label={label}"), names)
}

fn listed(cli: &Cli, args: &[&str]) -> Vec<String> {
    let out = cli.ok(&[&["ps", "--format", "{{.Names}}"], args].concat());
    out.lines().map(str::to_owned).collect()
}

both!(what_is_shown, |d, cli| {
    let (ours, [a, b, c]) = three(d, cli);
    let only = |args: &[&str]| listed(cli, &[&["--filter", &ours], args].concat());
    assert_eq!(only(&[]), [&*b]);
    assert_eq!(only(&["-a"]), [&*c, &*b, &*a]);
    assert_eq!(only(&["-n", "2"]), [&*c, &*b]);
    assert_eq!(only(&["-l"]), [&*c]);
    let ids = cli.ok(&["ps", "-aq", "--filter", &ours]);
    assert!(
        ids.lines().count() == 3 && ids.lines().all(|id| id.len() == 12),
        "{ids}"
    );
    assert_eq!(
        cli.ok(&["ps", "-q", "--no-trunc", "--filter", &ours]).len(),
        64
    );
});

both!(filters, |d, cli| {
    let (ours, [a, b, c]) = three(d, cli);
    let only = |filters: &[&str]| {
        let filters: Vec<&str> = filters
            .iter()
            .flat_map(|filter| ["--filter", filter])
            .collect();
        listed(cli, &[&["-a", "--filter", &ours], &filters[..]].concat())
    };
    assert_eq!(only(&["status=exited"]), [&*a]);
    assert_eq!(only(&["status=running"]), [&*b]);
    assert_eq!(only(&["status=created", "status=exited"]), [&*c, &*a]);
    assert_eq!(only(&["exited=3"]), [&*a]);
    assert_eq!(only(&["exited=0"]), [""; 0]);
    assert_eq!(only(&["label=kind"]), [&*b, &*a]);
    assert_eq!(only(&["label=kind=new"]), [&*b]);
    assert_eq!(only(&[&format!("name={b}")]), [&*b]);
    assert_eq!(only(&[&format!("name=^/{b}$")]), [&*b]);
    assert_eq!(only(&[&format!("before={c}")]), [&*b, &*a]);
    assert_eq!(only(&[&format!("since={a}")]), [&*c, &*b]);
    assert_eq!(only(&[&format!("ancestor={IMAGE}")]), [&*c, &*b, &*a]);
    assert_eq!(only(&["ancestor=no-such-image"]), [""; 0]);
    let id = cli.ok(&["inspect", "-f", "{{.Id}}", &b]);
    assert_eq!(only(&[&format!("id={}", &id[..8])]), [&*b]);
    assert_eq!(
        only(&["network=none"]).len() + only(&["network=bridge"]).len(),
        3
    );
    cli.run(&["ps", "--filter", "nonsense=1"])
        .fails(1, "invalid filter 'nonsense'");
    cli.run(&["ps", "--filter", "status=nonsense"])
        .fails(1, "invalid filter 'status=nonsense'");
});

both!(filters_by_volume_and_publish, |d, cli| {
    let (name, volume) = (d.name("a"), d.name("vol"));
    cli.ok(&[
        "create",
        "--name",
        &name,
        "-v",
        &format!("{volume}:/data"),
        IMAGE,
        "true",
    ]);
    assert_eq!(
        listed(cli, &["-a", "--filter", &format!("volume={volume}")]),
        [&*name]
    );
    assert_eq!(
        listed(
            cli,
            &[
                "-a",
                "--filter",
                "volume=/data",
                "--filter",
                &format!("name={name}")
            ]
        ),
        [&*name]
    );
    assert_eq!(
        listed(
            cli,
            &[
                "-a",
                "--filter",
                "expose=99",
                "--filter",
                &format!("name={name}")
            ]
        ),
        [""; 0]
    );
    cli.ok(&["rm", &name]);
    d.api("DELETE", &format!("/volumes/{volume}"), "");
});

both!(the_table, |d, cli| {
    let name = d.name("a");
    let id = cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo a very long command line; sleep 1000",
    ]);
    let out = cli.ok(&["ps", "--filter", &format!("name={name}")]);
    let (head, row) = out.split_once('\n').expect("two lines");
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        [
            "CONTAINER",
            "ID",
            "IMAGE",
            "COMMAND",
            "CREATED",
            "STATUS",
            "PORTS",
            "NAMES"
        ]
    );
    assert!(row.starts_with(&id[..12]) && row.ends_with(&name), "{row}");
    assert!(
        row.contains("\"sh -c 'echo a very …\"") && row.contains("Up "),
        "{row}"
    );
    let out = cli.ok(&[
        "ps",
        "--no-trunc",
        "--filter",
        &format!("name={name}"),
        "--format",
        "{{.ID}} {{.Command}}",
    ]);
    assert_eq!(
        out,
        format!("{id} \"sh -c 'echo a very long command line; sleep 1000'\"")
    );
    cli.ok(&["pause", &name]);
    let status = cli.ok(&[
        "ps",
        "--filter",
        &format!("name={name}"),
        "--format",
        "{{.Status}}|{{.State}}",
    ]);
    assert!(status.ends_with("(Paused)|paused"), "{status}");
    cli.ok(&["kill", &name]);
    cli.ok(&["wait", &name]);
    let status = cli.ok(&[
        "ps",
        "-a",
        "--filter",
        &format!("name={name}"),
        "--format",
        "{{.Status}}",
    ]);
    assert!(status.starts_with("Exited (137) "), "{status}");
});

both!(formats, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "create", "--name", &name, "-l", "x=y", "-v", "/data", IMAGE, "true",
    ]);
    let filter = format!("name={name}");
    let json: Value =
        serde_json::from_str(&cli.ok(&["ps", "-a", "--filter", &filter, "--format", "json"]))
            .expect("JSON");
    assert_eq!(
        (
            json["Names"].as_str(),
            json["State"].as_str(),
            json["LocalVolumes"].as_str()
        ),
        (Some(&*name), Some("created"), Some("1"))
    );
    assert_eq!(json["Labels"].as_str(), Some("x=y"));
    let out = cli.ok(&[
        "ps",
        "-a",
        "--filter",
        &filter,
        "--format",
        "table {{.Names}}\t{{.Label \"x\"}}",
    ]);
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["NAMES", "x", &name, "y"]);
    let out = cli.ok(&[
        "ps",
        "-a",
        "--filter",
        &filter,
        "--format",
        "{{upper .State}} {{len .Names}} {{if .Labels}}yes{{end}}",
    ]);
    assert_eq!(out, format!("CREATED {} yes", name.len()));
    cli.run(&["ps", "-a", "--filter", &filter, "--format", "{{.Nonsense}}"])
        .fails(1, "<.Nonsense>");
    cli.run(&["ps", "--format", "{{"])
        .fails(1, "template: :1: unclosed action");
    cli.ok(&["rm", "-v", &name]);
});

both!(size, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "head -c 123456 /dev/zero >/x",
    ]);
    let out = cli.ok(&[
        "ps",
        "-as",
        "--filter",
        &format!("name={name}"),
        "--format",
        "{{.Size}}",
    ]);
    assert!(out.starts_with("123kB (virtual "), "{out}");
    assert_eq!(
        cli.ok(&["inspect", "-s", "-f", "{{.SizeRw}}", &name]),
        "123456"
    );
});

both!(inspect_of_what_was_asked_for, |d, cli| {
    let name = d.name("a");
    let args = [
        "create",
        "--name",
        &name,
        "-it",
        "-e",
        "A=1",
        "-w",
        "/x",
        "-u",
        "5:6",
        "--entrypoint",
        "/bin/sh",
        "-m",
        "64m",
        "--stop-signal",
        "INT",
        "--network",
        "none",
    ];
    let id = cli.ok(&[
        &args[..],
        &[
            "--read-only",
            "--cap-add",
            "SYS_TIME",
            "--init",
            "--pids-limit",
            "50",
            "-h",
            "box",
            IMAGE,
            "-c",
            "true",
        ],
    ]
    .concat());
    let all: Value = serde_json::from_str(&cli.ok(&["inspect", &name])).expect("JSON");
    let one = &all[0];
    let check = |pointer: &str, expected: Value| {
        assert_eq!(one.pointer(pointer), Some(&expected), "{pointer}");
    };
    check("/Id", id.into());
    check("/Name", format!("/{name}").into());
    check("/Path", "/bin/sh".into());
    check("/Args", serde_json::json!(["-c", "true"]));
    check("/State/Status", "created".into());
    check("/State/StartedAt", "0001-01-01T00:00:00Z".into());
    check(
        "/Config/Env",
        serde_json::json!([
            "A=1",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ]),
    );
    check("/Config/WorkingDir", "/x".into());
    check("/Config/User", "5:6".into());
    check("/Config/Tty", true.into());
    check("/Config/OpenStdin", true.into());
    check("/Config/Hostname", "box".into());
    check("/Config/StopSignal", "INT".into());
    check("/Config/Image", IMAGE.into());
    check("/HostConfig/Memory", 67_108_864.into());
    check("/HostConfig/ReadonlyRootfs", true.into());
    check("/HostConfig/CapAdd", serde_json::json!(["CAP_SYS_TIME"]));
    check("/HostConfig/Init", true.into());
    check("/HostConfig/PidsLimit", 50.into());
    check("/HostConfig/NetworkMode", "none".into());
    check(
        "/HostConfig/RestartPolicy",
        serde_json::json!({"Name": "no", "MaximumRetryCount": 0}),
    );
    check("/Platform", "linux".into());
    check("/Driver", "overlay2".into());
    for key in ["LowerDir", "UpperDir", "MergedDir", "WorkDir"] {
        assert!(one["GraphDriver"]["Data"][key].is_string(), "{key}");
    }
});

both!(inspect_of_several_kinds, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let out = cli.ok(&["inspect", "-f", "{{.Id}}", &name, IMAGE]);
    assert!(
        out.lines().count() == 2
            && out
                .lines()
                .nth(1)
                .is_some_and(|id| id.starts_with("sha256:")),
        "{out}"
    );
    let run = cli.run(&["inspect", &name, &d.name("none")]);
    run.fails(1, &format!("No such object: {}", d.name("none")));
    assert!(run.out().contains(&name));
    cli.run(&["inspect", "--type", "image", &name])
        .fails(1, "No such image");
    cli.run(&["container", "inspect", IMAGE])
        .fails(1, "No such container");
    assert_eq!(cli.run(&["inspect", &d.name("none")]).out(), "[]");
    cli.run(&["inspect", "-f", "{{.Nonsense}}", &name])
        .fails(1, "template");
});
