//! Disks that lose what was written, and people who change it.

use std::fs;
use std::path::{Path, PathBuf};

use http::Method;
use oci::{Descriptor, Digest, Index, media_type};
use registry::server::{Repair, check};

use crate::home::Home;
use crate::{noise, push_blob, push_image, put_manifest};

fn file(home: &Home, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    home.root().join("blobs/sha256").join(&hex[..2]).join(hex)
}

/// Changes one byte in the middle.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

async fn checked(home: &Home, repair: Repair) -> (String, bool) {
    let root = home.root().to_owned();
    tokio::task::spawn_blocking(move || check(&root, repair).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn altered_bytes_are_not_served_and_can_be_pushed_again() {
    let home = Home::open().await;
    let bytes = noise(100_000, 7);
    let digest = push_blob(&home, "a", &bytes).await;
    let path = format!("/v2/a/blobs/{digest}");
    spoil(&file(&home, &digest));
    home.get(&path).await.refused(404, "BLOB_UNKNOWN");
    home.head(&path).await.expect(404);
    let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    home.ask(Method::POST, &mount, &[], b"").await.expect(202);
    push_blob(&home, "a", &bytes).await;
    assert!(home.get(&path).await.expect(200).body == bytes);
    let (report, is_fine) = checked(&home, Repair::No).await;
    assert!(is_fine, "{report}");
}

/// Who pushes without asking first gets it mended as well.
#[tokio::test]
async fn a_push_over_altered_bytes_mends_them() {
    let home = Home::open().await;
    let bytes = noise(10_000, 8);
    let digest = push_blob(&home, "a", &bytes).await;
    spoil(&file(&home, &digest));
    push_blob(&home, "b", &bytes).await;
    for name in ["a", "b"] {
        let path = format!("/v2/{name}/blobs/{digest}");
        assert!(home.get(&path).await.expect(200).body == bytes);
    }
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_served() {
    let mut home = Home::open().await;
    let bytes = noise(10_000, 9);
    let digest = push_blob(&home, "a", &bytes).await;
    let path = format!("/v2/a/blobs/{digest}");
    let file = file(&home, &digest);
    // As a backup would put it back.
    fs::remove_file(&file).unwrap();
    fs::write(&file, &bytes).unwrap();
    assert!(home.get(&path).await.expect(200).body == bytes);
    home.again(|_| {}).await;
    assert!(home.get(&path).await.expect(200).body == bytes);
}

#[tokio::test]
async fn a_check_says_what_is_damaged_and_whose_it_is() {
    let mut home = Home::open().await;
    let (manifest, digest) = push_image(&home, "team/app", "1", 3).await;
    push_image(&home, "team/app", "other", 4).await;
    let entry = Descriptor::new(
        media_type::OCI_MANIFEST,
        digest,
        manifest.to_bytes().len() as u64,
    );
    let index = Index::new(vec![entry]).to_bytes();
    put_manifest(&home, "team/app", "all", media_type::OCI_INDEX, &index)
        .await
        .expect(201);
    let (report, is_fine) = checked(&home, Repair::No).await;
    assert!(is_fine && report.ends_with("0 damaged"), "{report}");

    let (layer, config) = (&manifest.layers[0].digest, &manifest.config.digest);
    spoil(&file(&home, layer));
    fs::remove_file(file(&home, config)).unwrap();
    let told = |report: &str| {
        assert!(
            report.contains(&format!("{layer} has other bytes")),
            "{report}"
        );
        assert!(report.contains(&format!("{config} is missing")), "{report}");
        assert!(report.contains("in team/app: 1, all\n"), "{report}");
        assert!(report.contains("2 damaged"), "{report}");
    };
    let (report, is_fine) = checked(&home, Repair::No).await;
    assert!(!is_fine);
    told(&report);
    // Without a server too.
    home.stop().await;
    let (report, is_fine) = checked(&home, Repair::Drop).await;
    assert!(is_fine);
    told(&report);
    assert!(!file(&home, layer).exists());
    let (report, _) = checked(&home, Repair::No).await;
    assert!(report.ends_with("0 damaged"), "{report}");

    home.again(|_| {}).await;
    home.get("/v2/team/app/manifests/1").await.expect(200);
    let path = format!("/v2/team/app/blobs/{layer}");
    home.get(&path).await.refused(404, "BLOB_UNKNOWN");
    push_image(&home, "team/app", "1", 3).await;
    home.get(&path).await.expect(200);
}
