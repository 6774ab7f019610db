//! The daemon is killed while containers with ports start, join and leave networks, and end: nothing in the kernel is without an owner.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use network::{DeviceName, Owner};
use serde_json::{Value, json};
use tests::{Connection, Daemon, IMAGE, Options, oracle};

use crate::killed::Moments;
use crate::lost::AtEnd;

const WORKERS: u16 = 3;
const PORTS: std::ops::Range<u16> = 7000..7000 + WORKERS * 2;

/// Makes, connects, disconnects and removes containers until told to stop; the daemon may go away within any of these.
fn churn(d: &Daemon, worker: u16, stop: &AtomicBool) {
    let name = format!("w{worker}");
    let port = 7000 + worker * 2;
    let binding = |port: u16| json!([{"HostPort": port.to_string()}]);
    let body = json!({
        "Image": IMAGE, "Cmd": ["sleep", "1000"], "StopTimeout": 0,
        "HostConfig": {"PortBindings": {"80/tcp": binding(port), "53/udp": binding(port + 1)}, "AutoRemove": worker == 1},
    });
    let ask = |method: &str, path: &str, body: &Value| {
        let headers = [("Content-Type", "application/json")];
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        if let Ok(mut connection) = Connection::try_open(d.host()) {
            let _cut_off = connection.request(method, path, &headers, text.as_bytes());
        }
    };
    let other = json!({"Container": name});
    while !stop.load(Ordering::Relaxed) {
        ask("POST", &format!("/containers/create?name={name}"), &body);
        ask("POST", &format!("/containers/{name}/start"), &Value::Null);
        ask("POST", "/networks/more/connect", &other);
        ask("POST", "/networks/bridge/disconnect", &other);
        ask("POST", "/networks/bridge/connect", &other);
        if worker == 2 {
            ask(
                "POST",
                &format!("/containers/{name}/restart?t=0"),
                &Value::Null,
            );
        }
        ask(
            "DELETE",
            &format!("/containers/{name}?force=1"),
            &Value::Null,
        );
    }
}

/// What containers have is in the kernel, and nothing else is.
fn invariants(d: &Daemon) {
    let id = std::fs::read_to_string(d.data_root().join("engine-id")).expect("the engine's id");
    let owner = Owner::of(id.trim());
    let running = d.api("GET", "/containers/json", "").json();
    let mut devices = BTreeSet::from([owner.table()]);
    let mut published = BTreeSet::new();
    let mut members = 0;
    for container in running.as_array().expect("a list") {
        let id = container["Id"].as_str().expect("an id");
        let shown = d.api("GET", &format!("/containers/{id}/json"), "").json();
        let settings = &shown["NetworkSettings"];
        for place in settings["Networks"].as_object().expect("networks").values() {
            let endpoint = place["EndpointID"]
                .as_str()
                .expect("an endpoint")
                .parse()
                .expect("an id");
            devices.insert(DeviceName::of_port(owner, &endpoint).to_string());
            members += 1;
        }
        for bindings in settings["Ports"].as_object().expect("ports").values() {
            let port = bindings[0]["HostPort"].as_str().expect("a port");
            published.insert(port.parse::<u16>().expect("a number"));
        }
    }
    let mut bridges = BTreeSet::new();
    for name in ["bridge", "more"] {
        let network = d.api("GET", &format!("/networks/{name}"), "").json();
        if let Some(id) = network["Id"].as_str() {
            let option = network["Options"]["com.docker.network.bridge.name"].as_str();
            bridges.insert(option.map_or_else(|| format!("br-{}", &id[..12]), str::to_owned));
            members -= network["Containers"]
                .as_object()
                .map_or(0, serde_json::Map::len);
        }
    }
    devices.extend(bridges);
    // The pairs of containers that have ended go in the kernel's own time; what belongs to nobody would never go.
    tests::until_change(d.folder(), || {
        let found = BTreeSet::from_iter(d.network_remains());
        (found == devices).then_some(())
    });
    assert_eq!(
        members, 0,
        "endpoints that networks know, and those that containers have"
    );
    let host = d.network().expect("a namespace");
    for port in PORTS {
        let is_free = host.inside(|| {
            TcpListener::bind(("0.0.0.0", port)).is_ok()
                && std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok()
        });
        assert_eq!(is_free, !published.contains(&port), "port {port}");
    }
}

#[test]
fn killed_while_networks_are_joined_and_left() {
    if oracle().is_some() {
        return;
    }
    let options = Options {
        own_network: true,
        ..Options::default()
    };
    Daemon::with(options, |d| {
        d.network().expect("a namespace").bring_loopback_up();
        d.docker().ok(&["network", "create", "more"]);
        let mut moments = Moments::new();
        for _ in 0..3 {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let _end = AtEnd(&stop);
                for worker in 0..WORKERS {
                    let stop = &stop;
                    scope.spawn(move || churn(d, worker, stop));
                }
                for _ in 0..10 {
                    moments.pass(150_000);
                    d.crash();
                }
            });
            invariants(d);
            d.crash();
            invariants(d);
        }
        let docker = d.docker();
        for id in docker.ok(&["ps", "-aq"]).lines() {
            docker.ok(&["rm", "-f", id]);
        }
        invariants(d);
        docker.ok(&["network", "rm", "more"]);
    });
}
