//! commit: a container's changes, and what a user says of them, as an image.

use serde_json::json;
use tests::{Daemon, IMAGE, daemon_test, now};

fn made(daemon: &Daemon, run: &[&str]) -> String {
    let name = daemon.name("c");
    let docker = daemon.docker();
    docker.ok(&[&["run", "--name", &name, "--network", "none"], run].concat());
    name
}

daemon_test!(
    changes_author_message_and_instructions_are_in_the_image,
    |daemon| {
        let docker = daemon.docker();
        let script = "echo hi > /new && rm /bin/vi && mkdir /d && chmod 700 /d";
        let name = made(
            daemon,
            &["-e", "A=1", "-l", "x=y", IMAGE, "sh", "-c", script],
        );
        let instructions = [
            "CMD [\"cat\", \"/new\"]",
            "ENV B=2",
            "EXPOSE 80",
            "LABEL q=r",
            "ONBUILD RUN true",
            "USER 12",
            "VOLUME /v",
            "WORKDIR /d",
            "HEALTHCHECK --interval=3s CMD true",
            "STOPSIGNAL SIGINT",
            "ENTRYPOINT []",
        ];
        let mut args = vec!["commit", "-a", "me", "-m", "why"];
        for line in &instructions {
            args.extend(["-c", *line]);
        }
        args.extend([&*name, "made:1"]);
        let id = docker.ok(&args);
        let seen = daemon.api("GET", "/images/made:1/json", "").json();
        assert_eq!(seen["Id"], id.as_str());
        assert_eq!(
            (&seen["Author"], &seen["Comment"]),
            (&json!("me"), &json!("why"))
        );
        let config = &seen["Config"];
        assert_eq!(config["Cmd"], json!(["cat", "/new"]));
        assert_eq!(config["User"], "12");
        assert_eq!(config["WorkingDir"], "/d");
        assert_eq!(config["StopSignal"], "SIGINT");
        assert_eq!(config["Labels"], json!({"q": "r", "x": "y"}));
        assert_eq!(config["OnBuild"], json!(["RUN true"]));
        assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}}));
        assert_eq!(config["Volumes"], json!({"/v": {}}));
        assert_eq!(config["Healthcheck"]["Test"], json!(["CMD-SHELL", "true"]));
        let env = config["Env"].as_array().unwrap();
        assert!(env.contains(&json!("A=1")) && env.contains(&json!("B=2")));
        let history = docker.ok(&[
            "history",
            "--format",
            "{{.Comment}}|{{.CreatedBy}}",
            "--no-trunc",
            "made:1",
        ]);
        assert_eq!(
            history.lines().next().unwrap(),
            format!("why|sh -c {script}")
        );
        let ls = docker.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-u",
            "0",
            "-w",
            "/",
            "made:1",
            "sh",
            "-c",
            "cat /new; ls /bin/vi 2>&1; stat -c %a /d",
        ]);
        assert!(
            ls.starts_with("hi\n") && ls.contains("No such file") && ls.ends_with("700"),
            "{ls}"
        );
    }
);

daemon_test!(a_running_container_is_paused_for_it_and_runs_on, |daemon| {
    let docker = daemon.docker();
    let name = made(daemon, &["-d", IMAGE, "sleep", "1000"]);
    docker.ok(&["exec", &name, "touch", "/x"]);
    docker.ok(&["commit", &name, "made"]);
    let state = docker.ok(&["inspect", "-f", "{{.State.Status}}", &name]);
    assert_eq!(state, "running");
    docker.ok(&["commit", "--pause=false", &name, "made:2"]);
    let events = docker.ok(&[
        "events",
        "--since",
        "0",
        "--until",
        &now(),
        "-f",
        "type=container",
        "--format",
        "{{.Action}}",
    ]);
    let seen: Vec<&str> = events
        .lines()
        .filter(|a| matches!(*a, "pause" | "unpause" | "commit"))
        .collect();
    assert_eq!(seen, ["pause", "unpause", "commit", "commit"]);
    docker.ok(&["rm", "-f", &name]);
});

daemon_test!(what_cannot_be_is_refused_in_dockers_words, |daemon| {
    let docker = daemon.docker();
    docker
        .run(&["commit", "nobody", "x"])
        .fails(1, "No such container: nobody");
    let name = made(daemon, &[IMAGE, "true"]);
    docker
        .run(&["commit", "-c", "RUN x", &name])
        .fails(1, "RUN is not a valid change command");
    docker
        .run(&["commit", &name, "UPPER"])
        .fails(1, "must be lowercase");
    // Without a name it is an image all the same, and the base keeps its place below it.
    let id = docker.ok(&["commit", &name]);
    assert_eq!(
        docker.ok(&["inspect", "-f", "{{.Parent}}", &id]),
        docker.ok(&["inspect", "-f", "{{.Id}}", IMAGE])
    );
});
