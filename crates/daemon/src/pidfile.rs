//! The file with the daemon's process id, which also keeps a second daemon away.
//!
//! The number alone cannot be trusted: after a SIGKILL it may belong to anyone. So the file is locked for as long as
//! the daemon lives, and the kernel lets go of the lock whatever way it ends. It is a lock of the open file (`flock`): one
//! of the process would go whenever the daemon closes another descriptor of the file, as `docker cp` may make it do.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a daemon that was killed may seem to hold the lock: until the kernel is done with it, and until a shim that it
/// was just starting has executed its program.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the file could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidfileError {
    #[error("ensure tare is not running or delete {}: process with PID {pid} is still running", .path.display())]
    Running { path: PathBuf, pid: String },
    #[error("writing the pid file {}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The file, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    _locked: File,
}

impl Pidfile {
    /// Takes the file, whether a dead daemon left it or not.
    pub(crate) fn take(path: &Path) -> Result<Self, PidfileError> {
        let failed = |source| PidfileError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let deadline = Instant::now() + PATIENCE;
        let mut file = loop {
            let mut file = open(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => break file,
                // The one before has removed the file between our two steps.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    file.read_to_string(&mut pid).map_err(failed)?;
                    return Err(PidfileError::Running {
                        path: path.to_owned(),
                        pid: pid.trim().to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a wait for a lock cannot be bounded otherwise"
            )]
            std::thread::sleep(PATIENCE / 100);
        };
        file.set_len(0)
            .and_then(|()| file.rewind())
            .map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            _locked: file,
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    identity(ours) == identity(there)
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // A file that cannot be removed is stale to the next daemon, and that is all.
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/tare.pid");
        let held = Pidfile::take(&path).unwrap();
        let second = Pidfile::take(&path).unwrap_err().to_string();
        assert!(
            second.contains(&format!("PID {} is still running", std::process::id())),
            "{second}"
        );
        drop(held);
        assert!(!path.exists());
        drop(Pidfile::take(&path).unwrap());
    }

    #[test]
    fn a_file_that_was_removed_meanwhile_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tare.pid");
        let file = open(&path).unwrap();
        assert!(is_at(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        let _other = open(&path).unwrap();
        assert!(!is_at(&file, &path));
    }

    #[test]
    fn a_dead_daemons_file_is_taken_even_if_its_number_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tare.pid");
        fs::write(&path, "1\n").unwrap();
        let _held = Pidfile::take(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
    }
}
