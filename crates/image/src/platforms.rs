//! One name for several images: those of one index, each for a platform of its own.
//!
//! A name lists the images that bear it. Where nothing is said of a platform it means the first of them, which is the one
//! that fits this machine best, else the one that came last. An image joins those that bear its name already if all came
//! out of the same index; otherwise it takes the name from them, as it always was.

use oci::{Descriptor, Digest, ImageConfig, Platform, Reference};

use crate::database::Reader;
use crate::{Image, Result, Store, names};

impl Store {
    /// As [`Store::resolve`], and of several platforms under one name the one that fits `platform` best. Where none does
    /// it is the one that the name means by itself: whether that will do is for the caller to say.
    pub fn resolve_for(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        let image = self.resolve(name)?;
        let Some(platform) = platform else {
            return Ok(image);
        };
        let all = self.variants(name)?.into_iter();
        let ranked = all.filter_map(|image| {
            let rank = platform.rank(&image.config.platform())?;
            Some((rank, image))
        });
        let best = ranked.min_by_key(|(rank, _)| *rank);
        Ok(best.map_or(image, |(_, image)| image))
    }

    /// All images that a user means by a name: several where it stands for an index. The one that it means by itself
    /// is the first.
    pub fn variants(&self, name: &str) -> Result<Vec<Image>> {
        let reader = self.read()?;
        let names = reader.names()?;
        let mut images = Vec::new();
        for id in meant(&reader, name)? {
            if let Some(record) = reader.image(&id)? {
                images.push(self.view(&reader, &id, &record, &names)?);
            }
        }
        Ok(images)
    }

    /// Takes a name from one image; others that bear it keep it.
    pub(crate) fn take_name(&self, reader: &Reader, name: &Reference, id: &Digest) -> Result<()> {
        let mut left = reader.bearers(name)?;
        left.retain(|other| other != id);
        self.inner.database.write(|tables| match left.is_empty() {
            true => tables.remove_name(name),
            false => tables.put_name(name, &left),
        })
    }
}

/// The images that a user's text means; an id means one.
pub(crate) fn meant(reader: &Reader, text: &str) -> Result<Vec<Digest>> {
    match names::found(reader, text)? {
        (_, Some(name)) => reader.bearers(&name),
        (id, None) => Ok(vec![id]),
    }
}

/// Who bears `name` once an image that came out of `index` gets it.
pub(crate) fn bearers(
    reader: &Reader,
    name: &Reference,
    (id, config): (&Digest, &ImageConfig),
    index: Option<&Descriptor>,
) -> Result<Vec<Digest>> {
    let host = Platform::host();
    let rank = |config: &ImageConfig| host.rank(&config.platform()).unwrap_or(usize::MAX);
    let mut ranked = vec![(rank(config), id.clone())];
    for other in reader.bearers(name)? {
        let record = reader.image(&other)?.filter(|_| other != *id);
        let akin = record.is_some_and(|record| {
            let its = record.index.map(|index| index.digest);
            its.is_some() && its.as_ref() == index.map(|index| &index.digest)
        });
        let bytes = if akin { reader.document(&other)? } else { None };
        if let Some(config) = bytes.and_then(|bytes| ImageConfig::parse(&bytes).ok()) {
            ranked.push((rank(&config), other));
        }
    }
    // Stable: of equals the new one is the first.
    ranked.sort_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, id)| id).collect())
}

#[cfg(test)]
mod tests;
