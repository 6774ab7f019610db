//! Keeps disk space free without being asked each time: oldest unused first, and never what somebody counts on.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::removal::{Pruned, User};
use crate::{ImageId, Result, Store};

/// How much of the file system is to stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepFree {
    Bytes(u64),
    /// Of the whole, 1 to 99.
    Percent(u8),
}

/// Which images may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expendable {
    /// Those without a name that no container was made from.
    #[default]
    Dangling,
    /// Every one that no container was made from.
    Unused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcPolicy {
    pub keep_free: KeepFree,
    pub expendable: Expendable,
    /// What was used within this time stays in any case.
    pub min_age: Duration,
}

impl KeepFree {
    fn of(self, total: u64) -> u64 {
        match self {
            KeepFree::Bytes(bytes) => bytes,
            KeepFree::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

impl Store {
    /// Frees space until as much is free as `policy` wants, or nothing is left that may go. First what earlier pulls
    /// left for another attempt, then images, the one that was longest not used first.
    pub fn collect(
        &self,
        policy: &GcPolicy,
        users: &dyn Fn(&ImageId) -> Vec<User>,
    ) -> Result<Pruned> {
        let (free, total) = self.inner.layers.space()?;
        self.collect_until(policy, users, &|| {
            let (now, _) = self.inner.layers.space()?;
            Ok(now >= policy.keep_free.of(total))
        })
        .map(|mut pruned| {
            // What was counted is what the records say; a file system may give back less.
            let now = self.inner.layers.space().map_or(free, |(now, _)| now);
            pruned.reclaimed = pruned.reclaimed.min(now.saturating_sub(free));
            pruned
        })
    }

    fn collect_until(
        &self,
        policy: &GcPolicy,
        users: &dyn Fn(&ImageId) -> Vec<User>,
        enough: &dyn Fn() -> Result<bool>,
    ) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        if enough()? {
            return Ok(pruned);
        }
        pruned.reclaimed += self.prune_waiting()?;
        for id in self.expendable(policy)? {
            if enough()? {
                break;
            }
            if !users(&id).is_empty() {
                continue;
            }
            let more = self.prune_one(&id, policy.expendable == Expendable::Unused, users)?;
            pruned.removed.extend(more.removed);
            pruned.reclaimed += more.reclaimed;
        }
        Ok(pruned)
    }

    /// Images that may go as far as names and times say, longest unused first.
    fn expendable(&self, policy: &GcPolicy) -> Result<Vec<ImageId>> {
        let reader = self.read()?;
        let age = SignedDuration::try_from(policy.min_age).unwrap_or(SignedDuration::MAX);
        let limit = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let mut images: Vec<(Timestamp, ImageId)> = Vec::new();
        for (id, record) in reader.images()? {
            let used = record.last_used.max(record.last_tagged);
            let used = used.unwrap_or(Timestamp::UNIX_EPOCH);
            if used <= limit
                && (policy.expendable == Expendable::Unused || !reader.is_tagged(&id)?)
            {
                images.push((used, id));
            }
        }
        images.sort();
        Ok(images.into_iter().map(|(_, id)| id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImportOptions;
    use crate::tar::{Entry, EntryKind, Writer};
    use oci::ContainerId;

    fn import(store: &Store, text: &str, name: Option<&str>) -> ImageId {
        let mut writer = Writer::new(Vec::new());
        let entry = Entry::new(EntryKind::Regular, "a", 0o644);
        writer.file(entry, text.as_bytes()).unwrap();
        let options = ImportOptions {
            reference: name.map(|name| name.parse().unwrap()),
            ..ImportOptions::default()
        };
        let tar = writer.finish().unwrap();
        store.import(&tar[..], &options).unwrap()
    }

    fn policy(expendable: Expendable) -> GcPolicy {
        GcPolicy {
            keep_free: KeepFree::Percent(10),
            expendable,
            min_age: Duration::ZERO,
        }
    }

    /// Collects until this many images are left.
    fn left(store: &Store, expendable: Expendable, used: &[ImageId], images: u64) -> Vec<ImageId> {
        let users = |id: &ImageId| {
            let user = User {
                container: ContainerId::random(),
                running: false,
            };
            used.contains(id).then_some(user).into_iter().collect()
        };
        store
            .collect_until(&policy(expendable), &users, &|| {
                Ok(store.image_count()? <= images)
            })
            .unwrap();
        let all = crate::ListQuery {
            all: true,
            ..Default::default()
        };
        let mut ids: Vec<_> = store
            .list(&all)
            .unwrap()
            .into_iter()
            .map(|i| i.id)
            .collect();
        ids.sort();
        ids
    }

    fn sorted(ids: &[&ImageId]) -> Vec<ImageId> {
        let mut ids: Vec<_> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn names_and_containers_protect_and_the_oldest_goes_first() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let first = import(&store, "1", None);
        let second = import(&store, "2", None);
        let used = import(&store, "3", None);
        let named = import(&store, "4", Some("named"));
        for (id, hours) in [(&first, 3), (&second, 2)] {
            let mut record = store.read().unwrap().image(id).unwrap().unwrap();
            let age = SignedDuration::from_hours(hours);
            record.last_used = Some(Timestamp::now() - age);
            let work = |tables: &mut crate::database::Writer| tables.put_image(id, &record);
            store.inner.database.write(work).unwrap();
        }
        // Made earlier, but used again since.
        store.prepare(&ContainerId::random(), Some(&first)).unwrap();
        let uses = [used.clone()];
        let three = left(&store, Expendable::Dangling, &uses, 3);
        assert_eq!(three, sorted(&[&first, &used, &named]), "without {second}");
        assert_eq!(
            left(&store, Expendable::Dangling, &uses, 0),
            sorted(&[&used, &named])
        );
        assert_eq!(left(&store, Expendable::Unused, &uses, 0), [used]);
    }

    #[test]
    fn with_enough_free_nothing_goes() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        import(&store, "1", None);
        let nothing = GcPolicy {
            keep_free: KeepFree::Bytes(0),
            ..policy(Expendable::Unused)
        };
        let pruned = store.collect(&nothing, &|_| Vec::new()).unwrap();
        assert!(pruned.removed.is_empty());
        let young = GcPolicy {
            keep_free: KeepFree::Bytes(u64::MAX),
            min_age: Duration::from_secs(3600),
            ..policy(Expendable::Unused)
        };
        let used = import(&store, "2", Some("x"));
        store.collect(&young, &|_| Vec::new()).unwrap();
        assert!(store.image(&used).is_ok(), "it is too young");
    }
}
