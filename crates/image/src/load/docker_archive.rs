//! Docker's archive format (image-spec of moby, v1.2): `manifest.json` beside configs and layers.

use oci::{ImageConfig, Platform, Reference};
use serde::Deserialize;

use super::{Intake, invalid};
use crate::store::NewImage;
use crate::tar::{Entry, EntryKind};
use crate::{Error, Result, names};

pub(super) const INDEX: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchiveImage {
    /// Member that holds the config.
    pub config: String,
    pub repo_tags: Option<Vec<String>>,
    /// Members that hold the layers, lowest first.
    pub layers: Option<Vec<String>>,
}

/// Reads `manifest.json`.
pub fn parse_index(bytes: &[u8]) -> Result<Vec<ArchiveImage>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// A member's name without `./`; absolute names and `..` have no place in an image archive.
pub fn member_name(path: &[u8]) -> Result<String, String> {
    let name = String::from_utf8_lossy(path).into_owned();
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(format!("invalid archive: {name:?} leads out of it"));
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    Ok(parts.join("/"))
}

/// The member that a link means: a symlink's target counts from its own folder, a hard link's from the archive's root.
pub(super) fn link_target(name: &str, entry: &Entry) -> Result<String, String> {
    if entry.kind == EntryKind::HardLink {
        return member_name(&entry.link);
    }
    let target = String::from_utf8_lossy(&entry.link).into_owned();
    let leads_out = || format!("invalid archive: link {name:?} -> {target:?} leads out of it");
    if target.starts_with('/') {
        return Err(leads_out());
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(leads_out)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The images that the archive's index names, each held against its config.
pub(super) fn images(intake: &Intake<'_>, platforms: &[Platform]) -> Result<Vec<NewImage>> {
    let listed = parse_index(intake.document(INDEX)?).map_err(|error| Error::Archive {
        what: "invalid archive: manifest.json".to_owned(),
        source: Some(Box::new(error)),
    })?;
    listed
        .iter()
        .map(|item| image(intake, item, platforms))
        .collect()
}

fn image(intake: &Intake<'_>, item: &ArchiveImage, platforms: &[Platform]) -> Result<NewImage> {
    let bytes = intake.document(&member_name(item.config.as_bytes()).map_err(Error::Invalid)?)?;
    let config = parse_config(bytes)?;
    let fits = |wanted: &Platform| wanted.accepts(&config.platform());
    if let Some(wanted) = platforms.first()
        && !platforms.iter().any(fits)
    {
        return Err(invalid(&format!(
            "the archive holds no image for {wanted}: it is for {}",
            config.platform()
        )));
    }
    let members = item.layers.as_deref().unwrap_or_default();
    check_layers(intake, &config, members)?;
    let names = item.repo_tags.iter().flatten().map(|tag| {
        let name = Reference::parse(tag)
            .map_err(|e| invalid(&format!("invalid tag {tag:?} in manifest.json: {e}")))?;
        if name.tag().is_none() || name.digest().is_some() {
            return Err(invalid(&format!("invalid tag {tag:?} in manifest.json")));
        }
        names::check_new(&name)?;
        Ok(name)
    });
    Ok(NewImage {
        config: bytes.to_vec(),
        manifest: None,
        index: None,
        parent: None,
        names: names.collect::<Result<_>>()?,
    })
}

pub(super) fn parse_config(bytes: &[u8]) -> Result<ImageConfig> {
    let config = ImageConfig::parse(bytes).map_err(|error| Error::Archive {
        what: "invalid image".to_owned(),
        source: Some(Box::new(error)),
    })?;
    if !matches!(&*config.os, "" | "linux") {
        return Err(invalid(&format!(
            "cannot load {} image on linux",
            config.os
        )));
    }
    Ok(config)
}

/// The layers are as many, and are the ones, that the config says.
pub(super) fn check_layers(
    intake: &Intake<'_>,
    config: &ImageConfig,
    members: &[String],
) -> Result<()> {
    let wanted = &config.rootfs.diff_ids;
    if wanted.len() != members.len() {
        return Err(invalid(&format!(
            "invalid manifest, layers length mismatch: expected {}, got {}",
            wanted.len(),
            members.len()
        )));
    }
    for (number, (wanted, member)) in wanted.iter().zip(members).enumerate() {
        let found = &intake
            .layer(&member_name(member.as_bytes()).map_err(Error::Invalid)?)?
            .diff_id;
        if found != wanted {
            return Err(invalid(&format!(
                "invalid diffID for layer {number}: expected \"{wanted}\", got \"{found}\""
            )));
        }
    }
    Ok(())
}
