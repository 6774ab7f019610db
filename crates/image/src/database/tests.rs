use oci::{ImageConfig, RootFs};
use proptest::prelude::*;

use super::*;
use crate::store::NewImage;
use crate::{ImageId, PruneQuery, RemoveOptions, Store};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// An image without layers, told from others by its number.
fn image(number: usize, parent: Option<ImageId>, names: &[&str]) -> NewImage {
    let config = ImageConfig {
        os: "linux".to_owned(),
        author: Some(number.to_string()),
        rootfs: RootFs::default(),
        ..ImageConfig::default()
    };
    NewImage {
        config: config.to_bytes(),
        manifest: None,
        index: None,
        parent,
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

fn put(store: &Store, image: NewImage) -> ImageId {
    store.commit(&[image], [].into()).unwrap().0.remove(0)
}

#[track_caller]
fn is_in_order(store: &Store) {
    let report = store.check(false, &|_| Vec::new()).unwrap();
    assert_eq!(report.problems, []);
}

const NAMES: [&str; 5] = ["a:1", "a:2", "b:1", "reg:5000/a:1", "c:1"];

#[derive(Clone, Debug)]
enum Op {
    Put {
        image: usize,
        parent: Option<usize>,
        names: Vec<&'static str>,
        document: u8,
    },
    Tag(usize, &'static str),
    Remove(&'static str, bool),
    RemoveId(usize, bool),
    Prune(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = || proptest::sample::select(&NAMES[..]);
    let put = (
        0..4usize,
        proptest::option::of(0..4usize),
        proptest::collection::vec(name(), 0..3),
        0..3u8,
    );
    let put = put.prop_map(|(image, parent, names, document)| Op::Put {
        image,
        parent,
        names,
        document,
    });
    let op = prop_oneof![
        3 => put,
        2 => (0..4usize, name()).prop_map(|(image, name)| Op::Tag(image, name)),
        2 => (name(), any::<bool>()).prop_map(|(name, force)| Op::Remove(name, force)),
        1 => (0..4usize, any::<bool>()).prop_map(|(image, force)| Op::RemoveId(image, force)),
        1 => any::<bool>().prop_map(Op::Prune),
    ];
    proptest::collection::vec(op, 1..12)
}

fn apply(store: &Store, op: Op) {
    let unused = |_: &ImageId| Vec::new();
    let id = |number: usize| oci::Digest::sha256(&image(number, None, &[]).config);
    let options = |force| RemoveOptions {
        force,
        no_prune: false,
    };
    // What is refused is refused: the store must be in order in any case.
    match op {
        Op::Put {
            image: number,
            parent,
            names,
            document,
        } => {
            let parent = parent.filter(|parent| *parent < number).map(id);
            let bytes = vec![document];
            let manifest = oci::Descriptor::of("x", &bytes);
            let new = NewImage {
                manifest: Some((manifest, bytes)),
                ..image(number, parent, &names)
            };
            put(store, new);
        }
        Op::Tag(image, name) => drop(store.tag(id(image).as_str(), &name.parse().unwrap())),
        Op::Remove(name, force) => drop(store.remove(name, options(force), &unused)),
        Op::RemoveId(image, force) => {
            drop(store.remove(id(image).as_str(), options(force), &unused));
        }
        Op::Prune(dangling_only) => {
            let query = PruneQuery {
                dangling_only,
                ..PruneQuery::default()
            };
            store.prune(&query, &unused).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_indexes_and_documents_are_right(ops in ops()) {
        let root = scratch();
        let store = Store::open(root.path()).unwrap();
        for op in ops {
            apply(&store, op);
            is_in_order(&store);
        }
    }
}

#[test]
fn a_store_of_the_first_version_is_indexed_when_it_is_opened() {
    let root = scratch();
    let store = Store::open(root.path()).unwrap();
    let parent = put(&store, image(1, None, &["a:1"]));
    let child = put(&store, image(2, Some(parent.clone()), &["b:1"]));
    drop(store);
    let path = root.path().join("image/store.redb");
    let redb = redb::Database::open(&path).unwrap();
    let write = redb.begin_write().unwrap();
    for index in ["names-of", "children"] {
        let table: TableDefinition<'_, &str, ()> = TableDefinition::new(index);
        assert!(write.delete_table(table).unwrap());
    }
    let uses: TableDefinition<'_, &str, u64> = TableDefinition::new("document-uses");
    assert!(write.delete_table(uses).unwrap());
    write
        .open_table(META)
        .unwrap()
        .insert("version", 1)
        .unwrap();
    write.commit().unwrap();
    drop(redb);
    let store = Store::open(root.path()).unwrap();
    is_in_order(&store);
    assert_eq!(store.image(&child).unwrap().tags.len(), 1);
    let gone = store.remove("a:1", RemoveOptions::default(), &|_| Vec::new());
    assert_eq!(gone.unwrap().len(), 1, "its child keeps the image");
    assert!(store.image(&parent).is_ok());
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let root = scratch();
    drop(Store::open(root.path()).unwrap());
    let path = root.path().join("image/store.redb");
    let redb = redb::Database::open(&path).unwrap();
    let write = redb.begin_write().unwrap();
    write
        .open_table(META)
        .unwrap()
        .insert("version", 99)
        .unwrap();
    write.commit().unwrap();
    drop(redb);
    for _ in 0..2 {
        let error = Store::open(root.path()).err().unwrap().to_string();
        assert!(error.contains("has format 99"), "{error}");
    }
}

/// Removing the names of one image took a search through all names for each, and a write for each.
#[test]
fn an_image_with_thousands_of_names_is_listed_saved_and_removed() {
    let root = scratch();
    let store = Store::open(root.path()).unwrap();
    let names: Vec<String> = (0..6000).map(|number| format!("many:{number}")).collect();
    let mut new = image(1, None, &[]);
    new.names = names.iter().map(|name| name.parse().unwrap()).collect();
    put(&store, new);
    store.tag("many:7", &"more:1".parse().unwrap()).unwrap();
    store.save(&["many"], std::io::sink()).unwrap();
    let unused = |_: &ImageId| Vec::new();
    for name in &names[..100] {
        let gone = store.remove(name, RemoveOptions::default(), &unused);
        assert_eq!(gone.unwrap().len(), 1);
    }
    let query = PruneQuery {
        dangling_only: false,
        ..PruneQuery::default()
    };
    let pruned = store.prune(&query, &unused).unwrap().removed;
    assert_eq!(pruned.len(), 5900 + 1 + 1, "names and the image");
    is_in_order(&store);
}

/// A small disk, mounted nowhere: it ends with the descriptor.
struct Disk(std::os::fd::OwnedFd);

impl Disk {
    fn new() -> Disk {
        let context = linux::mount::FsContext::new("tmpfs").unwrap();
        context.string("size", "6m").unwrap();
        let context = context.create().unwrap();
        Disk(context.mount(linux::mount::Attributes::default()).unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// redb answered everything after one error of the disk with "Previous I/O error" until the daemon was restarted.
#[test]
fn a_store_whose_disk_was_full_writes_again_when_there_is_room() {
    let disk = Disk::new();
    let root = disk.path();
    let store = Store::open(&root).unwrap();
    put(&store, image(1, None, &["a:1"]));
    let filler = root.join("filler");
    for round in 0..2 {
        let _ = std::fs::write(&filler, vec![1; 8 << 20]);
        let full = (0..2000).find_map(|number| {
            let name = format!("{}:{round}-{number}", "n".repeat(200));
            store.tag("a:1", &name.parse().unwrap()).err()
        });
        assert!(full.is_some(), "the disk was not full");
        assert!(store.resolve("a:1").is_ok(), "reading needs no room");
        std::fs::remove_file(&filler).unwrap();
        store.tag("a:1", &"b:1".parse().unwrap()).unwrap();
        is_in_order(&store);
    }
    let gone = store.remove("b:1", RemoveOptions::default(), &|_| Vec::new());
    assert_eq!(gone.unwrap().len(), 1);
}

/// A removal writes before it frees.
#[test]
fn images_go_from_a_disk_without_any_room() {
    let disk = Disk::new();
    let store = Store::open(&disk.path()).unwrap();
    put(&store, image(1, None, &["a:1"]));
    let _ = std::fs::write(disk.path().join("filler"), vec![1; 8 << 20]);
    let unused = |_: &ImageId| Vec::new();
    let gone = store.remove("a:1", RemoveOptions::default(), &unused);
    assert_eq!(gone.unwrap().len(), 2, "its name and itself");
    is_in_order(&store);
}
