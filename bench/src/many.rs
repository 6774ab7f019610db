//! Many containers: 40 started at once, a list of a thousand.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Cli, Connection, IMAGE};

use crate::table::Table;
use crate::{Contestant, Field, alternate, median};

const AT_ONCE: usize = 40;

pub(crate) fn at_once(field: &Field<'_>, table: &mut Table) {
    for (flags, with) in [
        (&["--network", "none"][..], ""),
        (&["-p", "80"], " with a port each"),
    ] {
        let mut times: Vec<(&'static str, Duration)> = Vec::new();
        for (who, cli) in field.contestants() {
            let rounds = (0..field.runs(5).min(5))
                .map(|_| start_many(field, cli, flags))
                .collect();
            times.push((who, median(rounds)));
        }
        table.times(&format!("{AT_ONCE} `run -d` at once{with}"), &times);
    }
}

fn start_many(field: &Field<'_>, cli: &Cli, flags: &[&str]) -> Duration {
    let names: Vec<String> = (0..AT_ONCE)
        .map(|number| field.daemon.name(&format!("many{number}")))
        .collect();
    let begun = Instant::now();
    let clients: Vec<_> = names
        .iter()
        .map(|name| {
            let line = [
                &["run", "-d", "--name", name],
                flags,
                &[IMAGE, "sleep", "100000"],
            ];
            cli.spawn(&line.concat())
        })
        .collect();
    for client in clients {
        client.end().ok();
    }
    let time = begun.elapsed();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cli.ok(&[&["rm", "-f"], &names[..]].concat());
    time
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
