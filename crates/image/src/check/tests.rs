use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::tar::{Entry, EntryKind, Writer};
use crate::{ImportOptions, ListQuery};

fn store() -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let mut writer = Writer::new(Vec::new());
    let entry = |kind, path: &str, mode| Entry::new(kind, path, mode);
    writer
        .entry(
            &entry(EntryKind::Directory, "d/", 0o755),
            &mut std::io::empty(),
        )
        .unwrap();
    writer
        .file(entry(EntryKind::Regular, "d/a", 0o644), b"text")
        .unwrap();
    writer
        .file(entry(EntryKind::Regular, "d/.wh.x", 0o644), b"")
        .unwrap();
    // The same twice: the later one wins.
    writer
        .file(entry(EntryKind::Regular, "d/a", 0o600), b"other")
        .unwrap();
    let mut link = entry(EntryKind::Symlink, "l", 0o777);
    link.link = b"d".to_vec();
    writer.entry(&link, &mut std::io::empty()).unwrap();
    writer
        .file(entry(EntryKind::Regular, "l/b", 0o644), b"through a link")
        .unwrap();
    let options = ImportOptions {
        reference: Some("x:1".parse().unwrap()),
        ..ImportOptions::default()
    };
    store
        .import(&writer.finish().unwrap()[..], &options)
        .unwrap();
    (root, store)
}

fn check(store: &Store, repair: bool) -> Vec<Problem> {
    store.check(repair, &|_| Vec::new()).unwrap().problems
}

fn repairs(store: &Store, repair: bool) -> Vec<Repair> {
    store.check(repair, &|_| Vec::new()).unwrap().repairs
}

fn kinds(problems: &[Problem]) -> Vec<ProblemKind> {
    problems.iter().map(|problem| problem.kind).collect()
}

fn diff(store: &Store) -> std::path::PathBuf {
    store.resolve("x:1").unwrap().graph.upper
}

#[test]
fn a_store_in_order_has_no_problems() {
    let (_root, store) = store();
    let report = store.check(false, &|_| Vec::new()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.images, report.layers), (1, 1));
    assert!(report.bytes > 0);
}

#[test]
fn every_damage_to_a_layer_is_found() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 6] = [
        ("was changed", |d| {
            fs::write(d.join("d/a"), "OTHER").unwrap();
        }),
        ("No such file", |d| {
            fs::remove_file(d.join("d/b")).unwrap();
        }),
        ("another mode", |d| {
            fs::set_permissions(d.join("d/a"), fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("another owner", |d| {
            std::os::unix::fs::chown(d.join("d"), Some(1), None).unwrap();
        }),
        ("is not of this layer", |d| {
            fs::write(d.join("d/more"), "").unwrap();
        }),
        ("\"l\" has another type", |d| {
            fs::remove_file(d.join("l")).unwrap();
            fs::create_dir(d.join("l")).unwrap();
            fs::hard_link(d.join("d/b"), d.join("l/b")).unwrap();
        }),
    ];
    for (words, harm) in harms {
        let (_root, store) = store();
        harm(&diff(&store));
        let problems = check(&store, false);
        assert_eq!(
            kinds(&problems),
            [ProblemKind::DamagedLayer],
            "{problems:?}"
        );
        assert!(problems[0].detail.contains(words), "{problems:?}");
        // Mended is: gone, so that it can be pulled again. What is to go is told before.
        let planned = repairs(&store, false);
        let told = |done| {
            let names = vec!["x:1".to_owned()];
            vec![Repair {
                action: "remove image",
                subject: store.resolve("x:1").unwrap().id.to_string(),
                names,
                done,
                obstacle: None,
            }]
        };
        assert_eq!(planned, told(false));
        let told = told(true);
        let report = store.check(true, &|_| Vec::new()).unwrap();
        assert!(report.problems.iter().all(|p| p.repaired), "{report:?}");
        assert_eq!(report.repairs, told);
        assert_eq!(check(&store, false), []);
        assert!(store.list(&ListQuery::default()).unwrap().is_empty());
    }
}

#[test]
fn a_damaged_image_that_a_container_needs_stays() {
    let (_root, store) = store();
    fs::write(diff(&store).join("d/a"), "OTHER").unwrap();
    let user = || User {
        container: oci::ContainerId::random(),
        running: false,
    };
    for repair in [false, true] {
        let report = store.check(repair, &|_| vec![user()]).unwrap();
        assert!(!report.problems[0].repaired, "{report:?}");
        let [told] = &report.repairs[..] else {
            panic!("{report:?}");
        };
        let obstacle = told.obstacle.as_deref().unwrap_or_default();
        assert!(
            !told.done && obstacle.contains("was made from it"),
            "{told:?}"
        );
    }
    assert!(store.resolve("x:1").is_ok());
}

#[test]
fn what_nobody_owns_is_found_and_goes() {
    let (root, store) = store();
    let overlay = root.path().join("overlay2");
    fs::create_dir_all(overlay.join("0".repeat(64)).join("diff")).unwrap();
    std::os::unix::fs::symlink("../nothing", overlay.join("l/zzz")).unwrap();
    fs::create_dir(root.path().join("tmp/image-left")).unwrap();
    let layer = &store.read().unwrap().layers().unwrap()[0].1;
    fs::remove_file(overlay.join("l").join(&layer.link)).unwrap();
    store
        .inner
        .database
        .write(|tables| {
            tables.put_document(&Digest::sha256(b"x"), b"x")?;
            tables.put_name(&"gone:1".parse().unwrap(), &[Digest::sha256(b"gone")], None)?;
            tables.put_counters(&crate::database::Counters::default())
        })
        .unwrap();
    let found = check(&store, false);
    use ProblemKind::*;
    let expected = [
        MissingLink,
        DanglingName,
        StrayDocument,
        Stray,
        Stray,
        Stray,
        WrongCounter,
    ];
    assert_eq!(kinds(&found), expected, "{found:?}");
    let planned: Vec<_> = repairs(&store, false).iter().map(|r| r.action).collect();
    let done = repairs(&store, true);
    assert!(done.iter().all(|repair| repair.done), "{done:?}");
    let done: Vec<_> = done.iter().map(|r| r.action).collect();
    assert_eq!(planned, done, "what is told is what is done");
    assert_eq!(check(&store, false), []);
    assert!(store.resolve("x:1").is_ok());
}

#[test]
fn missing_documents_and_layers_are_found() {
    let (_root, store) = store();
    let id = store.resolve("x:1").unwrap().id;
    let layers = store.read().unwrap().layers().unwrap();
    let damage = |tables: &mut crate::database::Writer| {
        tables.remove_document(&id)?;
        tables.remove_layer(&layers[0].0)
    };
    store.inner.database.write(damage).unwrap();
    let found = check(&store, false);
    use ProblemKind::*;
    // The layer's directory has no owner any more.
    assert_eq!(
        kinds(&found),
        [DamagedDocument, MissingLayer, Stray, Stray],
        "{found:?}"
    );
    assert!(check(&store, true).iter().all(|problem| problem.repaired));
    assert_eq!(check(&store, false), []);
}

/// What was damaged was taken for good: pulling or loading the image again brought nothing.
#[test]
fn a_damaged_layer_is_brought_again_by_a_load() {
    let (root, store) = store();
    let mut archive = Vec::new();
    store.save(&["x:1"], &mut archive).unwrap();
    let container = oci::ContainerId::random();
    let id = store.resolve("x:1").unwrap().id;
    store.prepare(&container, Some(&id)).unwrap();
    let damaged = diff(&store);
    fs::write(damaged.join("d/a"), "OTHER").unwrap();
    assert_eq!(kinds(&check(&store, false)), [ProblemKind::DamagedLayer]);
    store.load(&archive[..], &[], &mut |_| {}).unwrap();
    assert_eq!(check(&store, false), []);
    // The container may be running: what it has mounted stays until it is gone.
    assert!(damaged.exists());
    assert_ne!(diff(&store), damaged);
    let now = store.snapshot(&container).unwrap().lower_dirs;
    assert!(now.contains(&diff(&store)), "{now:?}");
    drop(store);
    let store = Store::open(root.path()).unwrap();
    assert!(damaged.exists());
    store.release(&container).unwrap();
    drop(store);
    let store = Store::open(root.path()).unwrap();
    assert!(!damaged.exists());
    assert_eq!(check(&store, false), []);
    // With nobody in the way it goes at once; and who sees the damage need not be the check.
    let damaged = diff(&store);
    fs::write(damaged.join("d/a"), "OTHER").unwrap();
    store.save(&["x:1"], std::io::sink()).unwrap_err();
    store.load(&archive[..], &[], &mut |_| {}).unwrap();
    assert!(!damaged.exists());
    assert_eq!(check(&store, false), []);
}

#[test]
fn a_layer_that_is_as_it_was_is_no_longer_damaged() {
    let (_root, store) = store();
    let file = diff(&store).join("d/b");
    let text = fs::read(diff(&store).join("d/b")).unwrap();
    let layer = store.read().unwrap().layers().unwrap()[0].0.clone();
    fs::write(&file, "THROUGH A LINK").unwrap();
    check(&store, false);
    assert!(!store.has_layer(&layer).unwrap());
    fs::write(&file, text).unwrap();
    assert_eq!(check(&store, false), []);
    assert!(store.has_layer(&layer).unwrap());
}

/// Its absolute path is longer than open(2) takes, and the check called the image damaged.
#[test]
fn a_layer_with_a_path_as_long_as_may_be_is_good() {
    let (_root, store) = store();
    let mut writer = Writer::new(Vec::new());
    let a = format!("{}/", "a".repeat(200));
    let deep = format!("{}x", a.repeat(20));
    let mut link = Entry::new(EntryKind::Symlink, "l", 0o777);
    link.link = a.repeat(15).into_bytes();
    writer
        .file(Entry::new(EntryKind::Regular, deep, 0o644), b"deep")
        .unwrap();
    writer.entry(&link, &mut std::io::empty()).unwrap();
    let deeper = format!("l/{}y", a.replace('a', "b").repeat(20));
    writer
        .file(Entry::new(EntryKind::Regular, deeper, 0o644), b"deeper")
        .unwrap();
    let options = ImportOptions {
        reference: Some("x:1".parse().unwrap()),
        ..ImportOptions::default()
    };
    store
        .import(&writer.finish().unwrap()[..], &options)
        .unwrap();
    assert_eq!(check(&store, false), []);
    let mut at = crate::layers::open_directory(&diff(&store)).unwrap();
    for _ in 0..20 {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
        at = rustix::fs::openat(&at, "a".repeat(200), flags, rustix::fs::Mode::empty()).unwrap();
    }
    let made = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::openat(&at, "z", made, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(kinds(&check(&store, false)), [ProblemKind::DamagedLayer]);
    store
        .remove("x:1", crate::RemoveOptions::default(), &|_| Vec::new())
        .unwrap();
}
