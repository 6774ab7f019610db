use std::collections::HashMap;

use oci::{ContainerId, Digest};

use crate::snapshot::Kept;

/// Who keeps layers besides images. Its lock is also what everything that adds or removes layers holds meanwhile.
#[derive(Default)]
pub(crate) struct Holders {
    /// Containers' writable layers.
    snapshots: HashMap<ContainerId, Kept>,
    /// How many of them, and of loads under way, count on a layer.
    held: HashMap<Digest, usize>,
}

impl Holders {
    pub(crate) fn new(snapshots: HashMap<ContainerId, Kept>) -> Holders {
        let mut holders = Holders::default();
        for (container, kept) in snapshots {
            holders.keep(container, kept);
        }
        holders
    }

    pub(crate) fn snapshots(&self) -> &HashMap<ContainerId, Kept> {
        &self.snapshots
    }

    pub(crate) fn holds(&self, diff_id: &Digest) -> bool {
        self.held.contains_key(diff_id)
    }

    /// Notes a container's writable layer, in place of the one it had.
    pub(crate) fn keep(&mut self, container: ContainerId, kept: Kept) {
        kept.below.iter().for_each(|diff_id| self.pin(diff_id));
        if let Some(before) = self.snapshots.insert(container, kept) {
            before.below.iter().for_each(|diff_id| self.unpin(diff_id));
        }
    }

    pub(crate) fn let_go(&mut self, container: &ContainerId) -> Option<Kept> {
        let kept = self.snapshots.remove(container)?;
        kept.below.iter().for_each(|diff_id| self.unpin(diff_id));
        Some(kept)
    }

    /// Keeps a layer until it is unpinned as often.
    pub(crate) fn pin(&mut self, diff_id: &Digest) {
        *self.held.entry(diff_id.clone()).or_default() += 1;
    }

    pub(crate) fn unpin(&mut self, diff_id: &Digest) {
        if let Some(count) = self.held.get_mut(diff_id) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(diff_id);
            }
        }
    }
}
