//! The file with the daemon's process id, which also keeps a second daemon away.
//!
//! The number alone cannot be trusted: after a SIGKILL it may belong to anyone. So the file is locked for as long as
//! the daemon lives, and the kernel lets go of the lock whatever way it ends. The lock is a process's own (`fcntl`), not
//! one of the open file (`flock`), which a child that is being started would hold on to for a moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

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
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(PidfileError::Running {
                    path: path.to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
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
    fn is_away_with_its_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/tare.pid");
        drop(Pidfile::take(&path).unwrap());
        assert!(!path.exists());
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
