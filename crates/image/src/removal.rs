//! Untagging, deleting and pruning, by Docker's rules and in its words.

use std::collections::HashSet;
use std::time::Duration;

use oci::{ContainerId, Digest, Hasher, Platform, Reference};

use crate::database::Writer;
use crate::holders::Holders;
use crate::listing::created_of;
use crate::state::{ImageRecord, LayerRecord};
use crate::store::unused;
use crate::{Error, ImageId, PruneQuery, Result, Store, names, platforms};

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

/// One removal: all of it is one transaction, under the store's lock.
struct Removal<'a> {
    store: &'a Store,
    tables: &'a mut Writer,
    holders: &'a Holders,
    users: Users<'a>,
    done: Done,
}

/// What a removal did.
#[derive(Default)]
struct Done {
    lines: Vec<Removed>,
    /// Layers whose records are gone; their files go after the transaction.
    layers: Vec<(Digest, LayerRecord)>,
}

impl Store {
    /// Untags or deletes by Docker's rules. `users` says which containers were made from an image.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: Users<'_>,
    ) -> Result<Vec<Removed>> {
        let removal = |removal: &mut Removal<'_>| removal.remove(name, options);
        Ok(self.removal(users, removal)?.removed)
    }

    /// The same for the images of these platforms alone; a name that others bear stays theirs.
    pub fn remove_platforms(
        &self,
        name: &str,
        platforms: &[Platform],
        options: RemoveOptions,
        users: Users<'_>,
    ) -> Result<Vec<Removed>> {
        let removal =
            |removal: &mut Removal<'_>| removal.remove_platforms(name, platforms, options);
        Ok(self.removal(users, removal)?.removed)
    }

    /// Removes images that nobody uses, as far as `query` goes.
    pub fn prune(&self, query: &PruneQuery, users: Users<'_>) -> Result<Pruned> {
        let mut pruned = self.removal(users, |removal| {
            let ids = removal.prunable(query)?;
            ids.iter().try_for_each(|id| removal.prune(id, query))
        })?;
        pruned.reclaimed += self.prune_waiting()?;
        Ok(pruned)
    }

    /// Takes away what earlier pulls left for another attempt; says how many bytes that gave back.
    pub(crate) fn prune_waiting(&self) -> Result<u64> {
        let holders = self.holders();
        let mut freed = self.inner.ingests.remove_idle(Duration::ZERO)?;
        let dropped = self.drop_waiting(&holders)?;
        drop(holders);
        freed += dropped.layers.iter().map(|(_, size)| size).sum::<u64>();
        Ok(freed)
    }

    /// Removes one image as `prune` does: with its names if `tagged`, and not if anybody needs it.
    pub(crate) fn prune_one(&self, id: &ImageId, tagged: bool, users: Users<'_>) -> Result<Pruned> {
        let query = PruneQuery {
            dangling_only: !tagged,
            ..PruneQuery::default()
        };
        self.removal(users, |removal| removal.prune(id, &query))
    }

    fn removal(
        &self,
        users: Users<'_>,
        work: impl FnOnce(&mut Removal<'_>) -> Result<()>,
    ) -> Result<Pruned> {
        let holders = self.holders();
        let done = self.inner.database.write_less(|tables| {
            let mut removal = Removal {
                store: self,
                tables,
                holders: &holders,
                users,
                done: Done::default(),
            };
            work(&mut removal)?;
            Ok(removal.done)
        })?;
        let reclaimed = done.layers.iter().map(|(_, layer)| layer.size).sum();
        let dropped = self.retire(done.layers)?;
        // Taking the files away need not be waited for with the lock.
        drop(holders);
        drop(dropped);
        Ok(Pruned {
            removed: done.lines,
            reclaimed,
        })
    }
}

impl Removal<'_> {
    fn remove(&mut self, name: &str, options: RemoveOptions) -> Result<()> {
        let (id, named) = names::found(self.tables, name)?;
        let by_id = names::id_prefix(name).is_some_and(|prefix| id.hex().starts_with(prefix));
        if let Some(named) = named.filter(|_| !by_id) {
            return self.remove_named(name, &named, options);
        }
        if is_single(self.tables, &id)? {
            let mind = Mind {
                references: false,
                stopped: !options.force,
            };
            if let Some(obstacle) = self.obstacle(&id, mind)? {
                return Err(obstacle.conflict(&id));
            }
            self.untag_all(&id)?;
        }
        self.delete(&id, options.force, !options.no_prune, false)
    }

    fn remove_platforms(
        &mut self,
        text: &str,
        platforms: &[Platform],
        options: RemoveOptions,
    ) -> Result<()> {
        let meant = platforms::meant(self.tables, text)?;
        let chosen = platforms::chosen(self.tables, text, meant.clone(), platforms)?;
        let (_, named) = names::found(self.tables, text)?;
        let Some(name) = named.filter(|_| chosen.len() < meant.len()) else {
            return self.remove(text, options);
        };
        if !options.force {
            for id in &chosen {
                self.check_last_name(text, id)?;
            }
        }
        for id in &chosen {
            self.untag(&name, id)?;
            if !self.untag_digests(&name, id)? {
                self.delete(id, options.force, !options.no_prune, true)?;
            }
        }
        Ok(())
    }

    /// Takes a name away, and with it the images that bear no other: one, or one a platform.
    fn remove_named(&mut self, text: &str, name: &Reference, options: RemoveOptions) -> Result<()> {
        let variants = self.tables.bearers(name)?;
        if !options.force {
            for variant in &variants {
                self.check_last_name(text, variant)?;
            }
        }
        self.tables.remove_name(name)?;
        let first = variants.first().cloned();
        let line = first.map(|id| Removed::Untagged(name.familiar(), id));
        self.done.lines.extend(line);
        for variant in variants {
            if !self.untag_digests(name, &variant)? {
                self.delete(&variant, options.force, !options.no_prune, true)?;
            }
        }
        Ok(())
    }

    /// The last name of an image that a container needs is not taken without force.
    fn check_last_name(&self, text: &str, id: &ImageId) -> Result<()> {
        if is_single(self.tables, id)?
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
        let repository = gone.name();
        if gone.digest().is_none() && self.tables.tags_in(id, &repository, 1)?.is_empty() {
            for name in self.tables.digests_in(id, &repository)? {
                self.untag(&name, id)?;
            }
        }
        self.is_named(id)
    }

    fn is_named(&self, id: &ImageId) -> Result<bool> {
        Ok(!self.tables.some_names_of(id, 1)?.is_empty())
    }

    fn untag_all(&mut self, id: &ImageId) -> Result<()> {
        for name in self.tables.names_of(id)? {
            self.untag(&name, id)?;
        }
        Ok(())
    }

    fn untag(&mut self, name: &Reference, id: &ImageId) -> Result<()> {
        if !self.tables.take_name(name, id)? {
            let line = Removed::Untagged(name.familiar(), id.clone());
            self.done.lines.push(line);
        }
        Ok(())
    }

    /// Deletes an image and, if they are to be pruned, those of its ancestors that nothing else needs. `quiet`: the
    /// caller has done something already, so that an image still in use is no error.
    fn delete(&mut self, id: &ImageId, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let mut next = self.delete_one(id, force, quiet)?;
        while let Some(parent) = next.filter(|_| prune) {
            next = self.delete_one(&parent, false, true)?;
        }
        Ok(())
    }

    /// Deletes one image; gives its parent if it is gone.
    fn delete_one(&mut self, id: &ImageId, force: bool, quiet: bool) -> Result<Option<ImageId>> {
        let mind = Mind {
            references: !force,
            stopped: !force,
        };
        if let Some(obstacle) = self.obstacle(id, mind)? {
            let dangling = !self.is_named(id)? && !self.tables.has_children(id)?;
            if quiet && (!dangling || obstacle.used) {
                return Ok(None);
            }
            return Err(obstacle.conflict(id));
        }
        let Some(record) = self.tables.image(id)? else {
            return Ok(None);
        };
        self.untag_all(id)?;
        self.tables.remove_image(id)?;
        self.done.lines.push(Removed::Deleted(id.clone()));
        self.drop_layers(&record)?;
        Ok(record.parent)
    }

    /// Drops those of a deleted image's layers that nobody else needs.
    fn drop_layers(&mut self, record: &ImageRecord) -> Result<()> {
        let gone = unused(self.tables, self.holders, &record.layers)?;
        let freed: HashSet<&Digest> = gone.iter().map(|(diff_id, _)| diff_id).collect();
        for (diff_id, chain) in record.layers.iter().zip(chain_ids(&record.layers)).rev() {
            if freed.contains(diff_id) {
                self.done.lines.push(Removed::DeletedLayer(chain));
            }
        }
        for (diff_id, _) in &gone {
            self.tables.remove_layer(diff_id)?;
        }
        self.done.layers.extend(gone);
        Ok(())
    }

    fn obstacle(&self, id: &ImageId, mind: Mind) -> Result<Option<Obstacle>> {
        let obstacle = |hard, used, text: String| Ok(Some(Obstacle { hard, used, text }));
        if self.tables.has_children(id)? {
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
        if mind.references && self.is_named(id)? {
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
        let mut ids = Vec::new();
        for (id, _) in self.tables.images()? {
            let is_parent = self.tables.has_children(&id)?;
            if is_parent && (query.dangling_only || !self.is_named(&id)?) {
                continue;
            }
            let config = self.store.config(self.tables, &id)?;
            let labels = config.config.labels.clone().unwrap_or_default();
            let in_time = query.until.is_none_or(|until| created_of(&config) <= until);
            if in_time && query.labels.iter().all(|filter| filter.accepts(&labels)) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Deletes an image with its names; one that others were committed from only loses them. What is in use is left as it
    /// is, without a word.
    fn prune(&mut self, id: &ImageId, query: &PruneQuery) -> Result<()> {
        let named = query.dangling_only && self.tables.is_tagged(id)?;
        if named || !(self.users)(id).is_empty() {
            return Ok(());
        }
        self.untag_all(id)?;
        self.delete(id, false, true, true)
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

/// At most one tag, and all names by digest in the same repository as it.
fn is_single(tables: &Writer, id: &ImageId) -> Result<bool> {
    let [first, _, ..] = &tables.some_names_of(id, 2)?[..] else {
        return Ok(true);
    };
    let repository = first.name();
    let tags = tables.tags_in(id, &repository, 2)?.len();
    if tags > 1 {
        return Ok(false);
    }
    let here = tags + tables.digests_in(id, &repository)?.len();
    Ok(tables.some_names_of(id, here + 1)?.len() == here)
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
