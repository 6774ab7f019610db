//! OCI image layout (image-spec 1.1, image-layout.md): `index.json` over blobs by digest.

use std::collections::HashMap;
use std::ops::Range;

use oci::{Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};

use super::docker_archive::{check_layers, parse_config};
use super::{Intake, invalid};
use crate::store::NewImage;
use crate::{Error, Result, names};

pub(super) const INDEX: &str = "index.json";

/// Indexes may name indexes; more than this is a loop or a joke.
const MAX_DEPTH: usize = 4;

/// Images of one index; no program is built for more platforms.
const MAX_PLATFORMS: usize = 200;

/// What containerd, Docker and BuildKit write an image's full name into.
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Whether the layout says more than Docker's own format beside it can: a name for several images.
pub(super) fn has_named_indexes(intake: &Intake<'_>) -> bool {
    let index = intake.document(INDEX).and_then(parse_index);
    index.is_ok_and(|index| {
        let mut manifests = index.manifests.iter();
        manifests.any(|d| media_type::is_index(&d.media_type) && name(d).is_some())
    })
}

/// The images of the layout. An index inside stands for the images of the platforms that are wanted or, where nothing is
/// said, for all of which everything is there.
pub(super) fn images(intake: &Intake<'_>, platforms: &[Platform]) -> Result<Vec<NewImage>> {
    let index = parse_index(intake.document(INDEX)?)?;
    let mut images: Vec<NewImage> = Vec::new();
    let mut known: HashMap<Digest, Range<usize>> = HashMap::new();
    for descriptor in index.manifests.iter().filter(|d| !d.is_attestation()) {
        let name = name(descriptor);
        name.as_ref().map_or(Ok(()), names::check_new)?;
        // A layout lists an image once for each of its names.
        if let Some(at) = known.get(&descriptor.digest) {
            for image in &mut images[at.clone()] {
                image.names.extend(name.clone());
            }
            continue;
        }
        let first = images.len();
        for manifest in meant(intake, descriptor, platforms)? {
            images.push(NewImage {
                names: Vec::from_iter(name.clone()),
                index: index_of(intake, descriptor)?,
                ..image(intake, &manifest)?
            });
        }
        known.insert(descriptor.digest.clone(), first..images.len());
    }
    if images.is_empty() {
        return Err(invalid("invalid archive: its index.json names no image"));
    }
    Ok(images)
}

/// The index itself, if that is what the layout lists.
fn index_of(intake: &Intake<'_>, descriptor: &Descriptor) -> Result<Option<(Descriptor, Vec<u8>)>> {
    let bytes = blob(intake, descriptor)?;
    Ok(is_index(descriptor, bytes).then(|| {
        let kept = Descriptor::of(media_type::OCI_INDEX, bytes);
        let media_type = Some(descriptor.media_type.clone()).filter(|text| !text.is_empty());
        let media_type = media_type.unwrap_or_else(|| kept.media_type.clone());
        (Descriptor { media_type, ..kept }, bytes.to_vec())
    }))
}

/// The manifests that `descriptor` stands for.
fn meant(
    intake: &Intake<'_>,
    descriptor: &Descriptor,
    platforms: &[Platform],
) -> Result<Vec<Descriptor>> {
    let mut found: Vec<Descriptor> = Vec::new();
    for platform in platforms {
        let manifest = select(intake, descriptor, platform, 0)?;
        if !found.iter().any(|known| known.digest == manifest.digest) {
            found.push(manifest);
        }
    }
    if platforms.is_empty() {
        all_there(intake, descriptor, 0, &mut found)?;
    }
    if found.is_empty() {
        found.push(select(intake, descriptor, &Platform::host(), 0)?);
    }
    Ok(found)
}

/// The manifests below `descriptor` of which everything is in the archive, each once.
fn all_there(
    intake: &Intake<'_>,
    descriptor: &Descriptor,
    depth: usize,
    whole: &mut Vec<Descriptor>,
) -> Result<()> {
    let elsewhere = |p: &Platform| !matches!(&*p.os, "" | "linux");
    if descriptor.is_attestation()
        || descriptor.platform.as_ref().is_some_and(elsewhere)
        || !intake.documents.contains_key(&blob_name(descriptor))
    {
        return Ok(());
    }
    let bytes = blob(intake, descriptor)?;
    if is_index(descriptor, bytes) {
        if depth > MAX_DEPTH {
            return Err(invalid("invalid archive: indexes within indexes, too deep"));
        }
        let entries = parse_index(bytes)?.manifests;
        let mut entries = entries.iter();
        return entries.try_for_each(|entry| all_there(intake, entry, depth + 1, whole));
    }
    let known = whole.iter().any(|known| known.digest == descriptor.digest);
    if !known && is_whole(intake, bytes)? {
        if whole.len() == MAX_PLATFORMS {
            return Err(invalid("invalid archive: an index of too many images"));
        }
        whole.push(descriptor.clone());
    }
    Ok(())
}

/// Whether what a manifest names is in the archive.
fn is_whole(intake: &Intake<'_>, manifest: &[u8]) -> Result<bool> {
    let manifest = parse_manifest(manifest)?;
    let mut layers = manifest.layers.iter();
    Ok(intake.documents.contains_key(&blob_name(&manifest.config))
        && layers.all(|layer| intake.layers.contains_key(&blob_name(layer))))
}

/// The full name of an image, where the layout gives one; a tag alone names nothing.
fn name(descriptor: &Descriptor) -> Option<Reference> {
    let annotation = |key| descriptor.annotations.get(key);
    if let Some(name) = annotation(IMAGE_NAME).and_then(|text| Reference::parse(text).ok()) {
        return (name.digest().is_none()).then(|| name.or_latest());
    }
    let text = annotation(REF_NAME).filter(|text| text.contains([':', '/']))?;
    Reference::parse(text)
        .ok()
        .filter(|name| name.digest().is_none())
        .map(Reference::or_latest)
}

/// The manifest that `descriptor` stands for.
fn select(
    intake: &Intake<'_>,
    descriptor: &Descriptor,
    wanted: &Platform,
    depth: usize,
) -> Result<Descriptor> {
    if depth > MAX_DEPTH {
        return Err(invalid("invalid archive: indexes within indexes, too deep"));
    }
    let bytes = blob(intake, descriptor)?;
    if !is_index(descriptor, bytes) {
        return Ok(descriptor.clone());
    }
    let index = parse_index(bytes)?;
    let mut fitting = index
        .manifests
        .iter()
        .filter(|d| !d.is_attestation())
        .filter(|d| d.platform.as_ref().is_none_or(|p| wanted.accepts(p)))
        // A layout may leave out the blobs of other platforms; the ones that are there come first.
        .map(|d| (intake.documents.contains_key(&blob_name(d)), d))
        .collect::<Vec<_>>();
    fitting.sort_by_key(|(there, d)| (!there, d.platform.as_ref() != Some(wanted)));
    match fitting.first() {
        Some((_, best)) => select(intake, best, wanted, depth + 1),
        None => Err(invalid(&format!("the archive holds no image for {wanted}"))),
    }
}

fn is_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    match &*descriptor.media_type {
        "" => Index::parse(bytes).is_ok() && Manifest::parse(bytes).is_err(),
        known => media_type::is_index(known),
    }
}

fn image(intake: &Intake<'_>, descriptor: &Descriptor) -> Result<NewImage> {
    let bytes = blob(intake, descriptor)?;
    let manifest = parse_manifest(bytes)?;
    if let Some(strange) = manifest
        .layers
        .iter()
        .find(|layer| !media_type::is_layer(&layer.media_type))
    {
        return Err(invalid(&format!(
            "layers of type {:?} are not supported",
            strange.media_type
        )));
    }
    let config_bytes = blob(intake, &manifest.config)?;
    let config = parse_config(config_bytes)?;
    let members: Vec<String> = manifest.layers.iter().map(blob_name).collect();
    check_layers(intake, &config, &members)?;
    for (layer, member) in manifest.layers.iter().zip(&members) {
        let found = intake.layer(member)?;
        if found.digest != layer.digest || found.size != layer.size {
            return Err(invalid(&format!(
                "invalid archive: layer {} has another digest or size",
                layer.digest
            )));
        }
    }
    let mut kept = Descriptor::new(
        &descriptor.media_type,
        descriptor.digest.clone(),
        bytes.len() as u64,
    );
    if kept.media_type.is_empty() {
        kept.media_type = media_type::OCI_MANIFEST.to_owned();
    }
    Ok(NewImage {
        config: config_bytes.to_vec(),
        manifest: Some((kept, bytes.to_vec())),
        index: None,
        parent: None,
        names: Vec::new(),
    })
}

fn blob<'b>(intake: &'b Intake<'_>, descriptor: &Descriptor) -> Result<&'b [u8]> {
    let bytes = intake.document(&blob_name(descriptor))?;
    if bytes.len() as u64 != descriptor.size || !descriptor.digest.matches(bytes) {
        return Err(invalid(&format!(
            "invalid archive: {} has another digest or size",
            descriptor.digest
        )));
    }
    Ok(bytes)
}

fn blob_name(descriptor: &Descriptor) -> String {
    format!(
        "blobs/{}/{}",
        descriptor.digest.algorithm().name(),
        descriptor.digest.hex()
    )
}

fn parse_index(bytes: &[u8]) -> Result<Index> {
    Index::parse(bytes).map_err(|error| Error::Archive {
        what: "invalid archive".to_owned(),
        source: Some(Box::new(error)),
    })
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest> {
    Manifest::parse(bytes).map_err(|error| Error::Archive {
        what: "invalid archive".to_owned(),
        source: Some(Box::new(error)),
    })
}
