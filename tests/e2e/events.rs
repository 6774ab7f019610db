//! events: what is told, filters, since and until.

use serde_json::Value;
use tests::{IMAGE, both, daemon_test, now};

both!(the_life_of_a_container, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "create",
        "--name",
        &name,
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "exit 3",
    ]);
    cli.ok(&["start", &name]);
    cli.ok(&["wait", &name]);
    cli.ok(&["rename", &name, &d.name("b")]);
    cli.ok(&["rm", &d.name("b")]);
    let label = d.name("b");
    let mut events = cli.spawn(&[
        "events",
        "--since",
        "0",
        "--filter",
        "type=container",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}",
    ]);
    let mut seen = Vec::new();
    loop {
        let line = events.line().expect("an event");
        if line.contains(&name) || line.contains(&label) {
            let done = line.starts_with("destroy");
            seen.push(line);
            if done {
                break;
            }
        }
    }
    let actions: Vec<&str> = seen
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(actions, ["create", "start", "die", "rename", "destroy"]);
    assert!(seen[2].ends_with(" 3"), "{seen:?}");
});

both!(signals_execs_and_pauses, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &name,
        IMAGE,
        "sleep",
        "1000",
    ]);
    cli.ok(&["exec", &name, "true"]);
    cli.ok(&["pause", &name]);
    cli.ok(&["unpause", &name]);
    cli.ok(&["kill", &name]);
    cli.ok(&["wait", &name]);
    let filter = format!("container={name}");
    let mut events = cli.spawn(&[
        "events",
        "--since",
        "0",
        "--filter",
        &filter,
        "--format",
        "{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}}",
    ]);
    let mut seen = Vec::new();
    while seen
        .last()
        .is_none_or(|line: &String| !line.starts_with("die"))
    {
        seen.push(events.line().expect("an event"));
    }
    let kinds: Vec<String> = seen
        .iter()
        .map(|line| line.replace(" <no value>", "").trim_end().to_owned())
        .collect();
    let expected = [
        "create",
        "start",
        "exec_create: true",
        "exec_start: true",
        "exec_die 0",
        "pause",
        "unpause",
        "kill 9",
    ];
    assert_eq!(kinds[..expected.len()], expected);
    assert!(kinds[expected.len()].starts_with("die"), "{kinds:?}");
});

both!(a_closed_range_ends_by_itself, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let run = cli.run(&[
        "events",
        "--since",
        "1h",
        "--until",
        &now(),
        "--filter",
        &format!("container={name}"),
        "--format",
        "json",
    ]);
    let event: Value =
        serde_json::from_str(run.ok().lines().next().expect("an event")).expect("JSON");
    assert_eq!(
        (
            event["Type"].as_str(),
            event["Action"].as_str(),
            event["scope"].as_str()
        ),
        (Some("container"), Some("create"), Some("local"))
    );
    assert_eq!(event["Actor"]["Attributes"]["image"].as_str(), Some(IMAGE));
    assert!(
        event["timeNano"]
            .as_u64()
            .is_some_and(|nanos| nanos / 1_000_000_000 == event["time"].as_u64().unwrap_or(0))
    );
    let plain = cli.ok(&[
        "events",
        "--since",
        "1h",
        "--until",
        &now(),
        "--filter",
        &format!("container={name}"),
    ]);
    assert!(
        plain.contains(" container create ")
            && plain.contains(&format!("(image={IMAGE}, name={name})")),
        "{plain}"
    );
});

both!(filters_by_event_label_and_type, |d, cli| {
    let (name, label) = (d.name("a"), d.name("label"));
    cli.ok(&["create", "--name", &name, "-l", &label, IMAGE, "true"]);
    cli.ok(&["rm", &name]);
    let seen = |filters: &[&str]| {
        let filters: Vec<&str> = filters
            .iter()
            .flat_map(|filter| ["--filter", filter])
            .collect();
        cli.ok(&[
            &[
                "events",
                "--since",
                "1h",
                "--until",
                &now(),
                "--format",
                "{{.Action}}",
            ],
            &filters[..],
        ]
        .concat())
    };
    let label = format!("label={label}");
    assert_eq!(seen(&[&label]), "create\ndestroy");
    assert_eq!(seen(&[&label, "event=destroy"]), "destroy");
    assert_eq!(seen(&[&label, "type=image"]), "");
    assert_eq!(
        seen(&[&label, "event=create", "event=destroy", "type=container"]),
        "create\ndestroy"
    );
});

both!(images_tell_too, |d, cli| {
    let tag = d.name("image");
    cli.ok(&["tag", IMAGE, &tag]);
    cli.ok(&["rmi", &tag]);
    let seen = cli.ok(&[
        "events",
        "--since",
        "1h",
        "--until",
        &now(),
        "--filter",
        "type=image",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    assert!(seen.contains(&format!("tag {tag}:latest")), "{seen}");
    assert!(seen.contains("untag "), "{seen}");
});

daemon_test!(the_stream_begins_at_once, |d| {
    let mut connection = d.connect();
    let filter = format!(r#"{{"container":["{}"]}}"#, d.name("a"));
    let filter = filter
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22");
    connection
        .send("GET", &format!("/v1.47/events?filters={filter}"), &[], b"")
        .expect("send");
    // The head comes before any event.
    let head = connection.head().expect("a head");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/json"));
    d.docker()
        .ok(&["create", "--name", &d.name("a"), IMAGE, "true"]);
    let chunk = connection.chunk().expect("a chunk").expect("an event");
    let event: Value = serde_json::from_slice(&chunk).expect("JSON");
    assert_eq!(
        (event["Action"].as_str(), event["status"].as_str()),
        (Some("create"), Some("create"))
    );
});
