use super::*;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

/// A folder `root` with a sibling `outside` that nothing may reach.
fn fixture() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    std::fs::write(dir.path().join("outside"), b"secret").unwrap();
    let root = Root::open(&dir.path().join("root")).unwrap();
    (dir, root)
}

#[test]
fn links_stay_inside() {
    let (dir, root) = fixture();
    let base = dir.path().join("root");
    std::fs::create_dir(base.join("etc")).unwrap();
    std::fs::write(base.join("etc/passwd"), b"inside").unwrap();
    symlink("/etc", base.join("abs")).unwrap();
    symlink("../../../etc/passwd", base.join("up")).unwrap();
    symlink("/proc/self/root/etc/passwd", base.join("magic")).unwrap();
    let read = |path: &str| {
        let fd = root.open_file(Path::new(path), OFlags::RDONLY, 0)?;
        file::read_all(fd, 100)
    };
    assert_eq!(read("/abs/passwd").unwrap(), b"inside");
    assert_eq!(read("up").unwrap(), b"inside");
    assert_eq!(read("../../etc/passwd").unwrap(), b"inside");
    assert_eq!(read("magic").unwrap_err().errno(), Errno::NOENT);
    assert_eq!(
        root.path_of(root.resolve(Path::new("abs/passwd")).unwrap())
            .unwrap(),
        Path::new("/etc/passwd")
    );
}

#[test]
fn makes_through_dangling_links_inside() {
    let (dir, root) = fixture();
    let base = dir.path().join("root");
    symlink("/../../made/deep", base.join("link")).unwrap();
    symlink("gone", base.join("file")).unwrap();
    root.make_dirs(Path::new("/link/more"), 0o755).unwrap();
    assert!(base.join("made/deep/more").is_dir());
    root.make_file(Path::new("/file"), 0o644).unwrap();
    assert!(base.join("gone").is_file());
    root.make_file(Path::new("/a/b/c"), 0o644).unwrap();
    assert!(base.join("a/b/c").is_file());
}

#[test]
fn refuses_loops_and_files_as_folders() {
    let (dir, root) = fixture();
    let base = dir.path().join("root");
    symlink("loop", base.join("loop")).unwrap();
    std::fs::write(base.join("file"), b"").unwrap();
    let errno = |result: Result<OwnedFd>| result.unwrap_err().errno();
    assert_eq!(
        errno(root.make_dirs(Path::new("loop/x"), 0o755)),
        Errno::LOOP
    );
    assert_eq!(
        errno(root.walk(Path::new("loop/x"), Leaf::Dir(0o755))),
        Errno::LOOP
    );
    assert_eq!(
        errno(root.make_dirs(Path::new("file"), 0o755)),
        Errno::NOTDIR
    );
    assert_eq!(
        errno(root.walk(Path::new("file/x"), Leaf::Dir(0o755))),
        Errno::NOTDIR
    );
    assert_eq!(
        root.parent(Path::new("/..")).unwrap_err().errno(),
        Errno::INVAL
    );
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        "[abc]".prop_map(|s| s)
    ]
}

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(name(), 1..6)).prop_map(|(absolute, names)| {
        format!("{}{}", if absolute { "/" } else { "" }, names.join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever links there are and whatever is asked for: the answer lies inside, and nothing appears outside.
    #[test]
    fn a_safe_path_never_leaves_its_root(
        links in prop::collection::vec(("[abc](/[abc]){0,2}", path()), 0..6),
        asked in path(),
    ) {
        let (dir, root) = fixture();
        let base = dir.path().join("root");
        for (place, target) in links {
            let place = Path::new(&place);
            if let Ok(parent) = root.make_dirs(place.parent().unwrap(), 0o755) {
                let _ = file::symlink(&target, parent, place.file_name().unwrap());
            }
        }
        let answers = [
            root.make_dirs(Path::new(&asked), 0o755),
            root.make_file(Path::new(&asked), 0o644),
            root.walk(Path::new(&asked), Leaf::Dir(0o755)),
            root.resolve(Path::new(&asked)),
        ];
        for handle in answers.into_iter().flatten() {
            let found = fd::current_path(&handle).unwrap();
            prop_assert!(found.starts_with(&base), "{asked:?} led to {found:?}");
        }
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
