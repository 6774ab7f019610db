//! Names of containers for the host itself (`--host-names`), answered by the keeper.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;
use tests::{Daemon, IMAGE};

const AT: &str = "127.0.0.153:53";
const A: u16 = 1;
const AAAA: u16 = 28;
const PTR: u16 = 12;

fn with(args: &[&str], check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(args, |d| {
        d.network().expect("a namespace").bring_loopback_up();
        check(d);
    });
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes
}

/// What a resolver on the host hears: the code, and the data of each record.
type Heard = (u8, Vec<Vec<u8>>);

fn read(query: &[u8], reply: &[u8]) -> Heard {
    assert_eq!(reply[..2], query[..2]);
    let mut at = query.len();
    let mut found = Vec::new();
    while at < reply.len() {
        let length = usize::from(u16::from_be_bytes([reply[at + 10], reply[at + 11]]));
        found.push(reply[at + 12..at + 12 + length].to_vec());
        at += 12 + length;
    }
    found.sort();
    (reply[3] & 0x0f, found)
}

fn ask_at(d: &Daemon, at: &str, name: &str, kind: u16) -> Heard {
    let query = query(name, kind);
    let network = d.network().expect("a namespace");
    let reply = network.inside(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let patience = Some(Duration::from_secs(1));
        socket.set_read_timeout(patience).expect("a timeout");
        let mut reply = vec![0; 2000];
        // As resolvers do: a datagram may be lost with the keeper that was about to read it.
        let mut tries = (0..30).map(|_| {
            socket.send_to(&query, at).expect("ask");
            socket.recv(&mut reply)
        });
        let length = tries.find_map(Result::ok).expect("an answer");
        reply.truncate(length);
        reply
    });
    read(&query, &reply)
}

fn ask(d: &Daemon, name: &str, kind: u16) -> Heard {
    ask_at(d, AT, name, kind)
}

fn found(addresses: &[&str]) -> Heard {
    let octets = |text: &&str| match text.parse().expect("an address") {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut all: Vec<_> = addresses.iter().map(octets).collect();
    all.sort();
    (0, all)
}

const NOBODY: Heard = (3, Vec::new());
const REFUSED: Heard = (5, Vec::new());

fn sleep(d: &Daemon, name: &str, more: &[&str]) {
    let mut line = vec!["run", "-d", "--name", name];
    line.extend(more);
    line.extend([IMAGE, "sleep", "1000"]);
    d.docker().ok(&line);
}

#[test]
fn the_host_finds_containers_by_name() {
    with(&["--host-names", "127.0.0.153"], |d| {
        let docker = d.docker();
        assert_eq!(ask(d, "web.tare", A), NOBODY, "there is an answer at once");
        let subnets = ["--subnet", "10.9.0.0/24", "--subnet", "fd09::/64", "one"];
        docker.ok(&[&["network", "create", "--ipv6"], &subnets[..]].concat());
        docker.ok(&["network", "create", "--subnet", "10.8.0.0/24", "two"]);
        sleep(d, "web", &["--network", "one", "--network-alias", "www"]);
        sleep(d, "plain", &[]);
        assert_eq!(ask(d, "web.tare", A), found(&["10.9.0.2"]));
        assert_eq!(ask(d, "WEB.one.Tare", A), found(&["10.9.0.2"]));
        assert_eq!(ask(d, "web.tare", AAAA), found(&["fd09::2"]));
        assert_eq!(ask(d, "www.one.tare", A), found(&["10.9.0.2"]));
        assert_eq!(ask(d, "www.tare", A), NOBODY);
        let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
        let address = docker.ok(&["inspect", "-f", address, "plain"]);
        assert_eq!(ask(d, "plain.tare", A), found(&[&address]));
        assert_eq!(ask(d, "plain.bridge.tare", A), found(&[&address]));
        // A name is never asked of anybody else.
        assert_eq!(ask(d, "example.org", A), REFUSED);
        let back = (0, vec![b"\x03web\x03one\x04tare\0".to_vec()]);
        assert_eq!(ask(d, "2.0.9.10.in-addr.arpa", PTR), back);
        // What changes counts at once.
        docker.ok(&["network", "connect", "two", "web"]);
        assert_eq!(ask(d, "web.tare", A), found(&["10.9.0.2", "10.8.0.2"]));
        docker.ok(&["network", "connect", "two", "plain"]);
        docker.ok(&["network", "disconnect", "bridge", "plain"]);
        assert_eq!(ask(d, "plain.tare", A), found(&["10.8.0.3"]));
        docker.ok(&["rename", "web", "site"]);
        assert_eq!(ask(d, "web.tare", A), NOBODY);
        assert_eq!(ask(d, "site.two.tare", A), found(&["10.8.0.2"]));
        docker.ok(&["rm", "-f", "site"]);
        assert_eq!(ask(d, "site.tare", A), NOBODY);
        // Containers know no more for it: neither each other's networks, nor these names.
        let asked = docker.run(&["exec", "plain", "nslookup", "-type=a", "plain.bridge"]);
        assert!(!asked.out().contains(&address), "{}", asked.out());
        docker.ok(&["rm", "-f", "plain"]);
    });
}

#[test]
fn the_host_s_names_outlive_the_daemon_and_the_keeper() {
    with(&["--host-names", "127.0.0.153"], |d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        sleep(d, "plain", &["--ip", "10.9.0.7", "--network", "one"]);
        let there = found(&["10.9.0.7"]);
        assert_eq!(ask(d, "plain.tare", A), there);
        d.stop(Signal::KILL);
        assert_eq!(ask(d, "plain.tare", A), there, "while no daemon runs");
        // Over TCP too.
        let query = query("plain.one.tare", A);
        let reply = d.network().expect("a namespace").inside(|| {
            let mut stream = TcpStream::connect(AT).expect("connect");
            let length = u16::try_from(query.len()).expect("a length");
            stream.write_all(&length.to_be_bytes()).expect("ask");
            stream.write_all(&query).expect("ask");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("an answer");
            let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut reply).expect("an answer");
            reply
        });
        assert_eq!(read(&query, &reply), there);
        d.start();
        assert_eq!(ask(d, "plain.tare", A), there);
        let keepers = d.leftovers().processes().into_iter();
        let mut keepers = keepers.filter(|(_, words)| words.contains("tare-keeper"));
        let (keeper, _) = keepers.next().expect("a keeper");
        let pid = rustix::process::Pid::from_raw(keeper.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, Signal::KILL).expect("kill");
        // Something that is told to the next one, so it is there when this has come back.
        sleep(d, "late", &["--network", "one"]);
        assert_eq!(ask(d, "plain.tare", A), there);
        assert_eq!(ask(d, "late.tare", A), found(&["10.9.0.2"]));
        docker.ok(&["rm", "-f", "late", "plain"]);
    });
}

#[test]
fn the_address_and_the_domain_are_the_administrator_s() {
    with(
        &[
            "--host-names",
            "127.0.0.153:5353",
            "--host-names-domain",
            "here.internal",
        ],
        |d| {
            sleep(d, "plain", &[]);
            let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
            let address = d.docker().ok(&["inspect", "-f", address, "plain"]);
            let at = "127.0.0.153:5353";
            assert_eq!(ask_at(d, at, "plain.here.internal", A), found(&[&address]));
            assert_eq!(ask_at(d, at, "plain.tare", A), REFUSED);
            d.docker().ok(&["rm", "-f", "plain"]);
        },
    );
}
