//! `--platform`: how it is read, and what is said where it does not fit.

use tests::{IMAGE, daemon_test, own_test};

daemon_test!(platforms_are_read_as_docker_reads_them, |d| {
    let cli = d.docker();
    let wrong = [
        (
            "bogus",
            "\"bogus\": unknown operating system or architecture: invalid argument",
        ),
        (
            "linux/amd64/v1/x",
            "\"linux/amd64/v1/x\": cannot parse platform specifier: invalid argument",
        ),
        ("linux/", "\"\" is an invalid component of \"linux/\""),
        ("*", "\"*\": wildcards not yet supported"),
    ];
    let archive = d.folder().join("x.tar").display().to_string();
    for (platform, words) in wrong {
        let commands: [&[&str]; 6] = [
            &["pull", "--platform", platform, IMAGE],
            &["create", "--platform", platform, IMAGE, "true"],
            &["save", "--platform", platform, "-o", &archive, IMAGE],
            &["image", "inspect", "--platform", platform, IMAGE],
            &["history", "--platform", platform, IMAGE],
            &["rmi", "--platform", platform, IMAGE],
        ];
        for command in commands {
            cli.run(command).fails(1, words);
        }
    }
    // Other names for this machine's.
    let own = match std::env::consts::ARCH {
        "x86_64" => "Linux/x86-64",
        other => other,
    };
    let container = cli.ok(&[
        "create",
        "--pull",
        "never",
        "--platform",
        own,
        IMAGE,
        "true",
    ]);
    cli.ok(&["rm", &container]);
    cli.ok(&["history", "--platform", own, IMAGE]);
    let words = "does not match the specified platform (linux/s390x)";
    let misfits: [&[&str]; 4] = [
        &[
            "create",
            "--pull",
            "never",
            "--platform",
            "s390x",
            IMAGE,
            "true",
        ],
        &["image", "inspect", "--platform", "s390x", IMAGE],
        &["history", "--platform", "s390x", IMAGE],
        &["rmi", "--platform", "s390x", IMAGE],
    ];
    for command in misfits {
        cli.run(command).fails(1, words);
    }
    let other = d.name("other");
    cli.ok(&["tag", IMAGE, &other]);
    let gone = cli.ok(&["rmi", "--platform", own, &other]);
    assert!(
        gone.contains(&format!("Untagged: {other}:latest")),
        "{gone}"
    );
});

own_test!(our_client_reads_platforms_in_the_same_way, |d| {
    let cli = d.tare();
    let words = "unknown operating system or architecture: invalid argument";
    let archive = d.folder().join("x.tar").display().to_string();
    for (command, code) in [
        (&["pull", "--platform", "bogus", IMAGE][..], 1),
        (&["create", "--platform", "bogus", IMAGE], 1),
        (&["run", "--platform", "bogus", IMAGE], 125),
        (&["save", "--platform", "bogus", "-o", &archive, IMAGE], 1),
        (&["image", "inspect", "--platform", "bogus", IMAGE], 1),
        (&["history", "--platform", "bogus", IMAGE], 1),
        (&["rmi", "--platform", "bogus", IMAGE], 1),
    ] {
        cli.run(command).fails(code, words);
    }
    let put = |query: &str| d.api("POST", &format!("/images/{query}"), "");
    let refused = put("load?platform=bogus");
    assert_eq!(refused.status, 400, "{}", refused.text());
    let refused = put("load?platform=%7B%22os%22:%22linux%22%7D");
    assert!(refused.text().contains("both OS and Architecture"));
});

daemon_test!(names_that_read_like_digests_are_refused, |d| {
    let cli = d.docker();
    let tar = tests::Archive::new(&[tests::Entry::file("a", b"a")]).finish();
    let words = "refusing to create an ambiguous tag using digest algorithm as name";
    let import = |name: &str| cli.command(&["import", "-", name]).input(tar.clone()).run();
    import("sha256:abc").fails(1, words);
    import(&format!("sha256:{}", "1".repeat(64))).fails(1, words);
    import(&format!("abc@sha256:{}", "1".repeat(64))).fails(1, "cannot import digest reference");
    cli.run(&["tag", IMAGE, "sha256:abc"]).fails(1, words);
});

daemon_test!(images_knows_no_filter_for_labels_that_are_missing, |d| {
    let cli = d.docker();
    cli.run(&["images", "-f", "label!=x"])
        .fails(1, "invalid filter 'label!'");
});

daemon_test!(an_empty_name_is_nothing, |d| {
    for cli in [d.docker(), d.tare()] {
        for (command, words) in [
            (
                &["inspect", ""][..],
                "invalid container name or ID: value is empty",
            ),
            (
                &["container", "inspect", ""],
                "invalid container name or ID: value is empty",
            ),
            (&["image", "inspect", ""], "No such image: "),
            (
                &["volume", "inspect", ""],
                "invalid volume name or ID: value is empty",
            ),
            (
                &["network", "inspect", ""],
                "invalid network name or ID: value is empty",
            ),
        ] {
            cli.run(command).fails(1, words);
        }
    }
});
