//! Which containers there are: by id, by name, by the beginning of an id.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use oci::ContainerId;

use crate::error::{Error, Result};

/// The index. A name is taken before the container behind it stands, so that two creates never get the same one.
#[derive(Debug)]
pub(crate) struct Registry<C> {
    by_id: BTreeMap<ContainerId, Arc<C>>,
    names: HashMap<String, ContainerId>,
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self {
            by_id: BTreeMap::new(),
            names: HashMap::new(),
        }
    }
}

impl<C> Registry<C> {
    /// Takes a name for a container that is being made.
    pub(crate) fn reserve(&mut self, name: &str, id: &ContainerId) -> Result<()> {
        if let Some(owner) = self.names.get(name) {
            return Err(Error::name_in_use(name, owner));
        }
        self.names.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Gives a name back, if it is this container's.
    pub(crate) fn release(&mut self, name: &str, id: &ContainerId) {
        if self.names.get(name) == Some(id) {
            self.names.remove(name);
        }
    }

    pub(crate) fn insert(&mut self, id: ContainerId, container: Arc<C>) {
        self.by_id.insert(id, container);
    }

    pub(crate) fn remove(&mut self, id: &ContainerId) {
        self.by_id.remove(id);
    }

    pub(crate) fn get(&self, id: &ContainerId) -> Option<&Arc<C>> {
        self.by_id.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<C>> {
        self.by_id.values()
    }

    /// Finds a container as Docker does: full id, then name, then the beginning of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Arc<C>> {
        if let Some(container) = self.by_id.get(wanted) {
            return Ok(Arc::clone(container));
        }
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if let Some(container) = self.names.get(name).and_then(|id| self.by_id.get(id)) {
            return Ok(Arc::clone(container));
        }
        self.find_by_prefix(wanted)
    }

    fn find_by_prefix(&self, prefix: &str) -> Result<Arc<C>> {
        if prefix.is_empty() {
            return Err(Error::no_such_container(prefix));
        }
        let mut matching = self
            .by_id
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(id, _)| id.as_str().starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "multiple IDs found with provided prefix: {prefix}"
            ))),
            (None, _) => Err(Error::no_such_container(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn id(start: &str) -> ContainerId {
        format!("{start:0<64}").parse().unwrap()
    }

    #[test]
    fn finds_by_id_name_and_unambiguous_prefix() {
        let mut registry = Registry::default();
        for (number, (start, name)) in [("abc1", "one"), ("abc2", "two"), ("def", "abc1")]
            .into_iter()
            .enumerate()
        {
            registry.reserve(name, &id(start)).unwrap();
            registry.insert(id(start), Arc::new(number));
        }
        let find = |wanted: &str| registry.find(wanted).map(|c| *c).map_err(|e| e.kind());
        assert_eq!(find("one"), Ok(0));
        assert_eq!(find("/two"), Ok(1));
        assert_eq!(find("abc1"), Ok(2), "a name goes before a prefix");
        assert_eq!(find("abc2"), Ok(1));
        assert_eq!(find("d"), Ok(2));
        assert_eq!(find("abc"), Err(ErrorKind::InvalidParameter));
        assert_eq!(find("x"), Err(ErrorKind::NotFound));
        assert_eq!(find(""), Err(ErrorKind::NotFound));
    }

    #[test]
    fn a_name_belongs_to_one() {
        let mut registry = Registry::<()>::default();
        registry.reserve("x", &id("1")).unwrap();
        let error = registry.reserve("x", &id("2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Conflict. The container name \"/x\" is already in use by container \"{}\". You have to \
                 remove (or rename) that container to be able to reuse that name.",
                id("1")
            )
        );
        registry.release("x", &id("2"));
        assert!(registry.reserve("x", &id("3")).is_err());
        registry.release("x", &id("1"));
        registry.reserve("x", &id("3")).unwrap();
    }
}
