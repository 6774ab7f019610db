//! Names: what they mean, and moving them.

use oci::{AnyReference, Reference};

use crate::database::{Tables, Transaction};
use crate::{Error, Image, ImageId, Result, Store, platforms};

impl Store {
    /// The image that a user means: a name, a name with digest, an id, or an unambiguous prefix of one.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let reader = self.read()?;
        let id = find(&reader, name)?;
        let record = reader
            .image(&id)?
            .ok_or_else(|| Error::NoSuchImage(name.to_owned()))?;
        self.view(&reader, &id, &record)
    }

    /// Registries that a name without one may be of, in the order in which they are looked at; Docker Hub is always
    /// the last.
    pub fn look_at(&self, domains: &[String]) {
        self.inner.database.look_at(domains);
    }

    /// Gives the image that `source` means another name, taking that from the image that had it.
    pub fn tag(&self, source: &str, target: &Reference) -> Result<ImageId> {
        if target.digest().is_some() {
            return Err(Error::Invalid(
                "refusing to create a tag with a digest reference".to_owned(),
            ));
        }
        check_new(target)?;
        let target = target.clone().or_latest();
        let _holders = self.holders();
        let reader = self.read()?;
        let id = find(&reader, source)?;
        let (bearers, index) = platforms::meant_of(&reader, source)?;
        let mut record = reader
            .image(&id)?
            .ok_or_else(|| Error::NoSuchImage(source.to_owned()))?;
        record.last_tagged = Some(jiff::Timestamp::now());
        self.inner.database.write(|tables| {
            tables.put_image(&id, &record)?;
            tables.put_name(&target, &bearers, index.as_ref())
        })?;
        Ok(id)
    }
}

/// A name that an image is to get. One that reads like a digest could not be told from an image's id.
pub(crate) fn check_new(name: &Reference) -> Result<()> {
    if name.digest().is_none() && name.familiar_name() == "sha256" {
        return Err(Error::Invalid(
            "refusing to create an ambiguous tag using digest algorithm as name".to_owned(),
        ));
    }
    Ok(())
}

/// The image that a user's text means.
pub(crate) fn find(reader: &Tables<impl Transaction>, text: &str) -> Result<ImageId> {
    Ok(found(reader, text)?.0)
}

/// The same with the name that it has in the store, where it was found by one. Docker's order: a full id, a name, a prefix of
/// an id.
pub(crate) fn found(
    reader: &Tables<impl Transaction>,
    text: &str,
) -> Result<(ImageId, Option<Reference>)> {
    let mut meant = match AnyReference::parse(text)? {
        AnyReference::Id(id) => {
            return match reader.image(&id)? {
                Some(_) => Ok((id, None)),
                None => Err(Error::NoSuchImage(id.to_string())),
            };
        }
        AnyReference::Named(_) => Reference::candidates(text, reader.unqualified())?,
    };
    // What was tagged or built without a registry's name is Docker Hub's by name.
    meant.push(Reference::parse(text)?);
    for reference in &meant {
        let name = key(&reference.clone().or_latest());
        if let Some(id) = reader.name(&name)? {
            return Ok((id, Some(name)));
        }
    }
    if let Some(prefix) = id_prefix(text) {
        let found = reader.images_by_prefix(prefix)?;
        if let [only] = &found[..] {
            return Ok((only.clone(), None));
        }
    }
    let first = meant.swap_remove(0);
    Err(Error::NoSuchImage(first.or_latest().familiar()))
}

/// The name under which a reference is in the store. A digest decides over a tag beside it.
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
