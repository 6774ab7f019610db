//! Images travel: pull, push, login and what runs when an image is missing; through a registry of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Archive, Client, Daemon, Entry, IMAGE, OwnRegistry, Terminal, both, own_test};

/// The one user of a registry that wants to know who asks, and the password.
const USER: (&str, &str) = ("joe", "secret");
pub(crate) const HTPASSWD: &str =
    "joe:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A registry where everybody may do everything.
fn open(d: &Daemon) -> OwnRegistry {
    OwnRegistry::serve(&d.folder().join("registry"), &[])
}

/// A registry where only [`USER`] may do anything.
fn guarded(d: &Daemon) -> OwnRegistry {
    let file = d.folder().join("htpasswd");
    fs::write(&file, HTPASSWD).expect("write htpasswd");
    let file = file.display().to_string();
    OwnRegistry::serve(&d.folder().join("registry"), &["--htpasswd", &file])
}

/// The full name of an image there.
fn at(registry: &OwnRegistry, name: &str) -> String {
    format!("{}/{name}", registry.address())
}

/// An image of one small layer that nobody else has.
fn make(cli: &tests::Cli, name: &str) -> String {
    let tar = Archive::new(&[Entry::file("x", name.as_bytes())]).finish();
    cli.command(&["import", "-", name]).input(tar).run().ok()
}

both!(push_and_pull, |d, cli| {
    let registry = open(d);
    let image = at(&registry, &d.name("image"));
    let id = make(cli, &format!("{image}:1"));
    let pushed = cli.ok(&["push", &format!("{image}:1")]);
    let lines: Vec<&str> = pushed.lines().collect();
    assert_eq!(lines[0], format!("The push refers to repository [{image}]"));
    assert!(lines[1].ends_with(": Preparing"), "{pushed}");
    assert!(lines[2].ends_with(": Pushed"), "{pushed}");
    let digest = lines[3]
        .strip_prefix("1: digest: ")
        .and_then(|rest| rest.split(' ').next())
        .expect("the digest");
    cli.ok(&["tag", &id, &format!("{image}:2")]);
    assert_eq!(
        cli.ok(&["push", "-q", &format!("{image}:2")]),
        format!("{image}:2")
    );
    let all = cli.ok(&["push", "-a", &image]);
    assert!(all.contains(": Layer already exists\n1: digest: "), "{all}");
    cli.ok(&["rmi", &format!("{image}:1"), &format!("{image}:2")]);

    let pulled = cli.ok(&["pull", &format!("{image}:1")]);
    let path = d.name("image");
    assert!(
        pulled.starts_with(&format!("1: Pulling from {path}\n")),
        "{pulled}"
    );
    let end = format!(
        ": Pull complete\nDigest: {digest}\nStatus: Downloaded newer image for {image}:1\n{image}:1"
    );
    assert!(pulled.ends_with(&end), "{pulled}");
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.Id}}", &format!("{image}:1")]),
        id
    );
    let again = cli.ok(&["pull", &format!("{image}:1")]);
    assert!(
        again.contains(&format!("Status: Image is up to date for {image}:1")),
        "{again}"
    );
    assert_eq!(
        cli.ok(&["pull", "-q", &format!("{image}@{digest}")]),
        format!("{image}@{digest}")
    );
    let both = cli.ok(&["pull", "-a", &image]);
    assert!(
        both.ends_with(&format!(
            "Status: Downloaded newer image for {image}\n{image}"
        )),
        "{both}"
    );
    cli.ok(&["rmi", &format!("{image}:1"), &format!("{image}:2")]);
});

both!(what_cannot_travel, |d, cli| {
    let registry = open(d);
    let image = at(&registry, &d.name("none"));
    let run = cli.run(&["pull", &image]);
    run.fails(1, &format!("manifest for {image}:latest not found"));
    assert_eq!(run.out(), "Using default tag: latest");
    cli.run(&["pull", "-a", &format!("{image}:1")])
        .fails(1, "tag can't be used with --all-tags/-a");
    cli.run(&["push", "-a", &format!("{image}:1")])
        .fails(1, "tag can't be used with --all-tags/-a");
    cli.run(&["push", &image]).fails(
        1,
        &format!("An image does not exist locally with the tag: {image}"),
    );
    cli.run(&["pull", "UPPER"]).fails(
        1,
        "invalid reference format: repository name (library/UPPER) must be lowercase",
    );
    cli.run(&["pull", "--platform", "a/b/c/d", &image])
        .fails(1, "platform");
});

both!(run_pulls_what_is_missing, |d, cli| {
    let registry = open(d);
    let image = at(&registry, &format!("{}:1", d.name("image")));
    cli.ok(&["tag", IMAGE, &image]);
    cli.ok(&["push", "-q", &image]);
    cli.ok(&["rmi", &image]);
    cli.run(&["run", "--rm", "--pull", "never", &image, "true"])
        .fails(125, &format!("No such image: {image}"));
    let run = cli.run(&["run", "--rm", &image, "echo", "hello"]);
    assert_eq!(run.ok(), "hello");
    let told = run.err();
    let first = format!("Unable to find image '{image}' locally\n1: Pulling from ");
    assert!(told.starts_with(&first), "{told}");
    assert!(
        told.contains(&format!("\nStatus: Downloaded newer image for {image}")),
        "{told}"
    );
    let run = cli.run(&[
        "run", "--rm", "-q", "--pull", "always", &image, "echo", "again",
    ]);
    assert_eq!((run.ok().as_str(), run.err().as_str()), ("again", ""));
    let run = cli.run(&["create", "--pull", "always", &at(&registry, "none:1")]);
    run.fails(1, "manifest for");
    cli.ok(&["rmi", &image]);
});

both!(login_and_logout, |d, cli| {
    let registry = guarded(d);
    let (address, image) = (registry.address(), at(&registry, "team/image:1"));
    cli.ok(&["tag", IMAGE, &image]);
    cli.run(&["push", &image]).exits(1);
    let login = |password: &str| {
        let args = ["login", "-u", USER.0, "--password-stdin", address];
        cli.command(&args).input(password).run()
    };
    login("wrong").exits(1);
    let run = login(&format!("{}\n", USER.1));
    assert_eq!(run.ok(), "Login Succeeded");
    assert!(
        run.err()
            .contains("WARNING! Your credentials are stored unencrypted in")
    );
    let config = d.folder().join("home/.docker/config.json");
    let mode = fs::metadata(&config)
        .expect("config.json")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        fs::read_to_string(&config)
            .expect("config.json")
            .contains(address)
    );
    cli.ok(&["push", &image]);
    cli.ok(&["pull", &image]);
    assert_eq!(
        cli.ok(&["logout", address]),
        format!("Removing login credentials for {address}")
    );
    assert!(
        !fs::read_to_string(&config)
            .expect("config.json")
            .contains(address)
    );
    cli.run(&["pull", &image]).exits(1);
    cli.ok(&["rmi", &image]);
});

both!(credentials_may_lie_with_a_helper, |d, cli| {
    let registry = guarded(d);
    let (address, folder) = (registry.address(), d.folder().display().to_string());
    let program = d.folder().join("docker-credential-e2e");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat >{folder}/kept ;;\nerase) rm -f {folder}/kept ;;\n\
         get) cat >/dev/null; cat {folder}/kept 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;;\nesac\n"
    );
    fs::write(&program, script).expect("write the helper");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    let config = d.folder().join("home/.docker");
    fs::create_dir_all(&config).expect("a folder");
    fs::write(config.join("config.json"), r#"{"credsStore":"e2e"}"#).expect("config.json");
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let run = |args: &[&str], input: &str| cli.command(args).env("PATH", &path).input(input).run();
    run(
        &["login", "-u", USER.0, "--password-stdin", address],
        USER.1,
    )
    .ok();
    assert!(
        fs::read_to_string(d.folder().join("kept"))
            .expect("kept")
            .contains(USER.1)
    );
    let text = fs::read_to_string(config.join("config.json")).expect("config.json");
    assert!(
        text.contains(address) && !text.contains("auth\":"),
        "{text}"
    );
    let image = at(&registry, "team/image:1");
    cli.ok(&["tag", IMAGE, &image]);
    run(&["push", "-q", &image], "").ok();
    run(&["logout", address], "").ok();
    assert!(!d.folder().join("kept").exists());
    run(&["push", "-q", &image], "").exits(1);
    cli.ok(&["rmi", &image]);
});

both!(a_terminal_shows_bars, |d, cli| {
    let registry = open(d);
    let image = at(&registry, &format!("{}:1", d.name("image")));
    make(cli, &image);
    cli.ok(&["push", "-q", &image]);
    cli.ok(&["rmi", &image]);
    let terminal = Terminal::start(cli.command(&["pull", &image]), 120, 40);
    let (status, text) = terminal.end();
    assert_eq!(status, 0, "{text}");
    // A line of its own for the layer, written over until it is complete.
    assert!(text.contains("\n\x1b[1A\x1b[2K\r"), "{text:?}");
    assert!(text.contains(": Pull complete \r\x1b[1B"), "{text:?}");
    cli.ok(&["rmi", &image]);
});

own_test!(manifest_lists, |d| {
    let registry = open(d);
    let (docker, tare) = (d.cli(Client::Docker), d.cli(Client::Tare));
    let name = at(&registry, "team/multi");
    let (one, other, list) = (
        format!("{name}:amd64"),
        at(&registry, "other/image:arm64"),
        format!("{name}:all"),
    );
    for image in [&one, &other] {
        tare.ok(&["tag", IMAGE, image]);
        tare.ok(&["push", "-q", image]);
        tare.ok(&["rmi", image]);
    }
    tare.run(&["manifest", "inspect", &list])
        .fails(1, &format!("no such manifest: {list}"));
    assert_eq!(
        tare.ok(&["manifest", "create", &list, &one, &other]),
        format!("Created manifest list {list}")
    );
    tare.run(&["manifest", "create", &list, &one]).fails(
        1,
        "refusing to amend an existing manifest list with no --amend flag",
    );
    tare.ok(&[
        "manifest",
        "annotate",
        &list,
        &other,
        "--arch",
        "arm64",
        "--variant",
        "v8",
    ]);
    tare.run(&["manifest", "annotate", &list, &other, "--arch", "toaster"])
        .fails(1, "unsupported os/arch combination");
    // Both clients see the list that is being made.
    assert_eq!(
        docker.ok(&["manifest", "inspect", &list]),
        tare.ok(&["manifest", "inspect", &list])
    );
    let pushed = tare.ok(&["manifest", "push", "--purge", &list]);
    assert!(
        pushed.starts_with(&format!("Pushed ref {name}@sha256:")),
        "{pushed}"
    );
    tare.run(&["manifest", "push", &list])
        .fails(1, &format!("No such manifest: {list}"));
    for args in [
        &["manifest", "inspect", "--insecure"][..],
        &["manifest", "inspect", "--insecure", "-v"],
    ] {
        let args = [args, &[list.as_str()]].concat();
        assert_eq!(docker.ok(&args), tare.ok(&args));
    }
});

own_test!(bash_completes_names, |d| {
    let tare = d.tare();
    let name = d.name("completed");
    tare.ok(&["create", "--name", &name, IMAGE]);
    tare.ok(&["tag", IMAGE, &format!("localhost:5000/{name}:1")]);
    let binary = tests::binary("tare");
    let complete = |line: &str| {
        let script = format!(
            "source <({binary} completion bash); tare() {{ {binary} \"$@\"; }}; COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}; \
             COMP_LINE='{line}'; COMP_POINT={}; _tare_complete; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            line.len(),
            binary = binary.display(),
        );
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", &script])
            .env("DOCKER_HOST", d.host())
            .output()
            .expect("run bash");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete(&format!("tare rm {}", d.name("compl"))), name);
    assert_eq!(complete("tare volume pr"), "prune");
    assert_eq!(complete("tare run --pull=mi"), "missing");
    // Bash takes what is behind a colon for a word of its own.
    let image = complete(&format!("tare rmi localhost:5000/{}", d.name("compl")));
    assert_eq!(image, format!("5000/{name}:1"));
    tare.ok(&["rm", &name]);
    tare.ok(&["rmi", &format!("localhost:5000/{name}:1")]);
});
