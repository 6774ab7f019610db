//! What a container may try against the engine: links that lead out of it, and links that appear while the engine looks.

use std::fs;
use std::path::PathBuf;

use tests::{Archive, Cli, Daemon, Entry, IMAGE, daemon_test, own_test};

/// A folder of the host with a file that no container may read, and where none may write.
fn forbidden(d: &Daemon) -> PathBuf {
    let folder = d.folder().join("forbidden");
    fs::create_dir(&folder).expect("mkdir");
    fs::write(folder.join("secret"), "of the host").expect("write");
    folder
}

fn assert_untouched(folder: &std::path::Path) {
    let names: Vec<_> = fs::read_dir(folder)
        .expect("list")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(
        fs::read_to_string(folder.join("secret")).expect("read"),
        "of the host"
    );
}

/// A container that swaps the folder `/x/a` for a link to a folder of the host, again and again.
fn swapper(d: &Daemon, cli: &Cli, volume: Option<&str>, target: &std::path::Path) -> String {
    let (name, target) = (d.name("swapper"), target.display());
    let script = format!(
        "mkdir -p /x/a; ln -s {target} /x/link; ln -s ../../../../../..{target} /x/up; echo ready; while :; do \
         mv -T /x/a /x/b; mv -T /x/link /x/a; mv -T /x/a /x/link; mv -T /x/up /x/a; mv -T /x/a /x/up; mv -T /x/b /x/a; done"
    );
    let mount = volume.map_or_else(|| "/x".to_owned(), |volume| format!("{volume}:/x"));
    cli.ok(&[
        "run", "-d", "--name", &name, "-v", &mount, IMAGE, "sh", "-c", &script,
    ]);
    cli.spawn(&["logs", "-f", &name]).line_with("ready");
    name
}

daemon_test!(copies_through_links_stay_inside, |d| {
    let (cli, folder, name) = (d.docker(), forbidden(d), d.name("a"));
    let target = folder.display();
    let script = format!(
        "ln -s {target} /abs; ln -s ../../../../../..{target} /up; ln -s /proc/1/root{target} /proc-root; exec sleep 1000"
    );
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sh", "-c", &script]);
    cli.ok(&[
        "exec",
        &name,
        "sh",
        "-c",
        "until [ -L /proc-root ]; do usleep 10000; done",
    ]);
    let file = d.folder().join("file");
    fs::write(&file, "x").expect("write");
    let check = || {
        for link in ["abs", "up", "proc-root"] {
            for path in [format!("/{link}/secret"), format!("/{link}/")] {
                let out = cli.run(&["cp", &format!("{name}:{path}"), "-"]);
                assert!(
                    !String::from_utf8_lossy(&out.stdout).contains("of the host"),
                    "{path}"
                );
                cli.run(&["cp", "-L", &format!("{name}:{path}"), "-"]);
            }
            cli.run(&[
                "cp",
                &file.to_string_lossy(),
                &format!("{name}:/{link}/made"),
            ]);
            cli.run(&["cp", &file.to_string_lossy(), &format!("{name}:/{link}/")]);
            let archive = Archive::new(&[
                Entry::file(&format!("{link}/made"), "x"),
                Entry::file("secret", "x"),
            ])
            .finish();
            for path in ["/", &format!("/{link}")] {
                let path = format!("/containers/{name}/archive?path={path}");
                let headers = [("Content-Type", "application/x-tar")];
                d.connect()
                    .request("PUT", &path, &headers, &archive)
                    .expect("an answer");
            }
        }
        assert_untouched(&folder);
    };
    check();
    cli.ok(&["kill", &name]);
    check();
});

daemon_test!(copies_while_a_folder_becomes_a_link_stay_inside, |d| {
    let (cli, folder) = (d.docker(), forbidden(d));
    let name = swapper(d, &cli, None, &folder);
    let archive = Archive::new(&[
        Entry::file("made", "x"),
        Entry::folder("deep/"),
        Entry::file("deep/made", "x"),
    ])
    .finish();
    for _ in 0..60 {
        let path = format!("/containers/{name}/archive?path=/x/a");
        let headers = [("Content-Type", "application/x-tar")];
        d.connect()
            .request("PUT", &path, &headers, &archive)
            .expect("an answer");
        for path in ["/x", "/x/a", "/x/a/secret"] {
            let path = format!("/containers/{name}/archive?path={path}");
            let mut connection = d.connect();
            let headers = [("Connection", "close")];
            connection
                .send("GET", &path, &headers, b"")
                .expect("a request");
            // It may be cut off where the folder went away.
            let got = connection.rest().unwrap_or_default();
            assert!(
                !String::from_utf8_lossy(&got).contains("of the host"),
                "{path}"
            );
        }
    }
    assert_untouched(&folder);
    cli.ok(&["rm", "-f", "-v", &name]);
});

// CVE-2021-30465: the place of a mount is swapped for a link while the container that wants it there starts.
daemon_test!(mount_points_swapped_for_links_stay_inside, |d| {
    let (cli, folder) = (d.docker(), forbidden(d));
    let (shared, other) = (d.name("shared"), d.name("other"));
    let name = swapper(d, &cli, Some(&shared), &folder);
    for _ in 0..20 {
        let script = format!(
            "touch /x/a/made; cat /x/a/secret {}/secret; find / -xdev -name secret",
            folder.display()
        );
        let (first, second) = (format!("{shared}:/x"), format!("{other}:/x/a"));
        let run = cli.run(&[
            "run", "--rm", "-v", &first, "-v", &second, IMAGE, "sh", "-c", &script,
        ]);
        // It may fail to start; it may not see the host.
        assert!(!run.out().contains("of the host"), "{}", run.out());
        assert_untouched(&folder);
    }
    cli.ok(&["rm", "-f", &name]);
    for volume in [&shared, &other] {
        d.api("DELETE", &format!("/volumes/{volume}"), "");
    }
});

daemon_test!(processes_of_a_container_hold_up_nobody, |d| {
    let (cli, evil, other) = (d.docker(), d.name("evil"), d.name("other"));
    let stopper = "while :; do kill -STOP -1; done";
    cli.ok(&["run", "-d", "--name", &evil, IMAGE, "sh", "-c", stopper]);
    for user in ["0", "1000"] {
        let exec = cli.run(&["exec", "-d", "-u", user, &evil, "true"]);
        // It may be lucky.
        assert!(
            exec.code == 0 || exec.err().contains("stopped while it was set up"),
            "{exec:?}"
        );
    }
    cli.run(&[
        "run",
        "-d",
        "--name",
        &other,
        "--pid",
        &format!("container:{evil}"),
        IMAGE,
        "sleep",
        "1000",
    ]);
    cli.ok(&["rm", "-f", &other]);
    cli.ok(&["stop", "-t", "0", &evil]);
    assert_eq!(cli.ok(&["wait", &evil]), "137");
    cli.ok(&["rm", &evil]);
});

own_test!(attributes_of_files_travel_with_them, |d| {
    let (cli, name) = (d.docker(), d.name("a"));
    cli.ok(&["create", "--name", &name, IMAGE, "true"]);
    // CAP_NET_BIND_SERVICE, permitted and effective, of capability version 2.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let file = Entry::program("file", "x")
        .pax("SCHILY.xattr.user.note", "kept")
        .pax("SCHILY.xattr.security.capability", capability);
    let path = format!("/containers/{name}/archive?path=/tmp");
    let headers = [("Content-Type", "application/x-tar")];
    let put = d
        .connect()
        .request("PUT", &path, &headers, &Archive::new(&[file]).finish());
    assert_eq!(put.expect("an answer").status, 200);
    let got = d.api("GET", &format!("{path}/file"), "").body;
    let holds = |words: &[u8]| got.windows(words.len()).any(|window| window == words);
    assert!(
        holds(b"SCHILY.xattr.security.capability="),
        "the capability"
    );
    assert!(
        holds(b"SCHILY.xattr.user.note=kept\n"),
        "the user's attribute"
    );
});
