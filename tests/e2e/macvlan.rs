//! Macvlan networks: containers on the link of a device of the host's, beside another machine there.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::{Cli, Daemon, IMAGE, Outside};

/// The device of the host that leads to the machine outside, 198.51.100.2 and 2001:db8::2.
const PARENT: &str = "parent=cable";

fn with(check: impl FnOnce(&Daemon, &Outside<'_>)) {
    Daemon::in_own_network(&[], |d| {
        let host = d.network().expect("a namespace");
        host.bring_loopback_up();
        let outside = host.outside();
        check(d, &outside);
    });
}

fn start(docker: &Cli, name: &str, network: &str, more: &[&str]) {
    let line = [&["run", "-d", "--name", name, "--network", network], more].concat();
    docker.ok(&[&line[..], &[IMAGE, "sleep", "1000"]].concat());
}

/// Whether a container hears from an address. Its own IPv6 address counts a while after it was given (RFC 4862, 5.4), so it asks again.
fn reaches(docker: &Cli, from: &str, to: &str) -> bool {
    hears(docker, from, to, 30)
}

fn hears(docker: &Cli, from: &str, to: &str, tries: usize) -> bool {
    let script =
        format!("for i in $(seq {tries}); do ping -c1 -W1 {to} && exit 0; sleep 1; done; exit 1");
    docker.run(&["exec", from, "sh", "-c", &script]).code == 0
}

/// Whether the machine outside does.
fn is_reached(outside: &Outside<'_>, to: &str) -> bool {
    let ping = || {
        let mut command = Command::new("busybox");
        command
            .args(["ping", "-c3", "-W1", to])
            .stdout(Stdio::null());
        command.status().expect("run busybox").success()
    };
    outside.inside(ping)
}

fn create(docker: &Cli, name: &str, flags: &[&str]) {
    let line = ["network", "create", "-d", "macvlan", "-o", PARENT];
    docker.ok(&[&line[..], flags, &[name]].concat());
}

const LINK: [&str; 2] = ["--subnet", "198.51.100.0/24"];

#[test]
fn containers_are_machines_on_the_link() {
    with(|d, outside| {
        let docker = d.docker();
        create(
            &docker,
            "link",
            &[
                &LINK[..],
                &[
                    "--ip-range",
                    "198.51.100.64/28",
                    "--gateway",
                    "198.51.100.2",
                ],
            ]
            .concat(),
        );
        for name in ["aa", "bb"] {
            start(&docker, name, "link", &[]);
        }
        let route = docker.ok(&["exec", "aa", "ip", "route"]);
        assert!(
            route.starts_with("default via 198.51.100.2 dev eth0"),
            "{route}"
        );
        assert!(reaches(&docker, "aa", "198.51.100.65"));
        assert!(reaches(&docker, "aa", "bb"), "by name");
        assert!(reaches(&docker, "aa", "198.51.100.2"));
        assert!(is_reached(outside, "198.51.100.64"));
        // Another network on the same device leaves it alone when it goes.
        create(&docker, "second", &["--subnet", "10.202.0.0/24"]);
        docker.ok(&["network", "rm", "second"]);
        d.crash();
        assert!(is_reached(outside, "198.51.100.65"));
        docker.ok(&["network", "disconnect", "link", "bb"]);
        assert!(!docker.ok(&["exec", "bb", "ip", "addr"]).contains("eth0"));
        docker.ok(&["network", "connect", "--ip", "198.51.100.99", "link", "bb"]);
        assert!(is_reached(outside, "198.51.100.99"));
        docker.ok(&["rm", "-f", "aa", "bb"]);
        docker.ok(&["network", "rm", "link"]);
    });
}

#[test]
fn several_subnets_of_both_families() {
    with(|d, outside| {
        let docker = d.docker();
        let further = [
            "--subnet",
            "10.202.0.0/24",
            "--gateway",
            "10.202.0.254",
            "--ipv6",
        ];
        let v6 = ["--subnet", "2001:db8::/64", "--subnet", "fd99:2::/64"];
        create(&docker, "link", &[&LINK[..], &further, &v6].concat());
        let own = ["--ip", "198.51.100.7", "--ip6", "2001:db8::7"];
        start(&docker, "aa", "link", &own);
        for (name, last) in [("bb", "8"), ("cc", "9")] {
            let (v4, v6) = (format!("10.202.0.{last}"), format!("fd99:2::{last}"));
            start(&docker, name, "link", &["--ip", &v4, "--ip6", &v6]);
        }
        let route = docker.ok(&["exec", "bb", "ip", "route"]);
        assert!(
            route.starts_with("default via 10.202.0.254 dev eth0"),
            "{route}"
        );
        assert!(reaches(&docker, "bb", "10.202.0.9"));
        assert!(reaches(&docker, "bb", "fd99:2::9"));
        assert!(reaches(&docker, "aa", "198.51.100.2"));
        assert!(reaches(&docker, "aa", "2001:db8::2"));
        assert!(is_reached(outside, "198.51.100.7"));
        let shown = d.api("GET", "/networks/link", "").json();
        let subnets = shown["IPAM"]["Config"].as_array().expect("pools").iter();
        let mut subnets: Vec<_> = subnets
            .map(|pool| pool["Subnet"].as_str().expect("a subnet"))
            .collect();
        subnets.sort_unstable();
        assert_eq!(
            subnets,
            [
                "10.202.0.0/24",
                "198.51.100.0/24",
                "2001:db8::/64",
                "fd99:2::/64"
            ]
        );
        // All of them are taken, and free again with the network.
        let other =
            json!({"Name": "other", "IPAM": {"Config": [{"Subnet": "10.202.0.0/25"}]}}).to_string();
        assert_eq!(d.api("POST", "/networks/create", &other).status, 403);
        d.crash();
        assert_eq!(d.api("POST", "/networks/create", &other).status, 403);
        assert!(reaches(&docker, "cc", "10.202.0.8"));
        docker.ok(&["rm", "-f", "aa", "bb", "cc"]);
        docker.ok(&["network", "rm", "link"]);
        assert_eq!(d.api("POST", "/networks/create", &other).status, 201);
        docker.ok(&["network", "rm", "other"]);
    });
}

#[test]
fn modes_that_keep_containers_apart() {
    with(|d, outside| {
        let docker = d.docker();
        for (mode, own, other) in [
            ("private", "198.51.100.7", "198.51.100.8"),
            // The machine outside remembers for a while who had the others.
            ("vepa", "198.51.100.17", "198.51.100.18"),
        ] {
            let option = format!("macvlan_mode={mode}");
            create(&docker, mode, &[&LINK[..], &["-o", &option]].concat());
            for (name, ip) in [("aa", own), ("bb", other)] {
                start(&docker, name, mode, &["--ip", ip]);
                assert!(is_reached(outside, ip), "{mode}");
            }
            assert!(!hears(&docker, "aa", other, 3), "{mode}");
            docker.ok(&["rm", "-f", "aa", "bb"]);
            docker.ok(&["network", "rm", mode]);
        }
    });
}

#[test]
fn a_device_that_is_passed_through_is_one_containers() {
    with(|d, outside| {
        let docker = d.docker();
        let request = |name: &str, mode: &str, subnet: &str| {
            let options = json!({"parent": "cable", "macvlan_mode": mode});
            let body = json!({"Name": name, "Driver": "macvlan", "Options": options, "IPAM": {"Config": [{"Subnet": subnet}]}});
            d.api("POST", "/networks/create", &body.to_string())
        };
        let id = |answer: Value| answer["Id"].as_str().expect("an id").to_owned();
        let own = id(request("own", "passthru", "198.51.100.0/24").json());
        let other = request("other", "bridge", "10.202.0.0/24");
        let text = format!(
            "macvlan network {own} is already using parent interface cable in mode passthru"
        );
        assert_eq!((other.status, other.message()), (500, text));
        start(&docker, "aa", "own", &["--ip", "198.51.100.7"]);
        assert!(is_reached(outside, "198.51.100.7"));
        let refused = docker.run(&["run", "--rm", "--network", "own", IMAGE, "true"]);
        assert!(
            refused.err().contains("invalid argument"),
            "{}",
            refused.err()
        );
        assert!(is_reached(outside, "198.51.100.7"));
        docker.ok(&["rm", "-f", "aa"]);
        docker.ok(&["network", "rm", "own"]);
        let first = id(request("first", "private", "198.51.100.0/24").json());
        let alone = request("alone", "passthru", "10.202.0.0/24");
        let text = format!(
            "cannot use mode passthru, macvlan network {first} is already using parent interface cable"
        );
        assert_eq!((alone.status, alone.message()), (500, text));
        docker.ok(&["network", "rm", "first"]);
    });
}

#[test]
fn an_internal_one_leads_nowhere() {
    with(|d, _| {
        let docker = d.docker();
        create(
            &docker,
            "inner",
            &["--internal", "--subnet", "10.202.0.0/24"],
        );
        start(&docker, "aa", "inner", &[]);
        start(&docker, "bb", "inner", &[]);
        // Nobody is the gateway, so its address is a container's.
        let route = docker.ok(&["exec", "aa", "ip", "route"]);
        assert_eq!(
            route.trim(),
            "10.202.0.0/24 dev eth0 scope link  src 10.202.0.1"
        );
        assert!(reaches(&docker, "aa", "10.202.0.2"));
        docker.ok(&["rm", "-f", "aa", "bb"]);
        docker.ok(&["network", "rm", "inner"]);
        for (parent, text) in [
            (
                "lo",
                "loopback interface is not a valid macvlan parent link",
            ),
            (
                "nosuch",
                "invalid subinterface vlan name nosuch, example formatting is eth0.10",
            ),
        ] {
            let body = json!({"Name": "x", "Driver": "macvlan", "Options": {"parent": parent}});
            let answer = d.api("POST", "/networks/create", &body.to_string());
            assert_eq!(answer.message(), text);
        }
    });
}
