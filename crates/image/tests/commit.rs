//! A container's changes as an image.

mod archives;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use archives::*;
use image::{CommitOptions, ImageId, Kind, RemoveOptions, Store};
use oci::{ContainerConfig, ContainerId};

fn base(store: &Store) -> ImageId {
    let archive = docker_archive("base:1", &[layer(&[("a", "one"), ("d/x", "two")])]);
    store.load(&archive[..], &[], &mut |_| {}).unwrap();
    store.resolve("base:1").unwrap().id
}

/// A container that added a file, replaced another and removed a third.
fn changed(store: &Store, base: &ImageId) -> ContainerId {
    let container = ContainerId::random();
    let upper = store.prepare(&container, Some(base)).unwrap().upper;
    fs::write(upper.join("new"), "new").unwrap();
    fs::set_permissions(upper.join("new"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(upper.join("a"), "another").unwrap();
    fs::create_dir(upper.join("d")).unwrap();
    let whiteout = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, upper.join("d/x"), whiteout, 0.into(), 0).unwrap();
    let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    for name in ["new", "a", "d"] {
        let file = fs::File::open(upper.join(name)).unwrap();
        file.set_times(times).unwrap();
    }
    container
}

fn options(base: &ImageId, name: &str) -> CommitOptions {
    CommitOptions {
        base: Some(base.clone()),
        config: ContainerConfig {
            cmd: Some(vec!["/new".to_owned()]),
            ..ContainerConfig::default()
        },
        author: "me".to_owned(),
        comment: "why".to_owned(),
        created_by: "sh".to_owned(),
        reference: Some(name.parse().unwrap()),
    }
}

#[test]
fn a_commit_is_an_image_on_top_of_its_base() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let base = base(&store);
    let container = changed(&store, &base);
    let id = store
        .commit_container(&container, options(&base, "made"))
        .unwrap();
    let image = store.resolve("made:latest").unwrap();
    assert_eq!((&image.id, &image.parent), (&id, &Some(base.clone())));
    assert_eq!(
        image.config.config.cmd.as_deref(),
        Some(&["/new".to_owned()][..])
    );
    assert_eq!(image.config.rootfs.diff_ids.len(), 2);
    let history = store.history("made").unwrap();
    assert_eq!(
        (&*history[0].comment, &*history[0].created_by),
        ("why", "sh")
    );
    assert_eq!(history[0].size, 10);
    // A container of it sees the change: the base's file is hidden, the new one is there.
    let second = ContainerId::random();
    let top = store
        .prepare(&second, Some(&id))
        .unwrap()
        .lower_dirs
        .remove(0);
    assert_eq!(fs::read_to_string(top.join("new")).unwrap(), "new");
    let mode = fs::metadata(top.join("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o4755);
    // The base has a child now.
    let refused = store.remove("base:1", RemoveOptions::default(), &|_| Vec::new());
    assert!(refused.is_ok(), "only the name goes");
    assert!(store.image(&base).is_ok());
}

#[test]
fn the_same_changes_give_the_same_layer() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let base = base(&store);
    let layer = |name| {
        let container = changed(&store, &base);
        store
            .commit_container(&container, options(&base, name))
            .unwrap();
        store
            .resolve(name)
            .unwrap()
            .config
            .rootfs
            .diff_ids
            .remove(1)
    };
    assert_eq!(layer("one"), layer("two"));
    let other = scratch();
    let other = Store::open(other.path()).unwrap();
    let mut archive = Vec::new();
    store.save(&["one"], &mut archive).unwrap();
    other.load(&archive[..], &[], &mut |_| {}).unwrap();
    let mut again = Vec::new();
    other.save(&["one"], &mut again).unwrap();
    assert_eq!(archive, again);
}

#[test]
fn no_changes_are_no_layer() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let base = base(&store);
    let container = ContainerId::random();
    store.prepare(&container, Some(&base)).unwrap();
    store
        .commit_container(&container, options(&base, "made"))
        .unwrap();
    let image = store.resolve("made").unwrap();
    assert_eq!(image.config.rootfs.diff_ids.len(), 1);
    assert!(image.config.history.last().unwrap().empty_layer);
}

#[test]
fn a_base_that_is_gone_is_an_error() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let base = base(&store);
    let container = changed(&store, &base);
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    store.remove("base:1", force, &|_| Vec::new()).unwrap();
    let error = store
        .commit_container(&container, options(&base, "made"))
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}
