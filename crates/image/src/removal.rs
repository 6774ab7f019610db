//! Untagging, deleting and pruning, by Docker's rules and in its words.

use std::collections::HashSet;
use std::time::Duration;

use oci::{ContainerId, Digest, Hasher, Reference};

use crate::database::Reader;
use crate::layers::Staging;
use crate::listing::created_of;
use crate::store::Holders;
use crate::{Error, ImageId, PruneQuery, Result, Store, names};

/// A container that was made from an image.
#[derive(Clone, Debug)]
pub struct User {
    pub container: ContainerId,
    pub running: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    pub force: bool,
    /// Keep parents that nothing else needs (`--no-prune`).
    pub no_prune: bool,
}

/// One line of what `rmi` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The familiar name that is gone, and the image it named (for the event).
    Untagged(String, ImageId),
    Deleted(ImageId),
    /// A layer that went with the image, by its chain ID; shown as `Deleted` too, but no event.
    DeletedLayer(Digest),
}

#[derive(Clone, Debug, Default)]
pub struct Pruned {
    pub removed: Vec<Removed>,
    /// Bytes given back.
    pub reclaimed: u64,
}

type Users<'a> = &'a dyn Fn(&ImageId) -> Vec<User>;

/// Why an image cannot be deleted.
struct Obstacle {
    hard: bool,
    /// A container is in the way.
    used: bool,
    text: String,
}

/// Which obstacles count.
#[derive(Clone, Copy)]
struct Mind {
    references: bool,
    stopped: bool,
}

/// One removal: the store's lock is held for all of it.
struct Removal<'a> {
    store: &'a Store,
    holders: std::sync::MutexGuard<'a, Holders>,
    users: Users<'a>,
    done: Vec<Removed>,
    reclaimed: u64,
    /// Files of layers that are gone; they go after the lock.
    trash: Vec<Staging>,
}

impl Store {
    /// Untags or deletes by Docker's rules. `users` says which containers were made from an image.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: Users<'_>,
    ) -> Result<Vec<Removed>> {
        let mut removal = self.removal(users);
        removal.remove(name, options)?;
        let Removal { holders, done, .. } = removal;
        drop(holders);
        Ok(done)
    }

    /// Removes images that nobody uses, as far as `query` goes.
    pub fn prune(&self, query: &PruneQuery, users: Users<'_>) -> Result<Pruned> {
        let mut removal = self.removal(users);
        for id in removal.prunable(query)? {
            removal.prune(&id, query)?;
        }
        let waiting = removal.prune_waiting()?;
        let Removal {
            holders,
            done,
            reclaimed,
            ..
        } = removal;
        drop(holders);
        Ok(Pruned {
            removed: done,
            reclaimed: reclaimed + waiting,
        })
    }

    /// Takes away what earlier pulls left for another attempt; says how many bytes that gave back.
    pub(crate) fn prune_waiting(&self) -> Result<u64> {
        let mut removal = self.removal(&|_| Vec::new());
        let freed = removal.prune_waiting();
        let Removal { holders, .. } = removal;
        drop(holders);
        freed
    }

    /// Removes one image as `prune` does: with its names if `tagged`, and not if anybody needs it.
    pub(crate) fn prune_one(&self, id: &ImageId, tagged: bool, users: Users<'_>) -> Result<Pruned> {
        let mut removal = self.removal(users);
        let query = PruneQuery {
            dangling_only: !tagged,
            ..PruneQuery::default()
        };
        removal.prune(id, &query)?;
        let Removal {
            holders,
            done,
            reclaimed,
            ..
        } = removal;
        drop(holders);
        Ok(Pruned {
            removed: done,
            reclaimed,
        })
    }

    fn removal<'a>(&'a self, users: Users<'a>) -> Removal<'a> {
        Removal {
            store: self,
            holders: self.holders(),
            users,
            done: Vec::new(),
            reclaimed: 0,
            trash: Vec::new(),
        }
    }
}

impl Removal<'_> {
    fn remove(&mut self, name: &str, options: RemoveOptions) -> Result<()> {
        let reader = self.store.read()?;
        let (id, named) = names::found(&reader, name)?;
        let references = references(&reader, &id)?;
        let by_id = names::id_prefix(name).is_some_and(|prefix| id.hex().starts_with(prefix));
        if let Some(named) = named.filter(|_| !by_id) {
            return self.remove_named(&reader, name, &named, options);
        }
        if is_single(&references) {
            let mind = Mind {
                references: false,
                stopped: !options.force,
            };
            if let Some(obstacle) = self.obstacle(&reader, &id, mind)? {
                return Err(obstacle.conflict(&id));
            }
            references
                .iter()
                .try_for_each(|name| self.untag(name, &id))?;
        }
        self.delete(&id, options.force, !options.no_prune, false)
    }

    /// Takes a name away, and with it the images that bear no other: one, or one a platform.
    fn remove_named(
        &mut self,
        reader: &Reader,
        text: &str,
        name: &Reference,
        options: RemoveOptions,
    ) -> Result<()> {
        let variants = reader.bearers(name)?;
        if !options.force {
            for variant in &variants {
                self.check_last_name(reader, text, variant)?;
            }
        }
        self.store
            .inner
            .database
            .write(|tables| tables.remove_name(name))?;
        let first = variants.first().cloned();
        self.done
            .extend(first.map(|id| Removed::Untagged(name.familiar(), id)));
        for variant in &variants {
            if !self.untag_digests(name, variant)? {
                self.delete(variant, options.force, !options.no_prune, true)?;
            }
        }
        Ok(())
    }

    /// The last name of an image that a container needs is not taken without force.
    fn check_last_name(&self, reader: &Reader, text: &str, id: &ImageId) -> Result<()> {
        if is_single(&references(reader, id)?)
            && let Some(user) = (self.users)(id).first()
        {
            return Err(Error::Conflict(format!(
                "conflict: unable to remove repository reference {text:?} (must force) - container {} is using its \
                     referenced image {}",
                user.container.short(),
                id.short()
            )));
        }
        Ok(())
    }

    /// Once a repository's last tag is gone, its names by digest go too: they stand for what was pulled under it, and nobody
    /// means them. True if the image has other names still.
    fn untag_digests(&mut self, gone: &Reference, id: &ImageId) -> Result<bool> {
        let mut left = references(&self.store.read()?, id)?;
        let of_repository = |other: &Reference| other.name() == gone.name();
        let tag_left = left
            .iter()
            .any(|other| other.digest().is_none() && of_repository(other));
        if gone.digest().is_none() && !tag_left {
            for other in left.iter().filter(|other| of_repository(other)) {
                self.untag(other, id)?;
            }
            left.retain(|other| !of_repository(other));
        }
        Ok(!left.is_empty())
    }

    fn untag(&mut self, name: &Reference, id: &ImageId) -> Result<()> {
        let reader = self.store.read()?;
        let is_last = reader.bearers(name)?.iter().all(|bearer| bearer == id);
        self.store.take_name(&reader, name, id)?;
        if is_last {
            let line = Removed::Untagged(name.familiar(), id.clone());
            self.done.push(line);
        }
        Ok(())
    }

    /// `quiet`: the caller has done something already, so that an image still in use is no error.
    fn delete(&mut self, id: &ImageId, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let reader = self.store.read()?;
        if let Some(obstacle) = self.obstacle(
            &reader,
            id,
            Mind {
                references: !force,
                stopped: !force,
            },
        )? {
            let dangling = references(&reader, id)?.is_empty() && children(&reader, id)? == 0;
            if quiet && (!dangling || obstacle.used) {
                return Ok(());
            }
            return Err(obstacle.conflict(id));
        }
        let Some(record) = reader.image(id)? else {
            return Ok(());
        };
        for name in references(&reader, id)? {
            self.untag(&name, id)?;
        }
        let mut unshared: Vec<&Digest> = record.documents().collect();
        for (_, other) in reader.images()?.iter().filter(|(other, _)| other != id) {
            unshared.retain(|digest| other.documents().all(|used| used != *digest));
        }
        self.store.inner.database.write(|tables| {
            tables.remove_image(id)?;
            tables.remove_document(id)?;
            unshared
                .iter()
                .try_for_each(|digest| tables.remove_document(digest))
        })?;
        self.done.push(Removed::Deleted(id.clone()));
        let dropped = self.store.drop_unused(&self.holders, &record.layers)?;
        self.trash.extend(dropped.trash);
        let freed = dropped.layers;
        self.reclaimed += freed.iter().map(|(_, size)| size).sum::<u64>();
        for (diff_id, chain) in record.layers.iter().zip(chain_ids(&record.layers)).rev() {
            if freed.iter().any(|(id, _)| id == diff_id) {
                self.done.push(Removed::DeletedLayer(chain));
            }
        }
        match record.parent {
            Some(parent) if prune => self.delete(&parent, false, true, true),
            _ => Ok(()),
        }
    }

    fn obstacle(&self, reader: &Reader, id: &ImageId, mind: Mind) -> Result<Option<Obstacle>> {
        let obstacle = |hard, used, text: String| Ok(Some(Obstacle { hard, used, text }));
        if children(reader, id)? > 0 {
            return obstacle(true, false, "image has dependent child images".to_owned());
        }
        let users = (self.users)(id);
        if let Some(user) = users.iter().find(|user| user.running) {
            return obstacle(
                true,
                true,
                format!(
                    "image is being used by running container {}",
                    user.container.short()
                ),
            );
        }
        if mind.references && !references(reader, id)?.is_empty() {
            return obstacle(
                false,
                false,
                "image is referenced in multiple repositories".to_owned(),
            );
        }
        if let Some(user) = users.first().filter(|_| mind.stopped) {
            return obstacle(
                false,
                true,
                format!(
                    "image is being used by stopped container {}",
                    user.container.short()
                ),
            );
        }
        Ok(None)
    }

    fn prunable(&self, query: &PruneQuery) -> Result<Vec<ImageId>> {
        let reader = self.store.read()?;
        let records = reader.images()?;
        let parents: HashSet<_> = records
            .iter()
            .filter_map(|(_, record)| record.parent.clone())
            .collect();
        let mut ids = Vec::new();
        for (id, _) in records {
            let is_parent = parents.contains(&id);
            if is_parent && (query.dangling_only || references(&reader, &id)?.is_empty()) {
                continue;
            }
            let config = self.store.config(&reader, &id)?;
            let labels = config.config.labels.clone().unwrap_or_default();
            let in_time = query.until.is_none_or(|until| created_of(&config) <= until);
            if in_time && query.labels.iter().all(|filter| filter.accepts(&labels)) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Takes away what earlier pulls left for another attempt; says how many bytes that gave back.
    fn prune_waiting(&mut self) -> Result<u64> {
        let mut freed = self.store.inner.ingests.remove_idle(Duration::ZERO)?;
        let dropped = self.store.drop_waiting(&self.holders)?;
        freed += dropped.layers.iter().map(|(_, size)| size).sum::<u64>();
        self.trash.extend(dropped.trash);
        Ok(freed)
    }

    fn prune(&mut self, id: &ImageId, query: &PruneQuery) -> Result<()> {
        let references = references(&self.store.read()?, id)?;
        let tagged = references.iter().any(|name| name.digest().is_none());
        if tagged && query.dangling_only {
            return Ok(());
        }
        let options = RemoveOptions::default();
        let outcome = if references.is_empty() {
            self.remove(id.hex(), options)
        } else {
            references
                .iter()
                .try_for_each(|name| match self.remove(&name.canonical(), options) {
                    Err(Error::NoSuchImage(_)) => Ok(()),
                    other => other,
                })
        };
        match outcome {
            // In use: pruning leaves it, without a word.
            Err(Error::Conflict(_) | Error::NoSuchImage(_)) => Ok(()),
            other => other,
        }
    }
}

impl Obstacle {
    fn conflict(&self, id: &ImageId) -> Error {
        let force = if self.hard {
            "cannot be forced"
        } else {
            "must be forced"
        };
        Error::Conflict(format!(
            "conflict: unable to delete {} ({force}) - {}",
            id.short(),
            self.text
        ))
    }
}

fn references(reader: &Reader, id: &ImageId) -> Result<Vec<Reference>> {
    Ok(reader
        .names()?
        .into_iter()
        .filter(|(_, of)| of == id)
        .map(|(name, _)| name)
        .collect())
}

fn children(reader: &Reader, id: &ImageId) -> Result<usize> {
    Ok(reader
        .images()?
        .iter()
        .filter(|(_, record)| record.parent.as_ref() == Some(id))
        .count())
}

/// At most one tag, and all names by digest in the same repository as it.
fn is_single(references: &[Reference]) -> bool {
    if references.len() <= 1 {
        return true;
    }
    let (digests, tags): (Vec<_>, Vec<_>) =
        references.iter().partition(|name| name.digest().is_some());
    let repositories: HashSet<String> = digests.iter().map(|name| name.name()).collect();
    match tags[..] {
        [] => repositories.len() == 1,
        [tag] => repositories.len() == 1 && repositories.contains(&tag.name()),
        _ => false,
    }
}

/// image-spec 1.1, config.md, "Layer ChainID".
pub(crate) fn chain_ids(layers: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(layers.len());
    for diff_id in layers {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => {
                let mut hasher = Hasher::sha256();
                hasher.update(format!("{below} {diff_id}").as_bytes());
                hasher.finish()
            }
        };
        chain.push(next);
    }
    chain
}
