//! What all tasks of one engine share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::ContainerId;
use tokio::task::JoinSet;

use crate::cgroups::Cgroups;
use crate::config::Config;
use crate::container::{Container, Handle};
use crate::error::Result;
use crate::events::{Bus, Event, Subject};
use crate::exec::Exec;
use crate::keeper::Keeper;
use crate::mounts::{Access, Kind, MountPoint};
use crate::networks::Networks;
use crate::registry::Registry;
use crate::remote::Remote;
use crate::shims::Shims;
use crate::spec::Host;
use crate::state::{Birth, Paths};
use crate::volumes::Volumes;

/// How long a container that has just been started has the machine to itself.
const REST: std::time::Duration = std::time::Duration::from_millis(50);

/// One engine's insides. Locks are held for memory only, never over I/O.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) paths: Paths,
    pub(crate) images: image::Store,
    pub(crate) volumes: Volumes,
    pub(crate) networks: Networks,
    pub(crate) bus: Bus,
    pub(crate) host: Host,
    pub(crate) cgroups: Cgroups,
    pub(crate) remote: Remote,
    pub(crate) shims: Shims,
    pub(crate) keeper: Keeper,
    chores: Mutex<JoinSet<()>>,
    registry: Mutex<Registry<Handle>>,
    execs: Mutex<HashMap<String, Arc<Exec>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        images: image::Store,
        volumes: Volumes,
        networks: Networks,
        cgroups: Cgroups,
    ) -> Self {
        let paths = Paths {
            data: config.data_root.clone(),
            exec: config.exec_root.clone(),
        };
        Self {
            remote: Remote::new(&config.registries),
            shims: Shims::new(config.shim_path.clone()),
            keeper: Keeper::new(&config),
            config,
            paths,
            images,
            volumes,
            networks,
            bus: Bus::new(),
            host: Host::look(),
            cgroups,
            chores: Mutex::default(),
            registry: Mutex::default(),
            execs: Mutex::default(),
        }
    }

    /// Has a shim ready for the next container, but not at the cost of the one that has just been started.
    pub(crate) fn stock_up_later(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(REST).await;
            crate::blocking(move || shared.shims.stock_up()).await;
        });
    }

    /// Does in the background what nobody waits for. Blocks there.
    pub(crate) fn chore(&self, work: impl FnOnce() + Send + 'static) {
        let mut chores = self.chores.lock().unwrap_or_else(PoisonError::into_inner);
        while chores.try_join_next().is_some() {}
        chores.spawn_blocking(work);
    }

    /// Returns when no chore is left.
    pub(crate) async fn finish_chores(&self) {
        let chores =
            std::mem::take(&mut *self.chores.lock().unwrap_or_else(PoisonError::into_inner));
        chores.join_all().await;
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry<Handle>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn execs(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container by name, id or the beginning of its id, or by what another one calls it (`web/db`).
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Handle>> {
        let found = self.registry().find(name);
        found.or_else(|error| crate::links::target(self, name).map_or(Err(error), |(_, to)| Ok(to)))
    }

    /// All containers, in no order.
    pub(crate) fn containers(&self) -> Vec<Arc<Handle>> {
        self.registry().all().cloned().collect()
    }

    /// Publishes an event on a container, with Docker's attributes: its labels, image and name, and `extra`.
    pub(crate) fn announce(
        &self,
        container: &Container,
        action: impl Into<String>,
        extra: &[(&str, String)],
    ) {
        let birth = &container.birth;
        let mut attributes: BTreeMap<String, String> = birth.options.labels.clone();
        attributes.insert("image".to_owned(), birth.image_name.clone());
        attributes.insert("name".to_owned(), container.name());
        attributes.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        self.bus.publish(Event {
            subject: Subject::Container,
            action: action.into(),
            actor: birth.id.to_string(),
            attributes,
            time: jiff::Timestamp::now(),
        });
    }

    /// Publishes an event on a volume.
    pub(crate) fn announce_volume(&self, action: &str, name: &str) {
        self.publish(
            Subject::Volume,
            action,
            name,
            [("driver", "local".to_owned())],
        );
    }

    /// Publishes an event on a network of this name and driver, and perhaps on a container in it.
    pub(crate) fn announce_network(
        &self,
        action: &str,
        id: &str,
        (name, driver): (&str, &str),
        container: Option<&ContainerId>,
    ) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), name.to_owned()),
            ("type".to_owned(), driver.to_owned()),
        ]);
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        self.bus.publish(Event {
            subject: Subject::Network,
            action: action.to_owned(),
            actor: id.to_owned(),
            attributes,
            time: jiff::Timestamp::now(),
        });
    }

    /// Publishes that unused things of a kind were removed, and how many bytes that gave back.
    pub(crate) fn announce_prune(&self, subject: Subject, reclaimed: u64) {
        self.publish(subject, "prune", "", [("reclaimed", reclaimed.to_string())]);
    }

    fn publish<const N: usize>(
        &self,
        subject: Subject,
        action: &str,
        actor: &str,
        attributes: [(&str, String); N],
    ) {
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
        self.bus.publish(Event {
            subject,
            action: action.to_owned(),
            actor: actor.to_owned(),
            attributes: BTreeMap::from(attributes),
            time: jiff::Timestamp::now(),
        });
    }

    /// Makes a volume ready for a container that starts.
    pub(crate) fn enter_volume(&self, mount: &MountPoint, user: &ContainerId) -> Result<()> {
        self.volumes.enter(&mount.name, user.as_str())?;
        let attributes = [
            ("container", user.to_string()),
            ("destination", mount.destination.clone()),
            ("driver", "local".to_owned()),
            ("propagation", mount.propagation.clone()),
            ("read/write", (mount.access == Access::Full).to_string()),
        ];
        self.publish(Subject::Volume, "mount", &mount.name, attributes);
        Ok(())
    }

    /// Ends a container's use of its volumes.
    pub(crate) fn leave_volumes(&self, birth: &Birth) {
        let user = birth.id.as_str();
        for mount in birth
            .mounts
            .iter()
            .filter(|mount| mount.kind == Kind::Volume)
        {
            self.volumes.leave(&mount.name, user);
            let attributes = [
                ("container", user.to_owned()),
                ("driver", "local".to_owned()),
            ];
            self.publish(Subject::Volume, "unmount", &mount.name, attributes);
        }
    }

    /// The ids of containers that mention a volume.
    pub(crate) fn users_of_volume(&self, name: &str) -> Vec<ContainerId> {
        let uses =
            |handle: &Arc<Handle>| handle.birth.mounts.iter().any(|mount| mount.name == name);
        self.registry()
            .all()
            .filter(|handle| uses(handle))
            .map(|handle| handle.birth.id.clone())
            .collect()
    }
}
