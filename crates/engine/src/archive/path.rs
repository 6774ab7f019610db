//! Paths as `docker cp` writes them: what a trailing slash or `/.` says is kept.

use std::path::{Component, Path, PathBuf};

use linux::file;
use linux::rootfs::Root;

use crate::error::{Error, Result};

/// An absolute path, cleaned, with the `/` or `/.` it ended in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    text: String,
}

/// As the kernel counts.
const MAX_SYMLINKS: usize = 40;

impl Place {
    /// Reads a path as a request has it; relative ones are from `/`.
    pub(super) fn parse(path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::invalid("bad parameter: pathcannot be empty"));
        }
        if path.contains('\0') {
            return Err(Error::invalid("bad parameter: a path holds a NUL byte"));
        }
        let mut text = clean(Path::new(path)).to_string_lossy().into_owned();
        if path == "." || path.ends_with("/.") {
            text.push_str(if text.ends_with('/') { "." } else { "/." });
        } else if path.ends_with('/') && !text.ends_with('/') {
            text.push('/');
        }
        Ok(Self { text })
    }

    pub(super) fn path(&self) -> &Path {
        Path::new(&self.text)
    }

    /// Go's `filepath.Base`: the last component, `.` of `/d/.`, `/` of the root.
    pub(super) fn base(&self) -> &str {
        let text = self.text.trim_end_matches('/');
        if text.is_empty() {
            "/"
        } else {
            text.rsplit('/').next().unwrap_or(text)
        }
    }

    /// The path to be packed, whose content is renamed to [`Place::base`].
    pub(super) fn source(&self) -> PathBuf {
        PathBuf::from(&self.text)
    }
}

/// Absolute, without `.`, and without `..` as far as text can tell.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}

/// Where a symlink leads, inside the container, as far as the way exists.
pub(super) fn link_target(root: &Root, path: &Path) -> String {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        if let Ok(found) = root.resolve(&path).and_then(|handle| root.path_of(&handle)) {
            return found.to_string_lossy().into_owned();
        }
        let target = root.parent(&path).and_then(|(dir, name)| {
            let target = file::read_link(&dir, &name)?;
            Ok(if target.is_absolute() {
                target
            } else {
                root.path_of(&dir)?.join(target)
            })
        });
        match target {
            Ok(target) => path = clean(&target),
            Err(_) => break,
        }
    }
    path.to_string_lossy().into_owned()
}
