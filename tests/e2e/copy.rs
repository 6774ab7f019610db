//! cp, export, import, diff.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use tests::{Archive, Entry, IMAGE, both, daemon_test};

both!(files_and_folders_both_ways, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "sleep", "1000"]);
    let host = d.folder().join("tree");
    fs::create_dir_all(host.join("deep")).expect("mkdir");
    fs::write(host.join("deep/file"), "content").expect("write");
    fs::set_permissions(host.join("deep/file"), Permissions::from_mode(0o754)).expect("chmod");
    symlink("file", host.join("deep/link")).expect("symlink");
    let at = |path: &str| format!("{name}:{path}");
    let on_host = |path: &str| d.folder().join(path).display().to_string();
    // Stopped and running must be the same.
    for running in [false, true] {
        if running {
            cli.ok(&["start", &name]);
        }
        let place = if running { "/run-tree" } else { "/tree" };
        // Progress is for terminals.
        let run = cli.run(&["cp", &on_host("tree"), &at(place)]);
        assert_eq!((run.code, run.err().as_str()), (0, ""));
        // To what exists it goes inside.
        cli.ok(&["cp", "-q", &on_host("tree"), &at(place)]);
        cli.ok(&[
            "cp",
            "-q",
            &on_host("tree/."),
            &at(&format!("{place}/contents")),
        ]
        .map(|word| word));
        let back = format!("back{running}");
        cli.ok(&["cp", &at(place), &on_host(&back)]);
        for path in ["deep/file", "tree/deep/file", "contents/deep/file"] {
            let file = d.folder().join(&back).join(path);
            assert_eq!(fs::read_to_string(&file).expect(path), "content");
            assert_eq!(fs::metadata(&file).expect("stat").mode() & 0o777, 0o754);
        }
        assert_eq!(
            fs::read_link(d.folder().join(&back).join("deep/link"))
                .expect("readlink")
                .to_str(),
            Some("file")
        );
    }
    assert_eq!(
        cli.ok(&[
            "exec",
            &name,
            "cat",
            "/tree/deep/file",
            "/run-tree/deep/link"
        ]),
        "contentcontent"
    );
});

both!(errors_and_edges, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let file = d.folder().join("file");
    fs::write(&file, "x").expect("write");
    let file = file.display().to_string();
    cli.run(&["cp", &format!("{name}:/no/such"), "/tmp"])
        .fails(1, "Could not find the file /no/such in container");
    cli.run(&["cp", &file, &format!("{name}:/no/such/folder/")])
        .fails(1, "no such directory");
    cli.run(&["cp", &file, &format!("{}:/x", d.name("none"))])
        .fails(1, "No such container");
    cli.run(&["cp", "/no/such/here", &format!("{name}:/x")])
        .fails(1, "no such file or directory");
    cli.run(&["cp", &format!("{name}:/etc"), &file])
        .fails(1, "cannot copy directory");
    cli.run(&["cp", "a", "b"])
        .fails(1, "must specify at least one container source");
    // To a new name.
    cli.ok(&["cp", &file, &format!("{name}:/etc/other")]);
    let copy = d.folder().join("copy").display().to_string();
    cli.ok(&["cp", &format!("{name}:/etc/other"), &copy]);
    assert_eq!(fs::read_to_string(&copy).expect("read"), "x");
});

both!(through_links_only_when_asked, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo t >/target; ln -s /target /link; ln -s / /out; ln -s ../../../../../.. /up",
    ]);
    let on_host = |path: &str| d.folder().join(path);
    cli.ok(&[
        "cp",
        &format!("{name}:/link"),
        &on_host("plain").display().to_string(),
    ]);
    assert_eq!(
        fs::read_link(on_host("plain")).expect("a link").to_str(),
        Some("/target")
    );
    cli.ok(&[
        "cp",
        "-L",
        &format!("{name}:/link"),
        &on_host("followed").display().to_string(),
    ]);
    assert_eq!(
        fs::read_to_string(on_host("followed")).expect("read"),
        "t\n"
    );
    // A link to the outside ends at the container's own root.
    cli.ok(&[
        "cp",
        &format!("{name}:/up/target"),
        &on_host("up").display().to_string(),
    ]);
    assert_eq!(fs::read_to_string(on_host("up")).expect("read"), "t\n");
    fs::write(on_host("new"), "n").expect("write");
    cli.ok(&[
        "cp",
        &on_host("new").display().to_string(),
        &format!("{name}:/out/tmp/put-by-e2e"),
    ]);
    assert!(fs::metadata("/tmp/put-by-e2e").is_err());
});

both!(streams_of_tar, |d, cli| {
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let tar = Archive::new(&[
        Entry::folder("f/").owner(12, 34),
        Entry::file("f/x", "in a tar").owner(1000, 2000).mode(0o640),
    ])
    .finish();
    cli.command(&["cp", "-a", "-", &format!("{name}:/tmp")])
        .input(tar)
        .run()
        .ok();
    let run = cli.run(&["cp", &format!("{name}:/tmp/f"), "-"]);
    let mut archive = tar::Archive::new(&run.stdout[..]);
    let mut seen: Vec<String> = archive
        .entries()
        .expect("a tar")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let header = entry.header();
            format!(
                "{} {}:{} {:o}",
                entry.path().expect("path").display(),
                header.uid().expect("uid"),
                header.gid().expect("gid"),
                header.mode().expect("mode") & 0o7777
            )
        })
        .collect();
    seen.sort();
    assert_eq!(seen, ["f/ 12:34 755", "f/x 1000:2000 640"]);
});

both!(a_volume_is_reached_in_a_stopped_container, |d, cli| {
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
        "echo in volume >/data/x",
    ]);
    let to = d.folder().join("x").display().to_string();
    cli.ok(&["cp", &format!("{name}:/data/x"), &to]);
    assert_eq!(fs::read_to_string(&to).expect("read"), "in volume\n");
    cli.ok(&["cp", &to, &format!("{name}:/data/y")]);
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "-v",
            &format!("{volume}:/d"),
            IMAGE,
            "cat",
            "/d/y"
        ]),
        "in volume"
    );
    cli.ok(&["rm", &name]);
    d.api("DELETE", &format!("/volumes/{volume}"), "");
});

both!(a_read_only_root_is_not_written, |d, cli| {
    let name = d.name("a");
    cli.ok(&[
        "run",
        "-d",
        "--read-only",
        "--name",
        &name,
        IMAGE,
        "sleep",
        "1000",
    ]);
    cli.run(&["cp", "/etc/passwd", &format!("{name}:/tmp/x")])
        .fails(1, "rootfs is marked read-only");
});

both!(diff, |d, cli| {
    let name = d.name("a");
    let script = "rm /etc/group; echo x >>/etc/passwd; mkdir /new; echo y >/new/file; chmod 700 /home; ln -s x /link; rm -r /usr/bin; mkdir /usr/bin; touch /usr/bin/again";
    cli.ok(&[
        "run",
        "--name",
        &name,
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    let out = cli.ok(&["diff", &name]);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "A /link",
            "A /new",
            "A /new/file",
            "A /usr/bin/again",
            "C /etc",
            "C /etc/passwd",
            "C /home",
            "C /usr",
            "C /usr/bin",
            "D /etc/group"
        ]
    );
    let name = d.name("b");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    assert_eq!(cli.ok(&["diff", &name]), "");
});

both!(export_and_import, |d, cli| {
    let (name, image) = (d.name("a"), d.name("image"));
    cli.ok(&[
        "run",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo mine >/mine; rm /etc/group; chown 1:2 /mine",
    ]);
    let file = d.folder().join("export.tar");
    let path = file.display().to_string();
    cli.ok(&["export", "-o", &path, &name]);
    let bytes = fs::read(&file).expect("read");
    let mut archive = tar::Archive::new(&bytes[..]);
    let paths: Vec<String> = archive
        .entries()
        .expect("a tar")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .expect("path")
                .display()
                .to_string()
        })
        .collect();
    assert!(
        paths.iter().any(|path| path == "mine") && !paths.iter().any(|path| path == "etc/group"),
        "{paths:?}"
    );
    let args = [
        "import",
        "-m",
        "made by a test",
        "-c",
        "CMD [\"cat\", \"/mine\"]",
        "-c",
        "ENV A=b",
        &path,
        &image,
    ];
    let id = cli.ok(&args);
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(cli.ok(&["run", "--rm", &image]), "mine");
    assert_eq!(
        cli.ok(&["run", "--rm", &image, "stat", "-c", "%u:%g", "/mine"]),
        "1:2"
    );
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.Comment}}|{{json .Config.Env}}", &image]),
        r#"made by a test|["A=b"]"#
    );
    cli.ok(&["rmi", &image]);
    // From standard input too.
    let image = d.name("piped");
    cli.command(&["import", "-", &image])
        .input(bytes)
        .run()
        .ok();
    assert_eq!(cli.ok(&["run", "--rm", &image, "cat", "/mine"]), "mine");
    cli.ok(&["rmi", &image]);
    cli.run(&["import", "/no/such.tar"]).exits(1);
});

daemon_test!(the_archive_endpoint, |d| {
    let cli = d.docker();
    let name = d.name("a");
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    let base = format!("/containers/{name}/archive");
    let head = d.api("HEAD", &format!("{base}?path=/etc/passwd"), "");
    assert_eq!(head.status, 200);
    let stat = head
        .header("X-Docker-Container-Path-Stat")
        .expect("the header")
        .to_owned();
    assert!(stat.starts_with("eyJ"), "base64 of JSON: {stat}");
    assert_eq!(d.api("HEAD", &format!("{base}?path=/none"), "").status, 404);
    assert_eq!(d.api("GET", &base, "").status, 400);
    let put = |query: &str, tar: Vec<u8>| {
        d.connect()
            .request(
                "PUT",
                &format!("{base}?{query}"),
                &[("Content-Type", "application/x-tar")],
                &tar,
            )
            .expect("an answer")
    };
    let tar = Archive::new(&[Entry::file("etc", "a file over a folder")]).finish();
    let answer = put("path=/&noOverwriteDirNonDir=true", tar);
    assert!(answer.status >= 400, "{}", answer.text());
    assert_eq!(put("path=/none", Archive::default().finish()).status, 404);
    assert_eq!(
        put("path=/etc/passwd", Archive::default().finish()).status,
        400
    );
    assert_eq!(
        put(
            "path=/tmp",
            Archive::new(&[Entry::file("ok", "x")]).finish()
        )
        .status,
        200
    );
});

daemon_test!(hostile_archives_stay_inside, |d| {
    let cli = d.docker();
    let name = d.name("a");
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
    let mark = d.name("escaped");
    let base = format!("/containers/{name}/archive?path=/tmp");
    let outside = format!("/tmp/{mark}");
    let put = |entries: &[Entry]| {
        d.connect()
            .request(
                "PUT",
                &base,
                &[("Content-Type", "application/x-tar")],
                &Archive::new(entries).finish(),
            )
            .expect("an answer")
    };
    put(&[Entry::file(
        &format!("../../../../../../../..{outside}"),
        "x",
    )]);
    put(&[
        Entry::symlink("out", "/tmp"),
        Entry::file(&format!("out/{mark}"), "x"),
    ]);
    put(&[
        Entry::symlink("up", "../../../../../../../../tmp"),
        Entry::file(&format!("up/{mark}"), "x"),
    ]);
    put(&[
        Entry::hard_link("hard", "../../../../../../etc/hostname"),
        Entry::file("hard", "x"),
    ]);
    put(&[
        Entry::symlink("abs", "/etc"),
        Entry::hard_link("hard2", "abs/shadow"),
    ]);
    assert!(fs::metadata(&outside).is_err(), "{outside} was written");
    // The daemon and the container live on.
    assert_eq!(cli.ok(&["exec", &name, "echo", "alive"]), "alive");
    // A file through a device or a fifo of the container's does not block or reach the host's.
    cli.ok(&["exec", &name, "mkfifo", "/tmp/pipe"]);
    let run = cli.run(&["cp", &format!("{name}:/tmp/pipe"), "-"]);
    assert_eq!(run.code, 0, "{}", run.err());
});
