//! The HTTP surface itself: versions, errors, hijacked connections, the stream's framing, early heads.

use serde_json::{Value, json};
use tests::{Connection, Daemon, IMAGE, daemon_test, demux, own_test};

fn create(d: &Daemon, name: &str, body: &Value) -> String {
    let mut body = body.clone();
    body["Image"] = IMAGE.into();
    let answer = d.api(
        "POST",
        &format!("/containers/create?name={}", d.name(name)),
        &body.to_string(),
    );
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["Id"].as_str().expect("Id").to_owned()
}

fn start(d: &Daemon, id: &str) {
    assert_eq!(
        d.api("POST", &format!("/containers/{id}/start"), "").status,
        204
    );
}

/// A hijacked connection after its head; with `Upgrade: tcp` or in the old way.
fn attach(d: &Daemon, id: &str, query: &str, upgrade: bool) -> Connection {
    let mut connection = d.connect();
    let headers = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
    let headers = if upgrade { &headers[..] } else { &[] };
    connection
        .send(
            "POST",
            &format!("/containers/{id}/attach?{query}"),
            headers,
            b"",
        )
        .expect("send");
    let head = connection.head().expect("a head");
    assert_eq!(head.status, if upgrade { 101 } else { 200 });
    if upgrade {
        assert_eq!(head.header("upgrade"), Some("tcp"));
    }
    connection
}

daemon_test!(versions_in_the_path, |d| {
    for path in [
        "/version",
        "/v1.24/version",
        "/v1.40/version",
        "/v1.51/version",
    ] {
        assert_eq!(d.api("GET", path, "").status, 200, "{path}");
    }
    let answer = d.api("GET", "/v1.23/version", "");
    assert_eq!(answer.status, 400);
    // Clients that old get their errors as plain text.
    let words = "client version 1.23 is too old. Minimum supported API version is 1.24";
    assert!(answer.text().contains(words), "{}", answer.text());
    let answer = d.api("GET", "/v1.99/version", "");
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .message()
            .starts_with("client version 1.99 is too new. Maximum supported API version is 1."),
        "{}",
        answer.message()
    );
});

daemon_test!(errors_have_a_message_and_a_code, |d| {
    let missing = d.name("none");
    let check = |method: &str, path: &str, body: &str, status: u16, words: &str| {
        let answer = d.api(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{method} {path}"
        );
        assert!(
            answer.message().contains(words),
            "{method} {path}: {}",
            answer.message()
        );
    };
    check("GET", "/nonsense", "", 404, "page not found");
    check(
        "GET",
        &format!("/containers/{missing}/json"),
        "",
        404,
        &format!("No such container: {missing}"),
    );
    check(
        "GET",
        &format!("/images/{missing}/json"),
        "",
        404,
        &format!("No such image: {missing}"),
    );
    check("POST", "/containers/create", "{", 400, "");
    check(
        "POST",
        "/containers/create",
        r#"{"Image":"no-such-image-here"}"#,
        404,
        "No such image: no-such-image-here",
    );
    check(
        "POST",
        &format!("/containers/create?name={}", d.name("a")),
        &json!({"Image": IMAGE, "HostConfig": {"Memory": 1}}).to_string(),
        400,
        "Minimum memory limit",
    );
    check("GET", "/containers/json?filters=nonsense", "", 400, "");
    check(
        "GET",
        &format!("/containers/{missing}/logs"),
        "",
        400,
        "you must choose at least one stream",
    );
    let attach = d.api(
        "POST",
        &format!("/containers/{missing}/attach?stream=1&stdout=1"),
        "",
    );
    assert_eq!(attach.status, 404, "{}", attach.text());
});

daemon_test!(not_modified_has_no_body, |d| {
    let id = create(d, "a", &json!({"Cmd": ["sleep", "1000"]}));
    assert_eq!(
        d.api("POST", &format!("/containers/{id}/stop"), "").status,
        304
    );
    start(d, &id);
    assert_eq!(
        d.api("POST", &format!("/containers/{id}/start"), "").status,
        304
    );
    let kill = d.api("POST", &format!("/containers/{id}/kill"), "");
    assert_eq!(kill.status, 204);
});

daemon_test!(attach_with_upgrade_and_multiplexed, |d| {
    let id = create(
        d,
        "a",
        &json!({"Cmd": ["sh", "-c", "cat; echo err >&2"], "OpenStdin": true, "StdinOnce": true, "AttachStdin": true}),
    );
    let mut stream = attach(d, &id, "stream=1&stdin=1&stdout=1&stderr=1", true);
    start(d, &id);
    stream.write(b"through\n").expect("write");
    stream.close_write().expect("half close");
    let (out, err) = demux(&stream.rest().expect("read"));
    assert_eq!((out, err), (b"through\n".to_vec(), b"err\n".to_vec()));
});

daemon_test!(attach_in_the_old_way, |d| {
    let id = create(
        d,
        "a",
        &json!({"Cmd": ["sh", "-c", "echo out; echo err >&2"]}),
    );
    let mut stream = attach(d, &id, "stream=1&stdout=1&stderr=1", false);
    start(d, &id);
    let (out, err) = demux(&stream.rest().expect("read"));
    assert_eq!((out, err), (b"out\n".to_vec(), b"err\n".to_vec()));
});

daemon_test!(attach_to_a_terminal_is_raw, |d| {
    let id = create(
        d,
        "a",
        &json!({"Cmd": ["sh"], "Tty": true, "OpenStdin": true}),
    );
    let mut stream = attach(d, &id, "stream=1&stdin=1&stdout=1&stderr=1", true);
    start(d, &id);
    stream.read_until(b"# ").expect("a prompt");
    assert_eq!(
        d.api("POST", &format!("/containers/{id}/resize?w=90&h=30"), "")
            .status,
        200
    );
    stream.write(b"stty size; exit\n").expect("write");
    let text = stream.rest().expect("read");
    assert!(
        String::from_utf8_lossy(&text).contains("30 90\r\n"),
        "{:?}",
        String::from_utf8_lossy(&text)
    );
});

daemon_test!(attach_with_the_log_first, |d| {
    let id = create(
        d,
        "a",
        &json!({"Cmd": ["sh", "-c", "echo before; read x; echo after"], "OpenStdin": true}),
    );
    start(d, &id);
    d.docker().spawn(&["logs", "-f", &id]).line_with("before");
    let mut stream = attach(d, &id, "logs=1&stream=1&stdin=1&stdout=1", true);
    stream.write(b"\n").expect("write");
    let (out, _) = demux(&stream.rest().expect("read"));
    assert_eq!(out, b"before\nafter\n");
});

daemon_test!(media_types_of_streams, |d| {
    let id = create(d, "a", &json!({"Cmd": ["echo", "x"]}));
    start(d, &id);
    d.docker().ok(&["wait", &id]);
    let logs = d.api("GET", &format!("/v1.51/containers/{id}/logs?stdout=1"), "");
    assert_eq!(
        logs.header("content-type"),
        Some("application/vnd.docker.multiplexed-stream")
    );
    assert_eq!(demux(&logs.body).0, b"x\n");
});

daemon_test!(wait_answers_before_it_is_over, |d| {
    let id = create(
        d,
        "a",
        &json!({"Cmd": ["sh", "-c", "read x; exit 6"], "OpenStdin": true}),
    );
    let ask = |condition: &str| {
        let mut connection = d.connect();
        connection
            .send(
                "POST",
                &format!("/containers/{id}/wait?condition={condition}"),
                &[],
                b"",
            )
            .expect("send");
        assert_eq!(connection.head().expect("the head at once").status, 200);
        connection
    };
    let (mut next, mut removed) = (ask("next-exit"), ask("removed"));
    start(d, &id);
    let mut ended = ask("not-running");
    let mut stream = attach(d, &id, "stream=1&stdin=1", true);
    stream.write(b"\n").expect("write");
    for connection in [&mut next, &mut ended] {
        let body = connection.chunk().expect("a chunk").expect("a body");
        assert_eq!(
            serde_json::from_slice::<Value>(&body).expect("JSON"),
            json!({"StatusCode": 6})
        );
    }
    assert_eq!(
        d.api("DELETE", &format!("/containers/{id}"), "").status,
        204
    );
    let body = removed.chunk().expect("a chunk").expect("a body");
    assert_eq!(
        serde_json::from_slice::<Value>(&body).expect("JSON")["StatusCode"],
        6
    );
    let answer = d.api(
        "POST",
        &format!("/containers/{}/wait?condition=nonsense", d.name("none")),
        "",
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
});

daemon_test!(create_answers_as_docker_does, |d| {
    let answer = d.api(
        "POST",
        &format!("/containers/create?name={}", d.name("a")),
        &json!({"Image": IMAGE}).to_string(),
    );
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["Warnings"], json!([]));
    let again = d.api(
        "POST",
        &format!("/containers/create?name={}", d.name("a")),
        &json!({"Image": IMAGE}).to_string(),
    );
    assert_eq!(again.status, 409);
    let expected = format!(
        "Conflict. The container name \"/{}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
        d.name("a"),
        body["Id"].as_str().expect("Id")
    );
    assert_eq!(again.message(), expected);
});

daemon_test!(a_client_that_goes_away_harms_nothing, |d| {
    let script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo end";
    let id = create(d, "a", &json!({"Cmd": ["sh", "-c", script]}));
    // Attached, and never reads.
    let silent = attach(d, &id, "stream=1&stdout=1&stderr=1", true);
    let gone = attach(d, &id, "stream=1&stdout=1&stderr=1", true);
    start(d, &id);
    drop(gone);
    drop(silent);
    assert_eq!(d.docker().ok(&["wait", &id]), "0");
    let logs = d.docker().ok(&["logs", &id]);
    assert_eq!(
        (logs.lines().count(), logs.lines().last()),
        (20_001, Some("end"))
    );
});

daemon_test!(keep_alive_serves_many_requests, |d| {
    let mut connection = d.connect();
    for _ in 0..20 {
        assert_eq!(
            connection
                .request("GET", "/_ping", &[], b"")
                .expect("an answer")
                .text(),
            "OK"
        );
    }
});

own_test!(what_is_not_there_yet_says_so, |d| {
    for (method, path) in [
        ("POST", "/build"),
        ("POST", "/plugins/pull"),
        ("GET", "/secrets"),
    ] {
        let answer = d.api(method, path, "");
        assert!(
            answer.status == 501 || answer.status == 503,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.message().is_empty());
    }
});

own_test!(what_cannot_be_honoured_is_refused_by_name, |d| {
    let refused = |host: Value, word: &str| {
        let answer = d.api(
            "POST",
            "/containers/create",
            &json!({"Image": IMAGE, "HostConfig": host}).to_string(),
        );
        assert!(
            (400..=501).contains(&answer.status) && answer.status != 404,
            "{host}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(
            answer
                .message()
                .to_lowercase()
                .contains(&word.to_lowercase()),
            "{host}: {}",
            answer.message()
        );
    };
    refused(
        json!({"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}),
        "port",
    );
    refused(json!({"Runtime": "no-such-runtime"}), "no-such-runtime");
    refused(json!({"LogConfig": {"Type": "syslog"}}), "syslog");
});

own_test!(malformed_requests_do_not_end_the_daemon, |d| {
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /containers/%ff%fe/json HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut connection = d.connect();
        connection.write(bytes).expect("write");
        connection.close_write().expect("half close");
        let _ = connection.rest();
    }
    let deep = "[".repeat(200_000);
    assert_eq!(d.api("POST", "/containers/create", &deep).status, 400);
    assert_eq!(d.api("GET", "/_ping", "").status, 200);
});
