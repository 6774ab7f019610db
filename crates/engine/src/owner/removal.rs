//! The end of a container: its record first, then everything that is only garbage without it. After `--rm` nobody waits
//! for that garbage.

use std::sync::Arc;

use oci::ContainerId;

use super::{Owner, kill_rest};
use crate::blocking;
use crate::container::Container;
use crate::error::Result;
use crate::launch::{remove_file, remove_folder};
use crate::lifecycle::{Event, Phase};
use crate::mounts::MountPoint;
use crate::shared::Shared;

/// Who asked for the removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A user, who is to see the disk freed.
    ByUser { volumes: bool },
    /// `--rm`: its files go in the background.
    Before,
}

impl Owner {
    pub(super) async fn remove(&mut self, shared: &Arc<Shared>, asked: Asked) -> Result<()> {
        self.apply(shared, Event::Remove)
            .await
            .map_err(|refusal| self.refused(refusal))?;
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        let result = blocking(move || dismantle(&work, &me, asked)).await;
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

/// Removes the container. Once the record is gone so is the container: what fails after that is told, and left to the next
/// start of the daemon.
fn dismantle(shared: &Arc<Shared>, container: &Arc<Container>, asked: Asked) -> Result<()> {
    let id = &container.birth.id;
    if asked == (Asked::ByUser { volumes: false }) {
        // Before the record goes: a volume whose container is not there counts as half removed.
        leave_volumes(shared, container)?;
    }
    remove_file(&shared.paths.record(id))?;
    if asked != (Asked::ByUser { volumes: false }) {
        tell(id, remove_volumes(shared, container));
    }
    if asked == Asked::Before {
        let (work, container) = (Arc::clone(shared), Arc::clone(container));
        shared.chore(move || {
            clear(&work, &container);
            work.shims.stock_up();
        });
    } else {
        clear(shared, container);
    }
    Ok(())
}

/// Removes the files of a container that is not there any more, and its cgroups: the shim of one with `--rm` removes them
/// after it has told the end. The bundle goes last, since by it the next start of the daemon knows the cgroups for its own.
fn clear(shared: &Shared, container: &Container) {
    let id = &container.birth.id;
    tell(id, remove_folder(&shared.paths.container(id)));
    tell(id, shared.images.release(id).map_err(Into::into));
    kill_rest(shared, container);
    tell(id, remove_folder(&shared.paths.bundle(id)));
}

fn tell(id: &ContainerId, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(%id, error = error.chain(), "a removed container has left something");
    }
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
