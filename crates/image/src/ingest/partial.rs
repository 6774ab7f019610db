//! A blob while it arrives: a file that one side appends to and another reads behind it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The file and how far it is written. Whoever reads waits for whoever writes, never the other way round: the disk is
/// the queue between them, so memory is bounded and a slow disk does not hold up the sender.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    progress: Mutex<Progress>,
    more: Condvar,
}

struct Progress {
    written: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Abandoned,
}

impl Partial {
    /// Opens what an earlier attempt left, or starts anew. More than `most` bytes cannot be of this blob.
    pub(super) fn open(path: &Path, most: u64) -> io::Result<Partial> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut written = file.metadata()?.len();
        if written > most {
            file.set_len(0)?;
            written = 0;
        }
        Ok(Partial {
            file,
            path: path.to_owned(),
            progress: Mutex::new(Progress {
                written,
                end: End::Open,
            }),
            more: Condvar::new(),
        })
    }

    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    /// One writer only.
    pub(super) fn append(&self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all_at(chunk, self.written())?;
        self.lock().written += chunk.len() as u64;
        self.more.notify_all();
        Ok(())
    }

    /// The reader sees the end of the file once it has read all.
    pub(super) fn complete(&self) {
        self.end(End::Complete);
    }

    /// The reader sees an error.
    pub(super) fn abandon(&self) {
        self.end(End::Abandoned);
    }

    fn end(&self, end: End) {
        let mut progress = self.lock();
        if progress.end == End::Open {
            progress.end = end;
        }
        self.more.notify_all();
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // A panic elsewhere leaves two plain values, each whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads from the beginning to where the writer ends.
pub(super) struct Follower {
    partial: Arc<Partial>,
    at: u64,
}

impl Follower {
    pub(super) fn new(partial: Arc<Partial>) -> Follower {
        Follower { partial, at: 0 }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut progress = self.partial.lock();
        let there = loop {
            match progress.end {
                End::Abandoned => return Err(io::Error::other("the transfer was given up")),
                _ if progress.written > self.at => break progress.written - self.at,
                End::Complete => return Ok(0),
                End::Open => {
                    let woken = self.partial.more.wait(progress);
                    progress = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(progress);
        let most = usize::try_from(there)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let got = self.partial.file.read_at(&mut buffer[..most], self.at)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += got as u64;
        Ok(got)
    }
}
