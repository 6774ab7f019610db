//! How a container's root file system comes about from layers: the one thing in which snapshot drivers differ. Layers
//! themselves lie on disk the same way under each, so a store can be opened with another driver than before: containers
//! keep the one that they were made with.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::layers::{io_error, set_mode};
use crate::upper::{Change, Changes, pack};

mod copy;

/// The driver of new containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverKind {
    /// The kernel's overlayfs: nothing is copied before it is written to.
    #[default]
    Overlay2,
    /// A copy of everything for each container, shared block by block where the file system can: works everywhere.
    Vfs,
}

impl DriverKind {
    pub const ALL: [DriverKind; 2] = [DriverKind::Overlay2, DriverKind::Vfs];

    /// As daemon.json and `info` have it.
    pub fn name(self) -> &'static str {
        match self {
            DriverKind::Overlay2 => "overlay2",
            DriverKind::Vfs => "vfs",
        }
    }

    pub fn by_name(name: &str) -> Option<DriverKind> {
        DriverKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn driver(self) -> &'static dyn Driver {
        match self {
            DriverKind::Overlay2 => &Overlay2,
            DriverKind::Vfs => &Vfs,
        }
    }
}

/// What a driver does with a container's directory `home`. `below` are layers' directories, topmost first; never empty.
pub(crate) trait Driver: Sync {
    /// Makes the writable `diff` and what else the driver needs.
    fn make(&self, home: &Path, below: &[PathBuf]) -> Result<()>;

    /// What the container changed against `below`.
    fn changes(&self, home: &Path, below: &[PathBuf]) -> io::Result<Vec<Change>>;

    /// The same as a layer's tar.
    fn pack(&self, home: &Path, below: &[PathBuf], out: &mut dyn Write) -> io::Result<()>;

    /// Bytes of what the container wrote, each inode once.
    fn usage(&self, home: &Path, below: &[PathBuf]) -> Result<u64>;

    /// Whether the container's root is `diff` itself and no mount of `below`.
    fn is_plain(&self) -> bool;
}

struct Overlay2;

impl Driver for Overlay2 {
    fn make(&self, home: &Path, _below: &[PathBuf]) -> Result<()> {
        make_directories(home, &[("diff", 0o755), ("work", 0o700)])
    }

    fn changes(&self, home: &Path, below: &[PathBuf]) -> io::Result<Vec<Change>> {
        Ok(Changes::of_overlay(&home.join("diff"), below)?.listed())
    }

    fn pack(&self, home: &Path, _below: &[PathBuf], out: &mut dyn Write) -> io::Result<()> {
        pack::pack(&home.join("diff"), out)
    }

    fn usage(&self, home: &Path, _below: &[PathBuf]) -> Result<u64> {
        crate::snapshot::size_of_tree(&home.join("diff"))
    }

    fn is_plain(&self) -> bool {
        false
    }
}

struct Vfs;

impl Driver for Vfs {
    fn make(&self, home: &Path, below: &[PathBuf]) -> Result<()> {
        if let Some(all) = home.parent() {
            // Only who uses this driver has the folder.
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o710)
                .create(all);
            made.map_err(io_error("make", all))?;
        }
        make_directories(home, &[("diff", 0o755)])?;
        let diff = home.join("diff");
        for layer in below.iter().rev() {
            copy::over(layer, &diff).map_err(io_error("copy to the container the layer", layer))?;
        }
        Ok(())
    }

    fn changes(&self, home: &Path, below: &[PathBuf]) -> io::Result<Vec<Change>> {
        Ok(Changes::of_copy(&home.join("diff"), below)?.listed())
    }

    fn pack(&self, home: &Path, below: &[PathBuf], out: &mut dyn Write) -> io::Result<()> {
        let diff = home.join("diff");
        let changes = Changes::of_copy(&diff, below)?;
        pack::pack_changes(&diff, &changes, out)
    }

    fn usage(&self, home: &Path, below: &[PathBuf]) -> Result<u64> {
        let diff = home.join("diff");
        Changes::of_copy(&diff, below)
            .and_then(|changes| changes.size(&diff))
            .map_err(io_error("measure", &diff))
    }

    fn is_plain(&self) -> bool {
        true
    }
}

fn make_directories(home: &Path, names: &[(&str, u32)]) -> Result<()> {
    for (path, mode) in [(home.to_owned(), 0o710)]
        .into_iter()
        .chain(names.iter().map(|(name, mode)| (home.join(name), *mode)))
    {
        fs::DirBuilder::new()
            .mode(mode)
            .create(&path)
            .map_err(io_error("make", &path))?;
    }
    set_mode(&home.join("diff"), 0o755)
}
