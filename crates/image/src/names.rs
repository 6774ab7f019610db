//! Names: what they mean, and moving them.

use oci::{AnyReference, Digest, Reference};

use crate::database::Reader;
use crate::{Error, Image, ImageId, Result, Store, platforms};

impl Store {
    /// The image that a user means: a name, a name with digest, an id, or an unambiguous prefix of one.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let reader = self.read()?;
        let id = find(&reader, name)?;
        let record = reader
            .image(&id)?
            .ok_or_else(|| Error::NoSuchImage(name.to_owned()))?;
        self.view(&reader, &id, &record, &reader.names()?)
    }

    /// Gives the image that `source` means another name, taking that from the image that had it.
    pub fn tag(&self, source: &str, target: &Reference) -> Result<ImageId> {
        if target.digest().is_some() {
            return Err(Error::Invalid(
                "refusing to create a tag with a digest reference".to_owned(),
            ));
        }
        let target = target.clone().or_latest();
        let _holders = self.holders();
        let reader = self.read()?;
        let id = find(&reader, source)?;
        let bearers = platforms::meant(&reader, source)?;
        let mut record = reader
            .image(&id)?
            .ok_or_else(|| Error::NoSuchImage(source.to_owned()))?;
        record.last_tagged = Some(jiff::Timestamp::now());
        self.inner.database.write(|tables| {
            tables.put_image(&id, &record)?;
            tables.put_name(&target, &bearers)
        })?;
        Ok(id)
    }
}

/// Docker's order: a full id, a name, a prefix of an id.
pub(crate) fn find(reader: &Reader, text: &str) -> Result<ImageId> {
    let reference = match AnyReference::parse(text)? {
        AnyReference::Id(id) => {
            return match reader.image(&id)? {
                Some(_) => Ok(id),
                None => Err(Error::NoSuchImage(id.to_string())),
            };
        }
        AnyReference::Named(reference) => reference.or_latest(),
    };
    if let Some(id) = by_name(reader, &reference)? {
        return Ok(id);
    }
    if let Some(prefix) = id_prefix(text) {
        let found = reader.images_by_prefix(prefix)?;
        if let [only] = &found[..] {
            return Ok(only.clone());
        }
    }
    Err(Error::NoSuchImage(reference.familiar()))
}

/// A digest decides over a tag beside it.
fn by_name(reader: &Reader, reference: &Reference) -> Result<Option<Digest>> {
    reader.name(&key(reference))
}

/// The name under which a reference is in the store.
pub(crate) fn key(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(_) => reference.clone().without_tag(),
        None => reference.clone(),
    }
}

pub(crate) fn id_prefix(text: &str) -> Option<&str> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = !hex.is_empty()
        && hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then_some(hex)
}
