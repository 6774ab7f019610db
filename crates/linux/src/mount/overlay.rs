//! The overlay filesystem, with any number of layers and any length of path.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::{Attributes, Depth, FsContext, clone_tree, mount_on, unmount_detached};
use crate::error::Context as _;
use crate::{Errno, Result, fd, file};

/// Features that would put into `upper` what only this overlay can read (redirects, inode index).
const OPTIONS: [&str; 2] = ["index=off", "redirect_dir=off"];

/// [`OPTIONS`], and neither fsync nor unmount wait for the disk (Linux 5.10).
const SCRATCH_OPTIONS: [&str; 3] = [OPTIONS[0], OPTIONS[1], "volatile"];

/// The longest string `fsconfig` takes.
const MAX_STRING: usize = 255;

/// One page, less the terminator: the longest data `mount` takes.
const MAX_DATA: usize = 4095;

/// A detached overlay of `lower` (uppermost first) with `upper` and its `work` folder on the same filesystem. For
/// callers in a mount namespace of their own: before Linux 6.7 it is mounted on `upper` for a moment.
pub fn overlay(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd> {
    with_options(lower, upper, work, &OPTIONS)
}

/// As [`overlay`], for an `upper` that nobody needs after a loss of power: what is written there is never waited for. A
/// second mount of the same `upper` must be allowed with [`allow_again`].
pub fn scratch_overlay(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd> {
    with_options(lower, upper, work, &SCRATCH_OPTIONS)
}

/// Takes away the mark that a [`scratch_overlay`] leaves in its work folder: the kernel's protection of a writable layer
/// that the machine may have gone down with.
pub fn allow_again(work: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(work.join("work/incompat")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_options(lower: &[PathBuf], upper: &Path, work: &Path, options: &[&str]) -> Result<OwnedFd> {
    match by_context(lower, upper, work, options) {
        Err(error) if error.errno() == Errno::INVAL => by_string(lower, upper, work, options),
        result => result,
    }
}

/// A layer each with `lowerdir+` (Linux 6.7).
fn by_context(lower: &[PathBuf], upper: &Path, work: &Path, options: &[&str]) -> Result<OwnedFd> {
    let context = FsContext::new("overlay")?;
    let mut held = Vec::new();
    context.string("source", "overlay")?;
    for layer in lower {
        context.string("lowerdir+", shortened(layer, &mut held)?)?;
    }
    context.string("upperdir", shortened(upper, &mut held)?)?;
    context.string("workdir", shortened(work, &mut held)?)?;
    for option in options {
        context.option(option)?;
    }
    context.create()?.mount(Attributes::empty())
}

/// The path; or one through /proc/self/fd, open for as long as `held` lives, where it is too long or has characters
/// that kernels differ about.
fn shortened(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= MAX_STRING && !bytes.iter().any(|byte| b"\\:,".contains(byte)) {
        return Ok(path.to_owned());
    }
    let handle = file::open_path(path)?;
    let path = fd::proc_path(&handle);
    held.push(handle);
    Ok(path)
}

/// All layers in one string, by handles where paths would make it too long.
fn by_string(lower: &[PathBuf], upper: &Path, work: &Path, options: &[&str]) -> Result<OwnedFd> {
    let mut data = data(lower, upper, work, options);
    let mut held = Vec::new();
    if data.len() > MAX_DATA {
        let mut handle = |path: &PathBuf| {
            held.push(file::open_path(path)?);
            Ok(fd::proc_path(&held[held.len() - 1]))
        };
        let lower = lower.iter().map(&mut handle).collect::<Result<Vec<_>>>()?;
        data = self::data(&lower, upper, work, options);
    }
    if data.len() > MAX_DATA {
        return Err(Errno::TOOBIG).context(|| format!("mount(overlay, {} layers)", lower.len()));
    }
    mount_on(
        "overlay",
        file::open_path(upper)?,
        "overlay",
        Attributes::empty(),
        OsString::from_vec(data),
    )?;
    let tree = file::open_path(upper).and_then(|mounted| clone_tree(mounted, Depth::One));
    unmount_detached(upper)?;
    tree
}

fn data(lower: &[PathBuf], upper: &Path, work: &Path, options: &[&str]) -> Vec<u8> {
    let lower: Vec<_> = lower.iter().map(|layer| escaped(layer, b"\\:,")).collect();
    let mut data = b"lowerdir=".to_vec();
    data.extend(lower.join(OsStr::new(":")).as_bytes());
    for (key, path) in [("upperdir", upper), ("workdir", work)] {
        data.extend(format!(",{key}=").into_bytes());
        data.extend(escaped(path, b"\\,").as_bytes());
    }
    for option in options {
        data.push(b',');
        data.extend(option.as_bytes());
    }
    data
}

fn escaped(path: &Path, special: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(path.as_os_str().len());
    for byte in path.as_os_str().as_bytes() {
        if special.contains(byte) {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{file, mount, ns};

    /// An overlay over `layers` folders of the shape `NAME/N`, checked by what is seen in it.
    fn check(make: fn(&[PathBuf], &Path, &Path) -> Result<OwnedFd>, name: &str, layers: usize) {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let base = dir.path().join(name);
        let lower: Vec<_> = (0..layers).map(|n| base.join(n.to_string())).collect();
        let (upper, work, merged) = (
            base.join("upper"),
            base.join("work"),
            dir.path().join("merged"),
        );
        for path in lower.iter().chain([&upper, &work, &merged]) {
            std::fs::create_dir_all(path).unwrap();
        }
        for (n, layer) in lower.iter().enumerate() {
            std::fs::write(layer.join(format!("file{n}")), b"x").unwrap();
        }
        ns::in_private_mounts(|| -> Result<()> {
            let tree = make(&lower, &upper, &work)?;
            mount::attach(tree, file::open_path(&merged)?)?;
            assert_eq!(std::fs::read_dir(&merged).unwrap().count(), layers);
            std::fs::write(merged.join("new"), b"y").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(upper.join("new").exists());
    }

    #[test]
    fn few_and_many_layers_with_odd_and_long_names() {
        for make in [
            overlay as fn(&[PathBuf], &Path, &Path) -> Result<OwnedFd>,
            |lower: &[PathBuf], upper: &Path, work: &Path| by_string(lower, upper, work, &OPTIONS),
        ] {
            check(make, "plain", 2);
            check(make, r"a:b,c\d", 3);
            check(make, "many", 120);
            check(make, &"long".repeat(60), 3);
        }
    }

    #[test]
    fn a_scratch_overlay_is_mounted_again_only_when_that_is_allowed() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| dir.path().join(name));
        for path in [&lower, &upper, &work] {
            std::fs::create_dir(path).unwrap();
        }
        ns::in_private_mounts(|| -> Result<()> {
            let lower = [lower];
            scratch_overlay(&lower, &upper, &work)?;
            assert!(scratch_overlay(&lower, &upper, &work).is_err());
            allow_again(&work).unwrap();
            scratch_overlay(&lower, &upper, &work).map(drop)
        })
        .unwrap();
        allow_again(&work).unwrap();
        allow_again(&work).unwrap();
    }
}
