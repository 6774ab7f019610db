//! Manifest lists in the making, kept as Docker's client keeps them, so that both see the same ones:
//!
//! ```text
//! ~/.docker/manifests/<list's name>/<image's name>    one JSON document an image: what it is, where it is, its manifest
//! ```
//!
//! In file names, `:` is `-` and `/` is `_`.

pub(crate) mod entry;
pub(crate) mod remote;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oci::Reference;

use crate::context::Context;
use crate::failure::{Failure, errno_text};
use entry::Entry;

/// Lists below a configuration folder.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The user's.
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            folder: context.config_folder().join("manifests"),
        }
    }

    /// One image of a list; `None` if the list or the image is not there.
    pub(crate) fn get(
        &self,
        list: &Reference,
        image: &Reference,
    ) -> Result<Option<Entry>, Failure> {
        let path = self.path(list).join(file_name(image));
        match fs::read(&path) {
            Ok(text) => read(&path, &text).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(told(&path, &error)),
        }
    }

    /// All images of a list by file name; `None` if there is no such list.
    pub(crate) fn list(&self, list: &Reference) -> Result<Option<Vec<Entry>>, Failure> {
        let folder = self.path(list);
        let names = match fs::read_dir(&folder) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(told(&folder, &error)),
        };
        let mut paths: Vec<PathBuf> = names
            .map(|name| Ok(name?.path()))
            .collect::<io::Result<_>>()?;
        // A file that is being written begins with a dot.
        paths.retain(|path| !is_hidden(path));
        paths.sort();
        let entry = |path: &PathBuf| {
            let text = fs::read(path).map_err(|error| told(path, &error))?;
            read(path, &text)
        };
        paths.iter().map(entry).collect::<Result<_, _>>().map(Some)
    }

    /// Puts an image into a list, in place of what was known about it.
    pub(crate) fn put(
        &self,
        list: &Reference,
        image: &Reference,
        entry: &Entry,
    ) -> Result<(), Failure> {
        let folder = self.path(list);
        let name = file_name(image);
        let beside = folder.join(format!(".{name}.{}", std::process::id()));
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&beside, entry.compact()))
            .and_then(|()| fs::rename(&beside, folder.join(&name)));
        written.map_err(|error| told(&folder.join(&name), &error))
    }

    /// Forgets a list. Says whether it was there.
    pub(crate) fn remove(&self, list: &Reference) -> Result<bool, Failure> {
        let folder = self.path(list);
        match fs::remove_dir_all(&folder) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(told(&folder, &error)),
        }
    }

    fn path(&self, list: &Reference) -> PathBuf {
        self.folder.join(file_name(list))
    }
}

/// The grammar of names has no `..` and no slash at their beginning.
fn file_name(name: &Reference) -> String {
    name.canonical().replace(':', "-").replace('/', "_")
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn read(path: &Path, text: &[u8]) -> Result<Entry, Failure> {
    Entry::parse(text).map_err(|told| Failure::new(format!("{}: {told}", path.display())))
}

fn told(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {}", path.display(), errno_text(error)))
}

/// The reference that a manifest command was given; a name alone is `:latest`.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    let parsed: Result<Reference, _> = text.parse();
    parsed
        .map(Reference::or_latest)
        .map_err(|error| Failure::new(error.to_string()))
}

/// What is said of a list that nobody has.
pub(crate) fn no_such(name: &Reference) -> Failure {
    Failure::new(format!("No such manifest: {}", name.canonical()))
}

#[cfg(test)]
mod tests;
