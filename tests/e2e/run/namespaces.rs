//! Namespaces: private by default, shared with the host or a container where asked.

use std::fs;

use tests::{Cli, IMAGE, both};

fn own(kind: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{kind}"))
        .expect("readlink")
        .display()
        .to_string()
}

fn inside(cli: &Cli, args: &[&str], kind: &str) -> String {
    let mut all = vec!["run", "--rm"];
    all.extend_from_slice(args);
    let path = format!("/proc/self/ns/{kind}");
    all.extend_from_slice(&[IMAGE, "readlink", &path]);
    cli.ok(&all)
}

both!(private_by_default, |_d, cli| {
    for kind in ["pid", "net", "ipc", "uts", "mnt"] {
        assert_ne!(
            inside(cli, &["--network", "none"], kind),
            own(kind),
            "{kind}"
        );
    }
    // Users are not remapped.
    assert_eq!(inside(cli, &["--network", "none"], "user"), own("user"));
});

both!(the_hosts_where_asked, |_d, cli| {
    for (flag, kind) in [
        ("--pid", "pid"),
        ("--network", "net"),
        ("--ipc", "ipc"),
        ("--uts", "uts"),
        ("--cgroupns", "cgroup"),
    ] {
        assert_eq!(inside(cli, &[flag, "host"], kind), own(kind), "{kind}");
    }
    assert_ne!(
        inside(cli, &["--cgroupns", "private"], "cgroup"),
        own("cgroup")
    );
    assert_eq!(inside(cli, &["--userns", "host"], "user"), own("user"));
});

both!(those_of_a_container, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--name",
        &name,
        "--network",
        "none",
        "--ipc",
        "shareable",
        IMAGE,
        "sleep",
        "1000",
    ]);
    let of = format!("container:{name}");
    for (flag, kind) in [("--pid", "pid"), ("--network", "net"), ("--ipc", "ipc")] {
        let expected = cli.ok(&["exec", &name, "readlink", &format!("/proc/1/ns/{kind}")]);
        assert_eq!(inside(cli, &[flag, &of], kind), expected, "{kind}");
    }
    let missing = format!("container:{}", d.name("none"));
    cli.run(&["run", "--rm", "--network", &missing, IMAGE, "true"])
        .fails(125, "No such container");
});

both!(network_none_has_only_loopback_and_it_is_up, |_d, cli| {
    let out = cli.ok(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", "ls /sys/class/net; ip -o addr show lo; ping -c 1 -W 5 127.0.0.1 >/dev/null && echo answered"]);
    let lines: Vec<&str> = out.lines().collect();
    // /sys shows other devices of the machine's modules (tunl0 and such) in a new namespace too.
    assert!(lines.contains(&"lo") && !lines.contains(&"eth0"), "{out}");
    assert!(out.contains("127.0.0.1/8"), "{out}");
    assert!(out.ends_with("answered"), "{out}");
});

both!(conflicting_modes_are_refused, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let of = format!("container:{name}");
    cli.run(&["run", "--rm", "--network", &of, "-h", "x", IMAGE, "true"])
        .fails(125, "conflicting options: hostname and the network mode");
    cli.run(&["run", "--rm", "--uts", "host", "-h", "x", IMAGE, "true"])
        .fails(125, "conflicting options: hostname and the UTS mode");
    cli.run(&["run", "--rm", "--pid", "nonsense", IMAGE, "true"])
        .fails(125, "invalid PID mode");
});
