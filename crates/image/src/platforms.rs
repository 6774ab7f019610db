//! One name for several images: those of one index, each for a platform of its own.
//!
//! A name lists the images that bear it. Where nothing is said of a platform it means the first of them, which is the one
//! that fits this machine best, else the one that came last. An image joins those that bear its name already if all came
//! out of the same index; otherwise it takes the name from them, as it always was.

use std::collections::{HashMap, HashSet};

use oci::{Descriptor, Digest, ImageConfig, Platform, Reference};

use crate::database::{Tables, Transaction};
use crate::{Error, Image, ImageId, ListQuery, Result, Store, names};

/// An image in a list that has each name once.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The image that its names mean by themselves; it has no others here.
    pub image: Image,
    /// All listed images that bear these names, itself the first; only itself for most.
    pub platforms: Vec<Image>,
}

impl Store {
    /// As [`Store::resolve`], and of several platforms under one name the one that fits `platform` best. Where none does
    /// it is the one that the name means by itself: whether that will do is for the caller to say.
    pub fn resolve_for(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        let reader = self.read()?;
        let id = best(&reader, &meant(&reader, name)?, platform)?;
        let missing = || Error::NoSuchImage(name.to_owned());
        let id = id.ok_or_else(missing)?;
        let record = reader.image(&id)?.ok_or_else(missing)?;
        self.view(&reader, &id, &record)
    }

    /// As [`Store::resolve_for`]; an error where no image fits.
    pub fn provided(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        let image = self.resolve_for(name, platform)?;
        match platform {
            Some(wanted) if !wanted.accepts(&image.config.platform()) => {
                let reader = self.read()?;
                Err(other_platform(
                    &reader,
                    name,
                    &meant(&reader, name)?,
                    wanted,
                )?)
            }
            _ => Ok(image),
        }
    }

    /// As [`Store::list`], but each name once: under the image that it means by itself, with the others that bear it.
    pub fn list_by_name(&self, query: &ListQuery) -> Result<Vec<Listed>> {
        let images = self.list(query)?;
        let reader = self.read()?;
        let ids: HashSet<&ImageId> = images.iter().map(|image| &image.id).collect();
        let mut bearers: HashMap<Reference, Vec<Digest>> = HashMap::new();
        for tag in images.iter().flat_map(|image| &image.tags) {
            if !bearers.contains_key(tag) {
                let mut listed = reader.bearers(tag)?;
                listed.retain(|id| ids.contains(id));
                bearers.insert(tag.clone(), listed);
            }
        }
        Ok(by_name(&images, &bearers))
    }

    /// All images that a user means by a name: several where it stands for an index. The one that it means by itself
    /// is the first.
    pub fn variants(&self, name: &str) -> Result<Vec<Image>> {
        let reader = self.read()?;
        let mut images = Vec::new();
        let (ids, index) = meant_of(&reader, name)?;
        for id in ids {
            if let Some(record) = reader.image(&id)? {
                images.push(Image {
                    index: index.clone(),
                    ..self.view(&reader, &id, &record)?
                });
            }
        }
        Ok(images)
    }
}

/// Puts images under their names. Those that bear only names of others stand below these.
fn by_name(images: &[Image], bearers: &HashMap<Reference, Vec<Digest>>) -> Vec<Listed> {
    let of = |tag: &Reference| bearers.get(tag).map_or(&[][..], Vec::as_slice);
    let mut listed = Vec::new();
    for image in images {
        let mut own = image.clone();
        own.tags
            .retain(|tag| of(tag).first().is_none_or(|first| *first == image.id));
        if own.tags.is_empty() && !image.tags.is_empty() {
            continue;
        }
        let mut platforms = vec![image.clone()];
        for id in own.tags.iter().flat_map(of) {
            let is_new = platforms.iter().all(|platform| platform.id != *id);
            platforms.extend(images.iter().find(|i| is_new && i.id == *id).cloned());
        }
        let image = own;
        listed.push(Listed { image, platforms });
    }
    listed
}

/// The images that a user's text means; an id means one.
pub(crate) fn meant(reader: &Tables<impl Transaction>, text: &str) -> Result<Vec<Digest>> {
    Ok(meant_of(reader, text)?.0)
}

/// The same with the index that the name came from; an id came from none.
pub(crate) fn meant_of(
    reader: &Tables<impl Transaction>,
    text: &str,
) -> Result<(Vec<Digest>, Option<Descriptor>)> {
    match names::found(reader, text)? {
        (_, Some(name)) => Ok((reader.bearers(&name)?, reader.index_of(&name)?)),
        (id, None) => Ok((vec![id], None)),
    }
}

/// Of the images that a user means by a text, the one that fits `platform` best; see [`Store::resolve_for`].
pub(crate) fn best(
    reader: &Tables<impl Transaction>,
    meant: &[Digest],
    platform: Option<&Platform>,
) -> Result<Option<Digest>> {
    let first = meant.first().cloned();
    let (Some(platform), [_, _, ..]) = (platform, meant) else {
        return Ok(first);
    };
    let mut best: Option<(usize, &Digest)> = None;
    for id in meant {
        let rank = platform_of(reader, id).and_then(|of| platform.rank(&of));
        if let Some(rank) = rank.filter(|rank| best.is_none_or(|(least, _)| *rank < least)) {
            best = Some((rank, id));
        }
    }
    Ok(best.map(|(_, id)| id.clone()).or(first))
}

/// Of the images that a user means by a text, those for the given platforms; all of them where none is given.
pub(crate) fn chosen(
    reader: &Tables<impl Transaction>,
    text: &str,
    meant: Vec<Digest>,
    platforms: &[Platform],
) -> Result<Vec<Digest>> {
    if platforms.is_empty() {
        return Ok(meant);
    }
    let mut chosen: Vec<Digest> = Vec::new();
    for wanted in platforms {
        let best = best(reader, &meant, Some(wanted))?;
        match best.filter(|id| platform_of(reader, id).is_some_and(|of| wanted.accepts(&of))) {
            Some(id) if chosen.contains(&id) => {}
            Some(id) => chosen.push(id),
            None => return Err(other_platform(reader, text, &meant, wanted)?),
        }
    }
    Ok(chosen)
}

fn platform_of(reader: &Tables<impl Transaction>, id: &Digest) -> Option<Platform> {
    let bytes = reader.document(id).ok()??;
    Some(ImageConfig::parse(&bytes).ok()?.platform())
}

/// The error that none of these images is for the platform that is wanted.
fn other_platform(
    reader: &Tables<impl Transaction>,
    name: &str,
    meant: &[Digest],
    wanted: &Platform,
) -> Result<Error> {
    let has = match meant {
        [only] => {
            let platform = platform_of(reader, only).unwrap_or_default();
            format!("its platform ({platform}) does not match")
        }
        _ => "does not provide".to_owned(),
    };
    Ok(Error::OtherPlatform {
        name: name.to_owned(),
        has,
        wanted: wanted.to_string(),
    })
}

/// Who bears `name` once an image that came out of `index` gets it.
pub(crate) fn bearers(
    reader: &Tables<impl Transaction>,
    name: &Reference,
    (id, config): (&Digest, &ImageConfig),
    index: Option<&Descriptor>,
) -> Result<Vec<Digest>> {
    let host = Platform::host();
    let rank = |config: &ImageConfig| host.rank(&config.platform()).unwrap_or(usize::MAX);
    let mut ranked = vec![(rank(config), id.clone())];
    let before = reader.index_of(name)?.map(|index| index.digest);
    let akin = before.is_some() && before.as_ref() == index.map(|index| &index.digest);
    let others = if akin {
        reader.bearers(name)?
    } else {
        Vec::new()
    };
    for other in others.into_iter().filter(|other| other != id) {
        let bytes = reader.document(&other)?;
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
