//! Names of containers in networks, answered by the keeper.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use tests::{Daemon, IMAGE};

fn with(check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(&[], check);
}

/// Starts a container that sleeps.
fn sleep(d: &Daemon, name: &str, more: &[&str]) {
    let mut line = vec!["run", "-d", "--name", name];
    line.extend(more);
    line.extend([IMAGE, "sleep", "1000"]);
    d.docker().ok(&line);
}

/// The addresses of a name as a container sees them, in the order of the answer.
pub(crate) fn addresses(d: &Daemon, from: &str, name: &str) -> Vec<String> {
    let asked = d.docker().run(&["exec", from, "nslookup", name]);
    let text = asked.out();
    let answers = text.split("Name:").skip(1);
    let lines = answers.flat_map(str::lines);
    let addresses = lines.filter_map(|line| line.trim().strip_prefix("Address"));
    let words = addresses.filter_map(|rest| {
        rest.split_whitespace()
            .find(|w| w.contains(['.', ':']) && *w != ":")
    });
    words.map(str::to_owned).collect()
}

fn keepers(d: &Daemon) -> Vec<u32> {
    let processes = d.leftovers().processes().into_iter();
    let keepers = processes.filter(|(_, words)| words.contains("tare-keeper"));
    keepers.map(|(pid, _)| pid).collect()
}

fn keeper(d: &Daemon) -> u32 {
    let keepers = keepers(d);
    assert_eq!(keepers.len(), 1, "{keepers:?}");
    keepers[0]
}

#[test]
fn containers_find_each_other_and_nobody_else_does() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        docker.ok(&["network", "create", "--subnet", "10.8.0.0/24", "two"]);
        assert_eq!(keepers(d), [0; 0], "nobody needs one yet");
        sleep(
            d,
            "web",
            &[
                "--network",
                "one",
                "--network-alias",
                "www",
                "--hostname",
                "box",
            ],
        );
        sleep(d, "asks", &["--network", "one"]);
        sleep(d, "alien", &["--network", "two"]);
        let id = docker.ok(&["inspect", "-f", "{{.Id}}", "web"]);
        for name in ["web", "www", "box", "WEB", "web.one", &id[..12]] {
            assert_eq!(addresses(d, "asks", name), ["10.9.0.2"], "{name}");
        }
        assert_eq!(addresses(d, "alien", "web"), [""; 0]);
        let reverse = docker.ok(&["exec", "asks", "nslookup", "10.9.0.2"]);
        assert!(reverse.contains("web.one"), "{reverse}");
        let names = "{{json (index .NetworkSettings.Networks \"one\").DNSNames}}";
        let names = docker.ok(&["inspect", "-f", names, "web"]);
        assert_eq!(
            names,
            format!("[\"web\",\"www\",\"{}\",\"box\"]", &id[..12])
        );
        let resolv = docker.ok(&["exec", "asks", "cat", "/etc/resolv.conf"]);
        assert!(resolv.contains("nameserver 127.0.0.11\n"), "{resolv}");
        assert!(resolv.contains("(internal resolver)"), "{resolv}");
        // A new name counts at once, the old one no more; what has ended has none.
        docker.ok(&["rename", "web", "web2"]);
        assert_eq!(addresses(d, "asks", "web2"), ["10.9.0.2"]);
        assert_eq!(addresses(d, "asks", "web"), [""; 0]);
        docker.ok(&["rm", "-f", "web2"]);
        assert_eq!(addresses(d, "asks", "www"), [""; 0]);
    });
}

#[test]
fn a_name_that_several_have_leads_to_each_in_turn() {
    with(|d| {
        d.docker()
            .ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        for name in ["s1", "s2", "s3"] {
            sleep(d, name, &["--network", "one", "--network-alias", "service"]);
        }
        let mut firsts = Vec::new();
        for _ in 0..6 {
            let all = addresses(d, "s1", "service");
            let mut sorted = all.clone();
            sorted.sort();
            assert_eq!(sorted, ["10.9.0.2", "10.9.0.3", "10.9.0.4"]);
            firsts.push(all[0].clone());
        }
        firsts.sort();
        firsts.dedup();
        assert!(firsts.len() > 1, "{firsts:?}");
    });
}

#[test]
fn networks_are_joined_and_left_with_their_names() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        docker.ok(&["network", "create", "--subnet", "10.8.0.0/24", "two"]);
        sleep(d, "web", &["--network", "one"]);
        sleep(d, "goes", &["--network", "two"]);
        sleep(d, "plain", &["--network", "bridge"]);
        assert_eq!(addresses(d, "goes", "web"), [""; 0]);
        docker.ok(&["network", "connect", "--alias", "walker", "one", "goes"]);
        assert_eq!(addresses(d, "goes", "web"), ["10.9.0.2"]);
        assert_eq!(addresses(d, "web", "walker"), ["10.9.0.3"]);
        docker.ok(&["network", "disconnect", "one", "goes"]);
        assert_eq!(addresses(d, "goes", "web"), [""; 0]);
        assert_eq!(addresses(d, "web", "goes"), [""; 0]);
        // From the default bridge, where there are no names, to where there are.
        let resolv = || docker.ok(&["exec", "plain", "cat", "/etc/resolv.conf"]);
        assert!(resolv().contains("(legacy)"), "{}", resolv());
        docker.ok(&["network", "connect", "one", "plain"]);
        assert!(resolv().contains("(internal resolver)"), "{}", resolv());
        assert_eq!(addresses(d, "plain", "web"), ["10.9.0.2"]);
        // What the user has changed is the user's.
        docker.ok(&[
            "exec",
            "goes",
            "sh",
            "-c",
            "echo nameserver 10.8.0.9 > /etc/resolv.conf",
        ]);
        docker.ok(&["restart", "-t", "0", "goes"]);
        let changed = docker.ok(&["exec", "goes", "cat", "/etc/resolv.conf"]);
        assert_eq!(changed, "nameserver 10.8.0.9");
    });
}

#[test]
fn names_outlive_the_daemon_and_the_keeper() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        sleep(d, "web", &["--network", "one"]);
        sleep(d, "asks", &["--network", "one"]);
        let first = keeper(d);
        // While no daemon is there, a container asks for itself.
        let script = "while [ ! -e /stop ]; do nslookup web > /tmp/answer || touch /failed; done; touch /stopped";
        docker.ok(&["exec", "-d", "asks", "sh", "-c", script]);
        d.crash();
        assert_eq!(keeper(d), first);
        assert_eq!(addresses(d, "asks", "web"), ["10.9.0.2"]);
        // What the new daemon does counts, too.
        sleep(d, "late", &["--network", "one"]);
        assert_eq!(addresses(d, "asks", "late"), ["10.9.0.4"]);
        let waits = "touch /stop; while [ ! -e /stopped ]; do sleep 0.1; done; ls /";
        let listing = docker.ok(&["exec", "asks", "sh", "-c", waits]);
        assert!(!listing.contains("failed"), "{listing}");
        // A killed keeper has a successor, which knows all of it.
        fs::metadata(format!("/proc/{first}")).expect("it lives");
        std::process::Command::new("kill")
            .args(["-9", &first.to_string()])
            .status()
            .expect("kill");
        sleep(d, "later", &["--network", "one"]);
        assert_ne!(keeper(d), first);
        for (name, address) in [
            ("web", "10.9.0.2"),
            ("late", "10.9.0.4"),
            ("later", "10.9.0.5"),
        ] {
            assert_eq!(addresses(d, "asks", name), [address]);
        }
        // A container that ends while no daemon is there has no names once there is one.
        let pid = docker.ok(&["inspect", "-f", "{{.State.Pid}}", "late"]);
        d.stop(rustix::process::Signal::KILL);
        std::process::Command::new("kill")
            .args(["-9", &pid])
            .status()
            .expect("kill");
        d.start();
        assert_eq!(addresses(d, "asks", "late"), [""; 0]);
        assert_eq!(addresses(d, "asks", "web"), ["10.9.0.2"]);
    });
}

#[test]
fn an_internal_network_asks_nobody_outside() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&[
            "network",
            "create",
            "--internal",
            "--subnet",
            "10.9.0.0/24",
            "in",
        ]);
        sleep(d, "web", &["--network", "in"]);
        assert_eq!(addresses(d, "web", "web"), ["10.9.0.2"]);
        let asked = docker.run(&["exec", "web", "nslookup", "example.org"]);
        let text = format!("{}{}", asked.out(), asked.err());
        assert!(text.contains("SERVFAIL"), "{text}");
    });
}

/// Answers two questions, for an address with 10.1.2.3, for anything else with nothing.
fn name_server(socket: &UdpSocket) {
    let mut message = [0; 512];
    for _ in 0..2 {
        let (length, from) = socket.recv_from(&mut message).expect("a question");
        let mut reply = message[..length].to_vec();
        let is_v4 = reply[length - 4..] == [0, 1, 0, 1];
        reply[2] |= 0x80;
        reply[7] = u8::from(is_v4);
        if is_v4 {
            reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04\x0a\x01\x02\x03");
        }
        socket.send_to(&reply, from).expect("answer");
    }
}

#[test]
fn other_names_are_asked_of_the_servers_in_their_order() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        // Nobody answers at the first address; the second is the host's.
        let bind = || UdpSocket::bind("10.9.0.1:53").expect("a name server's socket");
        let socket = d.network().expect("a namespace").inside(bind);
        // If the test fails, the thread has to end.
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).expect("a timeout");
        std::thread::scope(|scope| {
            let server = scope.spawn(|| name_server(&socket));
            let dns = [
                "--network",
                "one",
                "--dns",
                "10.9.0.99",
                "--dns",
                "10.9.0.1",
                "--dns-search",
                "example",
            ];
            sleep(d, "asks", &dns);
            let resolv = docker.ok(&["exec", "asks", "cat", "/etc/resolv.conf"]);
            assert!(
                resolv.contains("# ExtServers: [10.9.0.99 10.9.0.1]"),
                "{resolv}"
            );
            assert!(
                resolv.contains("search example\noptions ndots:0\n"),
                "{resolv}"
            );
            assert_eq!(addresses(d, "asks", "known.example"), ["10.1.2.3"]);
            // Once for each family.
            server.join().expect("the server");
        });
    });
}

#[test]
fn links_are_names_of_one_s_own() {
    with(|d| {
        let docker = d.docker();
        docker.ok(&["network", "create", "--subnet", "10.9.0.0/24", "one"]);
        // Who is linked to need not be there yet.
        sleep(
            d,
            "links",
            &["--network", "one", "--link", "web:db", "--link", "other"],
        );
        assert_eq!(addresses(d, "links", "db"), [""; 0]);
        sleep(d, "web", &["--network", "one"]);
        assert_eq!(addresses(d, "links", "db"), ["10.9.0.3"]);
        assert_eq!(addresses(d, "links", "db.one"), ["10.9.0.3"]);
        assert_eq!(addresses(d, "web", "db"), [""; 0]);
        let shown =
            "{{json (index .NetworkSettings.Networks \"one\").Links}} {{json .HostConfig.Links}}";
        let shown = docker.ok(&["inspect", "-f", shown, "links"]);
        assert_eq!(shown, "[\"web:db\",\"other\"] null");
        docker.ok(&["rm", "-f", "web"]);
        assert_eq!(addresses(d, "links", "db"), [""; 0]);
    });
}

#[test]
fn links_on_the_default_bridge_are_lines_and_variables() {
    with(|d| {
        for client in [d.docker(), d.tare()] {
            client.ok(&[
                "run", "-d", "--name", "db", "-e", "FOO=bar", "--expose", "5432", IMAGE, "sleep",
                "1000",
            ]);
            let line = [
                "run",
                "-d",
                "--name",
                "web",
                "--link",
                "db:base",
                "-e",
                "BASE_ENV_FOO=own",
                IMAGE,
                "sleep",
                "1000",
            ];
            client.ok(&line);
            let address = client.ok(&[
                "inspect",
                "-f",
                "{{.NetworkSettings.Networks.bridge.IPAddress}}",
                "db",
            ]);
            let id = client.ok(&["inspect", "-f", "{{.Id}}", "db"]);
            let hosts = || client.ok(&["exec", "web", "cat", "/etc/hosts"]);
            let line = |address: &str| format!("{address}\tbase {} db\n", &id[..12]);
            assert!(hosts().contains(&line(&address)), "{}", hosts());
            let variables = client.ok(&["exec", "web", "env"]);
            for wanted in [
                "BASE_NAME=/web/base",
                "BASE_ENV_FOO=own",
                &format!("BASE_PORT_5432_TCP=tcp://{address}:5432"),
            ] {
                assert!(
                    variables.lines().any(|line| line == wanted),
                    "{wanted} in\n{variables}"
                );
            }
            let links = client.ok(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]);
            assert_eq!(links, "[\"/db:/web/base\"]");
            // It comes back elsewhere.
            client.ok(&["stop", "-t", "0", "db"]);
            client.ok(&["run", "-d", "--name", "between", IMAGE, "sleep", "1000"]);
            client.ok(&["start", "db"]);
            let now = client.ok(&[
                "inspect",
                "-f",
                "{{.NetworkSettings.Networks.bridge.IPAddress}}",
                "db",
            ]);
            assert_ne!(now, address);
            assert!(
                hosts().contains(&line(&now)) && !hosts().contains(&line(&address)),
                "{}",
                hosts()
            );
            // Without the other it does not start; and there must be one.
            client.ok(&["stop", "-t", "0", "web", "db"]);
            client.run(&["start", "web"]).fails(
                1,
                "Cannot link to a non running container: /db AS /web/base",
            );
            let nobody = client.run(&["run", "--rm", "--link", "nobody", IMAGE, "true"]);
            nobody.fails(
                125,
                "could not get container for nobody: No such container: nobody",
            );
            let host = client.run(&[
                "run",
                "--rm",
                "--network",
                "host",
                "--link",
                "db",
                IMAGE,
                "true",
            ]);
            host.fails(125, "host type networking can't be used with links");
            client.ok(&["rm", "-f", "web", "db", "between"]);
        }
    });
}
