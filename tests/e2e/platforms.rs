//! One name, an image for each of several platforms.

use serde_json::{Value, json};
use tests::{Archive, Cli, Daemon, Entry, OwnRegistry, digest, own_test};

/// This machine's, and one that it surely is not.
fn platforms() -> [String; 2] {
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    [format!("linux/{own}"), "linux/s390x".to_owned()]
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Pushes an image for each platform and an index over them under `team/all:1`; gives the index's digest.
fn publish(cli: &Cli, registry: &OwnRegistry) -> String {
    let mut entries = Vec::new();
    for (number, platform) in platforms().iter().enumerate() {
        let name = format!("{}/team/all:{number}", registry.address());
        let tar = Archive::new(&[Entry::file("for", platform.as_bytes())]).finish();
        let args = [
            "import",
            "--platform",
            platform,
            "-c",
            "CMD [\"x\"]",
            "-",
            &name,
        ];
        cli.command(&args).input(tar).run().ok();
        cli.ok(&["push", "-q", &name]);
        cli.ok(&["rmi", &name]);
        let path = format!("/v2/team/all/manifests/{number}");
        let bytes = registry
            .ask("GET", &path, &[("Accept", MANIFEST)], b"")
            .body;
        let architecture = platform.split('/').nth(1);
        entries.push(json!({
            "mediaType": MANIFEST, "digest": digest(&bytes), "size": bytes.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
    put(
        registry,
        "/v2/team/all/manifests/1",
        INDEX,
        index.as_bytes(),
    );
    digest(index.as_bytes())
}

fn put(registry: &OwnRegistry, path: &str, kind: &str, bytes: &[u8]) {
    let answer = registry.ask("PUT", path, &[("Content-Type", kind)], bytes);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// What a tag stands for at a registry.
fn at(registry: &OwnRegistry, path: &str) -> (String, Value) {
    let path = format!("/v2/{path}");
    let accept =
        format!("{INDEX}, {MANIFEST}, application/vnd.docker.distribution.manifest.list.v2+json");
    let answer = registry.ask("GET", &path, &[("Accept", &accept)], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    (digest(&answer.body), answer.json())
}

fn id_of(cli: &Cli, name: &str, platform: Option<&str>) -> String {
    let mut args = vec![
        "image",
        "inspect",
        "-f",
        "{{.Id}} {{.Os}}/{{.Architecture}}",
    ];
    args.extend(
        platform
            .iter()
            .flat_map(|platform| ["--platform", *platform]),
    );
    args.push(name);
    let told = cli.ok(&args);
    let (id, of) = told.split_once(' ').expect("an id and a platform");
    assert!(platform.is_none_or(|wanted| wanted == of), "{told}");
    id.to_owned()
}

fn registry(d: &Daemon, folder: &str) -> OwnRegistry {
    OwnRegistry::serve(&d.folder().join(folder), &[])
}

own_test!(platforms_of_one_index_live_under_one_name, |d| {
    let cli = d.tare();
    let first = registry(d, "first");
    let index = publish(&cli, &first);
    let name = format!("{}/team/all:1", first.address());
    let [own, other] = platforms();
    cli.ok(&["pull", "-q", "--platform", &other, &name]);
    let others = id_of(&cli, &name, None);
    cli.run(&["image", "inspect", "--platform", &own, &name])
        .exits(1);
    cli.ok(&["pull", "-q", &name]);
    let mine = id_of(&cli, &name, None);
    assert_eq!(id_of(&cli, &name, Some(&own)), mine);
    assert_eq!(id_of(&cli, &name, Some(&other)), others);
    assert_ne!(mine, others);
    // One row of the list, with its platforms below.
    assert_eq!(cli.ok(&["images", "-q", "--no-trunc", &name]), mine);
    let tree = cli.ok(&["images", "--tree"]);
    assert_eq!(tree.matches(&name).count(), 1, "{tree}");
    for platform in [&own, &other] {
        assert!(tree.contains(&format!("─ {platform} ")), "{tree}");
    }
    let again = cli.ok(&["pull", "--platform", &other, &name]);
    assert!(again.contains("Image is up to date"), "{again}");

    for (platform, id) in [(&own, &mine), (&other, &others)] {
        let container = cli.ok(&["create", "--pull", "never", "--platform", platform, &name]);
        assert_eq!(cli.ok(&["inspect", "-f", "{{.Image}}", &container]), *id);
        let saved = cli.run(&["save", "--platform", platform, &name]);
        saved.exits(0);
        let hex = id.strip_prefix("sha256:").expect("a digest");
        let text = String::from_utf8_lossy(&saved.stdout).into_owned();
        assert!(text.contains(hex), "{platform}");
        cli.ok(&["rm", &container]);
    }

    // All of them are saved under the name, and come back.
    let archive = d.folder().join("all.tar").display().to_string();
    let saved = || {
        cli.ok(&["save", "-o", &archive, &name]);
        std::fs::read(&archive).expect("read the archive")
    };
    let bytes = saved();
    cli.ok(&["rmi", "-f", &mine, &others]);
    let told = cli.ok(&["load", "-i", &archive]);
    assert_eq!(told.matches("Loaded image").count(), 1, "{told}");
    assert_eq!(id_of(&cli, &name, Some(&own)), mine);
    assert_eq!(id_of(&cli, &name, Some(&other)), others);
    assert!(saved() == bytes, "the same images give the same bytes");
    cli.ok(&["rmi", "--platform", &other, &name]);
    assert_eq!(id_of(&cli, &name, None), mine);
    cli.run(&["image", "inspect", &others]).exits(1);
    for platform in [&own, &other] {
        cli.ok(&["pull", "-q", "--platform", platform, &name]);
    }

    // Elsewhere in the same registry everything is mounted, so the index stays what it is.
    let copy = format!("{}/copy:1", first.address());
    cli.ok(&["tag", &name, &copy]);
    let pushed = cli.ok(&["push", &copy]);
    assert!(pushed.contains(&format!("1: digest: {index} ")), "{pushed}");
    assert_eq!(at(&first, "copy/manifests/1").0, index);
    cli.ok(&["push", "-q", "--platform", &other, &copy]);
    let (_, alone) = at(&first, "copy/manifests/1");
    assert_eq!(alone["config"]["digest"], others);

    // Another registry gets an index over layers that are packed anew.
    let second = registry(d, "second");
    let copy = format!("{}/copy:1", second.address());
    cli.ok(&["tag", &name, &copy]);
    cli.ok(&["push", "-q", "-a", &format!("{}/copy", second.address())]);
    let (_, there) = at(&second, "copy/manifests/1");
    assert_eq!(
        there["manifests"].as_array().map(Vec::len),
        Some(2),
        "{there}"
    );

    // A name goes with all its images.
    for name in cli
        .ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .lines()
    {
        if name.contains("/team/") || name.contains("/copy") {
            cli.run(&["rmi", name]);
        }
    }
    cli.run(&["image", "inspect", &mine]).exits(1);
    cli.run(&["image", "inspect", &others]).exits(1);
    cli.ok(&["pull", "-q", "--platform", &other, &copy]);
    assert_eq!(id_of(&cli, &copy, Some(&other)), others);
    let checked = d.api("POST", "/system/check", "").json();
    assert_eq!(checked["Problems"], json!([]));
});

own_test!(
    a_platform_that_is_missing_is_named_as_it_was_asked_for,
    |d| {
        let cli = d.tare();
        let registry = registry(d, "registry");
        publish(&cli, &registry);
        let name = format!("{}/team/all:1", registry.address());
        for wanted in [
            "linux/arm64",
            "linux/arm64/v7",
            "linux/arm64/v8",
            "linux/arm",
            "windows/arm64",
        ] {
            cli.run(&["pull", "--platform", wanted, &name]).fails(
                1,
                &format!("no matching manifest for {wanted} in the manifest list entries"),
            );
        }
    }
);

own_test!(an_image_without_the_rest_of_its_index_says_so, |d| {
    let there = registry(d, "registry");
    publish(&d.tare(), &there);
    let [own, other] = platforms();
    let whole = format!("{}/team/all:1", there.address());
    for (cli, copy) in [(d.docker(), "docker:1"), (d.tare(), "tare:1")] {
        cli.ok(&["pull", "-q", &whole]);
        let copy = format!("{}/{copy}", there.address());
        cli.ok(&["tag", &whole, &copy]);
        let told = cli.ok(&["push", &copy]);
        assert!(
            told.contains("Not all multiplatform-content is present and only the available single-platform image was pushed"),
            "{told}"
        );
        let quiet = cli.ok(&["push", "-q", "--platform", &own, &copy]);
        assert!(!quiet.contains("Not all"), "{quiet}");
        cli.ok(&["rmi", &copy, &whole]);
    }
    // What is not of an index, or of one with all its platforms here, needs no word.
    let tare = d.tare();
    let alone = format!("{}/team/all:0", there.address());
    tare.ok(&["pull", "-q", &alone]);
    let told = tare.ok(&["push", &alone]);
    assert!(!told.contains("Not all"), "{told}");
    tare.ok(&["pull", "-q", &whole]);
    tare.ok(&["pull", "-q", "--platform", &other, &whole]);
    let told = tare.ok(&["push", &whole]);
    assert!(!told.contains("Not all"), "{told}");
});

own_test!(an_index_goes_only_whole, |d| {
    let cli = d.tare();
    let there = registry(d, "registry");
    publish(&cli, &there);
    let (_, mut index) = at(&there, "team/all/manifests/1");
    // A third platform, which stays away.
    let mut third = index["manifests"][0].clone();
    third["platform"]["architecture"] = "riscv64".into();
    let (digest, _) = at(&there, "team/all/manifests/0");
    assert_eq!(third["digest"], digest);
    let config = json!({"architecture": "riscv64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        .to_string();
    let blob = tests::digest(config.as_bytes());
    let target = format!("/v2/team/all/blobs/uploads/?digest={blob}");
    assert_eq!(
        there.ask("POST", &target, &[], config.as_bytes()).status,
        201
    );
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": blob, "size": config.len()}})
    .to_string();
    put(
        &there,
        "/v2/team/all/manifests/third",
        MANIFEST,
        manifest.as_bytes(),
    );
    third["digest"] = tests::digest(manifest.as_bytes()).into();
    third["size"] = manifest.len().into();
    index["manifests"]
        .as_array_mut()
        .expect("a list")
        .push(third);
    put(
        &there,
        "/v2/team/all/manifests/1",
        INDEX,
        index.to_string().as_bytes(),
    );

    let name = format!("{}/team/all:1", there.address());
    let copy = format!("{}/copy:1", there.address());
    for platform in platforms() {
        cli.ok(&["pull", "-q", "--platform", &platform, &name]);
    }
    cli.ok(&["tag", &name, &copy]);
    let run = cli.run(&["push", &copy]);
    run.fails(1, "linux/riscv64 is missing");
    cli.ok(&["push", "-q", "--platform", &platforms()[1], &copy]);
    cli.ok(&["pull", "-q", "--platform", "linux/riscv64", &name]);
    cli.ok(&["tag", &name, &copy]);
    cli.ok(&["push", "-q", &copy]);
    assert_eq!(at(&there, "copy/manifests/1").1, index);
});
