//! `-v`, `--mount`, `--tmpfs` and `VOLUME` as one list of mount points.
//!
//! Parsing is pure; what lies on the disk (volumes made, missing sources) is [`volumes`](crate::volumes)' and the start's.

mod bind;

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::{ContainerOptions, MountOption};
use crate::view::{MountKind, MountView};

/// One thing mounted into a container. Kept in its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountPoint {
    pub(crate) kind: Kind,
    /// A volume's name; empty for an anonymous one until it is made.
    #[serde(default)]
    pub(crate) name: String,
    /// Path on the host; for volumes filled in when they are made.
    #[serde(default)]
    pub(crate) source: String,
    pub(crate) destination: String,
    /// As `-v` had it.
    #[serde(default)]
    pub(crate) mode: String,
    pub(crate) access: Access,
    /// Empty: the default of its kind.
    #[serde(default)]
    pub(crate) propagation: String,
    /// Without the mounts below the source.
    #[serde(default)]
    pub(crate) non_recursive: bool,
    /// Make the source when it is missing (`-v`).
    #[serde(default)]
    pub(crate) create_source: bool,
    /// Do not fill a new volume from the image.
    #[serde(default)]
    pub(crate) no_copy: bool,
    /// A folder in the volume.
    #[serde(default)]
    pub(crate) subpath: String,
    /// Made without a name: removed with the container when asked.
    #[serde(default)]
    pub(crate) anonymous: bool,
    /// Mount options of a tmpfs.
    #[serde(default)]
    pub(crate) tmpfs: Vec<String>,
    /// Labels of a volume that is made for this.
    #[serde(default)]
    pub(crate) labels: std::collections::BTreeMap<String, String>,
    /// The driver of a volume that is made for this; empty: `local`.
    #[serde(default)]
    pub(crate) driver: String,
    #[serde(default)]
    pub(crate) driver_options: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Bind,
    Volume,
    Tmpfs,
}

/// What the container may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    Full,
    /// With everything below it, where the kernel can (5.12).
    ReadOnly,
    /// But not the mounts below it.
    TopReadOnly,
}

impl MountPoint {
    pub(crate) fn new(kind: Kind, destination: String) -> Self {
        Self {
            kind,
            name: String::new(),
            source: String::new(),
            destination,
            mode: String::new(),
            access: Access::Full,
            propagation: String::new(),
            non_recursive: false,
            create_source: false,
            no_copy: false,
            subpath: String::new(),
            anonymous: false,
            tmpfs: Vec::new(),
            labels: Default::default(),
            driver: String::new(),
            driver_options: Default::default(),
        }
    }

    /// As `inspect` shows it.
    pub(crate) fn view(&self) -> MountView {
        MountView {
            kind: match self.kind {
                Kind::Bind => MountKind::Bind,
                Kind::Volume => MountKind::Volume,
                Kind::Tmpfs => MountKind::Tmpfs,
            },
            name: self.name.clone(),
            source: self.source.clone(),
            destination: self.destination.clone(),
            driver: if self.kind == Kind::Volume {
                "local".to_owned()
            } else {
                String::new()
            },
            mode: self.mode.clone(),
            read_write: self.access == Access::Full,
            propagation: self.propagation.clone(),
        }
    }

    /// The options of the bind or tmpfs in the runtime's spec.
    pub(crate) fn spec_options(&self) -> Vec<String> {
        if self.kind == Kind::Tmpfs {
            return self.tmpfs.clone();
        }
        let mut options = vec![if self.non_recursive { "bind" } else { "rbind" }.to_owned()];
        match self.access {
            Access::Full => {}
            Access::ReadOnly if !self.non_recursive => options.push("rro".to_owned()),
            Access::ReadOnly | Access::TopReadOnly => options.push("ro".to_owned()),
        }
        if !self.subpath.is_empty() {
            options.push(format!("tare.subpath={}", self.subpath));
        }
        if !self.propagation.is_empty() {
            options.push(self.propagation.clone());
        }
        options
    }
}

/// All mount points of a container, in the order in which they are mounted: shallow before deep. What the options say
/// goes before what is `inherited` (`--volumes-from`), and that before anonymous volumes.
pub(crate) fn collect(
    options: &ContainerOptions,
    inherited: Vec<MountPoint>,
) -> Result<Vec<MountPoint>> {
    let mut points = Vec::new();
    for text in &options.host.binds {
        points.push(MountPoint {
            driver: options.host.volume_driver.clone(),
            ..bind::parse(text)?
        });
    }
    for mount in &options.host.mounts {
        points.push(from_mount(mount)?);
    }
    for (destination, text) in &options.host.tmpfs {
        points.push(tmpfs(destination, text)?);
    }
    refuse_duplicates(&points)?;
    let mut taken: BTreeSet<String> = points.iter().map(|p| p.destination.clone()).collect();
    points.extend(
        inherited
            .into_iter()
            .filter(|p| taken.insert(p.destination.clone())),
    );
    for destination in &options.volumes {
        let destination = destination_path(destination).map_err(|e| {
            Error::invalid(format!("invalid volume specification: '{destination}'")).caused_by(e)
        })?;
        if !taken.contains(&destination) {
            points.push(MountPoint {
                anonymous: true,
                driver: options.host.volume_driver.clone(),
                ..MountPoint::new(Kind::Volume, destination)
            });
        }
    }
    points.sort_by_key(|p| Path::new(&p.destination).components().count());
    Ok(points)
}

/// What `--volumes-from CONTAINER[:MODE]` takes over of another container's mount points.
pub(crate) fn inherit(points: &[MountPoint], mode: &str) -> Result<Vec<MountPoint>> {
    let read_only = match mode {
        "" | "rw" | "z" | "Z" => false,
        "ro" => true,
        _ => return Err(Error::invalid(format!("invalid mode: {mode}"))),
    };
    let taken_over = |point: &MountPoint| MountPoint {
        access: if read_only {
            Access::ReadOnly
        } else {
            point.access
        },
        no_copy: true,
        ..point.clone()
    };
    let passes = |point: &&MountPoint| point.kind != Kind::Tmpfs;
    Ok(points.iter().filter(passes).map(taken_over).collect())
}

fn refuse_duplicates(points: &[MountPoint]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match points.iter().find(|p| !seen.insert(p.destination.as_str())) {
        Some(twice) => Err(Error::invalid(format!(
            "Duplicate mount point: {}",
            twice.destination
        ))),
        None => Ok(()),
    }
}

/// Cleans a path in the container: absolute, not the root, `.` and `..` resolved by text.
fn destination_path(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    if parts.is_empty() {
        return Err(Error::invalid(
            "invalid specification: destination can't be '/'",
        ));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The default options of every tmpfs; what the user says wins.
const TMPFS_DEFAULTS: [&str; 3] = ["noexec", "nosuid", "nodev"];

/// Options that take a value.
const TMPFS_VALUES: &[&str] = &[
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];

/// Options that are flags.
const TMPFS_FLAGS: &[&str] = &[
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "ro",
    "rw",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "sync",
    "async",
    "dirsync",
    "mand",
    "nomand",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
    "bind",
    "rbind",
    "remount",
    "defaults",
];

fn tmpfs(destination: &str, text: &str) -> Result<MountPoint> {
    let destination = destination_path(destination)?;
    let mut point = MountPoint::new(Kind::Tmpfs, destination);
    point.tmpfs = tmpfs_options(text.split(',').filter(|o| !o.is_empty()))?;
    if point.tmpfs.iter().any(|o| o == "ro") {
        point.access = Access::ReadOnly;
    }
    point.mode = text.to_owned();
    Ok(point)
}

fn tmpfs_options<'a>(asked: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut options: Vec<String> = TMPFS_DEFAULTS.iter().map(|o| (*o).to_owned()).collect();
    for option in asked {
        let name = option.split_once('=').map_or(option, |(name, _)| name);
        let known = if option.contains('=') {
            TMPFS_VALUES
        } else {
            TMPFS_FLAGS
        };
        if !known.contains(&name) {
            return Err(Error::invalid(format!(
                "invalid tmpfs option [\"{option}\"]"
            )));
        }
        // `exec` undoes `noexec`, and a repeated value replaces the earlier.
        let opposite = name
            .strip_prefix("no")
            .map_or_else(|| format!("no{name}"), str::to_owned);
        options
            .retain(|o| *o != opposite && o.split_once('=').map_or(o.as_str(), |(n, _)| n) != name);
        options.push(option.to_owned());
    }
    options.push("rprivate".to_owned());
    Ok(options)
}

fn from_mount(mount: &MountOption) -> Result<MountPoint> {
    let invalid = |why: String| {
        Error::invalid(format!(
            "invalid mount config for type \"{}\": {why}",
            mount.kind
        ))
    };
    if matches!(mount.kind.as_str(), "image" | "cluster" | "npipe")
        || mount.has_image_options
        || mount.has_cluster_options
    {
        return Err(Error::unsupported(format_args!(
            "a mount of type {:?}",
            mount.kind
        )));
    }
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty".to_owned()));
    }
    let destination = destination_path(&mount.target).map_err(|e| invalid(e.to_string()))?;
    refuse_foreign_options(mount)
        .map_err(|field| invalid(format!("field {field} must not be specified")))?;
    match mount.kind.as_str() {
        "bind" => bind_mount(mount, destination).map_err(|e| invalid(e.to_string())),
        "volume" => volume_mount(mount, destination),
        "tmpfs" => tmpfs_mount(mount, destination).map_err(|e| invalid(e.to_string())),
        _ => Err(invalid("mount type unknown".to_owned())),
    }
}

/// The options of another kind of mount, if any are there.
fn refuse_foreign_options(mount: &MountOption) -> Result<(), &'static str> {
    let kind = mount.kind.as_str();
    if mount.bind.is_some() && kind != "bind" {
        return Err("BindOptions");
    }
    if mount.volume.is_some() && kind != "volume" {
        return Err("VolumeOptions");
    }
    if mount.tmpfs.is_some() && kind != "tmpfs" {
        return Err("TmpfsOptions");
    }
    if !mount.source.is_empty() && kind == "tmpfs" {
        return Err("Source");
    }
    Ok(())
}

fn access(read_only: bool) -> Access {
    if read_only {
        Access::ReadOnly
    } else {
        Access::Full
    }
}

fn bind_mount(mount: &MountOption, destination: String) -> Result<MountPoint> {
    if mount.source.is_empty() {
        return Err(Error::invalid("field Source must not be empty"));
    }
    if !mount.source.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.source
        )));
    }
    let asked = mount.bind.clone().unwrap_or_default();
    bind::check_propagation(&asked.propagation)?;
    if asked.read_only_force_recursive && asked.read_only_non_recursive {
        return Err(Error::invalid(
            "mutually exclusive options: ReadOnlyNonRecursive and ReadOnlyForceRecursive",
        ));
    }
    let access = match (mount.read_only, asked.read_only_non_recursive) {
        (true, true) => Access::TopReadOnly,
        (read_only, _) => access(read_only),
    };
    Ok(MountPoint {
        source: mount.source.clone(),
        access,
        propagation: if asked.propagation.is_empty() {
            "rprivate".to_owned()
        } else {
            asked.propagation
        },
        non_recursive: asked.non_recursive,
        create_source: asked.create_mountpoint,
        ..MountPoint::new(Kind::Bind, destination)
    })
}

fn volume_mount(mount: &MountOption, destination: String) -> Result<MountPoint> {
    let asked = mount.volume.clone().unwrap_or_default();
    if !mount.source.is_empty() {
        bind::check_volume_name(&mount.source)?;
    }
    Ok(MountPoint {
        name: mount.source.clone(),
        access: access(mount.read_only),
        anonymous: mount.source.is_empty(),
        no_copy: asked.no_copy,
        subpath: bind::checked_subpath(&asked.subpath)?,
        labels: asked.labels,
        driver: asked.driver,
        driver_options: asked.driver_options,
        mode: "z".to_owned(),
        ..MountPoint::new(Kind::Volume, destination)
    })
}

fn tmpfs_mount(mount: &MountOption, destination: String) -> Result<MountPoint> {
    let asked = mount.tmpfs.clone().unwrap_or_default();
    let mut options = Vec::new();
    for extra in &asked.options {
        match extra.as_slice() {
            [flag] => options.push(flag.clone()),
            [name, value] => options.push(format!("{name}={value}")),
            _ => return Err(Error::invalid("invalid option array length")),
        }
    }
    if asked.size < 0 {
        return Err(Error::invalid("tmpfs size must not be negative"));
    }
    if asked.size > 0 {
        options.push(format!("size={}", asked.size));
    }
    if asked.mode > 0 {
        options.push(format!("mode={:o}", asked.mode & 0o7777));
    }
    if mount.read_only {
        options.push("ro".to_owned());
    }
    Ok(MountPoint {
        access: access(mount.read_only),
        tmpfs: tmpfs_options(options.iter().map(String::as_str))?,
        ..MountPoint::new(Kind::Tmpfs, destination)
    })
}

#[cfg(test)]
mod tests;
