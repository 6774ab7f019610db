use std::io::Write;

use oci::{Descriptor, Digest, media_type};

use super::*;
use crate::tar::{Entry, EntryKind, Writer};

fn tar(text: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let entry = Entry::new(EntryKind::Regular, "a", 0o644);
    writer.file(entry, text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct Blob {
    bytes: Vec<u8>,
    descriptor: Descriptor,
    diff_id: Digest,
}

fn blob_of(tar: &[u8], bytes: Vec<u8>) -> Blob {
    Blob {
        descriptor: Descriptor::of(media_type::OCI_LAYER_GZIP, &bytes),
        diff_id: Digest::sha256(tar),
        bytes,
    }
}

fn blob() -> Blob {
    let tar = tar(&"some text ".repeat(100_000));
    blob_of(&tar, gzip(&tar))
}

fn config(layers: &[&Digest]) -> Vec<u8> {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": layers},
    });
    serde_json::to_vec(&config).unwrap()
}

fn fetch(pull: &Pull, blob: &Blob) -> Box<Ingest> {
    match pull.layer(&blob.descriptor, &blob.diff_id).unwrap() {
        Ingested::Fetch(ingest) => ingest,
        Ingested::Present => panic!("the layer is there"),
        Ingested::Busy(_) => panic!("someone is at it"),
    }
}

fn is_present(store: &Store, blob: &Blob) -> bool {
    let asked = store.pull().layer(&blob.descriptor, &blob.diff_id);
    matches!(asked.unwrap(), Ingested::Present)
}

fn fetched(store: &Store, blob: &Blob) -> Result<()> {
    let mut ingest = fetch(&store.pull(), blob);
    for chunk in blob.bytes.chunks(1000) {
        ingest.write(chunk)?;
    }
    ingest.finish()
}

fn folder_is_empty(store: &Store) -> bool {
    names(&store.inner.ingests.home).unwrap().is_empty()
}

#[test]
fn every_compression_becomes_a_layer_and_then_an_image() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let plain = tar("plain");
    let zstd = tar("zstd");
    let blobs = [
        blob(),
        blob_of(&zstd, zstd::encode_all(&zstd[..], 3).unwrap()),
        blob_of(&plain, plain.clone()),
    ];
    let pull = store.pull();
    // In any order, and at once.
    let mut ingests: Vec<_> = blobs.iter().rev().map(|b| (b, fetch(&pull, b))).collect();
    for (blob, ingest) in &mut ingests {
        ingest.write(&blob.bytes[..50]).unwrap();
    }
    for (blob, mut ingest) in ingests {
        ingest.write(&blob.bytes[50..]).unwrap();
        ingest.finish().unwrap();
    }
    let config = config(&blobs.iter().map(|b| &b.diff_id).collect::<Vec<_>>());
    let names = [
        "a:1",
        "a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    let image = PulledImage {
        config: config.clone(),
        manifest: Some((
            Descriptor::of(media_type::OCI_MANIFEST, b"m"),
            b"m".to_vec(),
        )),
        index: Some((Descriptor::of(media_type::OCI_INDEX, b"i"), b"i".to_vec())),
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
    };
    let pulled = pull.finish(image.clone()).unwrap();
    assert_eq!(pulled.id, Digest::sha256(&config));
    assert_eq!(pulled.moved, ["a:1".parse().unwrap()]);
    assert!(folder_is_empty(&store));
    // The same again moves nothing.
    assert!(store.pull().finish(image).unwrap().moved.is_empty());
    let seen = store.variants("a:1").unwrap().remove(0);
    assert_eq!((seen.tags.len(), seen.digests.len()), (1, 1));
    assert_eq!(
        store
            .document(&seen.index.unwrap().digest)
            .unwrap()
            .unwrap(),
        b"i"
    );
    let mut back = Vec::new();
    store.write_layer_tar(&blobs[2].diff_id, &mut back).unwrap();
    assert_eq!(back, plain);
}

#[test]
fn what_arrived_is_kept_and_the_next_attempt_goes_on_there() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    let mut ingest = fetch(&store.pull(), &blob);
    ingest.write(&blob.bytes[..700]).unwrap();
    ingest.suspend();
    drop(store);
    // As after a restart of the daemon.
    let store = Store::open(root.path()).unwrap();
    let mut ingest = fetch(&store.pull(), &blob);
    assert_eq!(ingest.have(), 700);
    ingest.write(&blob.bytes[700..]).unwrap();
    ingest.finish().unwrap();
    assert!(is_present(&store, &blob));
}

#[test]
fn a_complete_layer_waits_for_its_image_over_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    fetched(&store, &blob).unwrap();
    drop(store);
    let store = Store::open(root.path()).unwrap();
    assert!(is_present(&store, &blob));
}

#[test]
fn two_pulls_of_one_layer_share_the_work() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    let mut first = fetch(&store.pull(), &blob);
    let asked = store.pull().layer(&blob.descriptor, &blob.diff_id).unwrap();
    let Ingested::Busy(busy) = asked else {
        panic!("the second one does not wait")
    };
    let waiter = thread::spawn(move || busy.wait());
    first.write(&blob.bytes).unwrap();
    first.finish().unwrap();
    waiter.join().unwrap();
    assert!(is_present(&store, &blob));
}

#[test]
fn lies_are_found_and_nothing_of_them_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let good = blob();
    let refused = |blob: &Blob| {
        let error = fetched(&store, blob).unwrap_err();
        assert!(folder_is_empty(&store), "{error}");
        error
    };
    let mut other = blob();
    other.descriptor.digest = Digest::sha256(b"x");
    assert!(matches!(
        refused(&other),
        Error::Mismatch { resumed: false, .. }
    ));
    let mut other = blob();
    other.diff_id = Digest::sha256(b"x");
    assert!(matches!(
        refused(&other),
        Error::Mismatch { resumed: false, .. }
    ));
    let mut longer = blob();
    longer.bytes.push(0);
    assert!(matches!(refused(&longer), Error::Mismatch { .. }));
    let garbage = blob_of(b"x", vec![0x55; 100_000]);
    assert!(matches!(refused(&garbage), Error::Archive { .. }));
    assert!(!is_present(&store, &good));
    assert!(names(&root.path().join("tmp")).unwrap().is_empty());
}

#[test]
fn a_blob_that_ends_early_is_an_error_and_can_be_gone_on_with() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    let mut ingest = fetch(&store.pull(), &blob);
    ingest.write(&blob.bytes[..10]).unwrap();
    assert!(ingest.finish().is_err());
    assert_eq!(fetch(&store.pull(), &blob).have(), 10);
}

#[test]
fn rubbish_in_a_partial_blob_is_told_apart_from_a_lie() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    let mut ingest = fetch(&store.pull(), &blob);
    ingest.write(&[0; 500]).unwrap();
    ingest.suspend();
    let mut ingest = fetch(&store.pull(), &blob);
    let error = ingest
        .write(&blob.bytes[500..])
        .and_then(|()| ingest.finish())
        .unwrap_err();
    assert!(
        matches!(error, Error::Mismatch { resumed: true, .. }),
        "{error:?}"
    );
    fetched(&store, &blob).unwrap();
}

#[test]
fn where_registries_have_a_layer_is_remembered_with_the_layer() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let blob = blob();
    let pull = store.pull();
    fetched(&store, &blob).unwrap();
    for repository in ["r/a", "r/b", "r/a"] {
        store
            .remember_blob(&blob.diff_id, &blob.descriptor, repository)
            .unwrap();
    }
    let known = |store: &Store| {
        store
            .layer_sources(std::slice::from_ref(&blob.diff_id))
            .unwrap()[0]
            .known
            .clone()
    };
    assert_eq!(known(&store)[0].repositories, ["r/b", "r/a"]);
    assert_eq!(known(&store)[0].descriptor, blob.descriptor);
    store
        .forget_blob(&blob.diff_id, &blob.descriptor.digest, "r/a")
        .unwrap();
    assert_eq!(known(&store)[0].repositories, ["r/b"]);
    let mut packed = Vec::new();
    let made = store
        .write_layer_gzip(&blob.diff_id, media_type::OCI_LAYER_GZIP, &mut packed)
        .unwrap();
    assert!(made.digest.matches(&packed));
    drop(pull);
}
