//! The root filesystem, volumes, bind mounts, tmpfs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tests::{IMAGE, both};

both!(a_read_only_root, |_d, cli| {
    cli.run(&["run", "--rm", "--read-only", IMAGE, "touch", "/x"])
        .fails(1, "Read-only file system");
    cli.ok(&[
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/run",
        IMAGE,
        "sh",
        "-c",
        "touch /run/x /dev/shm/x",
    ]);
});

both!(the_writable_layer_is_the_containers_own, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo mine >/etc/motd; rm /etc/group",
    ]);
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            IMAGE,
            "sh",
            "-c",
            "ls /etc/motd /etc/group 2>&1 | grep -c 'No such'"
        ]),
        "1"
    );
    // It is there again when it starts again.
    let other = d.name("b");
    cli.ok(&[
        "run",
        "--name",
        &other,
        IMAGE,
        "sh",
        "-c",
        "cat /tmp/n 2>/dev/null; echo again >>/tmp/n",
    ]);
    assert_eq!(cli.ok(&["start", "-a", &other]), "again");
});

both!(tmpfs, |_d, cli| {
    let mounts = |spec: &str| {
        cli.ok(&[
            "run",
            "--rm",
            "--tmpfs",
            spec,
            IMAGE,
            "grep",
            " /t ",
            "/proc/mounts",
        ])
    };
    let plain = mounts("/t");
    assert!(
        plain.starts_with("tmpfs /t tmpfs rw,nosuid,nodev,noexec"),
        "{plain}"
    );
    let sized = mounts("/t:size=2m,mode=700,exec");
    assert!(
        sized.contains("size=2048k") && sized.contains("mode=700") && !sized.contains("noexec"),
        "{sized}"
    );
    cli.run(&["run", "--rm", "--tmpfs", "/t:nonsense", IMAGE, "true"])
        .fails(125, "nonsense");
    let out = cli.ok(&[
        "run",
        "--rm",
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
        IMAGE,
        "stat",
        "-c",
        "%a",
        "/t",
    ]);
    assert_eq!(out, "1770");
});

both!(bind_mounts, |d, cli| {
    let host = d.folder().join("host");
    fs::create_dir(&host).expect("mkdir");
    fs::write(host.join("in"), "from outside").expect("write");
    let spec = format!("{}:/data", host.display());
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "-v",
            &spec,
            IMAGE,
            "sh",
            "-c",
            "cat /data/in; echo inside >/data/out"
        ]),
        "from outside"
    );
    assert_eq!(
        fs::read_to_string(host.join("out")).expect("read"),
        "inside\n"
    );
    cli.run(&[
        "run",
        "--rm",
        "-v",
        &format!("{spec}:ro"),
        IMAGE,
        "touch",
        "/data/x",
    ])
    .fails(1, "Read-only file system");
    // A single file.
    let spec = format!("{}:/etc/motd:ro", host.join("in").display());
    assert_eq!(
        cli.ok(&["run", "--rm", "-v", &spec, IMAGE, "cat", "/etc/motd"]),
        "from outside"
    );
    // A missing source: -v makes it, --mount refuses.
    let missing = d.folder().join("missing");
    cli.run(&[
        "run",
        "--rm",
        "--mount",
        &format!("type=bind,src={},dst=/x", missing.display()),
        IMAGE,
        "true",
    ])
    .fails(
        125,
        &format!("bind source path does not exist: {}", missing.display()),
    );
    cli.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{}:/x", missing.display()),
        IMAGE,
        "true",
    ]);
    assert!(missing.is_dir());
    let spec = format!("type=bind,source={},target=/x,readonly", host.display());
    cli.run(&["run", "--rm", "--mount", &spec, IMAGE, "touch", "/x/y"])
        .fails(1, "Read-only file system");
});

both!(named_volumes, |d, cli| {
    let volume = d.name("vol");
    let spec = format!("{volume}:/data");
    cli.ok(&[
        "run",
        "--rm",
        "-v",
        &spec,
        IMAGE,
        "sh",
        "-c",
        "echo kept >/data/x",
    ]);
    assert_eq!(
        cli.ok(&["run", "--rm", "-v", &spec, IMAGE, "cat", "/data/x"]),
        "kept"
    );
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "--mount",
            &format!("src={volume},dst=/v,ro"),
            IMAGE,
            "cat",
            "/v/x"
        ]),
        "kept"
    );
    // A new one takes what the image has there, with its owners.
    let volume = d.name("filled");
    let out = cli.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{volume}:/etc"),
        IMAGE,
        "sh",
        "-c",
        "ls /etc/passwd; stat -c %a /etc",
    ]);
    assert_eq!(out, "/etc/passwd\n755");
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "-v",
            &format!("{volume}:/data"),
            IMAGE,
            "ls",
            "/data/passwd"
        ]),
        "/data/passwd"
    );
    let empty = d.name("empty");
    cli.run(&[
        "run",
        "--rm",
        "-v",
        &format!("{empty}:/etc:nocopy"),
        IMAGE,
        "ls",
        "/etc/passwd",
    ])
    .exits(1);
    for name in ["vol", "filled", "empty"] {
        d.api("DELETE", &format!("/volumes/{}", d.name(name)), "");
    }
});

both!(anonymous_volumes_go_with_their_container, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, "-v", "/data", IMAGE, "true"]);
    let source = cli.ok(&[
        "inspect",
        "-f",
        "{{(index .Mounts 0).Source}} {{(index .Mounts 0).Type}} {{(index .Mounts 0).Destination}}",
        &name,
    ]);
    assert!(source.ends_with(" volume /data"), "{source}");
    cli.ok(&["rm", "-v", &name]);
    if tests::oracle().is_none() {
        let path = source.split(' ').next().unwrap_or_default();
        assert!(fs::metadata(path).is_err(), "{path} is still there");
    }
});

both!(mounts_as_inspect_tells_them, |d, cli| {
    let (name, volume) = (d.name("a"), d.name("vol"));
    let bind = format!("{}:/b:ro", d.folder().display());
    cli.ok(&[
        "create",
        "--name",
        &name,
        "-v",
        &bind,
        "-v",
        &format!("{volume}:/v"),
        "--mount",
        "type=tmpfs,dst=/t",
        IMAGE,
        "true",
    ]);
    let format = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}} {{.Propagation}}\n{{end}}";
    let mut lines: Vec<String> = cli
        .ok(&["inspect", "-f", format, &name])
        .lines()
        .map(str::to_owned)
        .collect();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    assert_eq!(
        lines,
        [
            "bind  /b  ro false rprivate".to_owned(),
            "tmpfs  /t   true ".to_owned(),
            format!("volume {volume} /v local z true ")
        ]
    );
    cli.ok(&["rm", &name]);
    d.api("DELETE", &format!("/volumes/{volume}"), "");
});

both!(bad_specifications_are_refused, |d, cli| {
    for (spec, words) in [
        ("/a:/b:nonsense", "invalid mode: nonsense"),
        ("/a:relative", "mount path must be absolute"),
        (
            "a b:/x",
            "includes invalid characters for a local volume name",
        ),
        ("/a:/", "destination can't be '/'"),
    ] {
        cli.run(&["run", "--rm", "-v", spec, IMAGE, "true"])
            .fails(125, words);
    }
    for (spec, words) in [
        (
            "type=nonsense,dst=/x",
            r#"invalid mount config for type "nonsense": mount type unknown"#,
        ),
        ("type=bind,dst=/x", "field Source must not be empty"),
        ("dst=/x,what=1", "unexpected key 'what' in 'what=1'"),
        (
            "type=tmpfs,src=/a,dst=/x",
            "field Source must not be specified",
        ),
    ] {
        let spec = spec.replace("src=/a", &format!("src={}", d.folder().display()));
        cli.run(&["run", "--rm", "--mount", &spec, IMAGE, "true"])
            .fails(125, words);
    }
    cli.run(&[
        "run", "--rm", "-v", "/tmp:/x", "-v", "/usr:/x", IMAGE, "true",
    ])
    .fails(125, "Duplicate mount point: /x");
});

/// A mount that the host shares, and what is mounted in it.
struct SharedMount(std::path::PathBuf);

impl SharedMount {
    fn new(path: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("mkdir");
        let mount = Self(path);
        for arguments in [&["-t", "tmpfs", "none"][..], &["--make-rshared"]] {
            mount.run("mount", arguments);
        }
        mount
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = std::process::Command::new(program);
        let status = command.args(arguments).arg(&self.0).status();
        assert!(status.expect("run it").success());
    }
}

impl Drop for SharedMount {
    fn drop(&mut self) {
        self.run("umount", &["-R"]);
    }
}

both!(mounts_travel_as_their_propagation_says, |d, cli| {
    let host = SharedMount::new(d.folder().join("propagated"));
    let script = "mkdir -p /q/in && mount -t tmpfs none /q/in && echo made >/q/in/x";
    for (mode, seen) in [("rslave", false), ("rprivate", false), ("rshared", true)] {
        let bind = format!("{}:/q:{mode}", host.0.display());
        cli.ok(&[
            "run",
            "--rm",
            "--privileged",
            "-v",
            &bind,
            IMAGE,
            "sh",
            "-c",
            script,
        ]);
        assert_eq!(host.0.join("in/x").exists(), seen, "{mode}");
    }
    let bind = format!(
        "type=bind,src={},dst=/q,bind-propagation=shared",
        host.0.display()
    );
    assert_eq!(
        cli.ok(&["run", "--rm", "--mount", &bind, IMAGE, "cat", "/q/in/x"]),
        "made"
    );
});

both!(volumes_from_another_container, |d, cli| {
    let (name, volume) = (d.name("a"), d.name("vol"));
    cli.ok(&[
        "run",
        "--name",
        &name,
        "-v",
        &format!("{volume}:/data"),
        IMAGE,
        "sh",
        "-c",
        "echo shared >/data/x",
    ]);
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "--volumes-from",
            &name,
            IMAGE,
            "cat",
            "/data/x"
        ]),
        "shared"
    );
    cli.run(&[
        "run",
        "--rm",
        "--volumes-from",
        &format!("{name}:ro"),
        IMAGE,
        "touch",
        "/data/y",
    ])
    .fails(1, "Read-only");
    cli.ok(&["rm", &name]);
    d.api("DELETE", &format!("/volumes/{volume}"), "");
});

both!(files_keep_their_owners_through_a_bind, |d, cli| {
    let host = d.folder().join("host");
    fs::create_dir(&host).expect("mkdir");
    cli.ok(&[
        "run",
        "--rm",
        "-u",
        "0",
        "-v",
        &format!("{}:/data", host.display()),
        IMAGE,
        "sh",
        "-c",
        "touch /data/f; chown 1000:2000 /data/f; chmod 640 /data/f",
    ]);
    let meta = fs::metadata(host.join("f")).expect("stat");
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777),
        (1000, 2000, 0o640)
    );
});
