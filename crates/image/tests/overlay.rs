//! Against the kernel's overlayfs: what a container does to its root comes out of `changes` and `diff` as it was done.
//! Needs root, and mounts in a namespace of its own.

mod archives;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use archives::*;
use image::{Change, ChangeKind, ImportOptions, Snapshot, Store};
use oci::ContainerId;
use proptest::prelude::*;

/// One thing a container may do; paths come from a small pool, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Write(&'static str, String),
    Remove(&'static str),
    MakeDirectory(&'static str),
    Chmod(&'static str, u32),
    Rename(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Link(&'static str, &'static str),
}

const POOL: [&str; 12] = [
    "d", "d/a", "d/b", "d/sub", "d/sub/c", "e", "e/x", "f", "g", "n", "n/m", "n/m/o",
];

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&POOL[..])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (path(), "[a-z]{0,9}").prop_map(|(path, text)| Step::Write(path, text)),
        3 => path().prop_map(Step::Remove),
        2 => path().prop_map(Step::MakeDirectory),
        1 => (path(), prop::sample::select(vec![0o700u32, 0o755, 0o1777])).prop_map(|(path, mode)| Step::Chmod(path, mode)),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (path(), path()).prop_map(|(target, path)| Step::Symlink(target, path)),
        1 => (path(), path()).prop_map(|(from, to)| Step::Link(from, to)),
    ]
}

/// Does it if it can be done; what is there is in the way, as it is for every program.
fn take(root: &Path, step: &Step) {
    let outcome = match step {
        Step::Write(path, text) => {
            let path = root.join(path);
            // Through a symlink the write would go where that points to, on the host.
            if path.is_symlink() {
                Ok(())
            } else {
                fs::write(path, text)
            }
        }
        Step::Remove(path) => {
            let path = root.join(path);
            fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path))
        }
        Step::MakeDirectory(path) => fs::create_dir(root.join(path)),
        Step::Chmod(path, mode) => {
            let path = root.join(path);
            if path.is_symlink() {
                Ok(())
            } else {
                fs::set_permissions(path, PermissionsExt::from_mode(*mode))
            }
        }
        Step::Rename(from, to) => fs::rename(root.join(from), root.join(to)),
        Step::Symlink(target, path) => symlink(target, root.join(path)),
        Step::Link(from, to) => fs::hard_link(root.join(from), root.join(to)),
    };
    drop(outcome);
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    content: Vec<u8>,
}

impl Seen {
    fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

/// All below a root, but for what every container has.
fn look(root: &Path) -> io::Result<BTreeMap<String, Seen>> {
    let mut seen = BTreeMap::new();
    look_into(root, "", &mut seen)?;
    Ok(seen)
}

fn look_into(dir: &Path, path: &str, seen: &mut BTreeMap<String, Seen>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap();
        if path.is_empty() && matches!(&*name, "dev" | "etc" | "proc" | "sys" | ".dockerenv") {
            continue;
        }
        let m = entry.metadata()?;
        let content = if m.is_file() {
            fs::read(entry.path())?
        } else if m.is_symlink() {
            fs::read_link(entry.path())?
                .into_os_string()
                .into_encoded_bytes()
        } else {
            Vec::new()
        };
        let path = format!("{path}/{name}");
        if m.is_dir() {
            look_into(&entry.path(), &path, seen)?;
        }
        let (owner, mtime) = ((m.uid(), m.gid()), (m.mtime(), m.mtime_nsec()));
        seen.insert(
            path,
            Seen {
                mode: m.mode(),
                owner,
                mtime,
                content,
            },
        );
    }
    Ok(())
}

/// Runs `work` on the mounted snapshot.
fn mounted<T: Send>(snapshot: &Snapshot, work: impl FnOnce(&Path) -> io::Result<T> + Send) -> T {
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

/// The changes from one view to the other, by Docker's rules.
fn expected(before: &BTreeMap<String, Seen>, after: &BTreeMap<String, Seen>) -> Vec<Change> {
    let mut changes: BTreeMap<String, ChangeKind> = BTreeMap::new();
    let parent = |path: &str| {
        path.rsplit_once('/')
            .map(|(parent, _)| parent.to_owned())
            .filter(|p| !p.is_empty())
    };
    for (path, new) in after {
        match before.get(path) {
            None => drop(changes.insert(path.clone(), ChangeKind::Added)),
            Some(old) => {
                let attributes = (old.mode, old.owner) != (new.mode, new.owner);
                let content = !new.is_dir()
                    && (old.mtime, old.content.len()) != (new.mtime, new.content.len());
                if attributes || content {
                    changes.insert(path.clone(), ChangeKind::Modified);
                }
            }
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        // Only where the directory it was in is one still.
        if parent(path)
            .is_none_or(|p| after.get(&p).is_some_and(Seen::is_dir) && before[&p].is_dir())
        {
            changes.insert(path.clone(), ChangeKind::Deleted);
        }
    }
    for path in changes.keys().cloned().collect::<Vec<_>>() {
        let mut up = parent(&path);
        while let Some(dir) = up {
            changes.entry(dir.clone()).or_insert(ChangeKind::Modified);
            up = parent(&dir);
        }
    }
    changes
        .into_iter()
        .map(|(path, kind)| Change { path, kind })
        .collect()
}

fn base(store: &Store) -> oci::Digest {
    let lower = layer(&[
        ("d/a", "old"),
        ("d/b", "hidden"),
        ("gone", "x"),
        ("e/x", "1"),
        ("g", "low"),
    ]);
    let upper = layer(&[
        ("d/b", "new"),
        ("d/sub/c", "2"),
        (".wh.gone", ""),
        ("f", "3"),
        ("e/.wh..wh..opq", ""),
    ]);
    store
        .load(
            &docker_archive("base:1", &[lower, upper])[..],
            &[],
            &mut |_| {},
        )
        .unwrap();
    store.resolve("base:1").unwrap().id
}

#[test]
fn the_kernel_sees_the_layers_as_the_standard_says() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let snapshot = store
        .prepare(&ContainerId::random(), Some(&base(&store)))
        .unwrap();
    let seen = mounted(&snapshot, look);
    let paths: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        ["/d", "/d/a", "/d/b", "/d/sub", "/d/sub/c", "/e", "/f", "/g"]
    );
    assert_eq!(seen["/d/b"].content, b"new");
}

#[test]
fn the_kernel_mounts_128_layers() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let layers: Vec<_> = (0..128)
        .map(|n| layer(&[("same", &n.to_string()), (&format!("f{n}"), "x")]))
        .collect();
    store
        .load(&docker_archive("deep:1", &layers)[..], &[], &mut |_| {})
        .unwrap();
    let image = store.resolve("deep:1").unwrap();
    let snapshot = store
        .prepare(&ContainerId::random(), Some(&image.id))
        .unwrap();
    let seen = mounted(&snapshot, look);
    assert_eq!(seen.len(), 129);
    assert_eq!(seen["/same"].content, b"127");
}

#[test]
fn the_same_layer_twice_in_one_image_mounts() {
    let dir = scratch();
    let store = Store::open(dir.path()).unwrap();
    let (one, two) = (layer(&[("a", "1")]), layer(&[("a", "2"), ("b", "")]));
    store
        .load(
            &docker_archive("x:1", &[one.clone(), two, one])[..],
            &[],
            &mut |_| {},
        )
        .unwrap();
    let image = store.resolve("x:1").unwrap();
    assert_eq!(image.config.rootfs.diff_ids.len(), 3);
    let snapshot = store
        .prepare(&ContainerId::random(), Some(&image.id))
        .unwrap();
    assert_eq!(mounted(&snapshot, look)["/a"].content, b"1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// apply(diff(a, b)) = b, and `changes` is the difference of a and b.
    #[test]
    fn a_containers_changes_are_its_diff(steps in prop::collection::vec(step(), 1..25)) {
        let dir = scratch();
        let store = Store::open(dir.path()).unwrap();
        let image = base(&store);
        let container = ContainerId::random();
        let snapshot = store.prepare(&container, Some(&image)).unwrap();
        let (before, after) = mounted(&snapshot, |root| {
            let before = look(root)?;
            steps.iter().for_each(|step| take(root, step));
            Ok((before, look(root)?))
        });
        let mut changes = store.changes(&container).unwrap();
        changes.sort();
        prop_assert_eq!(changes, expected(&before, &after));

        let mut tar = Vec::new();
        let diff_id = store.diff(&container, &mut tar).unwrap();
        prop_assert!(diff_id.matches(&tar));
        let top = store.import(&tar[..], &ImportOptions::default()).unwrap();
        let top = store.image(&top).unwrap().graph.upper;
        let second = store.prepare(&ContainerId::random(), Some(&image)).unwrap();
        let stacked = Snapshot { lower: std::iter::once(top).chain(second.lower.clone()).collect(), ..second };
        // Layers know whole seconds.
        let whole = |mut tree: BTreeMap<String, Seen>| {
            tree.values_mut().for_each(|seen| seen.mtime.1 = 0);
            tree
        };
        prop_assert_eq!(whole(mounted(&stacked, look)), whole(after));
    }
}
