//! Where a copy lands (Docker's rules, which are those of `cp -r` with care for a trailing slash and `/.`).
//!
//! An archive of a source holds it under its base name. If the destination is a folder, the archive is unpacked there; in every
//! other case it is unpacked beside the destination, with the destination's name in place of the source's.

use std::path::Path;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// The path, with the trailing slash or `/.` the user gave it.
    pub(crate) path: String,
    /// What is there.
    pub(crate) kind: Kind,
}

/// What is at one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing yet; only a destination may be that.
    Missing,
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

/// What to do with the archive of the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The folder to unpack it in.
    pub(crate) folder: String,
    /// The name its top takes there; `None` leaves it as it is.
    pub(crate) rename: Option<String>,
}

/// A copy that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// A folder over a file.
    #[error("cannot copy directory")]
    FolderOverFile,
    /// A file to `nothing/`.
    #[error("no such directory")]
    NoSuchFolder,
}

/// Decides where the archive of `source` goes.
pub(crate) fn land(source: &End, destination: &End) -> Result<Landing, PathError> {
    let (folder, name) = split(&destination.path);
    match (destination.kind, source.kind) {
        (Kind::Folder, _) => Ok(Landing {
            folder: destination.path.clone(),
            rename: None,
        }),
        (Kind::File, Kind::Folder) => Err(PathError::FolderOverFile),
        (Kind::Missing, Kind::File) if asserts_folder(&destination.path) => {
            Err(PathError::NoSuchFolder)
        }
        // No root: no container either, which the upload will tell.
        (Kind::Missing, _) if name == "/" => Ok(Landing {
            folder,
            rename: None,
        }),
        _ => Ok(Landing {
            folder,
            rename: Some(name),
        }),
    }
}

/// The folder and the base name of a path; the base of `/a/.` is `.`.
pub(crate) fn split(path: &str) -> (String, String) {
    let mut clean = clean(path);
    if base(path) == "." && clean != "." {
        clean = format!("{}/.", clean.trim_end_matches('/'));
    }
    match clean.rfind('/') {
        Some(0) if clean.len() == 1 => ("/".to_owned(), "/".to_owned()),
        Some(0) => ("/".to_owned(), clean[1..].to_owned()),
        Some(slash) => (clean[..slash].to_owned(), clean[slash + 1..].to_owned()),
        None => (".".to_owned(), clean),
    }
}

/// What follows the last slash, trailing slashes aside (Go's `path.Base`).
pub(crate) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        "/"
    } else {
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// Without `.`, `..` and doubled slashes, by the text alone (Go's `path.Clean`).
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Whether the path says that a folder is meant.
pub(crate) fn asserts_folder(path: &str) -> bool {
    path.ends_with('/') || base(path) == "."
}

/// `path` with the trailing slash or `/.` that `original` has.
pub(crate) fn like(path: &str, original: &str) -> String {
    let mut path = path.to_owned();
    if base(original) == "." && base(&path) != "." {
        path = format!("{}/.", path.trim_end_matches('/'));
    }
    if original.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// A link's target seen from the folder that the link is in.
pub(crate) fn resolve_link(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        target.to_owned()
    } else {
        clean(&format!("{}/{target}", split(link).0))
    }
}

/// A local path made absolute, its trailing slash or `/.` kept.
pub(crate) fn absolute(path: &str, current: &Path) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", current.display())
    };
    like(&clean(&joined), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_land_as_dockers_do() {
        let check = |source: (&str, Kind),
                     destination: (&str, Kind),
                     expected: Result<(&str, Option<&str>), PathError>| {
            let end = |(path, kind): (&str, Kind)| End {
                path: path.to_owned(),
                kind,
            };
            let expected = expected.map(|(folder, rename)| Landing {
                folder: folder.to_owned(),
                rename: rename.map(str::to_owned),
            });
            assert_eq!(
                land(&end(source), &end(destination)),
                expected,
                "{source:?} {destination:?}"
            );
        };
        check(
            ("/d/f", Kind::File),
            ("/here", Kind::Folder),
            Ok(("/here", None)),
        );
        check(
            ("/d/f", Kind::File),
            ("/here/g", Kind::File),
            Ok(("/here", Some("g"))),
        );
        check(
            ("/d/f", Kind::File),
            ("/here/g", Kind::Missing),
            Ok(("/here", Some("g"))),
        );
        check(
            ("/d/f", Kind::File),
            ("/here/g/", Kind::Missing),
            Err(PathError::NoSuchFolder),
        );
        check(
            ("/d", Kind::Folder),
            ("/here", Kind::File),
            Err(PathError::FolderOverFile),
        );
        check(
            ("/d", Kind::Folder),
            ("/here", Kind::Missing),
            Ok(("/", Some("here"))),
        );
        check(
            ("/d/.", Kind::Folder),
            ("/here/", Kind::Missing),
            Ok(("/", Some("here"))),
        );
        check(
            ("/d/.", Kind::Folder),
            ("/here", Kind::Folder),
            Ok(("/here", None)),
        );
    }

    #[test]
    fn paths_are_taken_apart_as_go_does() {
        let check = |path: &str, folder: &str, name: &str| {
            assert_eq!(split(path), (folder.to_owned(), name.to_owned()), "{path}");
        };
        check("/a/b", "/a", "b");
        check("/a/b/", "/a", "b");
        check("/a/.", "/a", ".");
        check("/a/./", "/a", ".");
        check("/", "/", "/");
        check("/.", "/", ".");
        check("a", ".", "a");
        check(".", ".", ".");
        check("/a/../b", "/", "b");
        assert_eq!(clean("../../a"), "../../a");
        assert_eq!(clean("/../a"), "/a");
        assert_eq!(absolute("x/.", Path::new("/home")), "/home/x/.");
        assert_eq!(absolute("../x/", Path::new("/home/me")), "/home/x/");
        assert_eq!(resolve_link("/a/b", "c"), "/a/c");
        assert_eq!(resolve_link("/a/b", "/c"), "/c");
    }
}
