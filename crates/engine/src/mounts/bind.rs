//! The `-v` syntax: `[source:]target[:options]`.

use super::{Access, Kind, MountPoint, destination_path};
use crate::error::{Error, Result};

/// What follows the second colon.
#[derive(Debug, Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

pub(super) fn parse(text: &str) -> Result<MountPoint> {
    let wrong = |error: Error| {
        Error::invalid(format!("invalid volume specification: '{text}'")).caused_by(error)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] => ("", destination, ""),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => {
            return Err(Error::invalid(format!(
                "invalid volume specification: '{text}'"
            )));
        }
    };
    if parts.len() > 1 && (source.is_empty() || destination.is_empty()) {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{text}'"
        )));
    }
    let asked = parse_mode(mode)?;
    let kind = if source.starts_with('/') {
        "bind"
    } else {
        "volume"
    };
    let destination = destination_path(destination).map_err(|e| {
        wrong(Error::invalid(format!("invalid mount config for type \"{kind}\"")).caused_by(e))
    })?;
    let access = if asked.read_only {
        Access::ReadOnly
    } else {
        Access::Full
    };
    if kind == "bind" {
        if asked.no_copy {
            return Err(Error::invalid(format!("invalid mode: {mode}")));
        }
        return Ok(MountPoint {
            source: clean(source),
            mode: mode.to_owned(),
            access,
            propagation: if asked.propagation.is_empty() {
                "rprivate".to_owned()
            } else {
                asked.propagation
            },
            create_source: true,
            ..MountPoint::new(Kind::Bind, destination)
        });
    }
    if !source.is_empty() {
        check_volume_name(source)?;
    }
    if !asked.propagation.is_empty() {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    Ok(MountPoint {
        name: source.to_owned(),
        mode: if mode.is_empty() && !source.is_empty() {
            "z".to_owned()
        } else {
            mode.to_owned()
        },
        access,
        anonymous: source.is_empty(),
        no_copy: asked.no_copy,
        ..MountPoint::new(Kind::Volume, destination)
    })
}

/// Each group at most once. SELinux labels (`z`, `Z`) mean nothing without SELinux, as in Docker.
fn parse_mode(text: &str) -> Result<Mode> {
    let invalid = || Error::invalid(format!("invalid mode: {text}"));
    let mut mode = Mode::default();
    let mut groups = [false; 5];
    for option in text.split(',').filter(|_| !text.is_empty()) {
        let group = match option {
            "ro" | "rw" => {
                mode.read_only = option == "ro";
                0
            }
            "z" | "Z" => 1,
            "nocopy" => {
                mode.no_copy = true;
                2
            }
            "consistent" | "cached" | "delegated" => 3,
            _ if check_propagation(option).is_ok() => {
                option.clone_into(&mut mode.propagation);
                4
            }
            _ => return Err(invalid()),
        };
        if std::mem::replace(&mut groups[group], true) {
            return Err(invalid());
        }
    }
    Ok(mode)
}

pub(super) fn check_propagation(mode: &str) -> Result<()> {
    match mode {
        "" | "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => Ok(()),
        _ => Err(Error::invalid(format!("invalid propagation mode: {mode}"))),
    }
}

/// Docker's rule for volume names; it also keeps them from being paths.
pub(crate) fn check_volume_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() > 1
        && name.len() <= 255
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if good {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// A path inside a volume: relative, and it stays inside.
pub(super) fn checked_subpath(path: &str) -> Result<String> {
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(
            "subpath must be a relative path within the volume",
        ));
    }
    Ok(path.to_owned())
}

/// The source without a trailing slash or doubled ones; `..` stays the kernel's business.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("/{}", parts.join("/"))
}
