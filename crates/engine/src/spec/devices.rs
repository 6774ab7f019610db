//! `--device`, `--device-cgroup-rule`, and the devices everyone has.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use linux::file;
use oci::runtime::{Device, DeviceKind, DeviceRule};

use crate::error::{Error, Result};
use crate::options::{DeviceMapping, HostOptions};

/// Nodes and rules of a container.
#[derive(Debug, Default)]
pub(super) struct Devices {
    pub(super) nodes: Vec<Device>,
    pub(super) rules: Vec<DeviceRule>,
}

/// What every container may use: zero, null, full, random, urandom, tty, ptmx, the console and pseudo-terminals.
/// The runtime makes the nodes.
const ALLOWED: &[(i64, Option<i64>)] = &[
    (1, Some(5)),
    (1, Some(3)),
    (1, Some(7)),
    (1, Some(9)),
    (1, Some(8)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Folders of /dev that a container has of its own.
const OWN_FOLDERS: &[&str] = &["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];

pub(super) fn of(host: &HostOptions) -> Result<Devices> {
    if host.privileged {
        return privileged();
    }
    let mut devices = Devices {
        nodes: Vec::new(),
        rules: default_rules(),
    };
    for mapping in &host.resources.devices {
        devices.add(mapping)?;
    }
    for rule in &host.resources.device_cgroup_rules {
        devices.rules.push(parse_rule(rule)?);
    }
    Ok(devices)
}

/// Refuses malformed rules at creation.
pub(crate) fn check_rules(host: &HostOptions) -> Result<()> {
    host.resources
        .device_cgroup_rules
        .iter()
        .try_for_each(|rule| parse_rule(rule).map(drop))
}

fn rule(
    allow: bool,
    kind: Option<DeviceKind>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> DeviceRule {
    DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: access.to_owned(),
    }
}

fn default_rules() -> Vec<DeviceRule> {
    let mut rules = vec![
        rule(false, None, None, None, "rwm"),
        // Making nodes is harmless where opening them is not allowed; package managers do it.
        rule(true, Some(DeviceKind::Char), None, None, "m"),
        rule(true, Some(DeviceKind::Block), None, None, "m"),
    ];
    rules.extend(
        ALLOWED
            .iter()
            .map(|(major, minor)| rule(true, Some(DeviceKind::Char), Some(*major), *minor, "rwm")),
    );
    rules
}

fn privileged() -> Result<Devices> {
    let mut devices = Devices {
        nodes: Vec::new(),
        rules: vec![rule(true, None, None, None, "rwm")],
    };
    let dev = Path::new("/dev");
    devices
        .add_tree(dev, dev, None)
        .map_err(|e| Error::system("cannot list the host's devices").caused_by(e))?;
    Ok(devices)
}

impl Devices {
    fn add(&mut self, mapping: &DeviceMapping) -> Result<()> {
        let on_host = mapping.path_on_host.as_str();
        let gathering = |error: io::Error| {
            let text = error
                .raw_os_error()
                .map(|code| linux::errno_text(linux::Errno::from_raw_os_error(code)));
            Error::system(format!(
                "error gathering device information while adding custom device \"{on_host}\": {}",
                text.unwrap_or_else(|| error.to_string())
            ))
        };
        let inside = match mapping.path_in_container.as_str() {
            "" => on_host,
            path => path,
        };
        let access = match mapping.cgroup_permissions.as_str() {
            "" => "rwm",
            access => access,
        };
        if !access.bytes().all(|b| matches!(b, b'r' | b'w' | b'm')) {
            return Err(Error::invalid(format!("invalid device mode: {access}")));
        }
        let meta = fs::metadata(on_host).map_err(gathering)?;
        if meta.is_dir() {
            return self
                .add_tree(Path::new(on_host), Path::new(inside), Some(access))
                .map_err(gathering);
        }
        match node(PathBuf::from(inside), &meta) {
            Some(device) => {
                self.allow(&device, access);
                self.nodes.push(device);
                Ok(())
            }
            None => Err(gathering(io::Error::other("not a device node"))),
        }
    }

    fn allow(&mut self, device: &Device, access: &str) {
        self.rules.push(rule(
            true,
            Some(device.kind),
            Some(device.major),
            Some(device.minor),
            access,
        ));
    }

    /// Every device below a folder. With `access` a rule for each is added.
    fn add_tree(&mut self, folder: &Path, inside: &Path, access: Option<&str>) -> io::Result<()> {
        let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, inside) = (entry.path(), inside.join(entry.file_name()));
            // A node may vanish while we look.
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_dir() {
                let own = entry
                    .file_name()
                    .to_str()
                    .is_some_and(|name| OWN_FOLDERS.contains(&name));
                if !own {
                    self.add_tree(&path, &inside, access)?;
                }
            } else if inside == Path::new("/dev/console") {
                // It is the container's own terminal.
            } else if let Some(device) = node(inside, &meta) {
                if let Some(access) = access {
                    self.allow(&device, access);
                }
                self.nodes.push(device);
            }
        }
        Ok(())
    }
}

fn node(path: PathBuf, meta: &Metadata) -> Option<Device> {
    let kind = if meta.file_type().is_char_device() {
        DeviceKind::Char
    } else if meta.file_type().is_block_device() {
        DeviceKind::Block
    } else {
        return None;
    };
    let (major, minor) = file::device_numbers(meta.rdev());
    Some(Device {
        path,
        kind,
        major: major.into(),
        minor: minor.into(),
        file_mode: Some(meta.mode() & 0o7777),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
    })
}

/// `c 1:3 rwm`, `a *:* rwm`.
fn parse_rule(text: &str) -> Result<DeviceRule> {
    let wrong = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let kind = match kind {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return Err(wrong()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits
            .parse::<u32>()
            .map(|n| Some(i64::from(n)))
            .map_err(|_| wrong()),
    };
    if access.is_empty()
        || access.len() > 3
        || !access.bytes().all(|b| matches!(b, b'r' | b'w' | b'm'))
    {
        return Err(wrong());
    }
    Ok(rule(
        true,
        Some(kind),
        number(major)?,
        number(minor)?,
        access,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_docker_s_format() {
        let parsed = parse_rule("c 1:* rw").unwrap();
        assert_eq!(
            (
                parsed.kind,
                parsed.major,
                parsed.minor,
                parsed.access.as_str()
            ),
            (Some(DeviceKind::Char), Some(1), None, "rw")
        );
        for bad in [
            "", "c", "x 1:2 r", "c 1 r", "c 1:2 x", "c 1:2 ", "c -1:2 r", "c  1:2 r",
        ] {
            assert!(parse_rule(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn devices_are_looked_up() {
        let mapping = |path: &str| DeviceMapping {
            path_on_host: path.into(),
            ..Default::default()
        };
        let mut devices = Devices::default();
        devices.add(&mapping("/dev/null")).unwrap();
        assert_eq!((devices.nodes[0].major, devices.nodes[0].minor), (1, 3));
        assert_eq!(devices.rules[0].access, "rwm");
        let error = devices.add(&mapping("/nonexist")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error gathering device information while adding custom device \"/nonexist\": no such file or directory"
        );
        assert!(devices.add(&mapping("/etc/passwd")).is_err());
    }
}
