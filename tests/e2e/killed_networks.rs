//! The daemon is killed while containers with ports start, join and leave networks, and end: nothing in the kernel is without an owner.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use network::{DeviceName, Owner};
use serde_json::{Value, json};
use tests::{Connection, Daemon, IMAGE};

use crate::killed::Moments;
use crate::lost::AtEnd;
use crate::names::addresses;

const WORKERS: u16 = 3;
const PORTS: std::ops::Range<u16> = 7000..7000 + WORKERS * 2;
/// Is in the network `more` all the time, and asks for names.
const ASKER: &str = "asker";

/// What one worker does again and again.
struct Worker<'a> {
    d: &'a Daemon,
    number: u16,
    /// Its container's.
    name: String,
}

impl Worker<'_> {
    /// The daemon may go away within any request.
    fn ask(&self, method: &str, path: &str, body: &Value) {
        let headers = [("Content-Type", "application/json")];
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        if let Ok(mut connection) = Connection::try_open(self.d.host()) {
            let _cut_off = connection.request(method, path, &headers, text.as_bytes());
        }
    }

    /// A container with two ports, which joins this network.
    fn start(&self, network: &str) {
        let port = 7000 + self.number * 2;
        let binding = |port: u16| json!([{"HostPort": port.to_string()}]);
        let body = json!({
            "Image": IMAGE, "Cmd": ["sleep", "1000"], "StopTimeout": 0,
            "HostConfig": {
                "PortBindings": {"80/tcp": binding(port), "53/udp": binding(port + 1)},
                "AutoRemove": self.number == 1, "NetworkMode": network,
            },
        });
        let name = &self.name;
        self.ask("POST", &format!("/containers/create?name={name}"), &body);
        self.ask("POST", &format!("/containers/{name}/start"), &Value::Null);
    }

    fn remove(&self) {
        let path = format!("/containers/{}?force=1", self.name);
        self.ask("DELETE", &path, &Value::Null);
    }
}

/// Joins networks and leaves them.
fn joins(worker: &Worker<'_>) {
    let other = json!({"Container": worker.name});
    worker.start("bridge");
    worker.ask("POST", "/networks/more/connect", &other);
    worker.ask("POST", "/networks/bridge/disconnect", &other);
    worker.ask("POST", "/networks/bridge/connect", &other);
    if worker.number == 2 {
        let path = format!("/containers/{}/restart?t=0", worker.name);
        worker.ask("POST", &path, &Value::Null);
    }
    worker.remove();
}

/// Starts with names and ports, and ends.
fn starts(worker: &Worker<'_>) {
    worker.start("more");
    if worker.number == 2 {
        let path = format!("/containers/{}/kill", worker.name);
        worker.ask("POST", &path, &Value::Null);
    }
    worker.remove();
}

/// Publishes a further port while it runs, and gives its first one up.
fn publishes(worker: &Worker<'_>) {
    // The next worker's second one, so that it may also be taken.
    let port = 7000 + (worker.number * 2 + 3) % (WORKERS * 2);
    let bound = |port: u16| json!([{"HostPort": port.to_string()}]);
    worker.start("more");
    let path = format!("/tare/containers/{}/ports", worker.name);
    worker.ask("POST", &path, &json!({"Add": {"81/udp": bound(port)}}));
    let first = bound(7000 + worker.number * 2);
    worker.ask("POST", &path, &json!({"Remove": {"80/tcp": first}}));
    worker.remove();
}

/// Makes a network, and removes it.
fn makes(worker: &Worker<'_>) {
    let network = format!("net-{}", worker.name);
    let made = json!({"Name": network, "EnableIPv6": worker.number == 2});
    worker.ask("POST", "/networks/create", &made);
    worker.start(&network);
    let other = json!({"Container": worker.name});
    worker.ask("POST", "/networks/more/connect", &other);
    worker.remove();
    worker.ask("DELETE", &format!("/networks/{network}"), &Value::Null);
}

/// What containers have is in the kernel, and nothing else is.
fn invariants(d: &Daemon) {
    let id = std::fs::read_to_string(d.data_root().join("engine-id")).expect("the engine's id");
    let owner = Owner::of(id.trim());
    let running = d.api("GET", "/containers/json", "").json();
    let mut devices = BTreeSet::from([owner.table()]);
    let mut published = BTreeSet::new();
    let mut members = 0;
    let mut names = Vec::new();
    for container in running.as_array().expect("a list") {
        let id = container["Id"].as_str().expect("an id");
        let shown = d.api("GET", &format!("/containers/{id}/json"), "").json();
        let settings = &shown["NetworkSettings"];
        let places = settings["Networks"].as_object().expect("networks");
        if let Some(place) = places.get("more") {
            let name = shown["Name"]
                .as_str()
                .expect("a name")
                .trim_start_matches('/');
            let address = place["IPAddress"].as_str().expect("an address");
            names.push((name.to_owned(), address.to_owned()));
        }
        for place in places.values() {
            let endpoint = place["EndpointID"]
                .as_str()
                .expect("an endpoint")
                .parse()
                .expect("an id");
            devices.insert(DeviceName::of_port(owner, &endpoint).to_string());
            members += 1;
        }
        for bindings in settings["Ports"].as_object().expect("ports").values() {
            // A port that is not published any more is shown without a binding.
            if let Some(port) = bindings[0]["HostPort"].as_str() {
                published.insert(port.parse::<u16>().expect("a number"));
            }
        }
    }
    let mut bridges = BTreeSet::new();
    for network in d
        .api("GET", "/networks", "")
        .json()
        .as_array()
        .expect("a list")
    {
        let id = network["Id"].as_str().expect("an id");
        let shown = d.api("GET", &format!("/networks/{id}"), "").json();
        if shown["Driver"] == "bridge" {
            let option = shown["Options"]["com.docker.network.bridge.name"].as_str();
            bridges.insert(option.map_or_else(|| format!("br-{}", &id[..12]), str::to_owned));
        }
        let endpoints = shown["Containers"].as_object();
        members -= endpoints.map_or(0, serde_json::Map::len);
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
    check_names(d, &names);
}

/// Names lead where their containers are, and those of nobody nowhere.
fn check_names(d: &Daemon, known: &[(String, String)]) {
    let workers = (0..WORKERS).map(|number| format!("worker{number}"));
    for name in workers {
        let owner = known.iter().filter(|(of, _)| *of == name);
        let expect: Vec<_> = owner.map(|(_, address)| address.clone()).collect();
        assert_eq!(addresses(d, ASKER, &name), expect, "{name}");
    }
}

/// Kills the daemon so many times while workers do something.
fn killed(rounds: usize, kills: usize, work: fn(&Worker<'_>)) {
    Daemon::in_own_network(&[], |d| {
        d.network().expect("a namespace").bring_loopback_up();
        let docker = d.docker();
        docker.ok(&["network", "create", "more"]);
        docker.ok(&[
            "run",
            "-d",
            "--name",
            ASKER,
            "--network",
            "more",
            IMAGE,
            "sleep",
            "1000",
        ]);
        let mut moments = Moments::new();
        for _ in 0..rounds {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let _end = AtEnd(&stop);
                for number in 0..WORKERS {
                    let name = format!("worker{number}");
                    let worker = Worker { d, number, name };
                    let stop = &stop;
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            work(&worker);
                        }
                    });
                }
                for _ in 0..kills {
                    moments.pass(150_000);
                    d.crash();
                }
            });
            invariants(d);
            d.crash();
            invariants(d);
        }
        for id in docker.ok(&["ps", "-aq"]).lines() {
            if docker.run(&["rm", "-f", id]).code != 0 {
                // Its own end may have removed it.
                assert_eq!(
                    d.api("GET", &format!("/containers/{id}/json"), "").status,
                    404
                );
            }
        }
        docker.ok(&["network", "prune", "-f"]);
        // Pairs of containers that have just ended go in the kernel's own time.
        tests::until_change(d.folder(), || {
            let left = d.network_remains();
            left.iter()
                .all(|name| name.starts_with("tare"))
                .then_some(())
        });
    });
}

/// Each a fifth of the hundred times, so that none takes long on a busy machine.
macro_rules! killed_while {
    ($($name:ident: $work:expr;)*) => {
        $(
            #[test]
            fn $name() {
                killed(2, 9, $work);
            }
        )*
    };
}

killed_while! {
    killed_while_networks_are_joined_and_left: joins;
    killed_while_containers_with_names_and_ports_start: starts;
    killed_while_networks_are_made_and_removed: makes;
    killed_while_ports_are_published_and_not: publishes;
    killed_while_everybody_does_something_else: |worker| match worker.number {
        0 => joins(worker),
        1 => publishes(worker),
        _ => makes(worker),
    };
}
