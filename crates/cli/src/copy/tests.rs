use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::pack::{Source, pack};
use super::unpack::{Options, Owner, unpack};

fn options(folder: &Path, rename: Option<(&str, &str)>) -> Options {
    let rename = rename.map(|(from, to)| (from.to_owned(), to.to_owned()));
    Options {
        folder: folder.to_owned(),
        rename,
        owner: Owner::Caller,
    }
}

/// An archive of one entry with whatever path, which `tar` would not write by itself.
fn archive_of(path: &[u8], kind: EntryType, link: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.extend_from_slice(&[0; 1024]);
    archive
}

#[test]
fn what_is_packed_comes_out_the_same() {
    let from = tempfile::tempdir().unwrap();
    let top = from.path().join("d");
    fs::create_dir_all(top.join("s")).unwrap();
    fs::write(top.join("f"), "content").unwrap();
    fs::set_permissions(top.join("f"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::hard_link(top.join("f"), top.join("same")).unwrap();
    symlink("nowhere", top.join("s/link")).unwrap();
    let long = "n".repeat(200);
    fs::File::create(top.join(&long))
        .unwrap()
        .write_all(&[7; 100_000])
        .unwrap();
    let mut archive = Vec::new();
    pack(
        &Source {
            path: top,
            name: "d".into(),
        },
        &mut archive,
    )
    .unwrap();

    let to = tempfile::tempdir().unwrap();
    unpack(&archive[..], &options(to.path(), Some(("d", "e")))).unwrap();
    let top = to.path().join("e");
    assert_eq!(fs::read_to_string(top.join("f")).unwrap(), "content");
    assert_eq!(fs::metadata(top.join("f")).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(
        fs::metadata(top.join("f")).unwrap().ino(),
        fs::metadata(top.join("same")).unwrap().ino()
    );
    assert_eq!(
        fs::read_link(top.join("s/link")).unwrap(),
        Path::new("nowhere")
    );
    assert_eq!(fs::read(top.join(long)).unwrap(), [7; 100_000]);
    // Again over what is there, and the content of a folder without the folder.
    unpack(&archive[..], &options(to.path(), Some(("d", "e")))).unwrap();
    assert_eq!(fs::read_to_string(top.join("f")).unwrap(), "content");
}

#[test]
fn nothing_leaves_the_folder() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("in");
    let outside = base.path().join("out");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(&outside).unwrap();
    let refused = |archive: Vec<u8>| {
        unpack(&archive[..], &options(&folder, None))
            .unwrap_err()
            .to_string()
    };
    refused(archive_of(b"../out/x", EntryType::Regular, ""));
    symlink(&outside, folder.join("absolute")).unwrap();
    symlink("../out", folder.join("relative")).unwrap();
    refused(archive_of(b"absolute/x", EntryType::Regular, ""));
    refused(archive_of(b"relative/x", EntryType::Directory, ""));
    fs::write(outside.join("secret"), "").unwrap();
    refused(archive_of(b"got", EntryType::Link, "relative/secret"));
    refused(archive_of(b"got", EntryType::Link, "../out/secret"));
    // A leading slash means the folder itself.
    unpack(
        &archive_of(b"/y", EntryType::Regular, "")[..],
        &options(&folder, None),
    )
    .unwrap();
    assert!(folder.join("y").exists());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn folders_and_files_do_not_replace_each_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("f"), "").unwrap();
    let refused = |archive: Vec<u8>| {
        unpack(&archive[..], &options(folder.path(), None))
            .unwrap_err()
            .to_string()
    };
    assert!(
        refused(archive_of(b"d", EntryType::Regular, ""))
            .contains("cannot overwrite directory \"d\" with non-directory")
    );
    assert!(
        refused(archive_of(b"f", EntryType::Directory, ""))
            .contains("cannot overwrite non-directory \"f\" with directory")
    );
}

#[test]
fn a_cut_archive_is_told() {
    let mut archive = Vec::new();
    let mut builder = Builder::new(&mut archive);
    let mut header = Header::new_gnu();
    header.set_size(1000);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "f", &[1; 1000][..])
        .unwrap();
    builder.finish().unwrap();
    drop(builder);
    let folder = tempfile::tempdir().unwrap();
    assert!(unpack(&archive[..700], &options(folder.path(), None)).is_err());
}
