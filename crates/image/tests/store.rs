//! The store as its users see it, on a temporary root.

mod archives;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use archives::*;
use image::{
    ChangeKind, ImportOptions, Kind, ListQuery, LoadEvent, PruneQuery, RemoveOptions, Removed,
    Store, User,
};
use oci::{ContainerId, Digest, Reference};

fn open() -> (tempfile::TempDir, Store) {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn load(store: &Store, archive: &[u8]) -> image::Result<Vec<String>> {
    let loaded = store.load(archive, &[], &mut |_| {})?;
    Ok(loaded.iter().map(ToString::to_string).collect())
}

fn save(store: &Store, names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    store.save(names, &mut out).unwrap();
    out
}

/// Everything under the data root but the database, for "nothing is left behind".
fn paths(root: &std::path::Path) -> HashSet<String> {
    let mut all = HashSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            all.insert(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    all
}

#[test]
fn what_is_loaded_is_saved_again_to_the_byte() {
    let (_dir, store) = open();
    let archive = docker_archive("x:1", &[layer(&[("a", "one")]), layer(&[("b/c", "two")])]);
    assert_eq!(load(&store, &archive).unwrap(), ["Loaded image: x:1"]);
    let first = save(&store, &["x:1"]);
    assert_eq!(save(&store, &["x"]), first);
    let (_dir, other) = open();
    assert_eq!(load(&other, &first).unwrap(), ["Loaded image: x:1"]);
    assert_eq!(save(&other, &["x:1"]), first);
    assert_eq!(
        store.resolve("x:1").unwrap().id,
        other.resolve("x:1").unwrap().id
    );
}

#[test]
fn every_compression_and_both_formats_load() {
    let layers = [layer(&[("a", "one")]), layer(&[("b", "two")])];
    let mut ids = HashSet::new();
    for inner in [plain, gzip, zstd] {
        for outer in [plain, gzip, zstd] {
            let packed: Vec<_> = layers.iter().map(|l| inner(l)).collect();
            let (_dir, store) = open();
            let docker = outer(&docker_archive_of("x:1", &layers, &packed));
            assert_eq!(load(&store, &docker).unwrap(), ["Loaded image: x:1"]);
            ids.insert(store.resolve("x:1").unwrap().id);
            let (_dir, store) = open();
            let layout = outer(&oci_layout(Some("docker.io/library/x:1"), &layers, &packed));
            assert_eq!(load(&store, &layout).unwrap(), ["Loaded image: x:1"]);
            ids.insert(store.resolve("x:1").unwrap().id);
        }
    }
    assert_eq!(ids.len(), 1, "the id hangs on the config alone");
}

#[test]
fn a_second_opener_is_refused() {
    let (dir, _store) = open();
    let error = Store::open(dir.path()).err().unwrap();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
}

#[test]
fn snapshots_stack_the_layers_and_go_without_a_trace() {
    let (dir, store) = open();
    load(
        &store,
        &docker_archive(
            "x:1",
            &[layer(&[("a", "one")]), layer(&[("a", "two"), ("b", "")])],
        ),
    )
    .unwrap();
    let image = store.resolve("x:1").unwrap();
    let before = paths(dir.path());
    let container = ContainerId::random();
    let snapshot = store.prepare(&container, Some(&image.id)).unwrap();
    assert_eq!(snapshot.lower.len(), 3);
    assert_eq!(fs::read(snapshot.lower[0].join("a")).unwrap(), b"two");
    assert_eq!(fs::read(snapshot.lower_dirs[1].join("a")).unwrap(), b"one");
    assert!(snapshot.lower[2].join("etc/hosts").exists());
    assert_eq!(
        fs::metadata(&snapshot.upper).unwrap().mode() & 0o7777,
        0o755
    );
    assert_eq!(store.snapshot(&container).unwrap(), snapshot);
    assert!(store.prepare(&container, Some(&image.id)).is_err());
    store.release(&container).unwrap();
    store.release(&container).unwrap();
    assert_eq!(paths(dir.path()), before);
    let scratch = store.prepare(&container, None).unwrap();
    assert_eq!(scratch.lower.len(), 1);
}

#[test]
fn changes_and_usage_come_from_the_writable_layer() {
    let (_dir, store) = open();
    load(
        &store,
        &docker_archive("x:1", &[layer(&[("dir/a", "one"), ("gone", "x")])]),
    )
    .unwrap();
    let image = store.resolve("x:1").unwrap();
    let container = ContainerId::random();
    let snapshot = store.prepare(&container, Some(&image.id)).unwrap();
    fs::create_dir(snapshot.upper.join("dir")).unwrap();
    fs::write(snapshot.upper.join("dir/a"), "longer").unwrap();
    fs::write(snapshot.upper.join("new"), "12345").unwrap();
    whiteout(&snapshot.upper.join("gone"));
    let lines: Vec<_> = store
        .changes(&container)
        .unwrap()
        .into_iter()
        .map(|c| (c.kind, c.path))
        .collect();
    let expect = [
        (ChangeKind::Modified, "/dir".to_owned()),
        (ChangeKind::Modified, "/dir/a".to_owned()),
        (ChangeKind::Deleted, "/gone".to_owned()),
        (ChangeKind::Added, "/new".to_owned()),
    ];
    assert_eq!(lines, expect);
    assert_eq!(store.usage(&container).unwrap(), 11);
}

#[test]
fn hello_is_built_in_once() {
    let (dir, store) = open();
    let binary = dir.path().join("binary");
    fs::write(&binary, "first").unwrap();
    let id = store.ensure_hello(&binary).unwrap();
    assert_eq!(store.ensure_hello(&binary).unwrap(), id);
    fs::write(&binary, "second").unwrap();
    let next = store.ensure_hello(&binary).unwrap();
    assert_ne!(next, id);
    assert_eq!(
        store
            .list(&ListQuery {
                all: true,
                ..ListQuery::default()
            })
            .unwrap()
            .len(),
        1
    );
    let image = store.resolve("hello").unwrap();
    assert_eq!(image.config.config.cmd.as_deref().unwrap(), ["/hello"]);
    assert_eq!(image.size, 6);
    let container = ContainerId::random();
    let snapshot = store.prepare(&container, Some(&next)).unwrap();
    assert_eq!(
        fs::metadata(snapshot.lower[0].join("hello"))
            .unwrap()
            .mode()
            & 0o777,
        0o755
    );
}

#[test]
fn a_removed_image_lives_on_below_its_containers() {
    let (dir, store) = open();
    load(&store, &docker_archive("x:1", &[layer(&[("a", "one")])])).unwrap();
    let image = store.resolve("x:1").unwrap();
    let container = ContainerId::random();
    let snapshot = store.prepare(&container, Some(&image.id)).unwrap();
    let user = User {
        container: container.clone(),
        running: false,
    };
    let users = |_: &Digest| vec![user.clone()];
    let error = store
        .remove("x:1", RemoveOptions::default(), &users)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "conflict: unable to remove repository reference \"x:1\" (must force) - container {} is using its referenced image {}",
            container.short(),
            image.id.short()
        )
    );
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    let removed = store.remove("x:1", force, &users).unwrap();
    assert_eq!(
        removed,
        [
            Removed::Untagged("x:1".to_owned(), image.id.clone()),
            Removed::Deleted(image.id.clone())
        ]
    );
    assert_eq!(fs::read(snapshot.lower[0].join("a")).unwrap(), b"one");
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.snapshot(&container).unwrap(), snapshot);
    assert_eq!(
        store.retain_snapshots(&HashSet::new()).unwrap(),
        [container]
    );
    assert!(!snapshot.lower_dirs[0].exists());
}

#[test]
fn a_crash_leaves_only_what_the_next_start_collects() {
    let (dir, store) = open();
    load(&store, &docker_archive("x:1", &[layer(&[("a", "one")])])).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let clean = paths(dir.path());
    drop(store);
    let id = ContainerId::random();
    fs::create_dir_all(dir.path().join(format!("overlay2/{id}/diff/x"))).unwrap();
    fs::create_dir_all(dir.path().join("tmp/image-abc/diff")).unwrap();
    std::os::unix::fs::symlink("../nowhere/diff", dir.path().join("overlay2/l/zz")).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(paths(dir.path()), clean);
    assert!(store.resolve("x:1").is_ok());
}

#[test]
fn two_loads_of_one_image_at_once_give_one_image() {
    let (dir, store) = open();
    let archive = docker_archive("x:1", &[layer(&[("a", "one")]), layer(&[("b", "two")])]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&store, &archive).unwrap());
        }
    });
    assert_eq!(store.list(&ListQuery::default()).unwrap().len(), 1);
    let layers = fs::read_dir(dir.path().join("overlay2")).unwrap().count();
    assert_eq!(layers, 2 + 2, "two layers, l and init");
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn import_makes_an_image_that_greets_with_its_changes() {
    let (_dir, store) = open();
    let options = ImportOptions {
        reference: Some(Reference::parse("mine").unwrap()),
        message: "from a test".to_owned(),
        changes: vec!["CMD [\"sh\"]".to_owned(), "ENV A=1".to_owned()],
        platform: None,
    };
    let id = store
        .import(&gzip(&layer(&[("bin/sh", "#!")]))[..], &options)
        .unwrap();
    let image = store.resolve("mine:latest").unwrap();
    assert_eq!(image.id, id);
    assert_eq!(image.config.config.env.as_deref().unwrap(), ["A=1"]);
    let history = store.history("mine").unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].comment.as_str(), history[0].size),
        ("from a test", 2)
    );
    assert_eq!(history[0].id.as_ref(), Some(&id));
    let bad = ImportOptions {
        changes: vec!["RUN x".to_owned()],
        ..ImportOptions::default()
    };
    assert_eq!(
        store.import(&b""[..], &bad).unwrap_err().kind(),
        Kind::InvalidParameter
    );
}

#[test]
fn names_move_and_are_found_again() {
    let (_dir, store) = open();
    load(&store, &docker_archive("x:1", &[layer(&[("a", "one")])])).unwrap();
    let first = store.resolve("x:1").unwrap().id;
    store.tag("x:1", &Reference::parse("y").unwrap()).unwrap();
    for text in [
        "y",
        "y:latest",
        first.as_str(),
        first.hex(),
        first.short(),
        &format!("sha256:{}", first.short()),
    ] {
        assert_eq!(store.resolve(text).unwrap().id, first, "{text}");
    }
    let mut replaced = Vec::new();
    let archive = docker_archive("y:latest", &[layer(&[("other", "")])]);
    store
        .load(&archive[..], &[], &mut |event| {
            if let LoadEvent::Replaced { name, old } = event {
                replaced.push((name.familiar(), old));
            }
        })
        .unwrap();
    assert_eq!(replaced, [("y:latest".to_owned(), first.clone())]);
    assert_eq!(store.resolve("x:1").unwrap().id, first);
    assert_eq!(
        store.resolve("nosuch").unwrap_err().to_string(),
        "No such image: nosuch:latest"
    );
    assert!(
        store
            .resolve("Nosuch")
            .unwrap_err()
            .to_string()
            .contains("must be lowercase")
    );
}

#[test]
fn removal_by_name_and_by_id_follow_dockers_rules() {
    let (_dir, store) = open();
    let nobody = |_: &Digest| Vec::new();
    load(&store, &docker_archive("x:1", &[layer(&[("a", "one")])])).unwrap();
    let id = store.resolve("x:1").unwrap().id;
    store.tag("x:1", &Reference::parse("y").unwrap()).unwrap();
    let error = store
        .remove(id.short(), RemoveOptions::default(), &nobody)
        .unwrap_err()
        .to_string();
    let text = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        id.short()
    );
    assert_eq!(error, text);
    let removed = store
        .remove("y", RemoveOptions::default(), &nobody)
        .unwrap();
    assert_eq!(
        removed,
        [Removed::Untagged("y:latest".to_owned(), id.clone())]
    );
    let container = ContainerId::random();
    let running = |_: &Digest| {
        vec![User {
            container: container.clone(),
            running: true,
        }]
    };
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    let error = store
        .remove(id.hex(), force, &running)
        .unwrap_err()
        .to_string();
    let text = format!(
        "conflict: unable to delete {} (cannot be forced) - image is being used by running container {}",
        id.short(),
        container.short()
    );
    assert_eq!(error, text);
    let removed = store
        .remove(id.hex(), RemoveOptions::default(), &nobody)
        .unwrap();
    assert_eq!(removed.len(), 3, "{removed:?}");
    assert!(matches!(&removed[2], Removed::DeletedLayer(_)));
}

#[test]
fn prune_takes_what_nobody_names_or_uses() {
    let (_dir, store) = open();
    load(&store, &docker_archive("x:1", &[layer(&[("a", "one")])])).unwrap();
    let old = store.resolve("x:1").unwrap().id;
    load(&store, &docker_archive("x:1", &[layer(&[("a", "two")])])).unwrap();
    let nobody = |_: &Digest| Vec::new();
    let user = |id: &Digest| {
        if *id == old {
            vec![User {
                container: ContainerId::random(),
                running: false,
            }]
        } else {
            Vec::new()
        }
    };
    assert!(
        store
            .prune(&PruneQuery::default(), &user)
            .unwrap()
            .removed
            .is_empty()
    );
    let pruned = store.prune(&PruneQuery::default(), &nobody).unwrap();
    assert_eq!(pruned.reclaimed, 3);
    assert!(pruned.removed.contains(&Removed::Deleted(old.clone())));
    let all = PruneQuery {
        dangling_only: false,
        ..PruneQuery::default()
    };
    assert_eq!(store.prune(&all, &nobody).unwrap().reclaimed, 3);
    assert!(store.list(&ListQuery::default()).unwrap().is_empty());
}

#[test]
fn a_chain_of_128_layers_fits_a_page_of_mount_options() {
    let (_dir, store) = open();
    let layers: Vec<_> = (0..128)
        .map(|n| layer(&[(&format!("f{n}"), "x")]))
        .collect();
    load(&store, &docker_archive("deep:1", &layers)).unwrap();
    let image = store.resolve("deep:1").unwrap();
    let snapshot = store
        .prepare(&ContainerId::random(), Some(&image.id))
        .unwrap();
    assert_eq!(snapshot.lower.len(), 129);
    let links: usize = snapshot
        .lower
        .iter()
        .map(|path| "l/:".len() + path.file_name().unwrap().len())
        .sum();
    assert!(links < 1024, "{links}");
}

#[test]
fn images_and_their_sizes_are_listed() {
    let (_dir, store) = open();
    let shared = layer(&[("shared", "12345")]);
    load(
        &store,
        &docker_archive("x:1", &[shared.clone(), layer(&[("a", "1")])]),
    )
    .unwrap();
    load(
        &store,
        &docker_archive("y:2", &[shared, layer(&[("b", "12")])]),
    )
    .unwrap();
    let usage = store.disk_usage().unwrap();
    assert_eq!((usage.images, usage.layers_size), (2, 8));
    assert!(usage.shared.values().all(|shared| *shared == 5));
    let names = |query: &ListQuery| -> Vec<String> {
        store
            .list(query)
            .unwrap()
            .iter()
            .flat_map(|i| i.tags.iter().map(ToString::to_string))
            .collect()
    };
    let by = |pattern: &str| ListQuery {
        references: vec![pattern.to_owned()],
        ..ListQuery::default()
    };
    assert_eq!(names(&by("x")), ["x:1"]);
    assert_eq!(names(&by("?:2")), ["y:2"]);
    assert_eq!(names(&by("nosuch*")), [""; 0]);
    let before = ListQuery {
        before: vec!["x:1".to_owned()],
        ..ListQuery::default()
    };
    assert!(names(&before).is_empty());
}

#[test]
fn the_input_may_come_in_any_pieces() {
    struct Drops<'a>(&'a [u8]);
    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(7);
            self.0.read(&mut buffer[..most])
        }
    }
    let (_dir, store) = open();
    let archive = docker_archive("x:1", &[layer(&[("a", "one")])]);
    assert_eq!(
        store.load(Drops(&archive), &[], &mut |_| {}).unwrap().len(),
        1
    );
}
