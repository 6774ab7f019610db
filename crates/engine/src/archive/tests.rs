use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use image::tar::{Entry, EntryKind, Time, Walker, Writer};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::mounts::{Kind, MountPoint};

/// A stopped container over folders of this test.
struct Container {
    folder: tempfile::TempDir,
    files: Files,
}

impl Container {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "image/etc",
            "image/d/sub",
            "upper",
            "work",
            "volume",
            "outside",
        ] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let at = |name: &str| folder.path().join(name);
        fs::write(at("image/d/f"), "hi\n").unwrap();
        fs::write(at("image/file"), "x").unwrap();
        fs::write(at("volume/inside"), "v").unwrap();
        symlink("/d/f", at("image/d/lnk")).unwrap();
        symlink("/d", at("image/dlink")).unwrap();
        symlink("nowhere", at("image/dang")).unwrap();
        symlink(at("outside"), at("image/escape")).unwrap();
        let mut volume = MountPoint::new(Kind::Volume, "/vol".to_owned());
        volume.source = at("volume").to_str().unwrap().to_owned();
        let mut fixed = MountPoint::new(Kind::Bind, "/ro".to_owned());
        fixed.source = at("outside").to_str().unwrap().to_owned();
        fixed.access = Access::ReadOnly;
        let files = Files {
            _held: None,
            name: "box".to_owned(),
            pid: None,
            overlay: Overlay {
                lower: vec![at("image")],
                upper: at("upper"),
                work: at("work"),
            },
            mounts: vec![volume, fixed],
            read_only: false,
        };
        Self { folder, files }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn names(&self, path: &str) -> Vec<String> {
        let (_, tar) = self.files.clone().get(path.to_owned()).await.unwrap();
        names(tar).await
    }

    fn put(&self, path: &str, tar: &[u8]) -> Result<()> {
        self.files.put(path, Unpack::default(), tar)
    }
}

async fn names(mut tar: ByteReceiver) -> Vec<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = tar.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    entries(&bytes)
        .into_iter()
        .map(|entry| String::from_utf8(entry.path).unwrap())
        .collect()
}

fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut walker = Walker::new(tar);
    std::iter::from_fn(|| walker.next_entry().unwrap()).collect()
}

fn tar(entries: &[(Entry, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, text) in entries {
        writer.file(entry.clone(), text.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn file(path: &str, text: &'static str) -> (Entry, &'static str) {
    (Entry::new(EntryKind::Regular, path, 0o640), text)
}

fn link(kind: EntryKind, path: &str, target: &str) -> (Entry, &'static str) {
    let mut entry = Entry::new(kind, path, 0o777);
    entry.link = target.as_bytes().to_vec();
    (entry, "")
}

#[test]
fn places_keep_what_a_trailing_slash_says() {
    let check = |text: &str, path: &str, base: &str| {
        let place = Place::parse(text).unwrap();
        assert_eq!(
            (place.path().to_str().unwrap(), place.base()),
            (path, base),
            "{text}"
        );
    };
    check("/d", "/d", "d");
    check("d/sub", "/d/sub", "sub");
    check("/d/", "/d/", "d");
    check("/d/.", "/d/.", ".");
    check(".", "/.", ".");
    check("/", "/", "/");
    check("/d/sub/..", "/d", "d");
    check("../../x", "/x", "x");
    assert_eq!(
        Place::parse("").unwrap_err().to_string(),
        "bad parameter: pathcannot be empty"
    );
}

#[test]
fn stats_are_dockers() {
    let container = Container::new();
    let stat = |path: &str| container.files.stat(path).unwrap();
    let link = stat("/d/lnk");
    assert_eq!(
        (&*link.name, &*link.link_target, link.mode & 0o170_000),
        ("lnk", "/d/f", 0o120_000)
    );
    assert_eq!(stat("/dang").link_target, "/nowhere");
    assert_eq!(
        (stat("/dlink/").name, stat("/dlink/").mode & 0o170_000),
        ("dlink".to_owned(), 0o040_000)
    );
    assert_eq!(stat("/d/f").size, 3);
    let error = |path: &str| container.files.stat(path).unwrap_err();
    assert_eq!(error("/nope").kind(), ErrorKind::NotFound);
    assert_eq!(
        error("/nope").to_string(),
        "Could not find the file /nope in container box"
    );
    assert_eq!(error("/file/").to_string(), "lstat /file/: not a directory");
    assert_eq!(
        error("/d/lnk/").to_string(),
        "lstat /d/lnk/: not a directory"
    );
}

#[tokio::test]
async fn archives_have_dockers_names() {
    let container = Container::new();
    assert_eq!(
        container.names("/d").await,
        ["d/", "d/f", "d/lnk", "d/sub/"]
    );
    assert_eq!(
        container.names("/d/.").await,
        ["./", "./f", "./lnk", "./sub/"]
    );
    assert_eq!(
        container.names("/dlink/").await,
        ["dlink/", "dlink/f", "dlink/lnk", "dlink/sub/"]
    );
    assert_eq!(container.names("/dlink").await, ["dlink"]);
    assert_eq!(container.names("/dlink/f").await, ["f"]);
    assert_eq!(container.names("/vol").await, ["vol/", "vol/inside"]);
    assert!(
        container
            .names("/")
            .await
            .contains(&"/vol/inside".to_owned())
    );
    let exported = names(container.files.clone().export()).await;
    assert!(
        exported.contains(&"d/f".to_owned()) && !exported.contains(&"vol/inside".to_owned()),
        "{exported:?}"
    );
    assert!(!exported.contains(&String::new()));
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = container.at("").display().to_string();
    assert!(!mounted.contains(&folder), "nothing is mounted outside");
}

#[test]
fn what_is_put_in_is_there() {
    let container = Container::new();
    let mut folder = Entry::new(EntryKind::Directory, "new/", 0o750);
    folder.mtime = Time {
        seconds: 1000,
        nanoseconds: 5,
    };
    let mut owned = file("new/owned", "text");
    (owned.0.uid, owned.0.gid, owned.0.mode) = (1234, 99, 0o4755);
    let all = [
        (folder, ""),
        owned,
        file("/abs/y", "abs"),
        link(EntryKind::Symlink, "new/link", "../../../anywhere"),
        link(EntryKind::HardLink, "new/twin", "new/owned"),
        (Entry::new(EntryKind::Fifo, "pipe", 0o600), ""),
    ];
    container.put("/dlink", &tar(&all)).unwrap();
    let at = |name: &str| container.at("upper/d").join(name);
    let metadata = fs::metadata(at("new/owned")).unwrap();
    assert_eq!(
        (
            metadata.uid(),
            metadata.gid(),
            metadata.mode() & 0o7777,
            metadata.nlink()
        ),
        (1234, 99, 0o4755, 2)
    );
    assert_eq!(fs::metadata(at("new")).unwrap().mtime(), 1000);
    assert_eq!(
        fs::metadata(at("new")).unwrap().permissions().mode() & 0o7777,
        0o750
    );
    assert_eq!(
        fs::read_link(at("new/link")).unwrap(),
        Path::new("../../../anywhere")
    );
    assert_eq!(fs::read(at("abs/y")).unwrap(), b"abs");
    container.put("/vol", &tar(&[file("more", "v")])).unwrap();
    assert_eq!(fs::read(container.at("volume/more")).unwrap(), b"v");
    let owner = Unpack {
        owner: Some((7, 8)),
        ..Unpack::default()
    };
    container
        .files
        .put("/d", owner, &*tar(&[file("mine", "")]))
        .unwrap();
    assert_eq!(fs::metadata(at("mine")).unwrap().uid(), 7);
}

#[test]
fn refusals_have_dockers_words() {
    let mut container = Container::new();
    let a_file = tar(&[file("sub", "")]);
    let refused = |path: &str, tar: &[u8]| container.put(path, tar).unwrap_err().to_string();
    assert_eq!(
        refused("/file", &a_file),
        "extraction point is not a directory"
    );
    assert_eq!(
        refused("/nope", &a_file),
        "Could not find the file /nope in container box"
    );
    assert_eq!(
        refused("/ro", &a_file),
        "mounted volume is marked read-only"
    );
    assert_eq!(
        refused("/d", &tar(&[file("../../x", "")])),
        "invalid entry name \"../../x\""
    );
    assert_eq!(refused("/d", b"garbage\n"), "unexpected EOF");
    let strict = Unpack {
        no_overwrite_dir_non_dir: true,
        ..Unpack::default()
    };
    let error = container.files.put("/d", strict, &*a_file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot overwrite directory \"sub\" with non-directory \"/d\""
    );
    let a_folder = tar(&[(Entry::new(EntryKind::Directory, "f", 0o755), "")]);
    let error = container.files.put("/d", strict, &*a_folder).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot overwrite non-directory \"f\" with directory \"/d\""
    );
    container.put("/d", &a_folder).unwrap();
    container.put("/d", &a_file).unwrap();
    container.files.read_only = true;
    assert_eq!(
        container.put("/d", &a_file).unwrap_err().to_string(),
        "container rootfs is marked read-only"
    );
    container.put("/vol", &a_file).unwrap();
}

#[test]
fn no_entry_leaves_the_container() {
    let container = Container::new();
    let attack = [
        // A link that is there already, one that the archive brings, and a hard link out.
        file("escape/one", "bad"),
        link(EntryKind::Symlink, "way", "../../../../../../../../tmp"),
        file("way/shim-archive-test-escaped", "bad"),
    ];
    container.put("/", &tar(&attack)).unwrap();
    assert_eq!(fs::read_dir(container.at("outside")).unwrap().count(), 0);
    assert!(!Path::new("/tmp/shim-archive-test-escaped").exists());
    assert!(
        container.at("upper/tmp/shim-archive-test-escaped").exists(),
        "it led to the container's own /tmp"
    );
    let out = tar(&[link(EntryKind::HardLink, "passwd", "../../../etc/passwd")]);
    assert!(container.put("/", &out).is_err());
    let missing = tar(&[link(EntryKind::HardLink, "passwd", "etc/passwd")]);
    assert!(
        container.put("/", &missing).is_err(),
        "the container has no such file, the host has"
    );
}

#[test]
fn a_running_container_is_seen_as_it_is_mounted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    let mut container = Container::new();
    container.files.pid = Some(std::process::id());
    let path = folder.path().join("f");
    assert_eq!(
        container.files.stat(path.to_str().unwrap()).unwrap().size,
        1
    );
    assert_eq!(
        container.files.stat("/proc/self").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_archive_is_survived(names in prop::collection::vec("(\\.\\.|[ab/.]){1,8}", 0..6), kinds in prop::collection::vec(0..4_u8, 6)) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("in/d");
        fs::create_dir_all(&inside).unwrap();
        let root = Root::open(&folder.path().join("in")).unwrap();
        let entries: Vec<_> = names.iter().zip(kinds).map(|(name, kind)| match kind {
            0 => file(name, "text"),
            1 => (Entry::new(EntryKind::Directory, name.as_bytes(), 0o755), ""),
            2 => link(EntryKind::Symlink, name, "../.."),
            _ => link(EntryKind::HardLink, name, "a"),
        }).collect();
        let bytes = tar(&entries);
        let _ = unpack::unpack(&root, Path::new("/d"), Unpack::default(), &mut &bytes[..]);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
