//! pull, push, login and what goes wrong with them, against Debian's docker-registry.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use tests::{Cli, IMAGE, Registry, both, own_test};

/// Pushes the busybox image under a name at the registry, and says that name.
fn pushed(cli: &Cli, registry: &Registry, path: &str) -> String {
    let name = format!("{}/{path}", registry.host());
    cli.ok(&["tag", IMAGE, &name]);
    cli.ok(&["push", &name]);
    name
}

/// The digest in the last line of a push: `1: digest: sha256:... size: 527`.
fn digest(output: &str) -> String {
    let word = output
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"));
    word.expect("a digest").to_owned()
}

both!(what_is_pushed_can_be_pulled_and_run, |d, cli| {
    let Some(registry) = Registry::open() else {
        return;
    };
    let name = format!("{}/{}:1", registry.host(), d.name("image"));
    cli.ok(&["tag", IMAGE, &name]);
    let output = cli.ok(&["push", &name]);
    assert!(
        output.contains("The push refers to repository ["),
        "{output}"
    );
    assert!(output.contains(": Pushed"), "{output}");
    let digest = digest(&output);
    let id = cli.ok(&["inspect", "-f", "{{.Id}}", &name]);
    cli.ok(&["rmi", "-f", &name]);
    let output = cli.ok(&["pull", &name]);
    assert!(output.contains(&format!("Digest: {digest}")), "{output}");
    assert!(
        output.contains(&format!("Status: Downloaded newer image for {name}")),
        "{output}"
    );
    assert_eq!(cli.ok(&["inspect", "-f", "{{.Id}}", &name]), id);
    let digests = cli.ok(&["inspect", "-f", "{{.RepoDigests}}", &name]);
    assert!(digests.contains(&digest), "{digests}");
    let output = cli.ok(&["pull", &name]);
    assert!(
        output.contains(&format!("Status: Image is up to date for {name}")),
        "{output}"
    );
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--pull",
            "always",
            "-q",
            &name,
            "echo",
            "x"
        ]),
        "x"
    );
    cli.ok(&["rmi", "-f", &name]);
});

both!(what_is_there_is_not_sent_again, |d, cli| {
    let Some(registry) = Registry::open() else {
        return;
    };
    let name = pushed(cli, &registry, &format!("{}:1", d.name("one")));
    let output = cli.ok(&["push", &name]);
    assert!(output.contains(": Layer already exists"), "{output}");
    let other = format!("{}/{}:1", registry.host(), d.name("two"));
    cli.ok(&["tag", &name, &other]);
    let output = cli.ok(&["push", &other]);
    assert!(
        output.contains(&format!(": Mounted from {}", d.name("one"))),
        "{output}"
    );
    cli.ok(&["rmi", "-f", &name]);
});

both!(all_tags_and_digests, |d, cli| {
    let Some(registry) = Registry::open() else {
        return;
    };
    let bare = format!("{}/{}", registry.host(), d.name("image"));
    for tag in ["a", "b"] {
        cli.ok(&["tag", IMAGE, &format!("{bare}:{tag}")]);
    }
    let output = cli.ok(&["push", "-a", &bare]);
    let digest = digest(&output);
    cli.ok(&["rmi", &format!("{bare}:a"), &format!("{bare}:b")]);
    cli.ok(&["pull", "-a", &bare]);
    let tags = cli.ok(&["images", "--format", "{{.Tag}}", &bare]);
    assert_eq!(tags.lines().count(), 2, "{tags}");
    cli.ok(&["rmi", &format!("{bare}:a"), &format!("{bare}:b")]);
    let by_digest = format!("{bare}@{digest}");
    cli.ok(&["pull", "-q", &by_digest]);
    cli.ok(&["inspect", &by_digest]);
    cli.ok(&["rmi", "-f", &by_digest]);
});

// Docker's own client asks a Notary server; ours says that it cannot.
own_test!(content_trust_is_refused_and_not_ignored, |d| {
    let cli = d.tare();
    let nowhere = format!("127.0.0.1:9/{}:1", d.name("image"));
    let with = |value: &str, args: &[&str]| {
        let command = cli.command(args).env("DOCKER_CONTENT_TRUST", value);
        command.run()
    };
    for args in [
        &["pull", &nowhere][..],
        &["push", &nowhere],
        &["run", "--rm", IMAGE, "true"],
        &["create", IMAGE],
        &["pull", "ssh://nowhere/x"],
    ] {
        let run = with("1", args);
        assert_ne!(run.code, 0, "{args:?}");
        assert!(
            run.err().contains("content trust is not supported"),
            "{args:?}: {}",
            run.err()
        );
    }
    let run = ["run", "--rm", "--network", "none"];
    let disabled = [&run[..], &["--disable-content-trust", IMAGE, "echo", "x"]].concat();
    assert_eq!(with("1", &disabled).ok(), "x");
    let plain = [&run[..], &[IMAGE, "echo", "x"]].concat();
    assert_eq!(with("0", &plain).ok(), "x");
    let enabled = [&run[..], &["--disable-content-trust=false", IMAGE, "true"]].concat();
    with("", &enabled).exits(125);
});

/// A registry that has nothing but words. Says its address; goes on as long as the test's process.
fn scolding(words: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{words}",
        words.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            // TLS, which loopback registries are asked with first, has no such lines.
            let head = reader.by_ref().lines().map_while(Result::ok);
            if head.take_while(|line| !line.is_empty()).count() > 0 {
                let _ = (&stream).write_all(answer.as_bytes());
            }
        }
    });
    address
}

own_test!(words_of_a_stranger_do_nothing_to_a_terminal, |d| {
    let words = r#"{"errors":[{"code":"X\u001b[2J","message":"\u001b]0;title\u0007hello\u009b31m\r\u202e"}]}"#;
    let name = format!("{}/a:1", scolding(words));
    for cli in [d.docker(), d.tare()] {
        let run = cli.run(&["pull", &name]);
        assert_eq!(run.code, 1);
        let told = run.err();
        assert!(told.contains("hello"), "{told}");
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!told.contains(harmful), "{told:?}");
    }
});

both!(what_is_not_there, |d, cli| {
    let Some(registry) = Registry::open() else {
        return;
    };
    let host = registry.host();
    let name = pushed(cli, &registry, &format!("{}:1", d.name("image")));
    let missing = format!("{host}/{}:none", d.name("image"));
    cli.run(&["pull", &missing]).fails(
        1,
        &format!("manifest for {missing} not found: manifest unknown: manifest unknown"),
    );
    cli.run(&["pull", "-a", &format!("{host}/{}", d.name("nothing"))])
        .fails(1, "name unknown: repository name not known to registry");
    cli.run(&["push", &format!("{host}/{}:1", d.name("nothing"))])
        .fails(1, "An image does not exist locally with the tag: ");
    cli.run(&["pull", "localhost:1/x"])
        .fails(1, "connect: connection refused");
    cli.run(&["pull", "Upper"]).fails(1, "must be lowercase");
    cli.ok(&["rmi", "-f", &name]);
});

both!(a_registry_that_wants_a_password, |d, cli| {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let host = registry.host();
    let name = format!("{host}/{}:1", d.name("image"));
    cli.ok(&["tag", IMAGE, &name]);
    cli.run(&["push", &name])
        .fails(1, "no basic auth credentials");
    let login = |password: &str| {
        cli.command(&["login", "-u", "joe", "--password-stdin", host])
            .input(password)
            .run()
    };
    login("wrong").fails(1, "401 Unauthorized");
    assert!(login("secret").ok().contains("Login Succeeded"));
    cli.ok(&["push", &name]);
    cli.ok(&["pull", &name]);
    cli.ok(&["logout", host]);
    cli.run(&["pull", &name])
        .fails(1, "no basic auth credentials");
    cli.ok(&["rmi", "-f", &name]);
});

own_test!(a_blob_that_was_spoilt_is_told_and_nothing_stays, |d| {
    let Some(registry) = Registry::open() else {
        return;
    };
    let cli = d.cli(tests::Client::Docker);
    let name = pushed(&cli, &registry, &format!("{}:1", d.name("image")));
    let layer = cli.ok(&["manifest", "inspect", "--insecure", "-v", &name]);
    let layer = layer
        .rsplit('"')
        .find(|word| word.starts_with("sha256:"))
        .expect("a layer")
        .to_owned();
    let mut bytes = std::fs::read(registry.blob(&layer)).expect("read the blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(registry.blob(&layer), bytes).expect("spoil the blob");
    cli.ok(&["rmi", "-f", &name]);
    cli.ok(&["rmi", "-f", IMAGE]);
    cli.run(&["pull", &name])
        .fails(1, &format!("blob {layer}: "));
    cli.run(&["inspect", &name]).fails(1, "No such object");
});
