//! A file that a command writes: complete under its name, or not there at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use api::client::ResponseBody;

use crate::failure::{Failure, errno_text};

/// Whether something can be written there, before anything is asked of the daemon.
pub(crate) fn check_output(path: &Path) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Err(error) = fs::metadata(folder) {
        return Err(format!(
            "invalid output path: stat {}: {}",
            folder.display(),
            errno_text(&error)
        ));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err("cannot write to a directory".to_owned()),
        _ => Ok(()),
    }
}

/// Writes the body beside `path` and renames it when it is complete; a device or a pipe is written as it is.
pub(crate) async fn write_file(path: &Path, mut body: ResponseBody) -> Result<(), Failure> {
    let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
    let mut target = if special {
        Target::existing(path)?
    } else {
        Target::beside(path)?
    };
    while let Some(piece) = body.next().await? {
        target.file.write_all(&piece)?;
    }
    target.finish()
}

/// The file being written; a temporary one is removed unless it is finished.
struct Target {
    file: File,
    rename: Option<(PathBuf, PathBuf)>,
}

impl Target {
    fn existing(path: &Path) -> Result<Target, Failure> {
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(|error| failed(path, &error))?;
        Ok(Target { file, rename: None })
    }

    fn beside(path: &Path) -> Result<Target, Failure> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create_new(&temporary).map_err(|error| failed(&temporary, &error))?;
        Ok(Target {
            file,
            rename: Some((temporary, path.to_owned())),
        })
    }

    fn finish(mut self) -> Result<(), Failure> {
        match self.rename.take() {
            Some((temporary, path)) => {
                fs::rename(&temporary, &path).map_err(|error| failed(&path, &error))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.rename {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("open {}: {}", path.display(), errno_text(error)))
}
