//! /etc/hosts of a container, which follows it through its networks. As Docker 28 writes it.

use tests::{Cli, Daemon, IMAGE};

fn with(check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(&[], check);
}

/// The lines behind those of loopback.
fn hosts(cli: &Cli, name: &str) -> Vec<String> {
    let text = cli.ok(&["exec", name, "cat", "/etc/hosts"]);
    let lines = text
        .lines()
        .filter(|line| !line.contains("localhost") && !line.contains("ip6-"));
    lines.map(|line| line.replace('\t', " ")).collect()
}

#[test]
fn own_addresses_come_and_go_with_networks() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        let two = ["--subnet", "10.8.0.0/24", "--ipv6", "--subnet", "fd08::/64"];
        docker.ok(&[&["network", "create"], &two[..], &["two"]].concat());
        for client in [d.docker(), d.tare()] {
            let line = ["run", "-d", "--name", "box", "--hostname", "box.example"];
            let more = ["--network", "one", "--ip", "10.9.0.9", "--add-host"];
            let end = ["same:10.9.0.9", "--add-host", "six:::5", IMAGE];
            client.ok(&[&line[..], &more, &end, &["sleep", "1000"]].concat());
            let (same, six) = ("10.9.0.9 same", "::5 six");
            let one = "10.9.0.9 box.example box";
            let [v4, v6] = ["10.8.0.8 box.example box", "fd08::8 box.example box"];
            assert_eq!(hosts(&client, "box"), [same, six, one]);
            let two = ["--ip", "10.8.0.8", "--ip6", "fd08::8", "two", "box"];
            client.ok(&[&["network", "connect"], &two[..]].concat());
            assert_eq!(hosts(&client, "box"), [same, six, one, v4, v6]);
            // Its own lines go; what was said of the same address stays, and so does what somebody has written inside.
            let write = ["exec", "box", "sh", "-c", "echo 9.9.9.9 mine >> /etc/hosts"];
            client.ok(&write);
            client.ok(&["network", "disconnect", "one", "box"]);
            assert_eq!(hosts(&client, "box"), [same, six, v4, v6, "9.9.9.9 mine"]);
            d.crash();
            client.ok(&["network", "disconnect", "two", "box"]);
            assert_eq!(hosts(&client, "box"), [same, six, "9.9.9.9 mine"]);
            client.ok(&["network", "connect", "--ip", "10.9.0.7", "one", "box"]);
            let now = "10.9.0.7 box.example box";
            assert_eq!(hosts(&client, "box"), [same, six, "9.9.9.9 mine", now]);
            // A start writes it anew.
            client.ok(&["restart", "-t", "0", "box"]);
            assert_eq!(hosts(&client, "box"), [same, six, now]);
            // Nothing is left of a container that ends without a network: no name server, and so no keeper.
            client.ok(&["network", "disconnect", "one", "box"]);
            client.ok(&["rm", "-f", "box"]);
        }
    });
}

#[test]
fn without_ipv6_there_are_no_names_for_it() {
    with(|d| {
        let off = "net.ipv6.conf.all.disable_ipv6=1";
        let line = ["run", "--rm", "--sysctl", off, "--hostname", "box"];
        let end = ["--add-host", "six:::5", IMAGE, "cat", "/etc/hosts"];
        let text = d.docker().ok(&[&line[..], &end].concat());
        assert_eq!(text, "127.0.0.1\tlocalhost\n172.17.0.2\tbox");
    });
}
