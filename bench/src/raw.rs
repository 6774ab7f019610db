//! The time inside daemon, shim and runtime: the API's own requests on one connection, no client's process.

use serde_json::{Value, json};
use tests::{Connection, IMAGE};

use crate::table::Table;
use crate::{Contestant, Field, alternate};

/// create, start, wait, delete of a container that runs `true`.
fn once(connection: &mut Connection) {
    let mut ask = |method: &str, path: &str, body: &str| {
        let headers = [("Content-Type", "application/json")];
        let answer = connection
            .request(method, path, &headers, body.as_bytes())
            .expect("an answer");
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        answer
    };
    let body = json!({"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}});
    let created = ask("POST", "/containers/create", &body.to_string()).json();
    let id = created["Id"].as_str().expect("Id");
    ask("POST", &format!("/containers/{id}/start"), "");
    ask("POST", &format!("/containers/{id}/wait"), "");
    ask("DELETE", &format!("/containers/{id}"), "");
}

fn exec_once(connection: &mut Connection, host: &str, container: &str) {
    let headers = [("Content-Type", "application/json")];
    let body = json!({"Cmd": ["true"], "AttachStdout": true});
    let path = format!("/containers/{container}/exec");
    let created = connection
        .request("POST", &path, &headers, body.to_string().as_bytes())
        .expect("an answer")
        .json();
    let id = created["Id"].as_str().expect("Id").to_owned();
    let mut stream = Connection::try_open(host).expect("connect");
    stream
        .send(
            "POST",
            &format!("/exec/{id}/start"),
            &headers,
            b"{\"Detach\":false}",
        )
        .expect("send");
    stream.head().expect("a head");
    stream.rest().expect("the end");
}

pub(crate) fn cycle(field: &Field<'_>, table: &mut Table) {
    let hosts: Vec<(&'static str, &str)> = [
        ("tare", Some(field.daemon.host())),
        ("Docker", field.peer_host.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, host)| host.map(|host| (name, host)))
    .collect();
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (name, host) in &hosts {
        let mut connection = Connection::try_open(host).expect("connect");
        contestants.push((name, Box::new(move || once(&mut connection))));
    }
    table.times(
        "create, start, wait, delete by the API",
        &alternate(field.runs(50), &mut contestants),
    );

    let container = field.daemon.name("raw-exec");
    let ask = |host: &str, method: &str, path: &str, body: &Value| {
        let headers = [("Content-Type", "application/json")];
        let mut connection = Connection::try_open(host).expect("connect");
        connection
            .request(method, path, &headers, body.to_string().as_bytes())
            .expect("an answer")
    };
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (name, host) in &hosts {
        let body = json!({"Image": IMAGE, "Cmd": ["sleep", "100000"], "HostConfig": {"NetworkMode": "none"}});
        ask(
            host,
            "POST",
            &format!("/containers/create?name={container}"),
            &body,
        );
        ask(
            host,
            "POST",
            &format!("/containers/{container}/start"),
            &json!({}),
        );
        let mut connection = Connection::try_open(host).expect("connect");
        let container = &container;
        contestants.push((
            name,
            Box::new(move || exec_once(&mut connection, host, container)),
        ));
    }
    table.times(
        "exec create, start, end by the API",
        &alternate(field.runs(50), &mut contestants),
    );
    drop(contestants);
    for (_, host) in &hosts {
        ask(
            host,
            "DELETE",
            &format!("/containers/{container}?force=1"),
            &json!({}),
        );
    }
}
