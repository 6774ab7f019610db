//! Networks: made, listed, removed; each daemon in a network namespace of its own.

use serde_json::{Value, json};
use tests::{Daemon, IMAGE, Options, oracle};

/// A daemon that may make bridges.
fn with(check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(&[], check);
}

fn create(d: &Daemon, body: &Value) -> String {
    let made = d.api("POST", "/networks/create", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["Id"].as_str().expect("an id").to_owned()
}

fn refused(d: &Daemon, body: &Value) -> (u16, String) {
    let answer = d.api("POST", "/networks/create", &body.to_string());
    (answer.status, answer.message())
}

fn devices(d: &Daemon) -> Vec<String> {
    d.network().expect("a namespace").devices()
}

#[test]
fn made_inspected_removed() {
    with(|d| {
        let id = create(d, &json!({"Name": "one", "Labels": {"a": "b"}}));
        let device = format!("br-{}", &id[..12]);
        assert!(devices(d).contains(&device), "{:?}", devices(d));
        let shown = d.api("GET", "/networks/one", "").json();
        assert_eq!(shown["Id"], id);
        assert_eq!(shown["Driver"], "bridge");
        assert_eq!(shown["Labels"], json!({"a": "b"}));
        assert_eq!(
            shown["IPAM"],
            json!({"Driver": "default", "Options": null, "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]})
        );
        let again = refused(d, &json!({"Name": "one"}));
        assert_eq!(again, (409, "network with name one already exists".into()));
        let overlap = json!({"Name": "two", "IPAM": {"Config": [{"Subnet": "172.17.3.0/24"}]}});
        let text = "invalid pool request: Pool overlaps with other one on this address space";
        assert_eq!(refused(d, &overlap), (403, text.into()));
        // Across a crash: the same network, its bridge, and its subnet still taken.
        d.crash();
        assert_eq!(d.api("GET", "/networks/one", "").json(), shown);
        assert!(devices(d).contains(&device));
        assert_eq!(refused(d, &overlap), (403, text.into()));
        assert_eq!(
            d.api("DELETE", &format!("/networks/{}", &id[..5]), "")
                .status,
            204
        );
        assert!(!devices(d).contains(&device));
        let gone = d.api("GET", "/networks/one", "");
        assert_eq!(
            (gone.status, gone.message()),
            (404, "network one not found".into())
        );
    });
}

#[test]
fn what_makes_no_sense_is_refused_in_dockers_words() {
    with(|d| {
        let check = |body: Value, status: u16, text: &str| {
            assert_eq!(refused(d, &body), (status, text.to_owned()), "{body}");
        };
        check(json!({"Name": ""}), 400, "invalid name: name is empty");
        check(
            json!({"Name": "bridge"}),
            403,
            "operation is not permitted on predefined bridge network ",
        );
        check(
            json!({"Name": "x", "Driver": "foo"}),
            404,
            "plugin \"foo\" not found",
        );
        check(
            json!({"Name": "x", "Driver": "host"}),
            403,
            "only one instance of \"host\" network is allowed",
        );
        check(
            json!({"Name": "x", "ConfigFrom": {"Network": "nope"}}),
            404,
            "configuration network \"nope\" does not exist",
        );
        check(
            json!({"Name": "x", "IPAM": {"Config": [{"Subnet": "x"}]}}),
            400,
            "invalid network config:\ninvalid subnet x: invalid CIDR block notation",
        );
        let built_in = d.api("DELETE", "/networks/bridge", "");
        assert_eq!(
            (built_in.status, built_in.message()),
            (
                403,
                "bridge is a pre-defined network and cannot be removed".into()
            )
        );
        assert_eq!(devices(d), ["lo"]);
    });
}

#[test]
fn both_clients_make_list_and_remove() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            let line = [
                "network",
                "create",
                "--subnet",
                "10.9.0.0/24",
                "--label",
                "k=v",
                "mine",
            ];
            client.ok(&line);
            let names = [
                "network",
                "ls",
                "--filter",
                "type=custom",
                "--format",
                "{{.Name}} {{.Driver}} {{.Scope}}",
            ];
            assert_eq!(client.ok(&names), "mine bridge local");
            let all = client.ok(&["network", "ls", "--format", "{{.Name}}"]);
            assert_eq!(all, "bridge\nhost\nmine\nnone");
            let subnet = [
                "network",
                "inspect",
                "mine",
                "--format",
                "{{(index .IPAM.Config 0).Subnet}}",
            ];
            assert_eq!(client.ok(&subnet), "10.9.0.0/24");
            let pruned = client.ok(&["network", "prune", "-f", "--filter", "label=k=x"]);
            assert_eq!(pruned.trim(), "");
            assert_eq!(client.ok(&["network", "rm", "mine"]), "mine");
            client.ok(&["network", "create", "left"]);
            let pruned = client.ok(&["network", "prune", "-f"]);
            assert_eq!(pruned.trim(), "Deleted Networks:\nleft");
        }
    });
}

#[test]
fn containers_reach_each_other_and_nobody_elses() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        docker.ok(&["network", "create", "--subnet", "10.8.0.0/24", "two"]);
        let run = |name: &str, network: &str| {
            let line = [
                "run",
                "-d",
                "--name",
                name,
                "--network",
                network,
                IMAGE,
                "sleep",
                "1000",
            ];
            docker.ok(&line);
        };
        run("aa", "one");
        run("bb", "name=one,ip=10.9.0.77");
        run("cc", "two");
        let ping = |from: &str, to: &str| {
            let line = ["exec", from, "ping", "-c", "1", "-W", "1", to];
            docker.run(&line).code
        };
        assert_eq!(
            ping("aa", "10.9.0.77"),
            0,
            "to another container of the network"
        );
        assert_eq!(ping("aa", "10.9.0.1"), 0, "to the bridge");
        assert_ne!(
            ping("cc", "10.9.0.77"),
            0,
            "to a container of another network"
        );
        // In use by two.
        let busy = d.api("DELETE", "/networks/one", "");
        assert_eq!(busy.status, 403);
        assert!(
            busy.message()
                .contains("network one has active endpoints (name:")
        );
        let shown = d.api("GET", "/networks/one", "").json();
        assert_eq!(
            shown["Containers"].as_object().expect("containers").len(),
            2
        );
        // The third comes to the first network, at once, and leaves it again.
        docker.ok(&["network", "connect", "one", "cc"]);
        assert_eq!(ping("cc", "10.9.0.77"), 0);
        let addresses = [
            "inspect",
            "cc",
            "-f",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}",
        ];
        assert_eq!(docker.ok(&addresses).trim(), "10.9.0.3 10.8.0.2");
        assert!(
            docker
                .ok(&["exec", "cc", "cat", "/etc/hosts"])
                .contains("10.9.0.3\t")
        );
        docker.ok(&["network", "disconnect", "one", "cc"]);
        assert_ne!(ping("cc", "10.9.0.77"), 0);
        assert!(
            !docker
                .ok(&["exec", "cc", "cat", "/etc/hosts"])
                .contains("10.9.0.3\t")
        );
        // What the daemon's death changes: nothing.
        d.crash();
        assert_eq!(ping("aa", "10.9.0.77"), 0);
        docker.ok(&[
            "run",
            "--rm",
            "--network",
            "one",
            IMAGE,
            "ping",
            "-c",
            "1",
            "-W",
            "1",
            "10.9.0.2",
        ]);
        // An address that ended containers had is free.
        docker.ok(&["rm", "-f", "aa", "bb", "cc"]);
        let address = [
            "run",
            "--rm",
            "--network",
            "one",
            IMAGE,
            "ip",
            "-4",
            "-o",
            "addr",
            "show",
            "eth0",
        ];
        assert!(docker.ok(&address).contains("inet 10.9.0.2/24"));
        docker.ok(&["network", "rm", "one", "two"]);
    });
}

#[test]
fn the_default_bridge_is_made_with_its_first_container() {
    with(|d| {
        assert_eq!(devices(d), ["lo"]);
        let tare = d.tare();
        let line = [
            "run",
            "--rm",
            "--network",
            "bridge",
            IMAGE,
            "ip",
            "-4",
            "-o",
            "addr",
            "show",
            "eth0",
        ];
        assert!(tare.ok(&line).contains("inet 172.17.0.2/16"));
        let line = ["run", "--rm", "--network", "bridge", IMAGE, "ip", "route"];
        assert!(tare.ok(&line).contains("default via 172.17.0.1 dev eth0"));
        let line = [
            "run",
            "--rm",
            "--network",
            "bridge",
            "--add-host",
            "up:host-gateway",
            IMAGE,
            "ping",
            "-c",
            "1",
            "-W",
            "1",
            "up",
        ];
        assert!(tare.ok(&line).contains("172.17.0.1"));
        // The pairs of containers that have ended go in the kernel's own time.
        let is_bridge = |name: &String| name.starts_with("tare-");
        assert!(devices(d).iter().any(is_bridge), "{:?}", devices(d));
    });
}

/// The address and the default route that a container finds, with or without a choice of networks.
fn found(cli: &tests::Cli, choice: &[&str]) -> String {
    let script =
        "ip -4 -o addr show dev eth0 | awk '{print $4}'; ip route | awk '/default/{print $3}'";
    let line = [&["run", "--rm"], choice, &[IMAGE, "sh", "-c", script]].concat();
    cli.ok(&line).trim().replace('\n', " ")
}

#[test]
fn without_a_choice_it_is_the_default_bridge() {
    with(|d| {
        for cli in [d.docker(), d.tare()] {
            for choice in [&[][..], &["--network", "default"], &["--network", "bridge"]] {
                assert_eq!(
                    found(&cli, choice),
                    "172.17.0.2/16 172.17.0.1",
                    "{choice:?}"
                );
            }
        }
        let name = d.name("c");
        d.docker()
            .ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
        let shown = d.api("GET", &format!("/containers/{name}/json"), "").json();
        assert_eq!(shown["HostConfig"]["NetworkMode"], "bridge");
        assert_eq!(
            shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"],
            "172.17.0.2"
        );
        let bridge = d.api("GET", "/networks/bridge", "").json();
        assert_eq!(
            bridge["Options"]["com.docker.network.bridge.default_bridge"],
            "true"
        );
        assert_eq!(
            bridge["Containers"].as_object().map(serde_json::Map::len),
            Some(1)
        );
        d.docker().ok(&["rm", "-f", &name]);
    });
}

#[test]
fn the_default_bridge_as_the_administrator_wants_it() {
    if oracle().is_some() {
        return;
    }
    let check = |args: &[&str], config: &str, check: &dyn Fn(&Daemon)| {
        let options = Options {
            own_network: true,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            config: Some(config.to_owned()),
            ..Options::default()
        };
        Daemon::with(options, check);
    };
    let file = r#"{"bip": "10.44.0.1/24", "fixed-cidr": "10.44.0.128/25", "default-gateway": "10.44.0.9", "mtu": 1400,
        "default-address-pools": [{"base": "10.45.0.0/16", "size": 24}]}"#;
    check(&["--ipv6"], file, &|d| {
        assert_eq!(found(&d.tare(), &[]), "10.44.0.128/24 10.44.0.9");
        let line = ["run", "--rm", IMAGE, "ip", "addr", "show", "dev", "eth0"];
        let shown = d.tare().ok(&line);
        assert!(
            shown.contains("mtu 1400") && shown.contains("inet6 fd"),
            "{shown}"
        );
        d.docker().ok(&["network", "create", "more"]);
        assert_eq!(
            found(&d.docker(), &["--network", "more"]),
            "10.45.0.2/24 10.45.0.1"
        );
        d.docker().ok(&["network", "rm", "more"]);
    });
    check(&["--bridge", "none"], "{}", &|d| {
        let line = ["run", "--rm", IMAGE, "ls", "/sys/class/net"];
        assert_eq!(d.docker().ok(&line), "lo");
        assert_eq!(devices(d), ["lo"]);
    });
}

#[test]
fn a_default_bridge_that_is_not_asked_for_any_more_is_made_anew() {
    with(|d| {
        let tare = d.tare();
        assert_eq!(found(&tare, &[]), "172.17.0.2/16 172.17.0.1");
        d.stop(rustix::process::Signal::KILL);
        std::fs::write(d.folder().join("daemon.json"), r#"{"bip": "10.46.0.1/16"}"#)
            .expect("write daemon.json");
        d.start();
        assert_eq!(found(&tare, &[]), "10.46.0.2/16 10.46.0.1");
        // While a container uses it, it stays as it is.
        let name = d.name("c");
        tare.ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
        d.stop(rustix::process::Signal::KILL);
        std::fs::write(d.folder().join("daemon.json"), "{}").expect("write daemon.json");
        d.start();
        assert_eq!(found(&tare, &[]), "10.46.0.3/16 10.46.0.1");
        tare.ok(&["rm", "-f", &name]);
    });
}

#[test]
fn wishes_that_cannot_be_fulfilled() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        let fails = |line: &[&str], text: &str| {
            let mut words = vec!["run", "--rm"];
            words.extend(line);
            words.extend([IMAGE, "true"]);
            let run = docker.run(&words);
            assert!(run.err().contains(text), "{line:?}: {}", run.err());
        };
        fails(
            &["--network", "nope"],
            "failed to set up container networking: network nope not found",
        );
        fails(
            &["--network", "one", "--ip", "10.7.0.2"],
            "invalid config for network one: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 10.7.0.2",
        );
        docker.ok(&[
            "run",
            "-d",
            "--name",
            "aa",
            "--network",
            "one",
            "--ip",
            "10.9.0.2",
            IMAGE,
            "sleep",
            "1000",
        ]);
        fails(
            &["--network", "one", "--ip", "10.9.0.2"],
            "Address already in use",
        );
        let twice = docker.run(&["network", "connect", "one", "aa"]);
        assert!(
            twice
                .err()
                .contains("endpoint with name aa already exists in network one")
        );
        docker.ok(&["rm", "-f", "aa"]);
        docker.ok(&["network", "rm", "one"]);
        // A program that is not there leaves no endpoint.
        docker
            .run(&["run", "--rm", "--network", "bridge", IMAGE, "/nope"])
            .exits(127);
        let line = [
            "run",
            "--rm",
            "--network",
            "bridge",
            IMAGE,
            "ip",
            "-4",
            "-o",
            "addr",
            "show",
            "eth0",
        ];
        assert!(docker.ok(&line).contains("inet 172.17.0.2/16"));
    });
}
