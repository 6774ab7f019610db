//! Who the process is: user, groups, host name, the files of /etc that the engine makes.

use tests::{IMAGE, both};

both!(users_by_name_and_number, |_d, cli| {
    let id = |args: &[&str]| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(args);
        all.extend_from_slice(&[IMAGE, "sh", "-c", "echo $(id -u):$(id -g):$(id -G):$HOME"]);
        cli.ok(&all)
    };
    assert_eq!(id(&[]), "0:0:0:/root");
    assert_eq!(id(&["-u", "user"]), "1000:1000:1000 2000:/home");
    assert_eq!(id(&["-u", "1000"]), "1000:1000:1000 2000:/home");
    assert_eq!(id(&["-u", "user:daemon"]), "1000:1:1:/home");
    assert_eq!(id(&["-u", "4321"]), "4321:0:0:/");
    assert_eq!(id(&["-u", "4321:8765"]), "4321:8765:8765:/");
    assert_eq!(
        id(&["-u", "user", "--group-add", "daemon", "--group-add", "777"]),
        "1000:1000:1000 1 777 2000:/home"
    );
});

both!(unknown_users_are_refused, |_d, cli| {
    cli.run(&["run", "--rm", "-u", "nobody-here", IMAGE, "true"])
        .fails(
            125,
            "unable to find user nobody-here: no matching entries in passwd file",
        );
    cli.run(&["run", "--rm", "-u", "0:nobody-here", IMAGE, "true"])
        .fails(
            125,
            "unable to find group nobody-here: no matching entries in group file",
        );
});

both!(host_and_domain_names, |d, cli| {
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "-h",
            "box",
            IMAGE,
            "sh",
            "-c",
            "hostname; cat /etc/hostname"
        ]),
        "box\nbox"
    );
    let name = d.name("a");
    let id = cli.ok(&["run", "-d", "--name", &name, IMAGE, "hostname"]);
    cli.ok(&["wait", &name]);
    assert_eq!(cli.ok(&["logs", &name]), id[..12]);
    let out = cli.ok(&[
        "run",
        "--rm",
        "-h",
        "box",
        "--domainname",
        "example.org",
        IMAGE,
        "sh",
        "-c",
        "cat /proc/sys/kernel/domainname",
    ]);
    assert_eq!(out, "example.org");
});

both!(the_hosts_file_knows_localhost, |_d, cli| {
    let hosts = cli.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "cat",
        "/etc/hosts",
    ]);
    assert!(
        hosts.lines().any(|line| line == "127.0.0.1\tlocalhost"),
        "{hosts}"
    );
    let out = cli.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--add-host",
        "db:10.1.2.3",
        IMAGE,
        "grep",
        "db",
        "/etc/hosts",
    ]);
    assert_eq!(out, "10.1.2.3\tdb");
    // The three files are the container's own, writable.
    cli.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "for f in hosts hostname resolv.conf; do echo >>/etc/$f || exit 1; done",
    ]);
});

both!(resolver_settings, |_d, cli| {
    let args = [
        "run",
        "--rm",
        "--network",
        "none",
        "--dns",
        "9.8.7.6",
        "--dns-search",
        "example.org",
        "--dns-option",
        "ndots:3",
        IMAGE,
        "cat",
        "/etc/resolv.conf",
    ];
    let file = cli.ok(&args);
    for line in [
        "nameserver 9.8.7.6",
        "search example.org",
        "options ndots:3",
    ] {
        assert!(file.lines().any(|found| found == line), "{file}");
    }
});
