//! The end of a container: its record first, then everything that is only garbage without it.

use std::sync::Arc;

use super::Owner;
use crate::blocking;
use crate::container::Container;
use crate::error::Result;
use crate::launch::{remove_file, remove_folder};
use crate::lifecycle::{Event, Phase};
use crate::mounts::MountPoint;
use crate::shared::Shared;

impl Owner {
    pub(super) async fn remove(&mut self, shared: &Arc<Shared>, volumes: bool) -> Result<()> {
        self.apply(shared, Event::Remove)
            .await
            .map_err(|refusal| self.refused(refusal))?;
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        let result = blocking(move || dismantle(&work, &me, volumes)).await;
        let event = if result.is_ok() {
            Event::Removed
        } else {
            Event::RemoveFailed
        };
        self.apply(shared, event)
            .await
            .map_err(|refusal| self.refused(refusal))?;
        result
    }

    /// The run is over: volumes that were mounted for it alone are unmounted. Most have no such volume, and then nothing
    /// here waits for the kernel.
    pub(super) async fn leave_volumes(&self, shared: &Arc<Shared>) {
        let mut names = self.me.birth.mounts.iter().map(|mount| &mount.name);
        if !names.any(|name| shared.volumes.was_mounted(name)) {
            return shared.leave_volumes(&self.me.birth);
        }
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || work.leave_volumes(&me.birth)).await;
    }

    pub(super) fn forget(&mut self, shared: &Arc<Shared>) {
        let id = &self.me.birth.id;
        let mut registry = shared.registry();
        registry.release(&self.me.name(), id);
        registry.remove(id);
        drop(registry);
        shared.execs().retain(|_, exec| exec.container != *id);
        // Clients that waited for a start see the end of their streams.
        self.waiting.clear();
        debug_assert_eq!(self.me.phase(), Phase::Gone);
        self.me.tell(|news| news.removed = true);
    }
}

/// Removes everything. Once the record is gone so is the container: what fails after that is told, and left to the next
/// start of the daemon.
fn dismantle(shared: &Shared, container: &Container, volumes: bool) -> Result<()> {
    let id = &container.birth.id;
    if !volumes {
        // Before the record goes: a volume whose container is not there counts as half removed.
        leave_volumes(shared, container)?;
    }
    remove_file(&shared.paths.record(id))?;
    let leftovers = [
        remove_folder(&shared.paths.container(id)),
        remove_folder(&shared.paths.bundle(id)),
        shared.images.release(id).map_err(Into::into),
        if volumes {
            remove_volumes(shared, container)
        } else {
            Ok(())
        },
    ];
    for error in leftovers.into_iter().filter_map(Result::err) {
        tracing::error!(%id, error = error.chain(), "a removed container has left something");
    }
    Ok(())
}

fn anonymous_volumes(container: &Container) -> impl Iterator<Item = &MountPoint> {
    let mounts = container.birth.mounts.iter();
    mounts.filter(|mount| mount.anonymous)
}

fn leave_volumes(shared: &Shared, container: &Container) -> Result<()> {
    anonymous_volumes(container).try_for_each(|mount| shared.volumes.disown(&mount.name))
}

/// Removes its anonymous volumes, unless another container uses them.
fn remove_volumes(shared: &Shared, container: &Container) -> Result<()> {
    for mount in anonymous_volumes(container) {
        let mut users = shared.users_of_volume(&mount.name);
        users.retain(|user| *user != container.birth.id);
        if users.is_empty() {
            if shared.volumes.remove(&mount.name, true, &[])? {
                shared.announce_volume("destroy", &mount.name);
            }
        } else {
            shared.volumes.disown(&mount.name)?;
        }
    }
    Ok(())
}
