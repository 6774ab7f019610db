//! Names and tags: tag, rmi, images and their filters, prune.

use tests::{IMAGE, both};

both!(tag_and_untag, |d, cli| {
    let name = d.name("image");
    let id = cli.ok(&["inspect", "-f", "{{.Id}}", IMAGE]);
    cli.ok(&["tag", IMAGE, &name]);
    cli.ok(&["tag", &id[7..19], &format!("localhost:5000/{name}:v1.0")]);
    assert_eq!(cli.ok(&["images", "-q", "--no-trunc", &name]), id);
    assert_eq!(cli.ok(&["rmi", &name]), format!("Untagged: {name}:latest"));
    assert_eq!(
        cli.ok(&["rmi", &format!("localhost:5000/{name}:v1.0")]),
        format!("Untagged: localhost:5000/{name}:v1.0")
    );
    cli.run(&["rmi", &name])
        .fails(1, &format!("No such image: {name}"));
    cli.run(&["tag", &d.name("none"), &name])
        .fails(1, &format!("No such image: {}", d.name("none")));
    cli.run(&["tag", IMAGE, "UPPER"]).fails(
        1,
        "invalid reference format: repository name (library/UPPER) must be lowercase",
    );
    cli.run(&["tag", IMAGE, "a b"])
        .fails(1, "invalid reference format");
});

both!(one_in_use_stays, |d, cli| {
    let (name, image) = (d.name("a"), d.name("image"));
    let tar = tests::Archive::new(&[tests::Entry::file("x", d.name("x"))]).finish();
    let id = cli.command(&["import", "-", &image]).input(tar).run().ok();
    cli.ok(&["create", "--name", &name, &image, "true"]);
    cli.run(&["rmi", &image])
        .fails(1, "conflict: unable to remove repository reference");
    cli.run(&["rmi", &id])
        .fails(1, "conflict: unable to delete");
    assert_eq!(cli.ok(&["inspect", "-f", "{{.Id}}", &image]), id);
    cli.ok(&["rm", &name]);
    cli.ok(&["rmi", &image]);
});

both!(listing_and_its_filters, |d, cli| {
    let name = d.name("image");
    for tag in ["one", "two"] {
        cli.ok(&["tag", IMAGE, &format!("{name}:{tag}")]);
    }
    let listed = |args: &[&str]| {
        let mut lines: Vec<String> = cli
            .ok(&[&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat())
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let both = [format!("{name}:one"), format!("{name}:two")];
    assert_eq!(listed(&[&name]), both);
    assert_eq!(listed(&[&format!("{name}:two")]), both[1..]);
    assert_eq!(
        listed(&["--filter", &format!("reference={name}:o*")]),
        both[..1]
    );
    assert_eq!(
        listed(&[
            "--filter",
            "dangling=true",
            "--filter",
            &format!("reference={name}")
        ]),
        [""; 0]
    );
    let table = cli.ok(&["images", &name]);
    assert_eq!(
        table
            .lines()
            .next()
            .expect("a head")
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    );
    let digests = cli.ok(&["images", "--digests", "--format", "{{.Digest}}", &name]);
    assert_eq!(digests, "<none>\n<none>");
    cli.run(&["images", "--filter", "nonsense=1"])
        .fails(1, "invalid filter 'nonsense'");
    cli.ok(&["rmi", &both[0], &both[1]]);
});

both!(removed_by_id_with_all_its_tags_only_by_force, |d, cli| {
    let (one, two) = (d.name("one"), d.name("two"));
    let id = cli
        .command(&["import", "-", &one])
        .input(tests::Archive::new(&[tests::Entry::file("x", d.name("x"))]).finish())
        .run()
        .ok();
    cli.ok(&["tag", &one, &two]);
    cli.run(&["rmi", &id])
        .fails(1, "image is referenced in multiple repositories");
    let out = cli.ok(&["rmi", "-f", &id]);
    for line in [
        format!("Untagged: {one}:latest"),
        format!("Untagged: {two}:latest"),
        format!("Deleted: {id}"),
    ] {
        assert!(out.lines().any(|found| found == line), "{out}");
    }
});

both!(prune_takes_what_has_no_name, |d, cli| {
    let name = d.name("image");
    let make = |content: &str| {
        cli.command(&["import", "-", &name])
            .input(tests::Archive::new(&[tests::Entry::file("x", content)]).finish())
            .run()
            .ok()
    };
    let first = make(&d.name("first"));
    let second = make(&d.name("second"));
    assert_eq!(
        cli.ok(&[
            "images",
            "-q",
            "--no-trunc",
            "--filter",
            "dangling=true",
            "--filter",
            &format!("since={IMAGE}")
        ])
        .lines()
        .filter(|id| *id == first)
        .count(),
        1
    );
    // Only ours: the real Docker of an oracle may have dangling images of others.
    if tests::oracle().is_none() {
        let out = cli.ok(&["image", "prune", "-f"]);
        assert!(
            out.contains(&format!("deleted: {first}")) && out.contains("Total reclaimed space: "),
            "{out}"
        );
    } else {
        cli.ok(&["rmi", &first]);
    }
    assert_eq!(cli.ok(&["inspect", "-f", "{{.Id}}", &name]), second);
    cli.ok(&["rmi", &name]);
});
