//! Against GNU tar and Python's tarfile where they are there, a corpus of hostile archives, and random trees.

use super::*;
use crate::tar::Writer;
use crate::upper;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path as FsPath;
use std::process::Command;

struct Unpacked {
    dir: tempfile::TempDir,
    applied: Applied,
    skeleton: Vec<u8>,
}

impl Unpacked {
    fn diff(&self) -> std::path::PathBuf {
        self.dir.path().join("diff")
    }

    fn rebuild(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let diff = OwnedFd::from(File::open(self.diff()).unwrap());
        crate::skeleton::rebuild(&self.skeleton[..], &mut out, |ordinal, path| {
            File::open(self.dir.path().join("replaced").join(ordinal.to_string()))
                .or_else(|_| open_file(&diff, path))
        })
        .unwrap();
        out
    }
}

fn limits() -> Limits {
    Limits {
        bytes: 1 << 30,
        entries: 1 << 20,
    }
}

fn unpack_within(tar: &[u8], limits: Limits) -> Result<Unpacked, ApplyError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("diff")).unwrap();
    let open = |path: &FsPath| OwnedFd::from(File::open(path).unwrap());
    let target = Target {
        diff: open(&dir.path().join("diff")),
        home: open(dir.path()),
    };
    let (applied, skeleton) = apply(
        &mut &tar[..],
        oci::Algorithm::Sha256,
        &target,
        Vec::new(),
        limits,
    )?;
    Ok(Unpacked {
        dir,
        applied,
        skeleton,
    })
}

/// Applies, and holds the rebuilt archive against the given one.
fn unpack(tar: &[u8]) -> Result<Unpacked, ApplyError> {
    let unpacked = unpack_within(tar, limits())?;
    assert!(
        unpacked.rebuild() == tar,
        "the skeleton does not give the archive back"
    );
    assert!(unpacked.applied.diff_id.matches(tar));
    assert_eq!(unpacked.applied.tar_size, tar.len() as u64);
    Ok(unpacked)
}

/// Everything about a tree that a tar holds: by path, a line.
fn describe(root: &FsPath) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut links: BTreeMap<u64, String> = BTreeMap::new();
    describe_into(root, root, &mut links, &mut lines);
    lines
}

fn describe_into(
    root: &FsPath,
    path: &FsPath,
    links: &mut BTreeMap<u64, String>,
    lines: &mut BTreeMap<String, String>,
) {
    let m = path.symlink_metadata().unwrap();
    let name = path
        .strip_prefix(root)
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let content = if m.is_file() {
        Digest::sha256(&std::fs::read(path).unwrap()).to_string()
    } else if m.is_symlink() {
        std::fs::read_link(path).unwrap().display().to_string()
    } else {
        String::new()
    };
    let mut names = vec![0u8; 65536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut xattrs: Vec<_> = names[..length]
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    xattrs.sort();
    let xattrs: Vec<_> = xattrs
        .iter()
        .map(|name| {
            let mut value = vec![0u8; 65536];
            let length = rustix::fs::lgetxattr(path, &name[..], &mut value[..]).unwrap();
            (
                String::from_utf8_lossy(name).into_owned(),
                value[..length].to_vec(),
            )
        })
        .collect();
    let first = if m.is_dir() {
        name.clone()
    } else {
        links.entry(m.ino()).or_insert_with(|| name.clone()).clone()
    };
    let size = if m.is_dir() { 0 } else { m.len() };
    let line = format!(
        "{:o} {}:{} {size} {}.{} {} {content} {first} {xattrs:?}",
        m.mode(),
        m.uid(),
        m.gid(),
        m.mtime(),
        m.mtime_nsec(),
        m.rdev()
    );
    if !name.is_empty() {
        lines.insert(name, line);
    }
    if m.is_dir() {
        let mut children: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        children.sort();
        children
            .iter()
            .for_each(|child| describe_into(root, child, links, lines));
    }
}

/// A tree with one of everything.
fn sample_tree(root: &FsPath) {
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::write(root.join("usr/bin/tool"), "x".repeat(100_000)).unwrap();
    std::fs::set_permissions(root.join("usr/bin/tool"), PermissionsExt::from_mode(0o6755)).unwrap();
    std::fs::hard_link(root.join("usr/bin/tool"), root.join("usr/bin/twin")).unwrap();
    symlink("../bin/tool", root.join("usr/bin/link")).unwrap();
    symlink("/usr/bin", root.join("bin")).unwrap();
    std::fs::write(root.join("empty"), "").unwrap();
    let long = "long-name-".repeat(20);
    std::fs::create_dir(root.join(&long)).unwrap();
    std::fs::write(root.join(&long).join(format!("file-{long}")), "deep").unwrap();
    symlink(format!("{long}/target"), root.join("long-link")).unwrap();
    std::fs::write(root.join("naïve ☃"), "utf-8").unwrap();
    std::fs::write(
        root.join(std::ffi::OsStr::from_bytes(b"latin-\xe9")),
        "bytes",
    )
    .unwrap();
    let cwd = rustix::fs::CWD;
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(
        cwd,
        root.join("null"),
        FileType::CharacterDevice,
        mode,
        fs::makedev(1, 3),
    )
    .unwrap();
    rustix::fs::mknodat(
        cwd,
        root.join("disk"),
        FileType::BlockDevice,
        mode,
        fs::makedev(259, 300),
    )
    .unwrap();
    rustix::fs::mknodat(cwd, root.join("pipe"), FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::chown(root.join("empty"), Some(3_000_000), Some(4_000_000_000)).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(9 << 20).unwrap();
    use std::os::unix::fs::FileExt;
    for at in [0u64, 1 << 20, 3 << 20, 4 << 20, 5 << 20, 6 << 20, 7 << 20] {
        sparse.write_all_at(&[7; 5000], at).unwrap();
    }
}

fn gnu_tar(root: &FsPath, options: &[&str]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(options)
        .args(["-C"])
        .arg(root)
        .args(["-cf", "-", "."])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn gnu_tars_formats_come_out_the_same() {
    let tree = tempfile::tempdir().unwrap();
    sample_tree(tree.path());
    let whole_seconds = |line: &String| {
        let (head, tail) = line.split_once('.').unwrap();
        format!("{head} {}", tail.split_once(' ').unwrap().1)
    };
    let expect = describe(tree.path());
    for (options, exact) in [
        (&["--format=gnu"][..], false),
        (&["--format=gnu", "--sparse"], false),
        (&["--format=posix", "--xattrs"], true),
        (
            &["--format=posix", "--sparse", "--sparse-version=1.0"],
            true,
        ),
        (
            &["--format=posix", "--sparse", "--sparse-version=0.1"],
            true,
        ),
        (
            &["--format=posix", "--sparse", "--sparse-version=0.0"],
            true,
        ),
    ] {
        let tar = gnu_tar(tree.path(), options);
        let unpacked = unpack(&tar).unwrap_or_else(|e| panic!("{options:?}: {e}"));
        let got = describe(&unpacked.diff());
        assert_eq!(
            got.keys().collect::<Vec<_>>(),
            expect.keys().collect::<Vec<_>>()
        );
        for (path, line) in &expect {
            if exact {
                assert_eq!(&got[path], line, "{path} {options:?}");
            } else {
                assert_eq!(
                    whole_seconds(&got[path]),
                    whole_seconds(line),
                    "{path} {options:?}"
                );
            }
        }
        let blocks = |root: &FsPath| root.join("sparse").metadata().unwrap().blocks();
        if options.contains(&"--sparse") {
            assert!(blocks(&unpacked.diff()) < 9 * 2048, "holes stay holes");
        }
    }
}

#[test]
fn pythons_formats_come_out_the_same() {
    let script = "import sys,tarfile\nt=tarfile.open(fileobj=sys.stdout.buffer,mode='w|',format=int(sys.argv[2]),encoding='utf-8')\nt.add(sys.argv[1],arcname='.')\nt.close()";
    let tree = tempfile::tempdir().unwrap();
    sample_tree(tree.path());
    let expect = describe(tree.path());
    for format in ["1", "2"] {
        let Ok(output) = Command::new("python3")
            .args(["-c", script])
            .arg(tree.path())
            .arg(format)
            .output()
        else {
            panic!("this test needs python3");
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let unpacked = unpack(&output.stdout).unwrap();
        let got = describe(&unpacked.diff());
        assert_eq!(
            got.keys().collect::<Vec<_>>(),
            expect.keys().collect::<Vec<_>>()
        );
    }
}

fn file(path: &str) -> Entry {
    Entry::new(EntryKind::Regular, path, 0o644)
}

fn link(kind: EntryKind, path: &str, target: &str) -> Entry {
    let mut entry = Entry::new(kind, path, 0o777);
    entry.link = target.into();
    entry
}

/// A tar of entries; regular ones hold their own number.
fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (number, entry) in entries.iter().enumerate() {
        match entry.kind {
            EntryKind::Regular => writer.file(entry.clone(), number.to_string().as_bytes()),
            _ => writer.entry(entry, &mut io::empty()),
        }
        .unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn hostile_archives_are_refused() {
    use EntryKind::{Directory, HardLink, Symlink};
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("victim"), "untouched").unwrap();
    let absolute = outside.path().to_str().unwrap();
    let victim = format!("{absolute}/victim");
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("dot-dot", vec![file("../evil")]),
        ("dot-dot inside", vec![file("a/../../evil")]),
        ("dot-dot alone", vec![Entry::new(Directory, "..", 0o755)]),
        ("file as root", vec![file("./")]),
        (
            "through an absolute symlink",
            vec![link(Symlink, "a", absolute), file("a/evil")],
        ),
        (
            "over a symlinked directory",
            vec![link(Symlink, "a", absolute), file("a/victim")],
        ),
        (
            "whiteout through a symlink",
            vec![link(Symlink, "a", absolute), file("a/.wh.victim")],
        ),
        (
            "opaque through a symlink",
            vec![link(Symlink, "a", absolute), file("a/.wh..wh..opq")],
        ),
        (
            "directory through a symlink",
            vec![
                link(Symlink, "a", absolute),
                Entry::new(Directory, "a/b", 0o755),
            ],
        ),
        ("climbing symlink", vec![link(Symlink, "a/b", "../../etc")]),
        (
            "hard link out by dots",
            vec![link(HardLink, "a", "../../etc/passwd")],
        ),
        (
            "hard link through a symlink",
            vec![
                link(Symlink, "a", absolute),
                link(HardLink, "b", "a/victim"),
            ],
        ),
        ("hard link to the host", vec![link(HardLink, "a", &victim)]),
        ("hard link to nothing", vec![link(HardLink, "a", "b")]),
        (
            "hard link to itself",
            vec![file("a"), link(HardLink, "a", "./a")],
        ),
        (
            "hard link to a directory",
            vec![Entry::new(Directory, "d", 0o755), link(HardLink, "a", "d")],
        ),
        ("hard link to the root", vec![link(HardLink, "a", "/")]),
        ("whiteout of the parent", vec![file("a/.wh...")]),
        ("whiteout of the directory", vec![file(".wh..")]),
        ("whiteout of nothing", vec![file(".wh.")]),
        ("file below a file", vec![file("a"), file("a/b")]),
        ("long name", vec![file(&"a".repeat(300))]),
        ("long path", vec![file(&"a/".repeat(3000))]),
    ];
    for (what, entries) in cases {
        assert!(unpack(&tar_of(&entries)).is_err(), "{what}");
    }
    assert_eq!(
        std::fs::read(outside.path().join("victim")).unwrap(),
        b"untouched"
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

/// As in a container, and in every image whose `/var/run` is a link to `/run`.
#[test]
fn an_absolute_link_counts_from_the_layers_root() {
    use EntryKind::{Directory, Symlink};
    let entries = [
        Entry::new(Directory, "run", 0o755),
        link(Symlink, "var/run", "/run"),
        link(Symlink, "var/lock", "/../../run/lock"),
        file("var/run/x"),
        Entry::new(Directory, "run/lock", 0o755),
        file("var/lock/y"),
    ];
    let unpacked = unpack(&tar_of(&entries)).unwrap();
    assert!(unpacked.diff().join("run/x").is_file());
    assert!(unpacked.diff().join("run/lock/y").is_file());
}

#[test]
fn an_absolute_name_counts_from_the_layers_root() {
    let unpacked = unpack(&tar_of(&[
        file("/etc/evil"),
        link(EntryKind::HardLink, "/b", "/etc/evil"),
    ]))
    .unwrap();
    assert_eq!(
        std::fs::read(unpacked.diff().join("etc/evil")).unwrap(),
        b"0"
    );
    assert!(!FsPath::new("/etc/evil").exists());
}

#[test]
fn a_symlink_within_the_layer_is_followed() {
    let entries = [
        Entry::new(EntryKind::Directory, "usr/lib/", 0o755),
        link(EntryKind::Symlink, "lib", "usr/lib"),
        file("lib/x"),
    ];
    let unpacked = unpack(&tar_of(&entries)).unwrap();
    assert_eq!(
        std::fs::read(unpacked.diff().join("usr/lib/x")).unwrap(),
        b"2"
    );
}

#[test]
fn bounds_hold_against_size_and_number() {
    let tar = tar_of(&[file("a"), file("b"), file("c")]);
    let few = Limits {
        entries: 2,
        ..limits()
    };
    assert!(matches!(
        unpack_within(&tar, few),
        Err(ApplyError::TooMany(2))
    ));
    let small = Limits {
        bytes: 2,
        ..limits()
    };
    assert!(matches!(
        unpack_within(&tar, small),
        Err(ApplyError::TooLarge(2))
    ));
    // Nor does a layer without a bound take all that the disk has.
    let disk = rustix::fs::statvfs("/").unwrap();
    let all = disk.f_blocks.saturating_mul(disk.f_frsize);
    assert!(
        room(&disk) <= (disk.f_bavail * disk.f_frsize).saturating_sub((all / 100).min(1 << 30))
    );
    // A header that announces more than there is, and more than there could be.
    let mut entry = file("huge");
    entry.size = 1 << 60;
    let mut writer = Writer::new(Vec::new());
    assert!(writer.entry(&entry, &mut io::empty()).is_err());
}

/// A linear congruential generator: bytes that zstd cannot shorten, none of them zero.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 | 1
    })
    .take(length)
    .collect()
}

#[test]
fn what_follows_the_end_is_kept_and_bounded() {
    let end = tar_of(&[file("a")]);
    let padded = [&end[..], &vec![0; 3 << 20]].concat();
    assert!(unpack(&padded).is_ok(), "padding is nothing strange");
    let some = [&end[..], &noise(1 << 20)].concat();
    assert!(unpack(&some).is_ok());
    let more = [&end[..], &noise((1 << 20) + 1)].concat();
    let error = unpack(&more).err();
    assert!(matches!(error, Some(ApplyError::Tar(TarError::Junk))));
}

/// Headers were kept for the rebuilt archive, and counted nowhere.
#[test]
fn a_layer_that_is_all_headers_is_bounded_too() {
    let directories: Vec<Entry> = noise(200_000)
        .chunks(100)
        .map(|name| name.iter().map(|byte| format!("{byte:02x}")).collect())
        .map(|name: String| Entry::new(EntryKind::Directory, name, 0o755))
        .collect();
    let tar = tar_of(&directories);
    let small = Limits {
        bytes: 100_000,
        ..limits()
    };
    let error = unpack_within(&tar, small).err();
    assert!(
        matches!(error, Some(ApplyError::TooLarge(100_000))),
        "{error:?}"
    );
}

#[test]
fn cut_off_anywhere_it_is_an_error_or_the_end() {
    let tar = tar_of(&[file("a"), link(EntryKind::Symlink, &"b".repeat(120), "a")]);
    let entries_end = tar.len() - 1024;
    for length in (0..tar.len()).filter(|n| n % 512 < 2 || n % 61 == 0) {
        let outcome = unpack(&tar[..length]);
        // Between two entries, and after the first empty block, nobody can tell that anything is missing.
        let whole =
            matches!(length, 0 | 1024) || length == entries_end || length >= entries_end + 512;
        assert_eq!(outcome.is_ok(), whole, "{length}");
    }
}

#[test]
fn whiteouts_become_overlayfs_marks() {
    let entries = [
        Entry::new(EntryKind::Directory, "d/", 0o755),
        file("d/.wh.gone"),
        file("o/.wh..wh..opq"),
        file("o/new"),
        file(".wh..wh.plnk"),
        // A directory that is removed and made again must not show what was in it.
        file(".wh.again"),
        Entry::new(EntryKind::Directory, "again/", 0o755),
        Entry::new(EntryKind::Directory, "before/", 0o755),
        file(".wh.before"),
        file("kept"),
        file(".wh.kept"),
    ];
    let unpacked = unpack(&tar_of(&entries)).unwrap();
    let gone = unpacked.diff().join("d/gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    for opaque in ["o", "again", "before"] {
        let mut value = [0; 1];
        rustix::fs::lgetxattr(
            unpacked.diff().join(opaque),
            "trusted.overlay.opaque",
            &mut value[..],
        )
        .unwrap();
        assert_eq!(value, *b"y", "{opaque}");
    }
    assert!(unpacked.diff().join("kept").is_file());
    assert_eq!(std::fs::read_dir(unpacked.diff()).unwrap().count(), 5);
}

#[test]
fn overlayfs_own_xattrs_are_not_taken_from_strangers() {
    let mut entry = Entry::new(EntryKind::Directory, "d/", 0o755);
    entry.xattrs = vec![
        (b"trusted.overlay.redirect".to_vec(), b"/secret".to_vec()),
        (b"user.overlay.opaque".to_vec(), b"y".to_vec()),
        (b"user.mine".to_vec(), b"kept\0binary".to_vec()),
    ];
    let unpacked = unpack(&tar_of(&[entry])).unwrap();
    let line = &describe(&unpacked.diff())["d"];
    assert!(
        line.contains("user.mine") && !line.contains("overlay"),
        "{line}"
    );
}

#[test]
fn file_capabilities_survive_owner_and_mode() {
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let mut entry = file("ping");
    (entry.uid, entry.mode) = (1000, 0o4755);
    entry.xattrs = vec![(b"security.capability".to_vec(), capability.to_vec())];
    let unpacked = unpack(&tar_of(&[entry])).unwrap();
    let mut value = [0; 20];
    rustix::fs::lgetxattr(
        unpacked.diff().join("ping"),
        "security.capability",
        &mut value[..],
    )
    .unwrap();
    assert_eq!(value, capability);
    assert_eq!(
        unpacked.diff().join("ping").metadata().unwrap().mode() & 0o7777,
        0o4755
    );
}

#[test]
fn the_same_name_twice_is_kept_twice_for_the_archive() {
    let entries = [
        file("a"),
        link(EntryKind::HardLink, "twin", "a"),
        file("a"),
        file("twin"),
        Entry::new(EntryKind::Directory, "d/", 0o755),
        file("d/x"),
        file("d"),
        link(EntryKind::Symlink, "d", "a"),
    ];
    let unpacked = unpack(&tar_of(&entries)).unwrap();
    assert_eq!(std::fs::read(unpacked.diff().join("a")).unwrap(), b"2");
    assert_eq!(std::fs::read(unpacked.diff().join("twin")).unwrap(), b"3");
    assert!(unpacked.diff().join("d").is_symlink());
    assert_eq!(unpacked.applied.size, 3);
}

/// What a random tree is made of.
#[derive(Clone, Debug)]
enum Node {
    File {
        content: Vec<u8>,
        mode: u32,
        uid: u32,
    },
    Symlink(String),
    Whiteout,
    Fifo,
    HardLink,
    Directory {
        children: BTreeMap<String, Node>,
        opaque: bool,
        mode: u32,
    },
}

fn nodes() -> impl Strategy<Value = BTreeMap<String, Node>> {
    let leaf = prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..1500), 0u32..0o10000, 0u32..3)
            .prop_map(|(content, mode, uid)| Node::File { content, mode, uid }),
        1 => "[a-z/]{1,8}".prop_map(Node::Symlink),
        1 => Just(Node::Whiteout),
        1 => Just(Node::Fifo),
        1 => Just(Node::HardLink),
    ];
    let name =
        "[a-zé☃.]{1,3}|[a-z]{90,110}".prop_filter("no name", |name| !matches!(&**name, "." | ".."));
    let children = move |node| prop::collection::btree_map(name.clone(), node, 0..5);
    let tree = leaf.prop_recursive(4, 24, 5, {
        let children = children.clone();
        move |node| {
            (children(node), any::<bool>(), 0u32..0o10000).prop_map(|(children, opaque, mode)| {
                Node::Directory {
                    children,
                    opaque,
                    mode,
                }
            })
        }
    });
    children(tree.boxed())
}

fn build(dir: &FsPath, nodes: &BTreeMap<String, Node>, last_file: &mut Option<std::path::PathBuf>) {
    let cwd = rustix::fs::CWD;
    for (name, node) in nodes {
        let path = dir.join(name);
        match node {
            Node::File { content, mode, uid } => {
                std::fs::write(&path, content).unwrap();
                std::os::unix::fs::chown(&path, Some(*uid), Some(*uid)).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).unwrap();
                *last_file = Some(path);
            }
            Node::Symlink(target) => symlink(target, &path).unwrap(),
            Node::Whiteout => {
                fs::mknodat(cwd, &path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
            }
            Node::Fifo => fs::mknodat(cwd, &path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            Node::HardLink => {
                if let Some(file) = last_file {
                    std::fs::hard_link(file, &path).unwrap();
                }
            }
            Node::Directory {
                children,
                opaque,
                mode,
            } => {
                std::fs::create_dir(&path).unwrap();
                if *opaque {
                    fs::lsetxattr(
                        &path,
                        "trusted.overlay.opaque",
                        b"y",
                        fs::XattrFlags::empty(),
                    )
                    .unwrap();
                }
                build(&path, children, last_file);
                std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).unwrap();
            }
        }
    }
}

/// Gives all in a tree times that a layer can say.
fn whole_seconds(path: &FsPath) {
    let metadata = path.symlink_metadata().unwrap();
    if metadata.is_dir() {
        for child in std::fs::read_dir(path).unwrap() {
            whole_seconds(&child.unwrap().path());
        }
    }
    let time = rustix::fs::Timespec {
        tv_sec: metadata.mtime(),
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// apply(diff(a, b)) = b: overlayfs's view is a function of the lower directories and the upper one, so it is
    /// enough that the upper one comes back with every mark, owner, mode, time and link.
    #[test]
    fn a_writable_layer_survives_its_tar(nodes in nodes()) {
        let tree = tempfile::tempdir().unwrap();
        build(tree.path(), &nodes, &mut None);
        whole_seconds(tree.path());
        // A whiteout has no owner or time of its own in a tar.
        let comparable = |root: &FsPath| -> BTreeMap<String, String> {
            let hide = |(path, line): (String, String)| {
                let m = root.join(&path).symlink_metadata().unwrap();
                let whiteout = m.file_type().is_char_device();
                (path, if whiteout { "whiteout".to_owned() } else { line })
            };
            describe(root).into_iter().map(hide).collect()
        };
        let mut tar = Vec::new();
        upper::pack_directory(tree.path(), &mut tar).unwrap();
        // A symlink that climbs above the root cannot be in a random tree, so nothing here may be refused.
        let unpacked = unpack(&tar).unwrap();
        prop_assert_eq!(comparable(&unpacked.diff()), comparable(tree.path()));
        let mut again = Vec::new();
        upper::pack_directory(&unpacked.diff(), &mut again).unwrap();
        prop_assert!(again == tar);
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..3000), at in any::<prop::sample::Index>(), value: u8) {
        let _ = unpack_within(&bytes, limits());
        let mut tar = tar_of(&[file("a"), link(EntryKind::Symlink, &"b".repeat(120), "a"), Entry::new(EntryKind::Directory, "d/", 0o755)]);
        let at = at.index(tar.len());
        tar[at] = value;
        let _ = unpack_within(&tar, limits());
        bytes.truncate(512);
    }
}
