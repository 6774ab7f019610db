//! The files of one log: their names, rotation, and compression of what was rotated.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Error;

/// `<path>.<number>`, with `.gz` when compressed.
pub(super) fn rotated(path: &Path, number: u32, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}{extension}"));
    name.into()
}

/// Opens a log file for appending.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o640)
        .open(path);
    file.map_err(Error::of("open log", path))
}

/// Moves every file one number up, drops the oldest, and opens a new one. A log of one file starts anew in a new
/// inode, so that whoever reads the old one still reads it to its end.
pub(super) fn rotate(path: &Path, max_file: u32) -> Result<File, Error> {
    if max_file < 2 {
        remove(path)?;
        return open(path);
    }
    for extension in ["", ".gz"] {
        remove(&rotated(path, max_file - 1, extension))?;
        for number in (1..max_file - 1).rev() {
            rename(
                &rotated(path, number, extension),
                &rotated(path, number + 1, extension),
            )?;
        }
    }
    rename(path, &rotated(path, 1, ""))?;
    open(path)
}

fn remove(path: &Path) -> Result<(), Error> {
    ignore_absent(fs::remove_file(path)).map_err(Error::of("remove log", path))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    ignore_absent(fs::rename(from, to)).map_err(Error::of("rename log", from))
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Compresses a rotated file bit by bit, while there is nothing else to do. The plain file counts until the
/// compressed one is whole, so it may be given up at any moment.
pub(super) struct Compressor {
    from: PathBuf,
    to: PathBuf,
    source: File,
    encoder: GzEncoder<File>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// How much one step reads: about a millisecond of work.
const STEP: usize = 64 * 1024;

impl Compressor {
    /// Begins with the newest rotated file that is still plain; `None` when there is none.
    pub(super) fn begin(path: &Path, max_file: u32) -> Result<Option<Self>, Error> {
        for number in 1..max_file {
            let from = rotated(path, number, "");
            match File::open(&from) {
                Ok(source) => {
                    return Self::over(source, from, rotated(path, number, ".gz")).map(Some);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::of("open log", &from)(error)),
            }
        }
        Ok(None)
    }

    fn over(source: File, from: PathBuf, to: PathBuf) -> Result<Self, Error> {
        let temporary = temporary(&to);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(&temporary);
        let encoder = GzEncoder::new(
            file.map_err(Error::of("create log", &temporary))?,
            Compression::fast(),
        );
        Ok(Self {
            from,
            to,
            source,
            encoder,
        })
    }

    /// Does a bit; tells whether there is more to do.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        let mut chunk = vec![0; STEP];
        let count = self
            .source
            .read(&mut chunk)
            .map_err(Error::of("read log", &self.from))?;
        if count > 0 {
            self.encoder
                .write_all(&chunk[..count])
                .map_err(Error::of("compress log", &self.to))?;
            return Ok(true);
        }
        self.encoder
            .try_finish()
            .map_err(Error::of("compress log", &self.to))?;
        fs::rename(temporary(&self.to), &self.to).map_err(Error::of("rename log", &self.to))?;
        remove(&self.from)?;
        Ok(false)
    }

    /// Gives up; the plain file stays.
    pub(super) fn cancel(self) {
        // A leftover temporary file is overwritten by the next attempt.
        let _ = fs::remove_file(temporary(&self.to));
    }
}

fn temporary(to: &Path) -> PathBuf {
    to.with_extension("gz.tmp")
}
