//! An image for several platforms: each one's manifest under its digest, then the index under the tag.

use bytes::Bytes;
use oci::{Descriptor, Index, media_type};
use registry::client::{Kind, Wanted};

use super::One;
use crate::error::{Error, Result};
use crate::remote::failure;
use crate::transfer::Report;

/// Pushes the images of one index. All its platforms must be here: an index that names what the registry has not is of no
/// use to those who would pull it.
pub(super) async fn push(images: &[One<'_>]) -> Result<()> {
    let Some(first) = images.first() else {
        return Ok(());
    };
    let index = held(images, first).await?;
    let mut sent = Vec::new();
    for entry in index.manifests.iter().filter(|d| !d.is_attestation()) {
        let Some(one) = images.iter().find(|one| is_of(one, entry)) else {
            return Err(missing(first, entry));
        };
        let (descriptor, bytes) = one.send().await?;
        let digest = Wanted::Digest(&descriptor.digest);
        one.put(digest, &descriptor, &bytes).await?;
        one.remember(&descriptor, &bytes).await?;
        sent.push(Descriptor {
            platform: entry.platform.clone(),
            annotations: entry.annotations.clone(),
            ..descriptor
        });
    }
    let (descriptor, bytes) = match unchanged(first, &index, &sent).await? {
        Some(same) => same,
        None => anew(&index, sent),
    };
    let tag = first.name.tag().unwrap_or("latest");
    first.put(Wanted::Tag(tag), &descriptor, &bytes).await?;
    for one in images {
        one.remember(&descriptor, &bytes).await?;
    }
    first.done(tag, descriptor).await;
    Ok(())
}

/// Pushes an image that is the only one under its name. The index that it came out of goes along if all that it names is there, or will
/// be; else the tag stands for the image alone, and whoever pushes is told, for he may be replacing an index of many platforms.
pub(super) async fn push_alone(one: &One<'_>) -> Result<()> {
    let Some(original) = one.image.index.clone() else {
        return one.push().await;
    };
    let (descriptor, bytes) = one.send().await?;
    if let Ok(index) = held(std::slice::from_ref(one), one).await {
        let digest = Wanted::Digest(&descriptor.digest);
        one.put(digest, &descriptor, &bytes).await?;
        let sent = [descriptor.clone()];
        if let Some((whole, bytes)) = unchanged(one, &index, &sent).await? {
            return one.finish(whole, &bytes).await;
        }
    }
    one.finish(descriptor.clone(), &bytes).await?;
    let told = Report::Alone {
        index: Box::new(original),
        pushed: Box::new(descriptor),
    };
    one.reporter.tell(told).await;
    Ok(())
}

fn is_of(one: &One<'_>, entry: &Descriptor) -> bool {
    let manifest = one.image.manifest.as_ref();
    manifest.is_some_and(|manifest| manifest.digest == entry.digest)
}

/// The index that the images came out of, if all its platforms are here.
async fn held(images: &[One<'_>], first: &One<'_>) -> Result<Index> {
    let lost = || Error::system(format!("the index of {} is lost", first.name.familiar()));
    let descriptor = first.image.index.as_ref().ok_or_else(lost)?;
    let bytes = first.document(&descriptor.digest).await?.ok_or_else(lost)?;
    let index = Index::parse(&bytes).map_err(|e| Error::system(e.to_string()))?;
    let mut entries = index.manifests.iter().filter(|d| !d.is_attestation());
    match entries.find(|entry| !images.iter().any(|one| is_of(one, entry))) {
        Some(entry) => Err(missing(first, entry)),
        None => Ok(index),
    }
}

fn missing(one: &One<'_>, entry: &Descriptor) -> Error {
    let platform = match &entry.platform {
        Some(platform) => platform.to_string(),
        None => entry.digest.to_string(),
    };
    Error::not_found(format!(
        "missing content: {} is an image for several platforms, and not all of them are here: {platform} is missing. \
         Pull it with --platform, or push one of those that are here with --platform",
        one.name.familiar()
    ))
}

/// The index as it came, where all that it names is at the registry byte for byte.
async fn unchanged(
    one: &One<'_>,
    index: &Index,
    sent: &[Descriptor],
) -> Result<Option<(Descriptor, Bytes)>> {
    for entry in &index.manifests {
        if sent.iter().any(|sent| sent.digest == entry.digest) {
            continue;
        }
        // An attestation, perhaps: it was never here, but may be there.
        match one.repository.head(Wanted::Digest(&entry.digest)).await {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) => return Err(failure(&error)),
        }
    }
    let Some(descriptor) = one.image.index.clone() else {
        return Ok(None);
    };
    let bytes = one.document(&descriptor.digest).await?;
    Ok(bytes.map(|bytes| (descriptor, bytes)))
}

/// An index over what was sent, where layers had to be packed anew. Attestations are of the old manifests, so they go.
fn anew(index: &Index, sent: Vec<Descriptor>) -> (Descriptor, Bytes) {
    let docker = |d: &Descriptor| d.media_type == media_type::DOCKER_MANIFEST;
    let media_type = match sent.iter().all(docker) {
        true => media_type::DOCKER_MANIFEST_LIST,
        false => media_type::OCI_INDEX,
    };
    let index = Index {
        media_type: Some(media_type.to_owned()),
        annotations: index.annotations.clone(),
        ..Index::new(sent)
    };
    let bytes = Bytes::from(index.to_bytes());
    (Descriptor::of(media_type, &bytes), bytes)
}
