//! What the records say from one end, looked up from the other: an image's names, an image's children.
//!
//! An entry is a pair in one key, `<image> <name>` and `<parent> <child>`, and changes in the transaction that changes the
//! record it is of.

use oci::{Digest, Reference};
use redb::{ReadableTable, TableDefinition};

use super::{Tables, Transaction, Writer, failed, name};
use crate::Result;
use crate::state::ImageRecord;

/// An image's names, in order.
pub(super) const NAMES_OF: Index = TableDefinition::new("names-of");
/// The images that were committed from one.
pub(super) const CHILDREN: Index = TableDefinition::new("children");

type Index = TableDefinition<'static, &'static str, ()>;

impl<T: Transaction> Tables<T> {
    /// An image's names, sorted.
    pub(crate) fn names_of(&self, id: &Digest) -> Result<Vec<Reference>> {
        self.names_beginning(id, "", usize::MAX)
    }

    /// At most so many of an image's names, from the first on.
    pub(crate) fn some_names_of(&self, id: &Digest, most: usize) -> Result<Vec<Reference>> {
        self.names_beginning(id, "", most)
    }

    /// An image's tags in a repository, at most so many.
    pub(crate) fn tags_in(
        &self,
        id: &Digest,
        repository: &str,
        most: usize,
    ) -> Result<Vec<Reference>> {
        self.names_beginning(id, &format!("{repository}:"), most)
    }

    /// An image's names by digest in a repository.
    pub(crate) fn digests_in(&self, id: &Digest, repository: &str) -> Result<Vec<Reference>> {
        self.names_beginning(id, &format!("{repository}@"), usize::MAX)
    }

    /// Whether a tag is among an image's names.
    pub(crate) fn is_tagged(&self, id: &Digest) -> Result<bool> {
        let mut found = false;
        self.scan(NAMES_OF, &pair(id, ""), &mut |name| {
            found = !name.contains('@');
            !found
        })?;
        Ok(found)
    }

    /// Whether images were committed from this one.
    pub(crate) fn has_children(&self, id: &Digest) -> Result<bool> {
        let mut found = false;
        self.scan(CHILDREN, &pair(id, ""), &mut |_| {
            found = true;
            false
        })?;
        Ok(found)
    }

    fn names_beginning(&self, id: &Digest, start: &str, most: usize) -> Result<Vec<Reference>> {
        let mut texts = Vec::new();
        self.scan(NAMES_OF, &pair(id, start), &mut |rest| {
            texts.push(format!("{start}{rest}"));
            texts.len() < most
        })?;
        texts.iter().map(|text| name(text)).collect()
    }

    /// What follows `start` in the keys that begin so, as long as `on` wants more.
    fn scan(&self, table: Index, start: &str, on: &mut dyn FnMut(&str) -> bool) -> Result<()> {
        let table = self.table(table)?;
        for item in table.range(start..).map_err(failed("search an index"))? {
            let (key, _) = item.map_err(failed("search an index"))?;
            match key.value().strip_prefix(start) {
                Some(rest) if on(rest) => {}
                _ => break,
            }
        }
        Ok(())
    }
}

impl Writer {
    /// Indexes who bears a name in place of who did before.
    pub(super) fn index_name(
        &mut self,
        name: &str,
        before: &[Digest],
        after: &[Digest],
    ) -> Result<()> {
        let mut table = self.table(NAMES_OF)?;
        for id in before.iter().filter(|id| !after.contains(id)) {
            let removed = table.remove(&*pair(id, name));
            removed.map_err(failed("write an index"))?;
        }
        for id in after.iter().filter(|id| !before.contains(id)) {
            let written = table.insert(&*pair(id, name), ());
            written.map_err(failed("write an index"))?;
        }
        Ok(())
    }

    /// Indexes an image's parent in place of the one before.
    pub(super) fn index_parent(
        &mut self,
        id: &Digest,
        old: Option<&ImageRecord>,
        new: Option<&ImageRecord>,
    ) -> Result<()> {
        let parent = |record: Option<&ImageRecord>| record.and_then(|r| r.parent.clone());
        let (before, after) = (parent(old), parent(new));
        if before == after {
            return Ok(());
        }
        let mut table = self.table(CHILDREN)?;
        if let Some(parent) = before {
            let removed = table.remove(&*pair(&parent, id.as_str()));
            removed.map_err(failed("write an index"))?;
        }
        if let Some(parent) = after {
            let written = table.insert(&*pair(&parent, id.as_str()), ());
            written.map_err(failed("write an index"))?;
        }
        Ok(())
    }
}

/// An entry's key. Neither digests nor names hold spaces.
pub(super) fn pair(first: &Digest, second: &str) -> String {
    format!("{first} {second}")
}
