//! Volumes in use: what has to be mounted is mounted for the first user and unmounted after the last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::ContainerId;

use super::device::Device;
use super::{Volumes, make_folder};
use crate::error::{Error, Result};
use crate::mounts::MountPoint;
use crate::shared::Shared;

/// Who uses a volume that is mounted.
type Users = BTreeSet<String>;

/// The users of each volume that was ever mounted. A lock a volume: a server of one that does not answer holds up
/// nobody else.
#[derive(Debug, Default)]
pub(super) struct Mounted(Mutex<BTreeMap<String, Arc<Mutex<Users>>>>);

impl Mounted {
    fn users(&self, name: &str) -> Option<Arc<Mutex<Users>>> {
        lock(&self.0).get(name).cloned()
    }

    fn users_or_none(&self, name: &str) -> Arc<Mutex<Users>> {
        Arc::clone(lock(&self.0).entry(name.to_owned()).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Volumes {
    /// Makes a volume's files be where its mount point says, for `user`: until [`leave`](Self::leave) if it had to be
    /// mounted. A plain one whose folder somebody has deleted is made again, empty.
    pub(crate) fn enter(&self, name: &str, user: &str) -> Result<()> {
        let Some(record) = self.lock().get(name).cloned() else {
            return Err(super::no_such(name));
        };
        let data = self.data_of(name);
        let Some(device) = Device::of(&record.options) else {
            return self.restore(&record, &data);
        };
        let users = self.mounted.users_or_none(name);
        let mut users = lock(&users);
        if users.is_empty() {
            self.restore(&record, &data)?;
            device.mount(&data).map_err(|error| {
                Error::new(
                    error.kind(),
                    format!("error while mounting volume '{}'", data.display()),
                )
                .caused_by(error)
            })?;
        }
        users.insert(user.to_owned());
        Ok(())
    }

    fn restore(&self, record: &super::Record, data: &Path) -> Result<()> {
        if data.exists() {
            return Ok(());
        }
        tracing::warn!(
            volume = record.name,
            "the folder of a volume was deleted; it is made again, empty"
        );
        make_folder(0o701, &self.root.join(&record.name))?;
        make_folder(0o755, data)?;
        self.keep(record)
    }

    /// Whether [`leave`](Self::leave) has anything to do.
    pub(crate) fn was_mounted(&self, name: &str) -> bool {
        self.mounted.users(name).is_some()
    }

    /// Ends a use; the last one unmounts.
    pub(crate) fn leave(&self, name: &str, user: &str) {
        let Some(users) = self.mounted.users(name) else {
            return;
        };
        let mut users = lock(&users);
        if users.remove(user) && users.is_empty() {
            unmount(&self.data_of(name));
        }
    }

    /// After a start of the daemon: takes over what is mounted for the containers that run, unmounts the rest.
    pub(crate) fn adopt<'a>(&self, uses: impl Iterator<Item = (&'a str, &'a str)>) {
        let devices: Vec<String> = {
            let records = self.lock();
            let mounted = |name: &String| Device::of(&records[name].options).is_some();
            records
                .keys()
                .filter(|name| mounted(name))
                .cloned()
                .collect()
        };
        for (name, user) in uses {
            if devices.iter().any(|device| device == name) {
                let users = self.mounted.users_or_none(name);
                lock(&users).insert(user.to_owned());
            }
        }
        for name in devices.iter().filter(|name| !self.was_mounted(name)) {
            unmount(&self.data_of(name));
        }
    }
}

/// A use of volumes by something that is not a running container: `cp` and `export` of one that does not run.
#[derive(Debug)]
pub(crate) struct HeldVolumes {
    shared: Arc<Shared>,
    names: Vec<String>,
    /// Nobody else's.
    user: String,
}

impl HeldVolumes {
    /// Mounts those of the mount points' volumes that are not plain folders; `None` if there are none.
    pub(crate) async fn take(shared: &Arc<Shared>, points: &[MountPoint]) -> Result<Option<Self>> {
        let names: Vec<String> = {
            let records = shared.volumes.lock();
            let device = |name: &&str| {
                let record = records.get(*name);
                record.is_some_and(|record| Device::of(&record.options).is_some())
            };
            let names = points.iter().map(|point| point.name.as_str());
            names.filter(device).map(str::to_owned).collect()
        };
        if names.is_empty() {
            return Ok(None);
        }
        let held = Self {
            shared: Arc::clone(shared),
            names,
            user: format!("files {}", ContainerId::random()),
        };
        crate::blocking(move || {
            // Dropped on an error, it leaves what it has entered.
            let volumes = &held.shared.volumes;
            held.names
                .iter()
                .try_for_each(|name| volumes.enter(name, &held.user))?;
            Ok(Some(held))
        })
        .await
    }
}

impl Drop for HeldVolumes {
    fn drop(&mut self) {
        for name in &self.names {
            self.shared.volumes.leave(name, &self.user);
        }
    }
}

/// Unmounts all that lies on a folder; nothing does as a rule.
pub(super) fn unmount(folder: &Path) {
    while linux::mount::unmount_detached(folder).is_ok() {}
}
