//! Archives of both kinds and every compression; what layers may hold; what save writes.

use std::fs;

use serde_json::{Value, json};
use tests::{
    Archive, Compression, Daemon, Entry, IMAGE, Image, Layer, both, busybox_layer, daemon_test,
    digest,
};

/// An image over busybox, so that its content can be looked at from inside.
fn image(d: &Daemon, name: &str, entries: &[Entry]) -> Image {
    Image::new(
        &format!("{}:latest", d.name(name)),
        vec![busybox_layer(), Layer::new(entries)],
        json!({"Cmd": ["sh"], "Labels": {"a": "b"}}),
    )
}

/// Loads it, runs `script` in it, removes it.
fn look(d: &Daemon, image: &Image, script: &str) -> String {
    d.load(&image.docker_archive());
    let out = d.docker().ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        &image.name,
        "sh",
        "-c",
        script,
    ]);
    d.docker().ok(&["rmi", &image.name]);
    out
}

daemon_test!(both_kinds_in_every_compression, |d| {
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        for outer in [Compression::Plain, Compression::Gzip] {
            // The real Docker 28 with overlay2 wants a manifest.json in an OCI layout too.
            let kinds = if tests::oracle().is_some() {
                &[false][..]
            } else {
                &[false, true]
            };
            for &oci in kinds {
                let mut image = image(
                    d,
                    "image",
                    &[Entry::file(
                        "note",
                        format!("{compression:?} {outer:?} {oci}"),
                    )],
                );
                image
                    .layers
                    .iter_mut()
                    .for_each(|layer| layer.compression = compression);
                let archive = if oci {
                    image.oci_layout()
                } else {
                    image.docker_archive()
                };
                d.load(&outer.apply(&archive));
                let cli = d.docker();
                assert_eq!(
                    cli.ok(&["inspect", "-f", "{{.Id}}", &image.name]),
                    image.id(),
                    "{compression:?} {outer:?} oci: {oci}"
                );
                assert_eq!(
                    cli.ok(&["run", "--rm", &image.name, "cat", "/note"]),
                    format!("{compression:?} {outer:?} {oci}")
                );
                cli.ok(&["rmi", &image.name]);
            }
        }
    }
});

both!(load_by_the_client, |d, cli| {
    let image = image(d, "image", &[Entry::file("note", "x")]);
    let file = d.folder().join("image.tar");
    fs::write(&file, image.docker_archive()).expect("write");
    let path = file.display().to_string();
    let expected = format!("Loaded image: {}", image.name);
    assert!(cli.ok(&["load", "-i", &path]).ends_with(&expected));
    assert!(cli.ok(&["load", "-q", "-i", &path]).ends_with(&expected));
    assert!(
        cli.command(&["load"])
            .input(image.docker_archive())
            .run()
            .ok()
            .ends_with(&expected)
    );
    cli.ok(&["rmi", &image.name]);
    cli.run(&["load", "-i", "/no/such"])
        .fails(1, "no such file or directory");
});

daemon_test!(whiteouts_and_opaque_folders, |d| {
    let below = [
        Entry::folder("d/"),
        Entry::file("d/gone", "1"),
        Entry::file("d/kept", "2"),
        Entry::folder("o/"),
        Entry::file("o/old", "3"),
        Entry::folder("o/sub/"),
        Entry::file("o/sub/old", "4"),
        Entry::file("swap", "a file"),
    ];
    let above = [
        Entry::file("d/.wh.gone", ""),
        Entry::folder("o/"),
        Entry::file("o/.wh..wh..opq", ""),
        Entry::file("o/new", "5"),
        Entry::folder("swap/"),
        Entry::file("swap/in", "6"),
    ];
    let mut image = image(d, "image", &below);
    image.layers.push(Layer::new(&above));
    assert_eq!(
        look(d, &image, "find /d /o /swap | sort; cat /swap/in"),
        "/d\n/d/kept\n/o\n/o/new\n/swap\n/swap/in\n6"
    );
});

daemon_test!(owners_modes_times_links_and_devices, |d| {
    let long = format!("{}/{}/name", "d".repeat(90), "e".repeat(90));
    let entries = [
        Entry::program("suid", "x").mode(0o4755).owner(1000, 2000),
        Entry::file("stamp", "x").pax("mtime", "1500000000.123456789"),
        Entry::file("one", "linked"),
        Entry::hard_link("two", "one"),
        Entry::symlink("sym", "one"),
        Entry::symlink("dangling", "/no/such"),
        Entry::device("zero", 1, 5),
        Entry::fifo("pipe"),
        Entry::folder("sticky/").mode(0o1777),
        Entry::file(&long, "long"),
        Entry::file("caps", "x").pax(
            "SCHILY.xattr.security.capability",
            [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        Entry::file("ünï", "x"),
        Entry::file("bigid", "x")
            .pax("uid", "3000000")
            .pax("gid", "3000001"),
    ];
    let script = format!(
        "cd /; stat -c '%a %u:%g' suid bigid; stat -c %y stamp; [ one -ef two ] && stat -c %h one; readlink sym; readlink dangling; stat -c '%F %t:%T' zero; [ -p pipe ] && echo fifo; stat -c %a sticky; cat {long}; echo; [ -e ünï ] && echo ünï"
    );
    let out = look(d, &image(d, "image", &entries), &script);
    let expected = [
        "4755 1000:2000",
        "644 3000000:3000001",
        "2017-07-14 02:40:00.123456789 +0000",
        "2",
        "one",
        "/no/such",
        "character special file 1:5",
        "fifo",
        "1777",
        "long",
        "ünï",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
});

daemon_test!(file_capabilities_take_effect, |d| {
    // NET_RAW, permitted and effective, revision 2.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let busybox = std::env::split_paths(&std::env::var_os("PATH").expect("PATH"))
        .map(|folder| folder.join("busybox"))
        .find(|file| file.is_file())
        .expect("busybox");
    let entry = Entry::program("grep", fs::read(busybox).expect("read"))
        .pax("SCHILY.xattr.security.capability", capability);
    let image = image(d, "image", &[entry]);
    d.load(&image.docker_archive());
    let out = d.docker().ok(&[
        "run",
        "--rm",
        "-u",
        "user",
        &image.name,
        "/grep",
        "CapEff",
        "/proc/self/status",
    ]);
    assert_eq!(out.split_whitespace().nth(1), Some("0000000000002000"));
    d.docker().ok(&["rmi", &image.name]);
});

daemon_test!(save_gives_back_what_was_loaded, |d| {
    let cli = d.docker();
    let image = image(
        d,
        "image",
        &[
            Entry::file("note", "x").pax("mtime", "1500000000.5"),
            Entry::hard_link("again", "note").pax("mtime", "1500000000.5"),
        ],
    );
    d.load(&image.docker_archive());
    let saved = cli.run(&["save", &image.name]);
    assert_eq!(saved.code, 0, "{}", saved.err());
    let files = unpack(&saved.stdout);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert_eq!(manifest[0]["RepoTags"], json!([image.name]));
    let config = manifest[0]["Config"].as_str().expect("Config");
    assert_eq!(digest(&files[config]), image.id());
    for (layer, path) in image
        .layers
        .iter()
        .zip(manifest[0]["Layers"].as_array().expect("Layers"))
    {
        assert_eq!(
            digest(&files[path.as_str().expect("a path")]),
            layer.diff_id()
        );
    }
    // An OCI layout is inside too.
    let index: Value = serde_json::from_slice(&files["index.json"]).expect("JSON");
    let name = index["manifests"][0]["digest"]
        .as_str()
        .expect("a digest")
        .replace(':', "/");
    assert!(
        files.contains_key(&format!("blobs/{name}")),
        "{:?}",
        files.keys()
    );
    cli.ok(&["rmi", &image.name]);
    d.load(&saved.stdout);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.Id}}", &image.name]),
        image.id()
    );
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            &image.name,
            "sh",
            "-c",
            "[ /note -ef /again ] && stat -c %y /again"
        ]),
        "2017-07-14 02:40:00.500000000 +0000"
    );
    cli.ok(&["rmi", &image.name]);
});

both!(save_of_several_to_a_file, |d, cli| {
    let (one, two) = (d.name("one"), d.name("two"));
    cli.ok(&["tag", IMAGE, &one]);
    cli.ok(&["tag", IMAGE, &format!("{two}:v2")]);
    let path = d.folder().join("saved.tar").display().to_string();
    cli.ok(&["save", "-o", &path, &one, &format!("{two}:v2")]);
    cli.ok(&["rmi", &one, &format!("{two}:v2")]);
    let out = cli.ok(&["load", "-i", &path]);
    for name in [format!("{one}:latest"), format!("{two}:v2")] {
        assert!(out.contains(&format!("Loaded image: {name}")), "{out}");
        cli.ok(&["rmi", &name]);
    }
    cli.run(&["save", "-o", &path, &d.name("none")])
        .fails(1, "No such image");
});

daemon_test!(layers_are_shared_and_outlive_one_image, |d| {
    let cli = d.docker();
    let (one, two) = (
        image(d, "one", &[Entry::file("n", "1")]),
        image(d, "two", &[Entry::file("n", "2")]),
    );
    d.load(&one.docker_archive());
    d.load(&two.docker_archive());
    cli.ok(&["rmi", &one.name]);
    assert_eq!(cli.ok(&["run", "--rm", &two.name, "cat", "/n"]), "2");
    cli.ok(&["rmi", &two.name]);
});

daemon_test!(image_inspect_has_dockers_fields, |d| {
    let image = image(d, "image", &[Entry::file("note", "0123456789")]);
    d.load(&image.docker_archive());
    let one = d
        .api("GET", &format!("/v1.47/images/{}/json", image.name), "")
        .json();
    assert_eq!(one["Id"], image.id());
    assert_eq!(one["RepoTags"], json!([image.name]));
    assert_eq!(
        one["RootFS"],
        json!({"Type": "layers", "Layers": image.layers.iter().map(Layer::diff_id).collect::<Vec<_>>()})
    );
    assert_eq!(
        (&one["Os"], &one["Author"], &one["Created"]),
        (
            &json!("linux"),
            &json!("the tests"),
            &json!("2024-05-06T07:08:09.123456789Z")
        )
    );
    assert_eq!(one["Config"]["Labels"], json!({"a": "b"}));
    assert_eq!(one["GraphDriver"]["Name"], "overlay2");
    for key in ["LowerDir", "UpperDir", "MergedDir", "WorkDir"] {
        assert!(
            one["GraphDriver"]["Data"][key].is_string(),
            "{key}: {}",
            one["GraphDriver"]
        );
    }
    assert!(one["Size"].as_u64().is_some_and(|size| size > 1_000_000));
    assert!(one["Metadata"]["LastTagTime"].is_string());
    d.docker().ok(&["rmi", &image.name]);
});

both!(history, |d, cli| {
    let image = image(d, "image", &[Entry::file("note", "0123456789")]);
    d.load(&image.docker_archive());
    let out = cli.ok(&[
        "history",
        "--format",
        "{{.CreatedBy}}|{{.Size}}",
        &image.name,
    ]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "step 1|10B");
    assert!(lines[1].starts_with("step 0|"), "{out}");
    let out = cli.ok(&["history", "-q", &image.name]);
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [&image.id()[7..19], "<missing>"]
    );
    assert!(cli.ok(&["history", &image.name]).starts_with("IMAGE "));
    cli.ok(&["rmi", &image.name]);
});

fn unpack(tar: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let mut files = std::collections::BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("read");
        files.insert(entry.path().expect("a path").display().to_string(), content);
    }
    files
}

daemon_test!(an_image_may_bring_its_own_defaults, |d| {
    let cli = d.docker();
    let config = json!({"Entrypoint": ["echo", "entry"], "Cmd": ["cmd"], "Env": ["X=1"], "WorkingDir": "/etc", "User": "user", "Labels": {"l": "1"}, "StopSignal": "SIGINT", "Volumes": {"/data": {}}});
    let image = Image::new(
        &format!("{}:latest", d.name("image")),
        vec![busybox_layer()],
        config,
    );
    d.load(&image.docker_archive());
    assert_eq!(cli.ok(&["run", "--rm", &image.name]), "entry cmd");
    assert_eq!(
        cli.ok(&["run", "--rm", &image.name, "other"]),
        "entry other"
    );
    let out = cli.ok(&[
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        &image.name,
        "-c",
        "pwd; id -un; echo $X; grep -c ' /data ' /proc/mounts",
    ]);
    assert_eq!(out, "/etc\nuser\n1\n1");
    cli.ok(&["rmi", &image.name]);
});

daemon_test!(an_empty_archive_is_an_error, |d| {
    let answer = d
        .connect()
        .request(
            "POST",
            "/images/load",
            &[("Content-Type", "application/x-tar")],
            &Archive::default().finish(),
        )
        .expect("an answer");
    assert!(
        answer.status >= 400 || answer.text().contains("errorDetail"),
        "{} {}",
        answer.status,
        answer.text()
    );
});
