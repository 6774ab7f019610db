//! Traffic through published ports and between containers: iperf3, and wrk against nginx, out of an image that is made of this
//! machine's own programs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::{Cli, Daemon, Entry, Image, Layer, Options, busybox_layer};

use crate::Field;
use crate::table::Table;

const IMAGE: &str = "tare-bench:traffic";
const PROGRAMS: [&str; 3] = ["/usr/bin/iperf3", "/usr/bin/wrk", "/usr/sbin/nginx"];
const NGINX: &str =
    "daemon off; user root; pid /tmp/nginx.pid; error_log stderr; worker_processes 1;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; server { listen 80; root /site; } }
";
/// The host's address on the cable to the machine outside, and that machine's.
const CABLE: [&str; 2] = ["198.18.77.1", "198.18.77.2"];

/// An engine in a network namespace, a server of its with published ports, a client beside that, and a machine outside.
struct Site<'a> {
    who: &'static str,
    cli: &'a Cli,
    /// Of the engine's network namespace.
    cable: &'a Cable,
    server: String,
    client: String,
    address: String,
    /// Where iperf3 and nginx are published.
    ports: [String; 2],
}

/// A machine on a cable of an engine's host; both end with its process.
struct Cable {
    /// A process in the host's network namespace.
    host: u32,
    outside: Child,
}

/// Who sends to whom.
#[derive(Clone, Copy)]
enum Way {
    Outside,
    Loopback,
    Beside,
}

pub(crate) fn published_and_beside(field: &Field<'_>, table: &mut Table) {
    if let Some(missing) = PROGRAMS.iter().find(|path| !Path::new(path).exists()) {
        eprintln!("  without {missing}: apt-get install iperf3 wrk nginx-light");
        return;
    }
    // The rival's policy in FORWARD would drop what is for ours, so ours has a host of its own.
    let options = Options {
        own_network: true,
        at_full_speed: true,
        ..Options::default()
    };
    Daemon::with(options, |daemon| {
        daemon.network().expect("its own").bring_loopback_up();
        let (ours, archive) = (daemon.docker(), image());
        let cables = [daemon.pid(), std::process::id()].map(Cable::new);
        let name = |role: &str| daemon.name(role);
        let own = ["tare", SOCKET].map(|who| Site::new(who, &ours, &cables[0], &archive, name));
        let rival = field
            .peer
            .as_ref()
            .map(|peer| Site::new("Docker", peer, &cables[1], &archive, name));
        let sites: Vec<_> = own.into_iter().chain(rival).collect();
        measure(field, &sites, table);
        sites.iter().for_each(Site::clear);
    });
}

/// Its ports are sockets of the host, which a process carries on.
const SOCKET: &str = "tare, publish-mode=host-socket";

fn measure(field: &Field<'_>, sites: &[Site<'_>], table: &mut Table) {
    let ways = [
        (Way::Outside, "from outside to a published port"),
        (Way::Loopback, "by 127.0.0.1 to a published port"),
        (Way::Beside, "between two containers of a network"),
    ];
    for (way, what) in ways {
        // Who reaches whom past the ports is the same either way.
        let sites: Vec<_> = (sites.iter())
            .filter(|site| site.who != SOCKET || !matches!(way, Way::Beside))
            .collect();
        let stream = |flags: &'static [&'static str]| {
            medians(field, &sites, move |site| [site.stream(way, flags)])
        };
        let [there] = stream(&[]);
        table.rates(&format!("TCP {what}"), "Gbit/s", &there);
        let [back] = stream(&["-R"]);
        table.rates(&format!("TCP {what}, downwards"), "Gbit/s", &back);
        let [rate, late] = medians(field, &sites, |site| {
            let load = site.requests(way, 16);
            [load.rate, load.late]
        });
        table.rates(&format!("HTTP {what}, 16 connections"), "requests/s", &rate);
        table.values("their slowest hundredth (p99)", "ms", &late);
        let [one] = medians(field, &sites, |site| [site.requests(way, 1).middle]);
        table.values(&format!("HTTP {what}, one request at a time"), "ms", &one);
    }
}

/// The medians of all sites, which are measured in turn, of each thing measured.
fn medians<const N: usize>(
    field: &Field<'_>,
    sites: &[&Site<'_>],
    measure: impl Fn(&Site<'_>) -> [f64; N],
) -> [Vec<(&'static str, f64)>; N] {
    let mut rounds = vec![Vec::new(); sites.len()];
    for _ in 0..field.runs(9) {
        for (site, rounds) in sites.iter().zip(&mut rounds) {
            rounds.push(measure(site));
        }
    }
    let median = |rounds: &[[f64; N]], which: usize| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[which]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    std::array::from_fn(|which| {
        let of = sites.iter().zip(&rounds);
        of.map(|(site, rounds)| (site.who, median(rounds, which)))
            .collect()
    })
}

/// What wrk found: requests a second, and how many milliseconds half of them and 99 of 100 took at most.
struct Load {
    rate: f64,
    middle: f64,
    late: f64,
}

impl<'a> Site<'a> {
    fn new(
        who: &'static str,
        cli: &'a Cli,
        cable: &'a Cable,
        archive: &[u8],
        name: impl Fn(&str) -> String,
    ) -> Self {
        cli.command(&["load"]).input(archive).run().ok();
        let mode = if who == SOCKET { "host-socket" } else { "nat" };
        let [server, client] =
            ["server", "client"].map(|role| name(&format!("traffic-{mode}-{role}")));
        let network = match who {
            SOCKET => name("traffic"),
            _ => "bridge".to_owned(),
        };
        if who == SOCKET {
            cli.ok(&[
                "network",
                "create",
                "-o",
                "publish-mode=host-socket",
                &network,
            ]);
        }
        let both = "iperf3 -s >/dev/null & exec nginx -c /nginx.conf";
        let run = |name: &str, rest: &[&str]| {
            let line = ["run", "-d", "--init", "--network", &network, "--name", name];
            cli.ok(&[&line[..], rest].concat())
        };
        run(
            &server,
            &["-p", "5201", "-p", "80", IMAGE, "sh", "-c", both],
        );
        run(&client, &[IMAGE, "sleep", "100000"]);
        let shown: Value = serde_json::from_str(&cli.ok(&["inspect", &server])).expect("JSON");
        let settings = &shown[0]["NetworkSettings"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let port = |port: &str| text(&settings["Ports"][port][0]["HostPort"]);
        Self {
            who,
            cli,
            cable,
            address: text(&settings["Networks"][&network]["IPAddress"]),
            ports: [port("5201/tcp"), port("80/tcp")],
            server,
            client,
        }
    }

    /// Runs a client of the server's first or second port there, with the address it is to use.
    fn run(
        &self,
        way: Way,
        own: [&str; 2],
        which: usize,
        words: impl Fn(&str, &str) -> Vec<String>,
    ) -> String {
        let in_namespace = |pid: u32, address: &str| {
            let words = words(address, &self.ports[which]);
            let net = format!("--net=/proc/{pid}/ns/net");
            output(Command::new("nsenter").arg(net).args(words))
        };
        match way {
            Way::Outside => in_namespace(self.cable.outside.id(), CABLE[0]),
            Way::Loopback => in_namespace(self.cable.host, "127.0.0.1"),
            Way::Beside => {
                let words = words(&self.address, own[which]);
                let words = words.iter().map(String::as_str);
                let line: Vec<&str> = ["exec", &self.client].into_iter().chain(words).collect();
                self.cli.ok(&line)
            }
        }
    }

    /// Gigabits a second that arrive.
    fn stream(&self, way: Way, flags: &[&str]) -> f64 {
        let text = self.run(way, OWN_PORTS, 0, |address, port| {
            let line = ["iperf3", "-J", "-t", "1", "-c", address, "-p", port];
            line.iter().chain(flags).map(ToString::to_string).collect()
        });
        let found: Value = serde_json::from_str(&text).expect("iperf3's JSON");
        let rate = &found["end"]["sum_received"]["bits_per_second"];
        rate.as_f64().unwrap_or_else(|| panic!("iperf3: {text}")) / 1e9
    }

    fn requests(&self, way: Way, connections: u32) -> Load {
        let text = self.run(way, OWN_PORTS, 1, |address, port| {
            let url = format!("http://{address}:{port}/");
            let connections = connections.to_string();
            [
                "wrk",
                "--latency",
                "-t",
                "1",
                "-d",
                "2s",
                "-c",
                &connections,
                &url,
            ]
            .map(str::to_owned)
            .to_vec()
        });
        assert!(!text.contains("Non-2xx"), "{text}");
        let after = |word: &str| {
            let mut lines = text.lines().map(str::trim);
            lines
                .find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
                .unwrap_or_else(|| panic!("wrk says no {word}: {text}"))
        };
        Load {
            rate: after("Requests/sec:").parse().expect("a number"),
            middle: milliseconds(&after("50%")),
            late: milliseconds(&after("99%")),
        }
    }

    fn clear(&self) {
        self.cli.ok(&["rm", "-f", &self.server, &self.client]);
        // The image is both sites', and the network, where there is one, goes with the host.
        self.cli.run(&["rmi", IMAGE]);
    }
}

/// Of iperf3 and nginx in the container.
const OWN_PORTS: [&str; 2] = ["5201", "80"];

/// wrk's times: `97.00us`, `1.23ms`, `1.05s`.
fn milliseconds(text: &str) -> f64 {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let time = units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    });
    time.unwrap_or_else(|| panic!("a time of wrk's: {text}"))
}

impl Cable {
    fn new(host: u32) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo in; exec sleep 100000"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("run unshare");
        let mut said = [0; 3];
        let stdout = child.stdout.as_mut().expect("its output");
        std::io::Read::read_exact(stdout, &mut said).expect("hear from unshare");
        let pid = child.id();
        let cable = Cable {
            host,
            outside: child,
        };
        let script = format!(
            "set -e; ip link add benchcable type veth peer name eth0 netns {pid}
             ip address add {}/30 dev benchcable; ip link set benchcable up
             nsenter --net=/proc/{pid}/ns/net sh -ec 'ip address add {}/30 dev eth0; ip link set eth0 up'",
            CABLE[0], CABLE[1]
        );
        let net = format!("--net=/proc/{host}/ns/net");
        output(Command::new("nsenter").args([&net, "sh", "-c", &script]));
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ended = self.outside.kill().and_then(|()| self.outside.wait());
    }
}

fn output(command: &mut Command) -> String {
    let done = command.output().expect("run a client");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {text}{errors}");
    text
}

/// busybox, the programs with their libraries, what nginx wants, and a page of 612 bytes, the size of nginx's own.
fn image() -> Vec<u8> {
    let mut paths = BTreeSet::new();
    for program in PROGRAMS {
        paths.insert(program.to_owned());
        let libraries = output(Command::new("ldd").arg(program));
        let libraries = libraries.split_whitespace();
        paths.extend(libraries.filter(|w| w.starts_with('/')).map(str::to_owned));
    }
    let mut entries: Vec<Entry> = ["var/log/nginx", "var/lib/nginx"].map(Entry::folder).into();
    entries.push(Entry::file("nginx.conf", NGINX));
    entries.push(Entry::file("site/index.html", "x".repeat(612)));
    entries.push(Entry::file("etc/group", "root:x:0:\n"));
    for path in paths {
        let content = std::fs::read(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
        entries.push(Entry::program(path.trim_start_matches('/'), content));
    }
    let layers = vec![busybox_layer(), Layer::new(&entries)];
    let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    Image::new(IMAGE, layers, json!({"Env": [path]})).docker_archive()
}
