//! version, info, df, ping, prune.

use serde_json::Value;
use tests::{IMAGE, both, daemon_test, own_test};

both!(version_of_both_sides, |_d, cli| {
    let out = cli.ok(&["version"]);
    assert!(
        out.starts_with("Client:") && out.contains("\nServer"),
        "{out}"
    );
    let json: Value =
        serde_json::from_str(&cli.ok(&["version", "--format", "json"])).expect("JSON");
    assert_eq!(json["Server"]["Os"].as_str(), Some("linux"));
    let short = cli.ok(&["version", "-f", "{{.Server.MinAPIVersion}} {{.Client.Os}}"]);
    assert_eq!(short, "1.24 linux");
});

both!(info, |d, cli| {
    let name = d.name("a");
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
    let json: Value = serde_json::from_str(&cli.ok(&["info", "-f", "json"])).expect("JSON");
    assert!(
        json["ContainersRunning"]
            .as_u64()
            .is_some_and(|number| number >= 1),
        "{json}"
    );
    assert!(json["Images"].as_u64().is_some_and(|number| number >= 1));
    assert_eq!(
        (
            json["Driver"].as_str(),
            json["OSType"].as_str(),
            json["LoggingDriver"].as_str()
        ),
        (Some("overlay2"), Some("linux"), Some("json-file"))
    );
    assert_eq!(
        json["NCPU"].as_u64(),
        std::thread::available_parallelism()
            .ok()
            .map(|number| number.get() as u64)
    );
    let text = cli.ok(&["info"]);
    for line in [
        "Storage Driver: overlay2",
        "Logging Driver: json-file",
        "Operating System: ",
    ] {
        assert!(text.contains(line), "{text}");
    }
});

own_test!(info_says_how_logs_are_bounded, |d| {
    let text = d.tare().ok(&["info"]);
    assert!(
        text.contains("max-size=10m") || text.contains("10 MB") || text.contains("10MB"),
        "{text}"
    );
});

own_test!(a_dead_daemon_is_said_so, |d| {
    for cli in [d.docker(), d.tare()] {
        let command = cli
            .command(&["ps"])
            .env("DOCKER_HOST", "unix:///no/such.sock");
        command.run().fails(1, "Cannot connect to the Docker daemon at unix:///no/such.sock. Is the docker daemon running?");
    }
});

both!(disk_usage, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "head -c 54321 /dev/zero >/x",
    ]);
    let out = cli.ok(&["system", "df"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    );
    let heads: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line.split("  ").next().unwrap_or_default())
        .collect();
    assert_eq!(
        heads,
        ["Images", "Containers", "Local Volumes", "Build Cache"]
    );
    let verbose = cli.ok(&["system", "df", "-v"]);
    assert!(
        verbose.contains("Images space usage:") && verbose.contains("54.3kB"),
        "{verbose}"
    );
    let usage = d.api("GET", "/v1.51/system/df", "").json();
    let ours = usage["Containers"]
        .as_array()
        .expect("Containers")
        .iter()
        .find(|one| one["Names"][0] == format!("/{name}"));
    assert_eq!(ours.map(|one| one["SizeRw"].as_u64()), Some(Some(54321)));
});

daemon_test!(ping_says_what_a_client_must_know, |d| {
    for method in ["GET", "HEAD"] {
        let answer = d.api(method, "/_ping", "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), if method == "GET" { "OK" } else { "" });
        for (name, value) in [
            ("Ostype", "linux"),
            ("Docker-Experimental", "false"),
            ("Cache-Control", "no-cache, no-store, must-revalidate"),
            ("Pragma", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let version: f64 = answer
            .header("Api-Version")
            .and_then(|value| value.strip_prefix("1."))
            .and_then(|minor| minor.parse().ok())
            .expect("Api-Version");
        assert!(version >= 51.0);
        assert!(
            answer
                .header("Server")
                .is_some_and(|server| server.ends_with("(linux)"))
        );
    }
});

own_test!(system_prune_takes_containers_and_dangling_images, |d| {
    for cli in [d.docker(), d.tare()] {
        cli.ok(&["run", "--name", "ended", IMAGE, "true"]);
        let out = cli.ok(&["system", "prune", "-f"]);
        assert!(
            out.contains("Deleted Containers:") && out.contains("Total reclaimed space: "),
            "{out}"
        );
        assert_eq!(cli.ok(&["ps", "-aq"]), "");
        assert_ne!(cli.ok(&["images", "-q"]), "");
    }
});

#[test]
fn validation_says_what_a_start_would_say() {
    let validate = |words: &[&str]| {
        let mut command = std::process::Command::new(tests::binary("tare"));
        let ended = command.args(["daemon", "--validate"]).args(words).output();
        let ended = ended.expect("run tare");
        let said = [ended.stdout, ended.stderr].concat();
        (
            ended.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    for (words, expect) in [
        (
            ["-H", "tcp://0.0.0.0"],
            "invalid bind address (tcp://0.0.0.0)",
        ),
        (["-H", "tcp://0.0.0.0:2375"], "listen on a loopback address"),
        (
            ["--group", "no-such-group"],
            "can't find the group no-such-group",
        ),
        (
            ["--seccomp-profile", "/nope.json"],
            "the seccomp profile /nope.json",
        ),
    ] {
        let (success, said) = validate(&words);
        assert!(!success && said.contains(expect), "{words:?}: {said}");
    }
    assert_eq!(
        validate(&["-H", "tcp://127.0.0.1:2375"]),
        (true, "configuration OK\n".to_owned())
    );
}
