//! Networks as people use them: what they say to `network` and `--network`, with both clients, and what Docker answers.

use serde_json::json;
use tests::{Cli, Daemon, IMAGE};

/// A daemon that may make bridges.
fn with(check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(&[], check);
}

/// A command line in one piece; `IMAGE` stands for the image.
fn words(line: &str) -> Vec<&str> {
    let image = |word| if word == "IMAGE" { IMAGE } else { word };
    line.split(' ').map(image).collect()
}

fn ok(client: &Cli, line: &str) -> String {
    client.ok(&words(line))
}

fn fails(client: &Cli, line: &str, text: &str) {
    let run = client.run(&words(line));
    assert!(run.err().contains(text), "{line}: {}", run.err());
}

#[test]
fn a_network_that_is_removed_under_a_stopped_container() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            ok(&client, "network create one");
            ok(&client, "network create two");
            ok(&client, "create --name aa --network one IMAGE sleep 1000");
            ok(&client, "network connect two aa");
            ok(&client, "network rm two");
            fails(&client, "start aa", "network two not found");
            // Left by name, for there is nothing else to call it by.
            ok(&client, "network disconnect -f two aa");
            ok(&client, "start aa");
            ok(&client, "stop -t 0 aa");
            // Made again under the same name, it is the same to those who wish to be in it.
            ok(&client, "network rm one");
            ok(&client, "network create --subnet 10.8.0.0/24 one");
            ok(&client, "start aa");
            let address = "inspect -f {{.NetworkSettings.Networks.one.IPAddress}} aa";
            assert_eq!(ok(&client, address), "10.8.0.2");
            ok(&client, "rm -f aa");
            ok(&client, "network rm one");
        }
    });
}

#[test]
fn what_a_mode_cannot_give_is_refused() {
    with(|d| {
        let docker = d.docker();
        ok(&docker, "run -d --name aa --network none IMAGE sleep 1000");
        for client in [&docker, &d.tare()] {
            for (mode, option, text) in [
                ("host", "--ip=10.1.1.1", "invalid config for network host"),
                ("none", "--ip=10.1.1.1", "user defined networks only"),
                ("container:aa", "-p=80", "port publishing and the container"),
                ("container:aa", "-P", "port publishing and the container"),
                ("container:aa", "--expose=80", "port exposing and the"),
                ("container:aa", "--dns=1.1.1.1", "dns and the network mode"),
            ] {
                let line = format!("run --rm --network {mode} {option} IMAGE true");
                fails(client, &line, text);
            }
        }
        ok(&docker, "rm -f aa");
    });
}

#[test]
fn lists_by_pattern() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            for name in ["web.db", "web-cache"] {
                ok(&client, &format!("network create {name}"));
            }
            for (filter, names) in [
                ("name=^web", "web-cache\nweb.db"),
                ("name=web.?db$", "web.db"),
                ("name=^bridge$", "bridge"),
                ("name=[", ""),
                ("dangling=true", "web-cache\nweb.db"),
            ] {
                let line = format!("network ls --filter {filter} --format {{{{.Name}}}}");
                assert_eq!(ok(&client, &line), names, "{filter}");
            }
            // As people write it for curl.
            let found = d.api("GET", "/networks?filters={\"name\":[\"^web.db$\"]}", "");
            assert_eq!(found.json()[0]["Name"], "web.db", "{}", found.text());
            let wrong = "network ls --filter type=x";
            fails(&client, wrong, "invalid filter: 'type'='x'");
            ok(&client, "network rm web.db web-cache");
        }
    });
}

#[test]
fn settings_for_other_networks() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            ok(
                &client,
                "network create --config-only --subnet 10.7.0.0/24 -o com.docker.network.driver.mtu=1400 conf",
            );
            let driver = "network inspect -f {{.Driver}} conf";
            assert_eq!(ok(&client, driver), "null");
            let taken = "error while removing network: configuration network \"conf\" is in use";
            // Whether it is internal is its own affair.
            ok(&client, "network create --internal --config-from conf one");
            let inside = |line: &str| ok(&client, &format!("run --rm --network one IMAGE {line}"));
            assert_eq!(inside("cat /sys/class/net/eth0/mtu"), "1400");
            assert_eq!(
                inside("ip route").trim(),
                "10.7.0.0/24 dev eth0 scope link  src 10.7.0.2"
            );
            fails(&client, "network rm conf", taken);
            for (line, text) in [
                (
                    "network create --config-only --internal x",
                    "Network operator fields",
                ),
                (
                    "network create --config-from conf -o a=b x",
                    "driver options are not supported",
                ),
                (
                    "network create --config-from one x",
                    "\"one\" does not exist",
                ),
                (
                    "run --rm --network conf IMAGE true",
                    "configuration-only network",
                ),
                (
                    "network create default",
                    "not permitted on predefined default network",
                ),
            ] {
                fails(&client, line, text);
            }
            ok(&client, "network rm one");
            ok(&client, "network rm conf");
        }
    });
}

#[test]
fn addresses_in_all_forms() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            ok(
                &client,
                "network create --subnet 10.6.0.0/24 --ip-range 10.6.0.64/30 -o com.docker.network.enable_ipv6=true one",
            );
            let route =
                "run --rm --network name=one,link-local-ip=169.254.7.7 IMAGE ip -o -4 a show eth0";
            let seen = ok(&client, route);
            // The gateway is the range's first address: the others may be somebody else's.
            assert!(seen.contains("inet 10.6.0.65/24"), "{seen}");
            assert!(seen.contains("inet 169.254.7.7/16"), "{seen}");
            let has = "network inspect -f {{.EnableIPv6}} one";
            assert_eq!(ok(&client, has), "true");
            for name in ["aa", "bb", "cc"] {
                ok(
                    &client,
                    &format!("run -d --name {name} --network one IMAGE sleep 1000"),
                );
            }
            let full = "no available IPv4 addresses on this network's address pools: one (";
            fails(&client, "run --rm --network one IMAGE true", full);
            ok(&client, "run -d --name dd IMAGE sleep 1000");
            let more = "network connect --ip 10.6.0.9 --link-local-ip 169.254.9.9 one dd";
            ok(&client, more);
            let seen = ok(&client, "exec dd ip -o -4 a show eth1");
            assert!(
                seen.contains("10.6.0.9/24") && seen.contains("169.254.9.9/16"),
                "{seen}"
            );
            ok(&client, "rm -f aa bb cc dd");
            ok(&client, "network rm one");
        }
    });
}

#[test]
fn what_is_always_there_is_as_old_as_it_was() {
    with(|d| {
        let born = || {
            ok(
                &d.docker(),
                "network inspect -f {{.Created}} bridge host none",
            )
        };
        let before = born();
        d.crash();
        assert_eq!(born(), before);
        let docker = d.docker();
        ok(
            &docker,
            "run -d --name aa --hostname a.b --domainname c IMAGE sleep 1000",
        );
        let hosts = ok(&docker, "exec aa cat /etc/hosts");
        assert!(hosts.trim().ends_with("a.b.c a"), "{hosts}");
        ok(&docker, "rm -f aa");
        let body = json!({"Image": IMAGE, "MacAddress": "02:11:00:00:00:01", "NetworkingConfig": {
            "EndpointsConfig": {"bridge": {"MacAddress": "02:11:00:00:00:02"}, "one": null}}});
        let two = d.api("POST", "/containers/create", &body.to_string());
        assert_eq!(two.status, 400);
        assert!(
            two.message()
                .starts_with("the container-wide MAC address must match")
        );
    });
}

#[test]
fn subnets_are_shown_as_they_were_said() {
    with(|d| {
        let body = json!({"Name": "one", "EnableIPv6": false, "IPAM": {"Config": [
            {"Subnet": "fd11:1::/64"}, {"Subnet": "10.5.0.0/24"}]}});
        let made = d.api("POST", "/networks/create", &body.to_string());
        assert_eq!(made.status, 201, "{}", made.text());
        let shown = d.api("GET", "/networks/one", "").json();
        assert_eq!(shown["IPAM"]["Config"], body["IPAM"]["Config"]);
        assert_eq!(d.api("DELETE", "/networks/one", "").status, 204);
    });
}
