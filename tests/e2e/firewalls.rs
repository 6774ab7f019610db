//! Beside the firewalls that hosts have: their rulesets as they write them (in `firewalls/`), a machine outside, and containers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use tests::{Daemon, IMAGE, Outside, OwnNetwork};

use crate::ports::{HOST, ask, serve, with};

/// A neighbour, and what the administrator of such a host does for containers.
struct Neighbour {
    rules: &'static str,
    /// `nft` commands; `NEAR` is the network's bridge.
    allowed: &'static str,
    /// Its rules drop what is forwarded, so published ports are sockets of the host's.
    drops: bool,
}

const UFW: Neighbour = Neighbour {
    rules: include_str!("firewalls/ufw.nft"),
    // `ufw allow 8080/tcp`, `ufw route allow in on NEAR`
    allowed: "
        add rule ip filter ufw-user-input tcp dport 8080 counter accept
        add rule ip6 filter ufw6-user-input tcp dport 8080 counter accept
        add rule ip filter ufw-user-forward iifname NEAR counter accept
        add rule ip6 filter ufw6-user-forward iifname NEAR counter accept
    ",
    drops: true,
};

const FIREWALLD: Neighbour = Neighbour {
    rules: include_str!("firewalls/firewalld.nft"),
    allowed: "",
    drops: false,
};

const LIBVIRT: Neighbour = Neighbour {
    rules: include_str!("firewalls/libvirt.nft"),
    allowed: "",
    drops: false,
};

const DOCKER: Neighbour = Neighbour {
    rules: include_str!("firewalls/docker.nft"),
    // Where Docker wants the rules of others.
    allowed: "
        add rule ip filter DOCKER-USER iifname NEAR counter accept
        add rule ip filter DOCKER-USER oifname NEAR ct state related,established counter accept
        add rule ip6 filter DOCKER-USER iifname NEAR counter accept
        add rule ip6 filter DOCKER-USER oifname NEAR ct state related,established counter accept
    ",
    drops: true,
};

/// Runs `nft` on the host; what it says.
fn nft(host: &OwnNetwork, args: &[&str], input: &str) -> String {
    let mut child = host
        .command("nft")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run nft");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("tell nft");
    drop(stdin);
    let output = child.wait_with_output().expect("hear from nft");
    assert!(output.status.success(), "nft {args:?}: {input}");
    String::from_utf8(output.stdout).expect("text")
}

impl Neighbour {
    fn load(&self, host: &OwnNetwork) {
        let rules = format!("{}\n{}", self.rules, self.allowed);
        let rules = rules.replace("OUTSIDE", "cable");
        nft(host, &["-f", "-"], &rules.replace("NEAR", "br-near"));
    }
}

/// All tables but ours, without their counters.
fn tables_of_others(host: &OwnNetwork) -> String {
    let list = nft(host, &["list", "tables"], "");
    let others = list.lines().filter(|line| !line.contains(" tare-"));
    let of_table = |line: &str| {
        let line = format!("-sa list {line}");
        nft(host, &line.split(' ').collect::<Vec<_>>(), "")
    };
    others.map(of_table).collect()
}

/// A web server on the machine outside, for one question.
fn answer_once(outside: &Outside<'_>, address: &str) {
    let address: SocketAddr = address.parse().expect("an address");
    let listener = outside.inside(|| TcpListener::bind(address));
    let listener = listener.expect("listen outside");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a question");
        let _read = stream.read(&mut [0; 1024]);
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfar\n";
        stream.write_all(answer).expect("answer");
    });
}

/// Everybody reaches what they are to reach.
fn check_traffic(d: &Daemon, host: &OwnNetwork, outside: &Outside<'_>) {
    for address in [HOST, "[2001:db8::1]"] {
        let to = format!("{address}:8080");
        assert_eq!(outside.inside(|| ask(&to)).expect("from outside"), "web");
    }
    for address in [HOST, "127.0.0.1", "[::1]", "[2001:db8::1]"] {
        let to = format!("{address}:8080");
        assert_eq!(host.inside(|| ask(&to)).expect(&to), "web");
    }
    let docker = d.docker();
    let get = |name: &str, url: &str| docker.ok(&["exec", name, "wget", "-qO-", url]);
    // Of the same network directly, of the same and of another by the host's address, and the container itself.
    let of_host = format!("http://{HOST}:8080/");
    let template = "{{(index .NetworkSettings.Networks \"near\").IPAddress}}";
    let own = docker.ok(&["inspect", "-f", template, "web"]);
    assert_eq!(get("near", &format!("http://{own}:80/")), "web");
    assert_eq!(get("near", "http://[fd09::2]:80/"), "web");
    for name in ["near", "web", "stranger"] {
        assert_eq!(get(name, &of_host), "web", "{name}");
    }
    assert_eq!(get("near", "http://[2001:db8::1]:8080/"), "web");
    for address in ["198.51.100.2:80", "[2001:db8::2]:80"] {
        answer_once(outside, address);
        assert_eq!(get("near", &format!("http://{address}/")), "far");
    }
}

/// Somebody on the host listens there.
fn is_carried(host: &OwnNetwork) -> bool {
    let listens = host.inside(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let listens = listens.expect("the sockets");
    let mut lines = listens.lines();
    lines.any(|line| line.contains(":1F90 00000000:0000 0A"))
}

const NETWORK: &[&str] = &[
    "network",
    "create",
    "--ipv6",
    "--subnet",
    "fd09::/64",
    "-o",
    "com.docker.network.bridge.name=br-near",
    "near",
];

fn beside(neighbour: &Neighbour) {
    with(|d, host| {
        let outside = host.outside();
        neighbour.load(host);
        let before = tables_of_others(host);
        let docker = d.docker();
        docker.ok(NETWORK);
        serve(d, "web", &["--network", "near", "-p", "8080:80"]);
        assert_eq!(is_carried(host), neighbour.drops);
        let warned = docker.ok(&["info", "-f", "{{.Warnings}}"]);
        assert_eq!(
            warned.contains("drops what is forwarded"),
            neighbour.drops,
            "{warned}"
        );
        let sleep = |name: &str, network: &str| {
            let line = ["run", "-d", "--name", name, "--network", network, IMAGE];
            docker.ok(&[&line[..], &["sleep", "1000"]].concat());
        };
        sleep("near", "near");
        docker.ok(&["network", "create", "other"]);
        sleep("stranger", "other");
        check_traffic(d, host, &outside);
        d.crash();
        check_traffic(d, host, &outside);
        assert_eq!(tables_of_others(host), before);
        // Somebody starts over with all rules of the host, as some do whose firewall is a file.
        let changes = host.watch_tables();
        nft(host, &["-f", "-"], "flush ruleset");
        changes.wait_for("tare-");
        neighbour.load(host);
        let before = tables_of_others(host);
        check_traffic(d, host, &outside);
        docker.ok(&["rm", "-f", "web", "near", "stranger"]);
        docker.ok(&["network", "rm", "near", "other"]);
        assert_eq!(tables_of_others(host), before);
        nft(host, &["-f", "-"], "flush ruleset");
    });
}

#[test]
fn beside_ufw() {
    beside(&UFW);
}

#[test]
fn beside_firewalld() {
    beside(&FIREWALLD);
}

#[test]
fn beside_libvirt() {
    beside(&LIBVIRT);
}

#[test]
fn beside_docker() {
    beside(&DOCKER);
}

/// A published port is a socket of the host's where ufw drops: without its leave nobody comes in.
#[test]
fn ufw_decides_who_comes_in() {
    with(|d, host| {
        let outside = host.outside();
        nft(host, &["-f", "-"], &UFW.rules.replace("OUTSIDE", "cable"));
        serve(d, "web", &["-p", "8080:80"]);
        let to: SocketAddr = format!("{HOST}:8080").parse().expect("an address");
        let patience = std::time::Duration::from_millis(400);
        let tried = outside.inside(|| std::net::TcpStream::connect_timeout(&to, patience));
        assert!(tried.is_err());
        assert_eq!(host.inside(|| ask("127.0.0.1:8080")).expect("near"), "web");
        d.docker().ok(&["rm", "-f", "web"]);
        nft(host, &["-f", "-"], "flush ruleset");
    });
}
