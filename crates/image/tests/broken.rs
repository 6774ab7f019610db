//! Archives that are wrong: each is refused with a reason, and nothing of it stays.

mod archives;

use std::collections::HashSet;
use std::path::Path;

use archives::*;
use image::{ImportOptions, Kind, ListQuery, Store};
use oci::{Descriptor, Digest, Index, Manifest, Platform, media_type};
use serde_json::{Value, json};

fn open() -> (tempfile::TempDir, Store) {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn paths(root: &Path) -> HashSet<String> {
    let mut all = HashSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            all.insert(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    all
}

/// The whole chain of an error, as the daemon prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Loads, expects a refusal for which the sender is to blame, and nothing left.
fn refused(archive: &[u8], expect: &str) {
    let (dir, store) = open();
    let before = paths(dir.path());
    let error = store.load(archive, &[], &mut |_| {}).expect_err(expect);
    let text = chain(&error);
    assert!(text.contains(expect), "wanted {expect:?}, got {text:?}");
    assert_eq!(error.kind(), Kind::InvalidParameter, "{text}");
    assert_eq!(paths(dir.path()), before, "{expect}");
    assert!(store.list(&ListQuery::default()).unwrap().is_empty());
}

struct Archive {
    files: Vec<(String, Vec<u8>)>,
}

impl Archive {
    /// A sound docker-archive of one layer.
    fn docker() -> Archive {
        let layers = [layer(&[("a", "one")])];
        let index =
            json!([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]);
        Archive {
            files: vec![
                ("layer.tar".to_owned(), layers[0].clone()),
                ("config.json".to_owned(), config(&layers)),
                (
                    "manifest.json".to_owned(),
                    serde_json::to_vec(&index).unwrap(),
                ),
            ],
        }
    }

    fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Archive {
        let content = content.into();
        match self.files.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = content,
            None => self.files.push((name.to_owned(), content)),
        }
        self
    }

    fn without(mut self, name: &str) -> Archive {
        self.files.retain(|(known, _)| known != name);
        self
    }

    fn edit(self, name: &str, change: impl FnOnce(&mut Value)) -> Archive {
        let bytes = &self
            .files
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1;
        let mut value = serde_json::from_slice(bytes).unwrap();
        change(&mut value);
        self.with(name, serde_json::to_vec(&value).unwrap())
    }

    fn tar(&self) -> Vec<u8> {
        members(&self.files)
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let good = Archive::docker;
    refused(
        &good().with("layer.tar", layer(&[("a", "two")])).tar(),
        "invalid diffID for layer 0: expected \"sha256:",
    );
    refused(
        &good().without("layer.tar").tar(),
        "layer \"layer.tar\" is missing",
    );
    refused(
        &good().without("config.json").tar(),
        "\"config.json\" is missing",
    );
    refused(
        &good().without("manifest.json").tar(),
        "neither manifest.json nor index.json",
    );
    refused(
        &good().with("layer.tar", "no tar").tar(),
        "layer \"layer.tar\" is missing or is no tar",
    );
    refused(&good().with("manifest.json", "[{").tar(), "manifest.json");
    refused(&good().with("config.json", "{}x").tar(), "invalid image");
    refused(
        &good()
            .edit("manifest.json", |m| m[0]["Layers"] = json!([]))
            .tar(),
        "invalid manifest, layers length mismatch: expected 1, got 0",
    );
    refused(
        &good()
            .edit("manifest.json", |m| m[0]["RepoTags"] = json!(["X:1"]))
            .tar(),
        "invalid tag \"X:1\"",
    );
    refused(
        &good()
            .edit("manifest.json", |m| m[0]["Config"] = json!("../x"))
            .tar(),
        "leads out of it",
    );
    refused(
        &good()
            .edit("manifest.json", |m| m[0]["Layers"] = json!(["/etc/passwd"]))
            .tar(),
        "leads out of it",
    );
    refused(
        &good()
            .edit("config.json", |c| c["os"] = json!("windows"))
            .tar(),
        "cannot load windows image on linux",
    );
    refused(
        &good()
            .edit("config.json", |c| {
                c["rootfs"]["diff_ids"] = json!(["sha256:../../x"]);
            })
            .tar(),
        "invalid checksum digest",
    );
    refused(b"", "neither manifest.json nor index.json");
    refused(b"BZh91AY&SYxxxxxxxxxxxx", "bzip2: invalid data");
    refused(b"\xfd7zXZ\0xxxxxxxxxxxx", "XZ stream header");
    refused(&vec![b'x'; 2000], "invalid tar header");
}

#[test]
fn a_second_bad_image_takes_the_first_good_one_with_it() {
    let index = |layers: &str| {
        json!([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]},
               {"Config": "config.json", "RepoTags": ["y:1"], "Layers": [layers]}])
    };
    refused(
        &Archive::docker()
            .with("manifest.json", index("nosuch").to_string())
            .tar(),
        "\"nosuch\" is missing",
    );
}

#[test]
fn cut_off_anywhere_it_is_refused() {
    let archive = Archive::docker()
        .with("layer.tar", gzip(&layer(&[("a", "one")])))
        .tar();
    let end = archive.len() - 1024;
    for length in (1..end).step_by(389).chain([512, 1024, end - 512]) {
        refused(&archive[..length], "");
        let packed = gzip(&archive);
        refused(&packed[..packed.len() * length / archive.len()], "");
        let packed = zstd(&archive);
        refused(
            &packed[..(packed.len() * length / archive.len()).max(1)],
            "",
        );
    }
}

#[test]
fn a_damaged_layer_is_refused() {
    let mut packed = gzip(&layer(&[("a", "one")]));
    let middle = packed.len() / 2;
    packed[middle] ^= 0xff;
    refused(
        &Archive::docker().with("layer.tar", packed).tar(),
        "layer.tar",
    );
    let hostile = layer_of(|builder| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "a", "/etc").unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder
            .append_data(&mut header, "a/evil", &b"x"[..])
            .unwrap();
    });
    refused(
        &Archive::docker().with("layer.tar", hostile).tar(),
        "a/evil",
    );
}

fn layer_of(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    fill(&mut builder);
    builder.into_inner().unwrap()
}

/// An archive with a member that the `tar` crate would not write.
fn with_member(kind: tar::EntryType, name: &str, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_cksum();
    [&header.as_bytes()[..], &Archive::docker().tar()].concat()
}

#[test]
fn members_that_lead_out_are_refused() {
    use tar::EntryType as Kind;
    refused(
        &with_member(Kind::Regular, "../evil", ""),
        "leads out of it",
    );
    refused(
        &with_member(Kind::Regular, "/etc/evil", ""),
        "leads out of it",
    );
    refused(
        &with_member(Kind::Directory, "a/../../b", ""),
        "leads out of it",
    );
    refused(
        &with_member(Kind::Symlink, "a", "../../etc/passwd"),
        "leads out of it",
    );
    refused(
        &with_member(Kind::Symlink, "a", "/etc/passwd"),
        "leads out of it",
    );
    refused(&with_member(Kind::Link, "a", "../x"), "leads out of it");
    refused(
        &with_member(Kind::Char, "a", ""),
        "neither file, directory nor link",
    );
    refused(
        &with_member(Kind::Block, "a", ""),
        "neither file, directory nor link",
    );
}

#[test]
fn links_between_members_are_followed_but_not_in_circles() {
    let good = Archive::docker()
        .edit("manifest.json", |m| {
            m[0]["Layers"] = json!(["old/layer.tar"]);
        })
        .tar();
    let link = |name: &str, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_link(&mut header, name, target).unwrap();
        let mut bytes = builder.into_inner().unwrap();
        bytes.truncate(512);
        bytes
    };
    let (_dir, store) = open();
    let archive = [link("old/layer.tar", "../layer.tar"), good.clone()].concat();
    assert_eq!(store.load(&archive[..], &[], &mut |_| {}).unwrap().len(), 1);
    refused(
        &[
            link("old/layer.tar", "../other"),
            link("other", "old/layer.tar"),
            good,
        ]
        .concat(),
        "leads back to itself",
    );
}

/// An OCI layout with an index of these, and the blobs.
fn layout(manifests: Vec<Descriptor>, blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut files: Vec<_> = blobs.iter().map(|bytes| blob(bytes)).collect();
    files.push(("index.json".to_owned(), Index::new(manifests).to_bytes()));
    members(&files)
}

fn manifest(layer: &[u8], architecture: &str) -> (Descriptor, Vec<Vec<u8>>) {
    let mut config: Value = serde_json::from_slice(&config(&[layer.to_vec()])).unwrap();
    config["architecture"] = json!(architecture);
    let config = serde_json::to_vec(&config).unwrap();
    let layers = vec![Descriptor::of(media_type::OCI_LAYER, layer)];
    let manifest =
        Manifest::new(Descriptor::of(media_type::OCI_CONFIG, &config), layers).to_bytes();
    let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    descriptor.platform = Some(Platform::linux(architecture));
    (descriptor, vec![layer.to_vec(), config, manifest])
}

#[test]
fn an_index_gives_the_image_of_the_platform() {
    let host = Platform::host().architecture;
    let (ours, mut blobs) = manifest(&layer(&[("ours", "")]), &host);
    let (theirs, their_blobs) = manifest(&layer(&[("theirs", "")]), "s390x");
    let (mut attestation, attestation_blobs) = manifest(&layer(&[("proof", "")]), "unknown");
    attestation.annotations.insert(
        "vnd.docker.reference.type".to_owned(),
        "attestation-manifest".to_owned(),
    );
    blobs.extend(their_blobs);
    blobs.extend(attestation_blobs);
    let inner = Index::new(vec![attestation, theirs.clone(), ours.clone()]).to_bytes();
    blobs.push(inner.clone());
    let mut outer = Descriptor::of(media_type::OCI_INDEX, &inner);
    outer.annotations.insert(
        "org.opencontainers.image.ref.name".to_owned(),
        "multi:1".to_owned(),
    );
    let archive = layout(vec![outer], &blobs);
    let (_dir, store) = open();
    let loaded = store.load(&archive[..], &[], &mut |_| {}).unwrap();
    assert_eq!(loaded[0].to_string(), "Loaded image: multi:1");
    let image = store.resolve("multi:1").unwrap();
    assert_eq!(image.config.architecture, host);
    assert_eq!(image.manifest.unwrap().digest, ours.digest);
    let (_dir, store) = open();
    store
        .load(&archive[..], &[Platform::linux("s390x")], &mut |_| {})
        .unwrap();
    assert_eq!(
        store.resolve("multi:1").unwrap().config.architecture,
        "s390x"
    );
    let error = store
        .load(&archive[..], &[Platform::linux("riscv64")], &mut |_| {})
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive holds no image for linux/riscv64"
    );
}

#[test]
fn a_layout_that_lies_is_refused() {
    let (good, blobs) = manifest(&layer(&[("a", "")]), &Platform::host().architecture);
    refused(
        &layout(vec![good.clone()], &blobs[1..]),
        "is missing or is no tar",
    );
    refused(&layout(vec![good.clone()], &blobs[..2]), "is missing");
    refused(&layout(Vec::new(), &blobs), "names no image");
    let mut size = good.clone();
    size.size += 1;
    refused(&layout(vec![size], &blobs), "another digest or size");
    let mut files: Vec<_> = blobs.iter().map(|bytes| blob(bytes)).collect();
    files[0].1 = layer(&[("b", "")]);
    files.push((
        "index.json".to_owned(),
        Index::new(vec![good.clone()]).to_bytes(),
    ));
    refused(&members(&files), "another digest than its name says");
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": {}});
    refused(
        &members(&[("index.json".to_owned(), both.to_string().into_bytes())]),
        "manifest and of an index at once",
    );
    let strange = layout_of_strange_layers();
    refused(
        &strange,
        "layers of type \"application/octet-stream\" are not supported",
    );
}

fn layout_of_strange_layers() -> Vec<u8> {
    let bytes = layer(&[("a", "")]);
    let config = config(std::slice::from_ref(&bytes));
    let layers = vec![Descriptor::of("application/octet-stream", &bytes)];
    let manifest =
        Manifest::new(Descriptor::of(media_type::OCI_CONFIG, &config), layers).to_bytes();
    layout(
        vec![Descriptor::of(media_type::OCI_MANIFEST, &manifest)],
        &[bytes, config, manifest],
    )
}

#[test]
fn indexes_nested_too_deep_are_refused() {
    let (mut descriptor, mut blobs) =
        manifest(&layer(&[("a", "")]), &Platform::host().architecture);
    for _ in 0..8 {
        let index = Index::new(vec![descriptor]).to_bytes();
        descriptor = Descriptor::of(media_type::OCI_INDEX, &index);
        blobs.push(index);
    }
    refused(&layout(vec![descriptor], &blobs), "too deep");
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    // 256 MiB of zeros in a few kilobytes, as the only file of an import.
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(256 << 20);
    header.set_cksum();
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    std::io::Write::write_all(&mut encoder, header.as_bytes()).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 256 << 20),
        &mut encoder,
    )
    .unwrap();
    let bomb = encoder.finish().unwrap();
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let before = paths(dir.path());
    let error = store
        .import(&bomb[..], &ImportOptions::default())
        .unwrap_err();
    assert!(
        chain(&error).contains("grows more than"),
        "{}",
        chain(&error)
    );
    assert_eq!(paths(dir.path()), before);
}

#[test]
fn a_layer_changed_on_disk_is_not_saved() {
    let (dir, store) = open();
    store
        .load(&Archive::docker().tar()[..], &[], &mut |_| {})
        .unwrap();
    let upper = store.resolve("x:1").unwrap().graph.upper;
    std::fs::write(upper.join("a"), "two").unwrap();
    let error = store.save(&["x:1"], std::io::sink()).unwrap_err();
    assert!(
        chain(&error).contains("was changed on disk"),
        "{}",
        chain(&error)
    );
    drop(dir);
}

#[test]
fn an_unknown_name_is_not_saved() {
    let (_dir, store) = open();
    assert_eq!(
        store.save(&["nosuch"], std::io::sink()).unwrap_err().kind(),
        Kind::NotFound
    );
    let id = Digest::sha256(b"x");
    assert_eq!(
        store
            .save(&[id.as_str()], std::io::sink())
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
}
