//! Names without a registry, where the administrator says they are looked for, and settings that change while the daemon runs.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tests::{Archive, Cli, Client, Daemon, Entry, IMAGE, Options, OwnRegistry};

fn serve(root: &std::path::Path, name: &str) -> OwnRegistry {
    OwnRegistry::serve(&root.join(name), &[])
}

/// Pushes an image of its own.
fn publish(cli: &Cli, name: &str) {
    let tar = Archive::new(&[Entry::file("x", name.as_bytes())]).finish();
    let args = ["import", "-c", "CMD [\"x\"]", "-", name];
    cli.command(&args).input(tar).run().ok();
    cli.ok(&["push", "-q", name]);
    cli.ok(&["rmi", name]);
}

fn names(cli: &Cli) -> Vec<String> {
    let all = cli.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    all.lines().map(str::to_owned).collect()
}

/// Tells the daemon to read its settings again, and waits until it has.
fn reload(d: &Daemon, cli: &Cli, config: &serde_json::Value) -> String {
    fs::write(d.folder().join("daemon.json"), config.to_string()).expect("write daemon.json");
    let mut events = cli.spawn(&["events", "--since", "0", "--format", "{{json .}}"]);
    // A first event, so that the stream stands before the signal is sent.
    cli.ok(&["tag", IMAGE, "ready:1"]);
    events.line_with("ready:1");
    let pid = i32::try_from(d.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a pid"), Signal::HUP).expect("signal the daemon");
    let line = events.line_with("\"reload\"");
    cli.ok(&["rmi", "ready:1"]);
    line
}

#[test]
fn names_without_a_registry_and_a_reload() {
    let root = tempfile::tempdir().expect("a root");
    let (first, second) = (serve(root.path(), "first"), serve(root.path(), "second"));
    let [a, b] = [&first, &second].map(OwnRegistry::address);
    let config = json!({"default-registry": a, "search-registries": [b]});
    let options = Options {
        config: Some(config.to_string()),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let (cli, docker) = (d.tare(), d.cli(Client::Docker));
        publish(&cli, &format!("{a}/app:1"));
        publish(&cli, &format!("{b}/app:1"));
        publish(&cli, &format!("{b}/other:1"));
        // Our client says which name it was in the end.
        let found = cli.ok(&["pull", "-q", "app:1"]);
        assert_eq!(found, format!("{a}/app:1"));
        let told = cli.ok(&["pull", "app:1"]);
        assert!(told.ends_with(&format!("\n{a}/app:1")), "{told}");
        for cli in [&cli, &docker] {
            cli.ok(&["pull", "-q", "app:1"]);
            cli.ok(&["pull", "-q", "other:1"]);
            let here = names(cli);
            assert!(here.contains(&format!("{a}/app:1")), "{here:?}");
            assert!(here.contains(&format!("{b}/other:1")), "{here:?}");
            let id = cli.ok(&["image", "inspect", "-f", "{{.Id}}", "app:1"]);
            let container = cli.ok(&["create", "--pull", "never", "app:1"]);
            assert_eq!(cli.ok(&["inspect", "-f", "{{.Image}}", &container]), id);
            cli.ok(&["rm", &container]);
            let pushed = cli.ok(&["push", "other:1"]);
            let refers = format!("The push refers to repository [{b}/other]");
            assert!(pushed.starts_with(&refers), "{pushed}");
            let gone = cli.ok(&["rmi", "app:1", "other:1"]);
            assert!(gone.contains(&format!("Untagged: {a}/app:1")), "{gone}");
            cli.run(&["pull", "-q", "nowhere:1"]).fails(1, "not found");
        }
        let address = cli.ok(&["info", "-f", "{{.IndexServerAddress}}"]);
        assert_eq!(address, format!("https://{a}/v1/"));

        let config = json!({"default-registry": b, "registry-mirrors": ["https://mirror.example"]});
        let event = reload(d, &docker, &config);
        assert!(event.contains("https://mirror.example/"), "{event}");
        let told = cli.ok(&[
            "info",
            "-f",
            "{{.IndexServerAddress}} {{.RegistryConfig.Mirrors}}",
        ]);
        assert_eq!(told, format!("https://{b}/v1/ [https://mirror.example/]"));
        cli.ok(&["pull", "-q", "app:1"]);
        assert!(names(&cli).contains(&format!("{b}/app:1")));
        // One that makes no sense leaves everything as it is.
        fs::write(
            d.folder().join("daemon.json"),
            r#"{"default-registry": "no"}"#,
        )
        .expect("write");
        let pid = i32::try_from(d.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), Signal::HUP).expect("signal the daemon");
        cli.ok(&["pull", "-q", "app:1"]);
        cli.ok(&["rmi", "app:1"]);
    });
}
