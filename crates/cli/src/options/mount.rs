//! `--mount type=bind,source=/a,target=/b,...`.

use api::types::mount::{BindOptions, DriverConfig, Mount, TmpfsOptions, VolumeOptions};

use super::size;
use super::volume::clean;
use crate::flags::parse_bool;

/// Reads one mount.
pub(crate) fn parse(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        r#type: "volume".to_owned(),
        ..Mount::default()
    };
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match value {
            Some(value) => set(&mut mount, &key, value, &field)?,
            None => set_bare(&mut mount, &key, &field)?,
        }
    }
    validate(&mount)?;
    Ok(mount)
}

/// Whether it is a mount.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// One line of comma-separated values (RFC 4180): a field with a comma stands in quotes.
fn fields(line: &str) -> Result<Vec<String>, String> {
    if line.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let read = if let Some(quoted) = text.strip_prefix('"') {
            quoted_field(quoted)
        } else {
            plain_field(text)
        };
        let (field, after) = read.map_err(|(left, reason)| {
            let column = line.len() - left + 1;
            format!("parse error on line 1, column {column}: {reason}")
        })?;
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

/// A field and what follows its comma; or how many bytes are left where it went wrong, and why.
type Field<'a> = Result<(String, Option<&'a str>), (usize, &'static str)>;

const MISSING_QUOTE: &str = "extraneous or missing \" in quoted-field";

fn plain_field(text: &str) -> Field<'_> {
    let (field, after) = text
        .split_once(',')
        .map_or((text, None), |(field, after)| (field, Some(after)));
    if let Some(quote) = field.find('"') {
        return Err((text.len() - quote, "bare \" in non-quoted-field"));
    }
    Ok((field.to_owned(), after))
}

fn quoted_field(text: &str) -> Field<'_> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or((0, MISSING_QUOTE))?;
        field.push_str(part);
        if let Some(after) = after.strip_prefix('"') {
            field.push('"');
            rest = after;
        } else if after.is_empty() {
            return Ok((field, None));
        } else if let Some(after) = after.strip_prefix(',') {
            return Ok((field, Some(after)));
        } else {
            return Err((after.len(), MISSING_QUOTE));
        }
    }
}

fn set_bare(mount: &mut Mount, key: &str, field: &str) -> Result<(), String> {
    match key {
        "readonly" | "ro" => mount.read_only = true,
        "volume-nocopy" => volume(mount).no_copy = true,
        "bind-nonrecursive" => bind(mount).non_recursive = true,
        "bind-create-src" => bind(mount).create_mountpoint = true,
        _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
    }
    Ok(())
}

fn set(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let invalid = || format!("invalid value for {key}: {value}");
    let flag = || parse_bool(value).map_err(|_| invalid());
    match key {
        "type" => mount.r#type = value.to_lowercase(),
        "source" | "src" => mount.source = source(value),
        "target" | "dst" | "destination" => mount.target = value.to_owned(),
        "readonly" | "ro" => mount.read_only = flag()?,
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = flag()?,
        "bind-create-src" => bind(mount).create_mountpoint = flag()?,
        "bind-recursive" => set_recursive(mount, value)?,
        "volume-subpath" => volume(mount).subpath = value.to_owned(),
        "volume-nocopy" => volume(mount).no_copy = flag()?,
        "volume-label" => insert(&mut volume(mount).labels, value),
        "volume-driver" => driver(mount).name = value.to_owned(),
        "volume-opt" => insert(&mut driver(mount).options, value),
        "image-subpath" => mount.image_options.get_or_insert_default().subpath = value.to_owned(),
        "tmpfs-size" => tmpfs(mount).size_bytes = size::bytes(value).map_err(|_| invalid())?,
        "tmpfs-mode" => tmpfs(mount).mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?,
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn set_recursive(mount: &mut Mount, value: &str) -> Result<(), String> {
    match value {
        // The daemon's own way: recursively read-only where the kernel can.
        "enabled" => {}
        "disabled" => bind(mount).non_recursive = true,
        "writable" => bind(mount).read_only_non_recursive = true,
        "readonly" => bind(mount).read_only_force_recursive = true,
        _ => {
            return Err(format!(
                "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            ));
        }
    }
    Ok(())
}

fn source(value: &str) -> String {
    let relative =
        value == "." || value.starts_with("./") || value == ".." || value.starts_with("../");
    match std::env::current_dir() {
        Ok(current) if relative => clean(&current.join(value)),
        _ => value.to_owned(),
    }
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut DriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn insert(map: &mut std::collections::BTreeMap<String, String>, text: &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if !name.is_empty() {
        map.insert(name.to_owned(), value.to_owned());
    }
}

fn validate(mount: &Mount) -> Result<(), String> {
    let kind = mount.r#type.as_str();
    if kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    let Mount {
        volume_options,
        image_options,
        bind_options,
        tmpfs_options,
        ..
    } = mount;
    let groups = [
        ("volume", volume_options.is_some()),
        ("image", image_options.is_some()),
        ("bind", bind_options.is_some()),
        ("tmpfs", tmpfs_options.is_some()),
    ];
    if let Some((group, _)) = groups
        .into_iter()
        .find(|(group, given)| *given && *group != kind)
    {
        return Err(format!(
            "cannot mix '{group}-*' options with mount type '{kind}'"
        ));
    }
    bind_options
        .as_ref()
        .map_or(Ok(()), |options| validate_bind(mount, options))
}

fn validate_bind(mount: &Mount, options: &BindOptions) -> Result<(), String> {
    let needs = |option: &str, other: &str| {
        Err(format!(
            "option 'bind-recursive={option}' requires '{other}' to be specified in conjunction"
        ))
    };
    if options.read_only_non_recursive && !mount.read_only {
        return needs("writable", "readonly");
    }
    if options.read_only_force_recursive && !mount.read_only {
        return needs("readonly", "readonly");
    }
    if options.read_only_force_recursive && options.propagation != "rprivate" {
        return needs("readonly", "bind-propagation=rprivate");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
