//! Archives that mean harm: refused, or harmless, and nothing left behind.

use std::fs;

use serde_json::json;
use tests::{
    Archive, Compression, Daemon, Entry, Image, Layer, busybox_layer, daemon_test, digest, own_test,
};

/// Sends an archive; the status, and the body that may hold an error after a 200.
fn send(d: &Daemon, archive: &[u8]) -> (bool, String) {
    let headers = [("Content-Type", "application/x-tar")];
    match d
        .connect()
        .request("POST", "/images/load?quiet=1", &headers, archive)
    {
        Ok(answer) => (
            answer.status == 200 && !answer.text().contains("\"error\""),
            answer.text(),
        ),
        Err(error) => (false, error.to_string()),
    }
}

fn image(d: &Daemon, entries: &[Entry]) -> Image {
    Image::new(
        &format!("{}:latest", d.name("bad")),
        vec![busybox_layer(), Layer::new(entries)],
        json!({"Cmd": ["sh"]}),
    )
}

/// Asserts that the daemon still works, and that the image is not there.
fn refused(d: &Daemon, archive: &[u8], what: &str) {
    let (accepted, text) = send(d, archive);
    assert!(!accepted, "{what} was taken: {text}");
    assert_eq!(
        d.api("GET", &format!("/images/{}/json", d.name("bad")), "")
            .status,
        404,
        "{what} left an image"
    );
    assert_eq!(
        d.api("GET", "/_ping", "").status,
        200,
        "{what} ended the daemon"
    );
}

own_test!(layers_that_climb_out_are_refused, |d| {
    let mark = d.name("escaped");
    let outside = format!("/tmp/{mark}");
    let cases: &[(&str, Vec<Entry>)] = &[
        (
            "a path with ..",
            vec![Entry::file(
                &format!("../../../../../../../../../..{outside}"),
                "x",
            )],
        ),
        (
            "a link out and a file through it",
            vec![
                Entry::symlink("out", "/tmp"),
                Entry::file(&format!("out/{mark}"), "x"),
            ],
        ),
        (
            "a climbing link and a file through it",
            vec![
                Entry::symlink("up", "../../../../../../../../../../tmp"),
                Entry::file(&format!("up/{mark}"), "x"),
            ],
        ),
        (
            "a hard link to the outside",
            vec![Entry::hard_link(
                "passwd",
                "../../../../../../../../../../etc/passwd",
            )],
        ),
        ("a whiteout outside", vec![Entry::file("../../.wh.x", "")]),
        ("a whiteout of ..", vec![Entry::file("d/.wh...", "")]),
        ("a whiteout of the root", vec![Entry::file(".wh..", "")]),
    ];
    for (what, entries) in cases {
        let (accepted, _) = send(d, &image(d, entries).docker_archive());
        // Taking it is fine where the path was kept inside; the outside is never touched.
        assert!(
            fs::symlink_metadata(&outside).is_err(),
            "{what}: {outside} was written"
        );
        if accepted {
            d.docker().run(&["rmi", "-f", &d.name("bad")]);
        }
        assert_eq!(
            d.api("GET", "/_ping", "").status,
            200,
            "{what} ended the daemon"
        );
    }
    assert!(fs::read_to_string("/etc/passwd").is_ok_and(|text| text.contains("root")));
});

own_test!(wrong_and_missing_parts_are_refused, |d| {
    let good = image(d, &[Entry::file("x", "y")]);
    let config = good.document();
    let name = format!("{}.json", digest(&config).trim_start_matches("sha256:"));
    let manifest = |config: &str, layers: &[&str]| {
        json!([{"Config": config, "RepoTags": [good.name], "Layers": layers}]).to_string()
    };
    let layers = || {
        [
            Entry::file("a.tar", good.layers[0].tar.clone()),
            Entry::file("b.tar", good.layers[1].tar.clone()),
        ]
    };
    let archive = |entries: Vec<Entry>| Archive::new(&entries).finish();
    let with = |config_entry: Entry, manifest: String, layers: &[Entry]| {
        archive(
            [
                &[config_entry],
                layers,
                &[Entry::file("manifest.json", manifest)],
            ]
            .concat(),
        )
    };
    let configured = || Entry::file(&name, config.clone());

    refused(
        d,
        &with(configured(), manifest(&name, &["a.tar"]), &layers()),
        "fewer layers than diff IDs",
    );
    refused(
        d,
        &with(
            configured(),
            manifest(&name, &["a.tar", "none.tar"]),
            &layers(),
        ),
        "a missing layer",
    );
    refused(
        d,
        &with(
            configured(),
            manifest(&name, &["b.tar", "a.tar"]),
            &layers(),
        ),
        "layers in the wrong order",
    );
    refused(
        d,
        &with(
            configured(),
            manifest("none.json", &["a.tar", "b.tar"]),
            &layers(),
        ),
        "a missing configuration",
    );
    refused(
        d,
        &with(
            Entry::file(&name, "not JSON"),
            manifest(&name, &["a.tar", "b.tar"]),
            &layers(),
        ),
        "a configuration that is no JSON",
    );
    refused(
        d,
        &with(configured(), "[{".into(), &layers()),
        "a manifest that is no JSON",
    );
    refused(
        d,
        &with(
            configured(),
            manifest("../../../etc/passwd", &["a.tar", "b.tar"]),
            &layers(),
        ),
        "a configuration outside",
    );
    refused(
        d,
        &with(
            configured(),
            manifest(&name, &["a.tar", "b.tar"]),
            &[
                Entry::symlink("a.tar", "/etc/passwd"),
                Entry::file("b.tar", "x"),
            ],
        ),
        "a layer that is a link out",
    );
    refused(d, b"this is no tar at all", "text");
    refused(
        d,
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3],
        "broken gzip",
    );
});

own_test!(oci_layouts_with_wrong_digests_are_refused, |d| {
    let mut good = image(d, &[Entry::file("x", "y")]);
    good.layers[1].compression = Compression::Gzip;
    let archive = good.oci_layout();
    // Another byte in a blob, under the old name.
    let blob = Compression::Gzip.apply(&good.layers[1].tar);
    let at = archive
        .windows(blob.len())
        .position(|window| window == blob)
        .expect("the blob");
    for offset in [at + 4, at + blob.len() / 2, at + blob.len() - 6] {
        let mut bad = archive.clone();
        bad[offset] ^= 0x55;
        refused(d, &bad, "a blob with another byte");
    }
});

own_test!(truncated_archives_are_refused_and_leave_nothing, |d| {
    let good = image(d, &[Entry::file("x", vec![7; 100_000])]);
    for archive in [
        good.docker_archive(),
        good.oci_layout(),
        Compression::Gzip.apply(&good.docker_archive()),
        Compression::Zstd.apply(&good.docker_archive()),
    ] {
        for part in [1, 3, 7, 9] {
            refused(
                d,
                &archive[..archive.len() * part / 10],
                "a truncated archive",
            );
        }
    }
    let left: Vec<_> = fs::read_dir(d.data_root().join("tmp"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "left in tmp: {left:?}");
    // And the whole one still loads.
    d.load(&good.docker_archive());
    assert_eq!(
        d.docker()
            .ok(&["run", "--rm", &good.name, "wc", "-c", "/x"]),
        "100000 /x"
    );
});

daemon_test!(a_layer_may_not_name_another_types_parent, |d| {
    // A file where a later entry wants a folder: an error or replaced, never a crash.
    let image = image(d, &[Entry::file("f", "x"), Entry::file("f/g", "y")]);
    send(d, &image.docker_archive());
    assert_eq!(d.api("GET", "/_ping", "").status, 200);
    d.docker().run(&["rmi", "-f", &image.name]);
});

own_test!(a_bomb_in_the_manifest_is_bounded, |d| {
    let bomb = Compression::Gzip.apply(&vec![b' '; 200 << 20]);
    let archive = Archive::new(&[Entry::file("manifest.json", vec![b'['; 64 << 20])]).finish();
    refused(
        d,
        &Compression::Gzip.apply(&archive),
        "a manifest of 64 MiB",
    );
    refused(d, &bomb, "200 MiB of nothing");
});
