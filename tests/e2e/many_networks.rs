//! Many networks: as many as the address pools have, listed, joined and kept over a crash.

use serde_json::{Value, json};
use tests::{Daemon, IMAGE, Options, oracle};

/// What `base` and `size` of the pool make.
const SUBNETS: usize = 32;
/// How many of them one container joins.
const JOINED: usize = 20;

fn with(config: &Value, check: impl FnOnce(&Daemon)) {
    if oracle().is_some() {
        return;
    }
    let options = Options {
        own_network: true,
        config: Some(config.to_string()),
        ..Options::default()
    };
    Daemon::with(options, check);
}

fn create(d: &Daemon, name: &str) -> (u16, Value) {
    let answer = d.api(
        "POST",
        "/networks/create",
        &json!({"Name": name}).to_string(),
    );
    (answer.status, answer.json())
}

/// Names and subnets, without the built-in ones.
fn listed(d: &Daemon) -> Vec<(String, String)> {
    let all = d.api("GET", "/networks", "").json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = all.as_array().expect("a list").iter().map(|network| {
        let subnet = text(&network["IPAM"]["Config"][0]["Subnet"]);
        (text(&network["Name"]), subnet)
    });
    let mut all: Vec<_> = all.filter(|(name, _)| name.starts_with("net-")).collect();
    all.sort();
    all
}

#[test]
fn as_many_networks_as_there_are_subnets() {
    let pools =
        json!({"default-address-pools": [{"base": "10.77.0.0/24", "size": 29}], "bridge": "none"});
    with(&pools, |d| {
        let names: Vec<String> = (0..SUBNETS).map(|n| format!("net-{n:02}")).collect();
        for name in &names {
            assert_eq!(create(d, name).0, 201);
        }
        let full = json!({"message": "all predefined address pools have been fully subnetted"});
        assert_eq!(create(d, "net-more"), (400, full));
        let all = listed(d);
        assert_eq!(all.len(), SUBNETS);
        for (n, (name, subnet)) in all.iter().enumerate() {
            assert_eq!(
                (name, subnet),
                (&names[n], &format!("10.77.0.{}/29", n * 8))
            );
        }
        let bridges = |d: &Daemon| {
            let devices = d.network().expect("a namespace").devices();
            devices
                .iter()
                .filter(|name| name.starts_with("br-"))
                .count()
        };
        assert_eq!(bridges(d), SUBNETS);
        // One container in many of them.
        let docker = d.docker();
        let mut line = vec!["run", "-d", "--name", "joiner"];
        line.extend(names[..JOINED].iter().flat_map(|name| ["--network", name]));
        docker.ok(&[&line[..], &[IMAGE, "sleep", "1000"]].concat());
        let addresses = || docker.ok(&["exec", "joiner", "ip", "-4", "-o", "addr"]);
        let before = addresses();
        for n in 0..JOINED {
            assert!(
                before.contains(&format!("inet 10.77.0.{}/29", n * 8 + 2)),
                "{before}"
            );
        }
        d.crash();
        assert_eq!(listed(d), all);
        assert_eq!(bridges(d), SUBNETS);
        assert_eq!(addresses(), before);
        docker.ok(&["exec", "joiner", "ping", "-c1", "-W9", "10.77.0.1"]);
        let used = d.api("DELETE", "/networks/net-03", "");
        let (status, text) = (used.status, used.message());
        let expect = "error while removing network: network net-03 has active endpoints (name:\"joiner\" id:";
        assert!(status == 403 && text.starts_with(expect), "{status} {text}");
        docker.ok(&["rm", "-f", "joiner"]);
        let pruned = docker.ok(&["network", "prune", "-f"]);
        assert!(names.iter().all(|name| pruned.contains(name)), "{pruned}");
        assert_eq!((listed(d).len(), bridges(d)), (0, 0));
        assert_eq!(create(d, "net-again").0, 201);
        assert_eq!(listed(d)[0].1, "10.77.0.0/29");
        docker.ok(&["network", "rm", "net-again"]);
    });
}

#[test]
fn options_that_every_new_network_of_a_driver_gets() {
    const MTU: &str = "com.docker.network.driver.mtu";
    let config =
        json!({"default-network-opts": {"bridge": {MTU: "1400"}, "macvlan": {"nonsense": "x"}}});
    with(&config, |d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--config-only", "settings"]);
        docker.ok(&["network", "create", "plain"]);
        let own = format!("{MTU}=1300");
        docker.ok(&["network", "create", "-o", &own, "own"]);
        docker.ok(&["network", "create", "--config-from", "settings", "from"]);
        let shown =
            |name: &str| docker.ok(&["network", "inspect", "-f", "{{json .Options}}", name]);
        let mtu = |name: &str| {
            docker.ok(&[
                "run",
                "--rm",
                "--network",
                name,
                IMAGE,
                "cat",
                "/sys/class/net/eth0/mtu",
            ])
        };
        for (name, expect) in [
            ("plain", "1400"),
            ("own", "1300"),
            ("from", "1400"),
            ("bridge", "1500"),
        ] {
            assert_eq!(mtu(name), expect, "{name}");
            assert!(
                shown(name).contains(&format!("\"{MTU}\":\"{expect}\"")),
                "{}",
                shown(name)
            );
        }
        let refused = docker.run(&["network", "create", "-d", "macvlan", "wrong"]);
        assert!(refused.err().contains("\"nonsense\""), "{}", refused.err());
        for name in ["from", "own", "plain", "settings"] {
            docker.ok(&["network", "rm", name]);
        }
    });
}
