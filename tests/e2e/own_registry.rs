//! `tare registry`: our own registry, as a process.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::{IMAGE, OwnRegistry, binary, both, digest};

/// Bytes that look like nothing, always the same.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

both!(an_image_goes_there_and_comes_back, |d, cli| {
    // The real Docker of the oracle does not see what listens on our loopback.
    if tests::oracle().is_some() {
        return;
    }
    let root = tempfile::tempdir().expect("a root");
    let registry = OwnRegistry::serve(root.path(), &["--delete"]);
    let name = format!("{}/team/{}:1", registry.address(), d.name("image"));
    cli.ok(&["tag", IMAGE, &name]);
    cli.ok(&["push", &name]);
    let id = cli.ok(&["inspect", "-f", "{{.Id}}", &name]);
    cli.ok(&["rmi", "-f", &name]);
    cli.ok(&["pull", &name]);
    assert_eq!(cli.ok(&["inspect", "-f", "{{.Id}}", &name]), id);
    let again = cli.ok(&["push", &name]);
    assert!(again.contains("Layer already exists"), "{again}");
    let page = registry.ask("GET", "/", &[], b"").text();
    assert!(page.contains(&d.name("image")), "{page}");
});

fn tare(args: &[&str]) -> (bool, String) {
    let output = Command::new(binary("tare"))
        .arg("registry")
        .args(args)
        .output();
    let output = output.expect("run tare registry");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn words_that_mean_nothing_are_named() {
    for (args, part) in [
        (&["serve"][..], "--root"),
        (&["serve", "--root", "/x", "--storage", "s3"], "--storage"),
        (
            &["serve", "--root", "/x", "--addr", "0.0.0.0:0"],
            "--plain-http",
        ),
        (&["serve", "--root", "/x", "--auth", "ldap"], "ldap"),
        (&["collect"], "collect"),
        (&["gc", "--root", "/no/such/root"], "/no/such/root"),
    ] {
        let (ok, text) = tare(args);
        assert!(!ok && text.contains(part), "{args:?}: {text}");
    }
    assert!(tare(&["serve", "--help"]).1.contains("--upstream"));
}

#[test]
fn garbage_is_collected_while_it_is_served_and_after() {
    let root = tempfile::tempdir().expect("a root");
    let path = root.path().to_str().expect("a path");
    let registry = OwnRegistry::serve(root.path(), &["--gc-grace", "0s", "--gc-interval", "off"]);
    let push = |bytes: &[u8]| {
        let target = format!("/v2/a/blobs/uploads/?digest={}", digest(bytes));
        assert_eq!(registry.ask("POST", &target, &[], bytes).status, 201);
    };
    push(b"one");
    let (ok, text) = tare(&["gc", "--root", path]);
    assert!(ok && text.contains(" 1 blobs (3 bytes)"), "{text}");
    let (ok, text) = tare(&["gc", "--root", path, "--gc-grace", "0s"]);
    assert!(!ok && text.contains("rules of its own"), "{text}");
    push(b"two");
    registry.kill();
    let (ok, text) = tare(&["gc", "--root", path, "--gc-grace", "0s"]);
    assert!(ok && text.contains(" 1 blobs (3 bytes)"), "{text}");
}

#[test]
fn a_hangup_reads_who_may_come_in_again() {
    let root = tempfile::tempdir().expect("make a folder");
    let file = root.path().join("htpasswd");
    let write = |user: &str| {
        std::fs::write(&file, crate::transfer::HTPASSWD.replace("joe", user)).expect("write");
    };
    write("joe");
    let path = file.to_str().expect("UTF-8").to_owned();
    let registry = OwnRegistry::serve(&root.path().join("root"), &["--htpasswd", &path]);
    // NAME:PASSWORD in base64.
    const JOE: &str = "Basic am9lOnNlY3JldA==";
    const ANN: &str = "Basic YW5uOnNlY3JldA==";
    let status = |who: &str| {
        let headers = [("authorization", who)];
        registry.ask("GET", "/v2/", &headers, b"").status
    };
    assert_eq!((status(JOE), status(ANN)), (200, 401));
    write("ann");
    registry.hang_up();
    // Nothing tells when it has been heard but that it has been.
    while status(ANN) != 200 {}
    assert_eq!(status(JOE), 401);
}

/// Served or not, a check says what is wrong and with whom, and its exit code says whether.
#[test]
fn a_check_finds_what_the_disk_has_lost() {
    let root = tempfile::tempdir().expect("make a folder");
    let registry = OwnRegistry::serve(root.path(), &[]);
    let image = Image::new(5);
    image.push(&registry);
    let folder = root.path().to_str().expect("UTF-8").to_owned();
    let check = ["check", "--root", &folder];
    let repair = ["check", "--repair", "--root", &folder];
    let (is_fine, told) = tare(&check);
    assert!(is_fine && told.contains(" 0 damaged"), "{told}");
    let digest = tests::digest(&image.layer);
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    let blob = root.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::write(&blob, b"lost").expect("spoil a blob");
    let (is_fine, told) = tare(&check);
    assert!(
        !is_fine && told.contains(&digest) && told.contains("1 damaged"),
        "{told}"
    );
    registry.kill();
    let (is_fine, told) = tare(&repair);
    assert!(is_fine && told.contains("; dropped"), "{told}");
    let (is_fine, told) = tare(&check);
    assert!(is_fine && told.contains(" 0 damaged"), "{told}");
}

/// Killed at any moment of a push: what is visible is whole, what had come of an upload is there to go on with.
#[test]
fn a_killed_registry_shows_nothing_half_made() {
    let root = tempfile::tempdir().expect("a root");
    for round in 0..30_u64 {
        let registry = OwnRegistry::serve(root.path(), &["--gc-interval", "off"]);
        check_all(&registry);
        // A whole image now and then, so that there is something to lose.
        let image = Image::new(round);
        image.push(&registry);
        let drawn = noise(2, 77 + round);
        let moment = (usize::from(drawn[0]) << 8 | usize::from(drawn[1])) % 1_000;
        let killed = push_until_killed(registry, round, moment);
        let again = OwnRegistry::serve(root.path(), &["--gc-interval", "off"]);
        check_all(&again);
        killed.go_on(&again);
        again.kill();
    }
    let path = root.path().to_str().expect("a path");
    let (ok, text) = tare(&[
        "gc",
        "--root",
        path,
        "--gc-grace",
        "0s",
        "--upload-grace",
        "0s",
    ]);
    assert!(ok, "{text}");
    check_all(&OwnRegistry::serve(root.path(), &[]));
    assert_eq!(files(&root.path().join("uploads")), 0);
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

struct Image {
    config: Vec<u8>,
    layer: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    fn new(seed: u64) -> Image {
        let config = format!("{{\"seed\":{seed}}}").into_bytes();
        let layer = noise(300_000, seed);
        let part = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": part("config.v1+json", &config), "layers": [part("layer.v1.tar", &layer)],
        });
        Image {
            config,
            layer,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    fn push(&self, registry: &OwnRegistry) {
        for blob in [&self.config, &self.layer] {
            let path = format!("/v2/a/blobs/uploads/?digest={}", digest(blob));
            assert_eq!(registry.ask("POST", &path, &[], blob).status, 201);
        }
        let tag = &digest(&self.manifest)[7..20];
        let answer = registry.ask(
            "PUT",
            &format!("/v2/a/manifests/{tag}"),
            &[],
            &self.manifest,
        );
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

/// An upload that a kill broke off.
struct BrokenOff {
    location: String,
    layer: Vec<u8>,
    acknowledged: usize,
}

/// Kills the registry `moment` thousandths of the way through sending a layer in four chunks, its end, and a manifest,
/// without reading the last answer.
fn push_until_killed(registry: OwnRegistry, round: u64, moment: usize) -> BrokenOff {
    let layer = noise(400_000, 1_000 + round);
    let begun = registry.ask("POST", "/v2/b/blobs/uploads/", &[], b"");
    let location = begun.header("location").expect("a location").to_owned();
    let mut broken = BrokenOff {
        location: location.clone(),
        layer: layer.clone(),
        acknowledged: 0,
    };
    let stop = layer.len() * moment / 900;
    for (index, chunk) in layer.chunks(100_000).enumerate() {
        let sent = index * 100_000;
        let mut connection = registry.connect();
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            chunk.len()
        );
        connection.write(head.as_bytes()).expect("send");
        if stop < sent + chunk.len() {
            connection.write(&chunk[..stop - sent]).expect("send");
            registry.kill();
            return broken;
        }
        connection.write(chunk).expect("send");
        assert_eq!(connection.head().expect("a head").status, 202);
        broken.acknowledged += chunk.len();
    }
    // All of it is there; its end is sent, and not waited for.
    let mut connection = registry.connect();
    let head = format!(
        "PUT {location}?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        digest(&layer)
    );
    connection.write(head.as_bytes()).expect("send");
    registry.kill();
    broken
}

impl BrokenOff {
    fn go_on(&self, registry: &OwnRegistry) {
        let whole = digest(&self.layer);
        let status = registry.ask("GET", &self.location, &[], b"");
        if status.status == 404 {
            // It had come to its end.
            let blob = registry.ask("GET", &format!("/v2/b/blobs/{whole}"), &[], b"");
            // Between the rename and the row the push must begin anew; nothing is shown of it.
            assert!(blob.status == 200 && blob.body == self.layer || blob.status == 404);
            return;
        }
        let range = status.header("range").expect("a range");
        let last: usize = range
            .strip_prefix("0-")
            .and_then(|n| n.parse().ok())
            .expect("a number");
        let have = if last == 0 { 0 } else { last + 1 };
        assert!(
            have >= self.acknowledged,
            "{have} of {} acknowledged bytes",
            self.acknowledged
        );
        let path = format!("{}?digest={whole}", self.location);
        let ended = registry.ask("PUT", &path, &[], &self.layer[have..]);
        assert_eq!(ended.status, 201, "{}", ended.text());
    }
}

/// Every tag leads to a manifest, all of whose parts are there and right.
fn check_all(registry: &OwnRegistry) {
    let get = |path: &str| {
        let answer = registry.ask("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    };
    let catalog: Value = serde_json::from_slice(&get("/v2/_catalog")).expect("JSON");
    for name in catalog["repositories"].as_array().expect("names") {
        let name = name.as_str().expect("a name");
        let tags: Value =
            serde_json::from_slice(&get(&format!("/v2/{name}/tags/list"))).expect("JSON");
        for tag in tags["tags"].as_array().expect("tags") {
            let bytes = get(&format!(
                "/v2/{name}/manifests/{}",
                tag.as_str().expect("a tag")
            ));
            let manifest: Value = serde_json::from_slice(&bytes).expect("JSON");
            let layers = manifest["layers"].as_array().expect("layers");
            for part in layers.iter().chain([&manifest["config"]]) {
                let wanted = part["digest"].as_str().expect("a digest");
                assert_eq!(digest(&get(&format!("/v2/{name}/blobs/{wanted}"))), wanted);
            }
        }
    }
}
