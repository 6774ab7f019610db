//! `--link` on the default bridge, beyond what a container that starts gets of it: as names for the engine, and ways for packets.

use tests::{Cli, Daemon, IMAGE};

fn with(args: &[&str], check: impl FnOnce(&Daemon)) {
    Daemon::in_own_network(args, check);
}

fn sleep(cli: &Cli, name: &str, more: &[&str]) {
    let mut line = vec!["run", "-d", "--name", name];
    line.extend(more);
    line.extend([IMAGE, "sleep", "1000"]);
    cli.ok(&line);
}

/// The names that a list shows, in its order.
fn names(cli: &Cli, more: &[&str]) -> Vec<String> {
    let mut line = vec!["ps", "-a", "--format", "{{.Names}}"];
    line.extend(more);
    cli.ok(&line).lines().map(str::to_owned).collect()
}

#[test]
fn a_link_is_a_name_until_it_is_removed() {
    with(&[], |d| {
        for client in [d.docker(), d.tare()] {
            sleep(&client, "db", &[]);
            sleep(
                &client,
                "web",
                &["--link", "db:base", "--link", "db:store", "--link", "db"],
            );
            assert_eq!(
                names(&client, &["--no-trunc"]),
                ["web", "db,web/base,web/db,web/store"]
            );
            assert_eq!(names(&client, &[]), ["web", "db"]);
            // Such a name means the container that is linked to.
            for name in ["web/base", "/web/store"] {
                let found = client.ok(&["inspect", "-f", "{{.Name}}", name]);
                assert_eq!(found, "/db");
            }
            assert_eq!(client.ok(&["exec", "web/base", "echo", "here"]), "here");
            for (name, words) in [
                ("web/no", "No such container: web/no"),
                ("nobody/base", "No such container: nobody/base"),
                ("db/base", "No such container: db/base"),
                (
                    "db",
                    "Conflict, cannot remove the default link name of the container",
                ),
            ] {
                client.run(&["rm", "--link", name]).fails(1, words);
            }
            let plain = d.api("DELETE", "/containers/db?link=1", "");
            assert_eq!(plain.status, 500, "{}", plain.text());
            assert_eq!(client.ok(&["rm", "--link", "web/base"]), "web/base");
            client
                .run(&["rm", "--link", "web/base"])
                .fails(1, "No such container: web/base");
            assert_eq!(
                names(&client, &["--no-trunc"]),
                ["web", "db,web/db,web/store"]
            );
            let hosts = client.ok(&["exec", "web", "cat", "/etc/hosts"]);
            assert!(!hosts.contains("\tbase "), "{hosts}");
            assert!(hosts.contains("\tstore "), "{hosts}");
            // It does not come back with a restart of either.
            d.crash();
            client.ok(&["restart", "-t", "0", "web"]);
            let links = client.ok(&["inspect", "-f", "{{.HostConfig.Links}}", "web"]);
            assert_eq!(links, "[/db:/web/store /db:/web/db]");
            let variables = client.ok(&["exec", "web", "env"]);
            assert!(
                variables.contains("STORE_NAME=/web/store") && !variables.contains("BASE_NAME"),
                "{variables}"
            );
            // Names follow both.
            client.ok(&["rename", "web", "site"]);
            client.ok(&["rename", "db", "data"]);
            assert_eq!(
                names(&client, &["--no-trunc"]),
                ["site", "data,site/db,site/store"]
            );
            // Without the option it is the container itself.
            client.ok(&["rm", "-f", "site/store"]);
            assert_eq!(names(&client, &["--no-trunc"]), ["site"]);
            client.ok(&["rm", "-f", "site"]);
        }
    });
}

/// Whether `from` gets the page of a container at this address and port, within a patience that a closed port needs whole.
fn reaches(cli: &Cli, from: &str, address: &str, port: u16) -> bool {
    let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} {port}");
    let asked = cli.run(&["exec", from, "sh", "-c", &ask]);
    asked.out().contains("hello")
}

/// Where the hosts file of `from` says that this name is.
fn where_is(cli: &Cli, from: &str, name: &str) -> String {
    let hosts = cli.ok(&["exec", from, "cat", "/etc/hosts"]);
    let mut lines = hosts.lines().map(|line| line.split_whitespace());
    let found = lines.find_map(|mut words| {
        let address = words.next()?;
        words.any(|word| word == name).then_some(address)
    });
    found.expect("a line for the name").to_owned()
}

/// Serves a page on ports 80 and 81, and returns when it does.
fn serve(cli: &Cli, name: &str, more: &[&str]) {
    let mut line = vec!["run", "-d", "--name", name];
    line.extend(more);
    let script =
        "echo hello > /tmp/index.html; httpd -p 80 -h /tmp; httpd -p 81 -h /tmp; exec sleep 1000";
    line.extend([IMAGE, "sh", "-c", script]);
    cli.ok(&line);
    let ready = "until wget -q -O /dev/null http://127.0.0.1:81/; do sleep 0.1; done";
    cli.ok(&["exec", name, "sh", "-c", ready]);
}

#[test]
fn a_link_opens_exposed_ports_where_containers_are_apart() {
    with(&["--icc=false"], |d| {
        for client in [d.docker(), d.tare()] {
            serve(&client, "db", &["--expose", "80"]);
            serve(&client, "web", &["--link", "db:base"]);
            sleep(&client, "alien", &[]);
            let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
            let address = |name: &str| client.ok(&["inspect", "-f", address, name]);
            assert!(reaches(
                &client,
                "web",
                &where_is(&client, "web", "base"),
                80
            ));
            assert!(!reaches(&client, "web", &address("db"), 81));
            assert!(!reaches(&client, "alien", &address("db"), 80));
            assert!(!reaches(&client, "db", &address("web"), 80));
            // It comes back elsewhere, with and without a daemon that knows of it.
            client.ok(&["stop", "-t", "0", "db"]);
            sleep(&client, "between", &[]);
            client.ok(&["start", "db"]);
            let ready = "until wget -q -O /dev/null http://127.0.0.1:81/; do sleep 0.1; done";
            client.ok(&["exec", "db", "sh", "-c", ready]);
            assert!(reaches(
                &client,
                "web",
                &where_is(&client, "web", "base"),
                80
            ));
            d.crash();
            assert!(reaches(
                &client,
                "web",
                &where_is(&client, "web", "base"),
                80
            ));
            assert!(!reaches(&client, "alien", &address("db"), 80));
            let there = address("db");
            client.ok(&["rm", "--link", "web/base"]);
            assert!(!reaches(&client, "web", &there, 80));
            client.ok(&["rm", "-f", "web", "db", "alien", "between"]);
        }
    });
}
