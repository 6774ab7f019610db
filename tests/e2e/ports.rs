//! Published ports, looked at from outside, from the host and from containers; each daemon is a host of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tests::{Daemon, IMAGE, OwnNetwork};

/// The host as the machine outside sees it.
pub(crate) const HOST: &str = "198.51.100.1";

pub(crate) fn with(check: impl FnOnce(&Daemon, &OwnNetwork)) {
    Daemon::in_own_network(&[], |d| {
        let host = d.network().expect("a namespace");
        host.bring_loopback_up();
        check(d, host);
    });
}

/// A web server that says its name; it answers when this returns.
pub(crate) fn serve(d: &Daemon, name: &str, flags: &[&str]) {
    // In the background it is when it listens.
    let script = format!(
        "echo {name} >/tmp/index.html; httpd -p 80 -h /tmp && echo ready && exec sleep 1000"
    );
    let line = [
        &["run", "-d", "--name", name],
        flags,
        &[IMAGE, "sh", "-c", &script],
    ]
    .concat();
    d.docker().ok(&line);
    ready(d, name, 1);
}

/// Waits until a web server answers for the `times`th time since the container was made.
fn ready(d: &Daemon, name: &str, times: usize) {
    let mut logs = d.docker().spawn(&["logs", "-f", name]);
    for _ in 0..times {
        logs.line_with("ready");
    }
    logs.signal(Signal::KILL);
    logs.end();
}

/// What a web server says.
pub(crate) fn ask(to: &str) -> io::Result<String> {
    let address: SocketAddr = to.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
    converse(&mut stream)
}

fn converse(stream: &mut TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// Whether the host lets somebody else have a port.
fn is_free(host: &OwnNetwork, port: u16) -> bool {
    host.inside(|| TcpListener::bind(("0.0.0.0", port)).is_ok())
}

#[test]
fn reached_from_everywhere() {
    with(|d, host| {
        let outside = host.outside();
        serve(d, "web", &["-p", "8080:80"]);
        let at = |address: &str| format!("{address}:8080");
        assert_eq!(
            outside.inside(|| ask(&at(HOST))).expect("from outside"),
            "web"
        );
        for address in [HOST, "127.0.0.1", "127.0.0.9", "172.17.0.1"] {
            let said = host.inside(|| ask(&at(address)));
            assert_eq!(said.expect(address), "web");
        }
        let docker = d.docker();
        // By the host's address: the container itself, and another one of the same bridge.
        let url = format!("http://{HOST}:8080/");
        assert_eq!(docker.ok(&["exec", "web", "wget", "-qO-", &url]), "web");
        assert_eq!(
            docker.ok(&["run", "--rm", IMAGE, "wget", "-qO-", &url]),
            "web"
        );
        // One of another network, which could not reach it directly.
        docker.ok(&["network", "create", "other"]);
        let line = [
            "run",
            "--rm",
            "--network",
            "other",
            IMAGE,
            "wget",
            "-qO-",
            &url,
        ];
        assert_eq!(docker.ok(&line), "web");
        docker.ok(&["network", "rm", "other"]);
        // Across the daemon's death, and while there is none, nobody else gets the port.
        d.stop(Signal::KILL);
        assert_eq!(
            outside.inside(|| ask(&at(HOST))).expect("without a daemon"),
            "web"
        );
        assert!(!is_free(host, 8080));
        d.start();
        assert_eq!(
            outside
                .inside(|| ask(&at(HOST)))
                .expect("with the next daemon"),
            "web"
        );
        assert!(!is_free(host, 8080));
        docker.ok(&["rm", "-f", "web"]);
        assert!(is_free(host, 8080));
        assert!(host.inside(|| ask(&at("127.0.0.1"))).is_err());
    });
}

#[test]
fn shown_as_docker_shows_them() {
    with(|d, _| {
        let flags = [
            "-p",
            "8080:80",
            "-p",
            "127.0.0.1:8053:53/udp",
            "-p",
            "9000-9002:9000-9002",
            "--expose",
            "70-71",
        ];
        for cli in [d.docker(), d.tare()] {
            cli.ok(&[
                &["run", "-d", "--name", "web"],
                &flags[..],
                &[IMAGE, "sleep", "1000"],
            ]
            .concat());
            let ports =
                d.api("GET", "/containers/web/json", "").json()["NetworkSettings"]["Ports"].clone();
            let both = |port: &str| json!([{"HostIp": "0.0.0.0", "HostPort": port}, {"HostIp": "::", "HostPort": port}]);
            assert_eq!(ports["80/tcp"], both("8080"));
            assert_eq!(ports["9001/tcp"], both("9001"));
            assert_eq!(
                ports["53/udp"],
                json!([{"HostIp": "127.0.0.1", "HostPort": "8053"}])
            );
            assert_eq!(
                (
                    &ports["70/tcp"],
                    ports.as_object().map(serde_json::Map::len)
                ),
                (&json!(null), Some(7))
            );
            assert_eq!(
                cli.ok(&["ps", "--format", "{{.Ports}}"]),
                "70-71/tcp, 0.0.0.0:9000-9002->9000-9002/tcp, [::]:9000-9002->9000-9002/tcp, 127.0.0.1:8053->53/udp, \
                 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
            );
            assert_eq!(cli.ok(&["port", "web", "80"]), "0.0.0.0:8080\n[::]:8080");
            assert_eq!(cli.ok(&["port", "web", "53/udp"]), "127.0.0.1:8053");
            assert_eq!(cli.ok(&["port", "web"]).lines().count(), 9);
            cli.run(&["port", "web", "99"])
                .fails(1, "No public port '99' published for web");
            for (filter, found) in [
                ("publish=8080", true),
                ("publish=80", false),
                ("publish=8000-8100", true),
                ("publish=8053", false),
                ("publish=8053/udp", true),
                ("expose=70", true),
                ("expose=80/tcp", true),
                ("expose=8080", false),
            ] {
                let shown = cli.ok(&["ps", "-q", "--filter", filter]);
                assert_eq!(!shown.is_empty(), found, "{filter}");
            }
            cli.ok(&["stop", "-t", "0", "web"]);
            let stopped = d.api("GET", "/containers/web/json", "").json();
            assert_eq!(stopped["NetworkSettings"]["Ports"], json!({}));
            assert_eq!(
                stopped["HostConfig"]["PortBindings"]["80/tcp"],
                json!([{"HostIp": "", "HostPort": "8080"}])
            );
            cli.ok(&["rm", "web"]);
        }
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_that_leaves_nothing() {
    with(|d, host| {
        serve(d, "one", &["-p", "8080:80"]);
        for cli in [d.docker(), d.tare()] {
            let taken = cli.run(&[
                "run", "-d", "--name", "two", "-p", "8090:81", "-p", "8080:80", IMAGE, "sleep",
                "1000",
            ]);
            let text = taken.err();
            assert_eq!(taken.code, 125, "{text}");
            assert!(
                text.contains("failed to set up container networking: driver failed programming external connectivity on endpoint two (")
                    && text.contains("): Bind for 0.0.0.0:8080 failed: port is already allocated"),
                "{text}"
            );
            // The other port is nobody's again, nor is an address held.
            assert!(is_free(host, 8090));
            assert_eq!(
                d.api("GET", "/networks/bridge", "").json()["Containers"]
                    .as_object()
                    .map(serde_json::Map::len),
                Some(1)
            );
            assert_eq!(
                cli.ok(&[
                    "inspect",
                    "-f",
                    "{{.State.Status}} {{.State.ExitCode}}",
                    "two"
                ]),
                "created 128"
            );
            cli.ok(&["rm", "two"]);
            let held = host
                .inside(|| TcpListener::bind("0.0.0.0:8095"))
                .expect("a port");
            let taken = cli.run(&["run", "--rm", "-p", "8095:80", IMAGE, "true"]);
            let text = taken.err();
            assert!(text.contains("failed to bind host port for 0.0.0.0:8095:172.17.0.3:80/tcp: address already in use"), "{text}");
            // Of a range the next one is taken.
            cli.ok(&[
                "run",
                "-d",
                "--name",
                "two",
                "-p",
                "8095-8096:80",
                IMAGE,
                "sleep",
                "1000",
            ]);
            assert!(cli.ok(&["port", "two"]).contains("0.0.0.0:8096"));
            drop(held);
            cli.ok(&["rm", "-f", "two"]);
            cli.run(&["run", "--rm", "-p", "1.2.3.4:8099:80", IMAGE, "true"])
                .fails(125, "failed to bind host port for 1.2.3.4:8099:172.17.0.3:80/tcp: cannot assign requested address");
        }
        d.docker().ok(&["rm", "-f", "one"]);
    });
}

#[test]
fn ports_come_and_go_with_runs() {
    with(|d, host| {
        let docker = d.docker();
        serve(
            d,
            "web",
            &["-p", "8080:80", "-p", "81", "-P", "--expose", "90/udp"],
        );
        let shown = docker.ok(&["port", "web"]);
        assert!(
            shown.contains("81/tcp -> 0.0.0.0:32768") && shown.contains("90/udp -> 0.0.0.0:32768"),
            "{shown}"
        );
        docker.ok(&["stop", "-t", "0", "web"]);
        assert!(is_free(host, 8080));
        docker.ok(&["start", "web"]);
        ready(d, "web", 2);
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("after a start"),
            "web"
        );
        docker.ok(&["restart", "-t", "0", "web"]);
        ready(d, "web", 3);
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("after a restart"),
            "web"
        );
        docker.ok(&["rm", "-f", "web"]);
        // Ports of the host's own network need nobody; it is said that they are discarded.
        let run = docker.run(&[
            "run",
            "--rm",
            "--network",
            "host",
            "-p",
            "8080:80",
            IMAGE,
            "true",
        ]);
        assert!(
            run.err()
                .contains("Published ports are discarded when using host network mode")
        );
        docker.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-p",
            "8080:80",
            IMAGE,
            "true",
        ]);
    });
}

/// Answers datagrams in a container with what they say, as often as is asked for.
fn echo(d: &Daemon, name: &str, port: u16) -> UdpSocket {
    let shown = d.api("GET", &format!("/containers/{name}/json"), "").json();
    let container = OwnNetwork::of(shown["State"]["Pid"].as_i64().expect("a pid"));
    let socket = container.inside(|| UdpSocket::bind(("0.0.0.0", port)));
    let socket = socket.expect("bind in the container");
    let answering = socket.try_clone().expect("a second one");
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((length, from)) = answering.recv_from(&mut bytes) {
            if length == 0 || answering.send_to(&bytes[..length], from).is_err() {
                return;
            }
        }
    });
    socket
}

#[test]
fn datagrams() {
    with(|d, host| {
        let outside = host.outside();
        let docker = d.docker();
        // The same partners all the time, as a resolver has them: what the kernel remembers must not lead them astray.
        let socket = |network: &dyn Fn() -> io::Result<UdpSocket>| {
            let socket = network().expect("a socket");
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a patience");
            socket
        };
        let far = socket(&|| outside.inside(|| UdpSocket::bind("0.0.0.0:4000")));
        let near = socket(&|| host.inside(|| UdpSocket::bind("0.0.0.0:4000")));
        let hear = |socket: &UdpSocket, to: &str| {
            let mut answer = [0; 16];
            socket.send_to(b"hello", to).expect("send");
            let (length, from) = socket.recv_from(&mut answer).expect("an answer");
            assert_eq!(
                (&answer[..length], from.to_string().as_str()),
                (&b"hello"[..], to)
            );
        };
        for name in ["one", "two"] {
            docker.ok(&[
                "run",
                "-d",
                "--name",
                name,
                "-p",
                "5300:53/udp",
                IMAGE,
                "sleep",
                "1000",
            ]);
            let server = echo(d, name, 53);
            hear(&far, &format!("{HOST}:5300"));
            hear(&near, "127.0.0.1:5300");
            docker.ok(&["rm", "-f", name]);
            drop(server);
            // Sent into the void; the kernel would remember that it led nowhere.
            far.send_to(b"hello", format!("{HOST}:5300")).expect("send");
        }
    });
}

#[test]
fn ports_follow_the_default_route() {
    with(|d, host| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--internal", "inner"]);
        docker.ok(&["network", "create", "aaa"]);
        serve(d, "web", &["--network", "inner", "-p", "8080:80"]);
        let ports = || docker.ok(&["port", "web"]);
        assert_eq!(ports(), "");
        assert!(is_free(host, 8080));
        // The first way out.
        docker.ok(&["network", "connect", "bridge", "web"]);
        assert!(ports().contains("80/tcp -> 0.0.0.0:8080"));
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("through the bridge"),
            "web"
        );
        // A better one, then back, then none.
        docker.ok(&["network", "connect", "aaa", "web"]);
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080")).expect("through aaa"),
            "web"
        );
        d.crash();
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("after a crash"),
            "web"
        );
        docker.ok(&["network", "disconnect", "aaa", "web"]);
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("through the bridge again"),
            "web"
        );
        docker.ok(&["network", "disconnect", "bridge", "web"]);
        assert_eq!(ports(), "");
        assert!(is_free(host, 8080));
        docker.ok(&["rm", "-f", "web"]);
        docker.ok(&["network", "rm", "inner", "aaa"]);
    });
}

#[test]
fn what_a_network_makes_of_ports() {
    with(|d, host| {
        let outside = host.outside();
        let docker = d.docker();
        let network = |name: &str, option: &str, subnet: &str| {
            docker.ok(&["network", "create", "-o", option, "--subnet", subnet, name]);
        };
        network(
            "near",
            "com.docker.network.bridge.host_binding_ipv4=127.0.0.1",
            "10.9.1.0/24",
        );
        serve(d, "web", &["--network", "near", "-p", "8080:80"]);
        assert_eq!(docker.ok(&["port", "web"]), "80/tcp -> 127.0.0.1:8080");
        assert_eq!(host.inside(|| ask("127.0.0.1:8080")).expect("near"), "web");
        let far = format!("{HOST}:8080");
        assert!(outside.inside(|| ask(&far)).is_err());
        docker.ok(&["rm", "-f", "web"]);
        network(
            "routed",
            "com.docker.network.bridge.gateway_mode_ipv4=routed",
            "10.9.2.0/24",
        );
        serve(d, "web", &["--network", "routed", "-p", "8080:80"]);
        assert_eq!(docker.ok(&["port", "web"]), "80/tcp -> 0.0.0.0:");
        assert_eq!(
            outside
                .inside(|| ask("10.9.2.2:80"))
                .expect("by its own address"),
            "web"
        );
        assert!(is_free(host, 8080));
        docker.ok(&["rm", "-f", "web"]);
        let isolated = "com.docker.network.bridge.gateway_mode_ipv4=isolated";
        let internal = [
            "network",
            "create",
            "--internal",
            "-o",
            isolated,
            "isolated",
        ];
        docker.ok(&internal);
        serve(d, "web", &["--network", "isolated", "-p", "8080:80"]);
        assert_eq!(docker.ok(&["port", "web"]), "");
        docker.ok(&["rm", "-f", "web"]);
        network(
            "open",
            "com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected",
            "10.9.4.0/24",
        );
        serve(d, "web", &["--network", "open"]);
        assert_eq!(
            outside.inside(|| ask("10.9.4.2:80")).expect("every port"),
            "web"
        );
        docker.ok(&["rm", "-f", "web"]);
        docker.ok(&["network", "rm", "near", "routed", "isolated", "open"]);
    });
}

#[test]
fn what_the_kernel_cannot_translate_is_carried_on() {
    with(|d, host| {
        let outside = host.outside();
        let docker = d.docker();
        // A container without IPv6, on an IPv6 address of the host.
        serve(d, "web", &["-p", "8080:80"]);
        let (near, far) = ("[::1]:8080", "[2001:db8::1]:8080");
        assert_eq!(host.inside(|| ask(near)).expect("::1"), "web");
        assert_eq!(outside.inside(|| ask(far)).expect("from outside"), "web");
        d.crash();
        assert_eq!(host.inside(|| ask(near)).expect("after a crash"), "web");
        // It follows the container to another network.
        docker.ok(&["network", "create", "aaa"]);
        docker.ok(&["network", "connect", "aaa", "web"]);
        docker.ok(&["network", "disconnect", "bridge", "web"]);
        assert_eq!(host.inside(|| ask(near)).expect("::1, elsewhere"), "web");
        docker.ok(&["rm", "-f", "web"]);
        // One with IPv6: only ::1 is carried on.
        docker.ok(&["network", "create", "--ipv6", "six"]);
        serve(d, "web", &["--network", "six", "-p", "8080:80"]);
        assert_eq!(host.inside(|| ask(near)).expect("::1 to IPv6"), "web");
        assert_eq!(outside.inside(|| ask(far)).expect("IPv6 to IPv6"), "web");
        docker.ok(&["rm", "-f", "web"]);
        docker.ok(&["network", "rm", "aaa", "six"]);
    });
}

#[test]
fn ports_that_are_sockets_of_the_host() {
    with(|d, host| {
        let outside = host.outside();
        let docker = d.docker();
        docker.ok(&[
            "network",
            "create",
            "-o",
            "publish-mode=host-socket",
            "near",
        ]);
        serve(
            d,
            "web",
            &[
                "--network",
                "near",
                "-p",
                "8080:80",
                "-p",
                "20000-20099:20000-20099",
            ],
        );
        for address in [HOST, "[2001:db8::1]"] {
            let to = format!("{address}:8080");
            assert_eq!(outside.inside(|| ask(&to)).expect(address), "web");
        }
        // Somebody listens there, as the host's rules see it.
        let listens = host.inside(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
        let listens = listens.expect("the sockets");
        assert!(
            listens
                .lines()
                .any(|line| line.contains(":1F90 00000000:0000 0A")),
            "{listens}"
        );
        d.crash();
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("after a crash"),
            "web"
        );
        // A connection goes on while another port is ended.
        let open = outside.inside(|| TcpStream::connect((HOST, 8080)));
        let mut open = open.expect("a connection");
        d.tare().ok(&["update", "--publish-rm", "20007", "web"]);
        assert!(is_free(host, 20007) && !is_free(host, 20008));
        assert_eq!(converse(&mut open).expect("the same connection"), "web");
        docker.ok(&["rm", "-f", "web"]);
        docker.ok(&["network", "rm", "near"]);
        docker
            .run(&["network", "create", "-o", "publish-mode=x", "near"])
            .fails(1, "unknown publish-mode");
    });
}

/// By a container's own address nobody comes in from elsewhere, unless the daemon allows it; then to published ports, no further.
#[test]
fn direct_routing() {
    for (args, is_allowed) in [(&[][..], false), (&["--allow-direct-routing"], true)] {
        Daemon::in_own_network(args, |d| {
            let host = d.network().expect("a namespace");
            host.bring_loopback_up();
            let outside = host.outside();
            serve(d, "web", &["-p", "8080:80"]);
            let reaches = |port: u16| {
                let to = SocketAddr::from(([172, 17, 0, 2], port));
                let is_expected = is_allowed && port == 80;
                // Where an answer has to come, a busy machine is no failure.
                let patience = Duration::from_millis(if is_expected { 20_000 } else { 400 });
                outside.inside(|| TcpStream::connect_timeout(&to, patience))
            };
            let is_open = |port| match reaches(port) {
                Ok(_) => true,
                // Nobody listens there, but the packet has come through.
                Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            };
            assert_eq!((is_open(80), is_open(81)), (is_allowed, false));
            d.crash();
            assert_eq!((is_open(80), is_open(81)), (is_allowed, false));
            d.docker().ok(&["rm", "-f", "web"]);
        });
    }
}

/// Of several addresses of the host, the one that was asked answers.
#[test]
fn datagrams_through_sockets_of_the_host() {
    with(|d, host| {
        let docker = d.docker();
        docker.ok(&[
            "network",
            "create",
            "-o",
            "publish-mode=host-socket",
            "near",
        ]);
        let line = ["run", "-d", "--name", "one", "--network", "near"];
        let line = [&line[..], &["-p", "5300:53/udp", IMAGE, "sleep", "1000"]].concat();
        docker.ok(&line);
        let server = echo(d, "one", 53);
        let patience = Some(Duration::from_secs(20));
        for (own, to) in [("127.0.0.1", "127.0.0.9:5300"), ("::1", "[::1]:5300")] {
            let client = host.inside(|| UdpSocket::bind((own, 0))).expect("a socket");
            client.set_read_timeout(patience).expect("a patience");
            client.send_to(b"hello", to).expect("send");
            let (_, from) = client.recv_from(&mut [0; 16]).expect("an answer");
            assert_eq!(from.to_string(), to);
        }
        drop(server);
        docker.ok(&["rm", "-f", "one"]);
        docker.ok(&["network", "rm", "near"]);
    });
}

#[test]
fn ports_of_a_container_that_runs_are_changed() {
    with(|d, host| {
        let tare = d.tare();
        serve(d, "web", &["-p", "8080:80", "-p", "9000-9004:9000-9004"]);
        let says = |port: u16| host.inside(|| ask(&format!("127.0.0.1:{port}")).ok());
        assert_eq!(
            tare.ok(&["update", "--publish-add", "8081:80", "web"]),
            "web"
        );
        assert_eq!(
            (says(8080).as_deref(), says(8081).as_deref()),
            (Some("web"), Some("web"))
        );
        // One of a range, and one of two that lead to the same port; a port of the host leads elsewhere in one go.
        tare.ok(&[
            "update",
            "--publish-rm",
            "9002",
            "--publish-rm",
            "8080:80",
            "web",
        ]);
        assert_eq!((says(8080), says(8081).as_deref()), (None, Some("web")));
        assert!(
            is_free(host, 8080)
                && is_free(host, 9002)
                && !is_free(host, 9001)
                && !is_free(host, 9003)
        );
        tare.ok(&[
            "update",
            "--publish-rm",
            "9000",
            "--publish-add",
            "9000:80",
            "web",
        ]);
        assert_eq!(says(9000).as_deref(), Some("web"));
        let shown = "80/tcp -> 0.0.0.0:8081\n80/tcp -> 0.0.0.0:9000\n80/tcp -> [::]:8081\n80/tcp -> [::]:9000\n\
             9001/tcp -> 0.0.0.0:9001\n9001/tcp -> [::]:9001\n9003/tcp -> 0.0.0.0:9003\n9003/tcp -> [::]:9003\n\
             9004/tcp -> 0.0.0.0:9004\n9004/tcp -> [::]:9004";
        assert_eq!(tare.ok(&["port", "web"]), shown);
        // What cannot be leaves everything as it is.
        let held = host
            .inside(|| TcpListener::bind("0.0.0.0:8095"))
            .expect("a port");
        tare.run(&[
            "update",
            "--publish-add",
            "8090:80",
            "--publish-add",
            "8095:80",
            "web",
        ])
        .fails(
            1,
            "failed to bind host port for 0.0.0.0:8095:172.17.0.2:80/tcp: address already in use",
        );
        drop(held);
        assert!(is_free(host, 8090));
        tare.run(&["update", "--publish-rm", "99", "web"])
            .fails(1, "container web does not publish port 99/tcp");
        assert_eq!(tare.ok(&["port", "web"]), shown);
        // It stays so over a crash, and over a restart of the container.
        d.crash();
        assert_eq!(
            (says(8081).as_deref(), is_free(host, 8080)),
            (Some("web"), true)
        );
        tare.ok(&["restart", "-t", "0", "web"]);
        ready(d, "web", 2);
        assert_eq!(tare.ok(&["port", "web"]), shown);
        assert_eq!(says(9000).as_deref(), Some("web"));
        let bindings =
            d.api("GET", "/containers/web/json", "").json()["HostConfig"]["PortBindings"].clone();
        assert_eq!(
            bindings["80/tcp"],
            json!([{"HostIp": "", "HostPort": "8081"}, {"HostIp": "", "HostPort": "9000"}])
        );
        tare.ok(&["rm", "-f", "web"]);
        tare.ok(&[
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            "none",
            IMAGE,
            "sleep",
            "1000",
        ]);
        tare.run(&["update", "--publish-add", "80:80", "web"])
            .fails(1, "without a network of its own");
        tare.ok(&["rm", "-f", "web"]);
    });
}

#[test]
fn a_range_of_ten_thousand_ports() {
    with(|d, host| {
        serve(
            d,
            "web",
            &["-p", "20000-29999:20000-29999", "-p", "8080:80"],
        );
        let shown = d.api("GET", "/containers/web/json", "").json();
        let ports = shown["NetworkSettings"]["Ports"]
            .as_object()
            .map(serde_json::Map::len);
        assert_eq!(ports, Some(10001));
        assert_eq!(
            d.tare().ok(&["port", "web", "25000"]).lines().next(),
            Some("0.0.0.0:25000")
        );
        let taken = d
            .docker()
            .run(&["run", "--rm", "-p", "29999:80", IMAGE, "true"]);
        assert!(
            taken
                .err()
                .contains("Bind for 0.0.0.0:29999 failed: port is already allocated")
        );
        assert_eq!(
            host.inside(|| ask("127.0.0.1:8080"))
                .expect("beside the range"),
            "web"
        );
        d.docker().ok(&["rm", "-f", "web"]);
    });
}
