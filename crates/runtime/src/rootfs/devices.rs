//! Nodes and links in `/dev`.

use std::os::fd::OwnedFd;
use std::path::Path;

use linux::Errno;
use linux::file::{self, Node};
use linux::mount::{self, Depth};
use linux::ns::Kinds;
use oci::runtime::{Device, DeviceKind};

use super::Setup;
use crate::error::Context as _;
use crate::{Error, Result};

/// What the specification has in every container (config-linux.md, Default Devices).
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

pub(super) fn make_all(setup: &Setup<'_>) -> Result<()> {
    let dev = setup
        .root()
        .make_dirs(Path::new("/dev"), 0o755)
        .context(|| "failed to make /dev")?;
    let nodes = Nodes {
        setup,
        dev: &dev,
        by_bind: setup.plan.namespaces.has(Kinds::USER),
    };
    let mask = linux::process::umask(0);
    let made = nodes.make();
    linux::process::umask(mask);
    made?;
    links(setup, &dev)
}

struct Nodes<'a> {
    setup: &'a Setup<'a>,
    dev: &'a OwnedFd,
    /// In a user namespace nobody may mknod.
    by_bind: bool,
}

impl Nodes<'_> {
    fn make(&self) -> Result<()> {
        let asked = &self.setup.plan.linux.devices;
        for (path, major, minor) in DEFAULTS {
            if !asked.iter().any(|device| device.path == Path::new(path)) {
                self.node(Path::new(path), Node::Char { major, minor }, 0o666, (0, 0))?;
            }
        }
        for device in asked {
            let owner = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
            let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
            self.node(&device.path, node(device)?, mode, owner)?;
        }
        Ok(())
    }

    fn node(&self, path: &Path, node: Node, mode: u32, owner: (u32, u32)) -> Result<()> {
        let describe = || format!("error creating device nodes: {}", path.display());
        if self.by_bind {
            return self.bind(path).context(describe);
        }
        let name = path.file_name().ok_or_else(|| Error::invalid(describe()))?;
        let elsewhere;
        let dir = if path.parent() == Some(Path::new("/dev")) {
            self.dev
        } else {
            let parent = path.parent().unwrap_or_else(|| Path::new("/"));
            elsewhere = self
                .setup
                .root()
                .make_dirs(parent, 0o755)
                .context(describe)?;
            &elsewhere
        };
        match file::make_node(dir, name, node, mode) {
            Ok(()) if owner == (0, 0) => Ok(()),
            Ok(()) => file::change_owner(dir, name, owner.0, owner.1).context(describe),
            // A folder of the host on /dev has its own.
            Err(error) if error.errno() == Errno::EXIST => Ok(()),
            Err(error) if error.errno() == Errno::PERM => self.bind(path).context(describe),
            Err(error) => Err(error).context(describe),
        }
    }

    /// The host's node of the same path.
    fn bind(&self, path: &Path) -> linux::Result<()> {
        let source = file::open_path(path)?;
        let target = self.setup.root().make_file(path, 0o000)?;
        mount::attach(mount::clone_tree(source, Depth::One)?, target)
    }
}

fn node(device: &Device) -> Result<Node> {
    let number = |number: i64| {
        u32::try_from(number).map_err(|_| {
            Error::invalid(format!(
                "device {} has no valid number",
                device.path.display()
            ))
        })
    };
    Ok(match device.kind {
        DeviceKind::Char => Node::Char {
            major: number(device.major)?,
            minor: number(device.minor)?,
        },
        DeviceKind::Block => Node::Block {
            major: number(device.major)?,
            minor: number(device.minor)?,
        },
        DeviceKind::Fifo => Node::Fifo,
        DeviceKind::All => {
            return Err(Error::invalid(format!(
                "device {} has type a",
                device.path.display()
            )));
        }
    })
}

fn links(setup: &Setup<'_>, dev: &OwnedFd) -> Result<()> {
    for (target, name) in LINKS {
        let describe = || format!("failed to link /dev/{name}");
        match file::symlink(target, dev, name) {
            // The ptmx of an image is of another devpts than the container's.
            Err(error) if error.errno() == Errno::EXIST && name == "ptmx" => {
                file::remove_file(dev, name)
                    .and_then(|()| file::symlink(target, dev, name))
                    .context(describe)?;
            }
            Err(error) if error.errno() == Errno::EXIST => {}
            result => result.context(describe)?,
        }
    }
    if setup
        .root()
        .resolve_nofollow(Path::new("/proc/kcore"))
        .is_ok()
    {
        match file::symlink("/proc/kcore", dev, "core") {
            Err(error) if error.errno() != Errno::EXIST => {
                return Err(error).context(|| "failed to link /dev/core");
            }
            _ => {}
        }
    }
    Ok(())
}
