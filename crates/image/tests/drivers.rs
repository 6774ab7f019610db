//! What every snapshot driver has to do. Each test runs with each driver.

mod archives;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use archives::*;
use image::{ChangeKind, CommitOptions, DriverKind, ImageId, Snapshot, Store};
use oci::ContainerId;

/// Runs `check` once for each driver, on a store with an image of three layers in which one hides parts of another.
fn each(check: impl Fn(&Store, &ImageId)) {
    for driver in DriverKind::ALL {
        eprintln!("driver {}", driver.name());
        let dir = scratch();
        let store = Store::open_with(dir.path(), driver).unwrap();
        let layers = [
            layer(&[
                ("a", "low"),
                ("d/x", "x"),
                ("d/y", "y"),
                ("o/old", "old"),
                ("f/in", "in"),
            ]),
            layer(&[
                ("d/.wh.x", ""),
                ("o/.wh..wh..opq", ""),
                ("o/new", "new"),
                ("f/.wh.in", ""),
            ]),
            layer(&[("a", "top"), ("e/z", "z")]),
        ];
        let archive = docker_archive("x:1", &layers);
        store.load(&archive[..], &[], &mut |_| {}).unwrap();
        let id = store.resolve("x:1").unwrap().id;
        check(&store, &id);
    }
}

/// Runs `work` on a container's root file system, as a container would see it.
fn within<T: Send>(snapshot: &Snapshot, work: impl FnOnce(&Path) -> io::Result<T> + Send) -> T {
    if snapshot.is_plain() {
        return work(&snapshot.upper).unwrap();
    }
    linux::ns::in_private_mounts(|| -> Result<T, Failure> {
        let tree = linux::mount::overlay(&snapshot.lower, &snapshot.upper, &snapshot.work)?;
        let root = PathBuf::from(format!("/proc/self/fd/{}", tree.as_raw_fd()));
        work(&root).map_err(|e| Failure(e.to_string()))
    })
    .unwrap_or_else(|failure| panic!("{}", failure.0))
}

struct Failure(String);

impl From<linux::Error> for Failure {
    fn from(error: linux::Error) -> Self {
        Failure(error.to_string())
    }
}

/// Files with their contents, directories with a slash; without what every container has.
fn look(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut seen = BTreeMap::new();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((dir, path)) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap();
            if path.is_empty() && matches!(&*name, "dev" | "etc" | "proc" | "sys" | ".dockerenv") {
                continue;
            }
            let (kind, path) = (entry.file_type()?, format!("{path}/{name}"));
            if kind.is_dir() {
                seen.insert(format!("{path}/"), String::new());
                open.push((entry.path(), path));
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                seen.insert(path, format!("-> {}", target.display()));
            } else {
                seen.insert(path, fs::read_to_string(entry.path())?);
            }
        }
    }
    Ok(seen)
}

fn paths(seen: &BTreeMap<String, String>) -> Vec<&str> {
    seen.keys().map(String::as_str).collect()
}

fn change(root: &Path) -> io::Result<()> {
    fs::write(root.join("a"), "mine")?;
    fs::write(root.join("new"), "new")?;
    fs::hard_link(root.join("new"), root.join("again"))?;
    fs::set_permissions(root.join("e/z"), fs::Permissions::from_mode(0o4711))?;
    fs::remove_file(root.join("d/y"))?;
    fs::remove_dir_all(root.join("o"))?;
    fs::create_dir(root.join("o"))?;
    fs::write(root.join("o/other"), "other")?;
    fs::remove_dir(root.join("f"))?;
    symlink("elsewhere", root.join("f"))
}

const CHANGED: [&str; 9] = [
    "/a", "/again", "/d/", "/e/", "/e/z", "/f", "/new", "/o/", "/o/other",
];

fn container(store: &Store, image: &ImageId) -> (ContainerId, Snapshot) {
    let id = ContainerId::random();
    let snapshot = store.prepare(&id, Some(image)).unwrap();
    (id, snapshot)
}

#[test]
fn a_container_sees_its_layers_together() {
    each(|store, image| {
        let (id, snapshot) = container(store, image);
        let seen = within(&snapshot, look);
        assert_eq!(
            paths(&seen),
            ["/a", "/d/", "/d/y", "/e/", "/e/z", "/f/", "/o/", "/o/new"]
        );
        assert_eq!(seen["/a"], "top");
        assert!(store.changes(&id).unwrap().is_empty());
        assert_eq!(store.usage(&id).unwrap(), 0);
        assert_eq!(snapshot.driver, store.driver());
        // What every container needs to be mounted on is there.
        within(&snapshot, |root| {
            fs::symlink_metadata(root.join("etc/hosts"))
        });
    });
}

#[test]
fn containers_do_not_see_each_others_changes() {
    each(|store, image| {
        let ((_, one), (_, two)) = (container(store, image), container(store, image));
        let before = within(&two, look);
        within(&one, change);
        assert_eq!(within(&two, look), before);
        let (_, three) = container(store, image);
        assert_eq!(within(&three, look), before);
    });
}

#[test]
fn changes_are_found_measured_and_become_a_layer() {
    each(|store, image| {
        let (id, snapshot) = container(store, image);
        within(&snapshot, change);
        let changes = store.changes(&id).unwrap();
        let found: Vec<(&str, ChangeKind)> = changes.iter().map(|c| (&*c.path, c.kind)).collect();
        use ChangeKind::{Added, Deleted, Modified};
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                ("/a", Modified),
                ("/again", Added),
                ("/d", Modified),
                ("/d/y", Deleted),
                ("/e", Modified),
                ("/e/z", Modified),
                ("/f", Modified),
                ("/new", Added),
                ("/o", Modified),
                ("/o/new", Deleted),
                ("/o/other", Added),
            ]
        );
        // mine, new (once), other, a byte of e/z, and a link's target where the driver counts it.
        let size = store.usage(&id).unwrap();
        assert_eq!(size, 4 + 3 + 5 + 1 + "elsewhere".len() as u64);
        let options = CommitOptions {
            base: Some(image.clone()),
            ..CommitOptions::default()
        };
        let made = store.commit_container(&id, options).unwrap();
        let (_, again) = container(store, &made);
        let (wanted, seen) = (within(&snapshot, look), within(&again, look));
        assert_eq!(seen, wanted);
        assert_eq!(paths(&seen), CHANGED);
        let mode = within(&again, |root| {
            Ok(fs::metadata(root.join("e/z"))?.mode() & 0o7777)
        });
        assert_eq!(mode, 0o4711);
        let links = within(&again, |root| Ok(fs::metadata(root.join("new"))?.nlink()));
        assert_eq!(links, 2);
    });
}

#[test]
fn every_driver_makes_the_same_layer_of_the_same_change() {
    let tars = std::cell::RefCell::new(Vec::new());
    each(|store, image| {
        let (id, snapshot) = container(store, image);
        within(&snapshot, |root| {
            fs::write(root.join("d/new"), "new")?;
            let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            fs::File::open(root.join("d/new"))?.set_times(times)?;
            fs::File::open(root.join("d"))?.set_times(times)
        });
        let mut tar = Vec::new();
        store.diff(&id, &mut tar).unwrap();
        tars.borrow_mut().push(tar);
    });
    let tars = tars.into_inner();
    assert_eq!(tars.len(), DriverKind::ALL.len());
    assert!(tars.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn what_is_released_leaves_nothing_and_what_is_not_is_found_again() {
    for driver in DriverKind::ALL {
        let dir = scratch();
        let id = ContainerId::random();
        let store = Store::open_with(dir.path(), driver).unwrap();
        let archive = docker_archive("x:1", &[layer(&[("a", "one")])]);
        store.load(&archive[..], &[], &mut |_| {}).unwrap();
        let image = store.resolve("x:1").unwrap().id;
        let snapshot = store.prepare(&id, Some(&image)).unwrap();
        within(&snapshot, |root| fs::write(root.join("b"), "two"));
        drop(store);
        // Whatever driver new containers get, this one has its own.
        for other in DriverKind::ALL {
            let store = Store::open_with(dir.path(), other).unwrap();
            assert_eq!(store.snapshot(&id).unwrap(), snapshot);
            assert_eq!(within(&snapshot, look)["/b"], "two");
            assert_eq!(store.changes(&id).unwrap().len(), 1);
            assert_eq!(store.check(false, &|_| Vec::new()).unwrap().problems, []);
        }
        let store = Store::open_with(dir.path(), driver).unwrap();
        store.release(&id).unwrap();
        assert!(!snapshot.home.exists());
        assert!(store.snapshot(&id).is_err());
    }
}
