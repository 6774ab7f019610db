//! Many containers: 40 started at once, a list of a thousand.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Cli, Connection, IMAGE};

use crate::table::Table;
use crate::{Contestant, Field, alternate, median};

pub(crate) fn at_once(field: &Field<'_>, table: &mut Table) {
    for (number, flags, with) in [
        (40, &["--network", "none"][..], ""),
        (100, &["-p", "80"], " with a port each"),
    ] {
        let what = format!("{number} `run -d` at once{with}");
        compare(field, table, &what, |cli| {
            let names = names(field, number);
            let time = start_many(cli, &names, flags);
            end_many(cli, &names);
            time
        });
    }
}

/// A network that a hundred running containers leave, and that is removed then.
pub(crate) fn leave(field: &Field<'_>, table: &mut Table) {
    let what = "100 `network disconnect` at once, then `network rm`";
    compare(field, table, what, |cli| {
        let (names, network) = (names(field, 100), field.daemon.name("left"));
        cli.ok(&["network", "create", &network]);
        start_many(cli, &names, &["--network", &network]);
        let begun = Instant::now();
        all_at_once(cli, &names, |name| {
            vec!["network", "disconnect", &network, name]
        });
        cli.ok(&["network", "rm", &network]);
        let time = begun.elapsed();
        end_many(cli, &names);
        time
    });
}

/// The median of every contestant, one after the other.
fn compare(field: &Field<'_>, table: &mut Table, what: &str, measure: impl Fn(&Cli) -> Duration) {
    let contestants = field.contestants();
    let medians = contestants.into_iter().map(|(who, cli)| {
        let rounds = (0..field.runs(5).min(5)).map(|_| measure(cli));
        (who, median(rounds.collect()))
    });
    table.times(what, &medians.collect::<Vec<_>>());
}

fn names(field: &Field<'_>, number: usize) -> Vec<String> {
    (0..number)
        .map(|number| field.daemon.name(&format!("many{number}")))
        .collect()
}

fn start_many(cli: &Cli, names: &[String], flags: &[&str]) -> Duration {
    let begun = Instant::now();
    all_at_once(cli, names, |name| {
        let line = [
            &["run", "-d", "--name", name],
            flags,
            &[IMAGE, "sleep", "100000"],
        ];
        line.concat()
    });
    begun.elapsed()
}

/// One client for each container, all started together.
fn all_at_once<'a>(cli: &Cli, names: &'a [String], line: impl Fn(&'a str) -> Vec<&'a str>) {
    let clients: Vec<_> = names.iter().map(|name| cli.spawn(&line(name))).collect();
    for client in clients {
        client.end().ok();
    }
}

fn end_many(cli: &Cli, names: &[String]) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cli.ok(&[&["rm", "-f"], &names[..]].concat());
}

pub(crate) fn list_of_a_thousand(field: &Field<'_>, table: &mut Table) {
    let number = if field.quick { 100 } else { 1000 };
    let label = field.daemon.name("thousand");
    let hosts: Vec<&str> = [Some(field.daemon.host()), field.peer_host.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let mut made = Vec::new();
    for host in &hosts {
        let mut connection = Connection::try_open(host).expect("connect");
        let begun = Instant::now();
        for _ in 0..number {
            let body = json!({"Image": IMAGE, "Cmd": ["true"], "Labels": {&label: ""}, "HostConfig": {"NetworkMode": "none"}});
            let headers = [("Content-Type", "application/json")];
            let answer = connection.request(
                "POST",
                "/containers/create",
                &headers,
                body.to_string().as_bytes(),
            );
            assert_eq!(answer.expect("an answer").status, 201);
        }
        made.push((
            if made.is_empty() { "tare" } else { "Docker" },
            begun.elapsed(),
        ));
    }
    table.times(&format!("create of {number}"), &made);

    let filters = format!("%7B%22label%22%3A%5B%22{label}%22%5D%7D");
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (host, who) in hosts.iter().zip(["tare", "Docker"]) {
        let mut connection = Connection::try_open(host).expect("connect");
        let path = format!("/containers/json?all=1&filters={filters}");
        contestants.push((
            who,
            Box::new(move || {
                let answer = connection
                    .request("GET", &path, &[], b"")
                    .expect("an answer");
                // Counted as text: parsing is the client's time.
                let found = answer.text().matches("\"HostConfig\":").count();
                assert_eq!(found, number);
            }),
        ));
    }
    table.times(
        &format!("`ps` of {number} stopped, daemon's time and reading it"),
        &alternate(field.runs(20), &mut contestants),
    );
    drop(contestants);

    for cli in [Some(&field.tare), field.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        cli.ok(&[
            "container",
            "prune",
            "-f",
            "--filter",
            &format!("label={label}"),
        ]);
    }
}
