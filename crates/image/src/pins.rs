use std::sync::Mutex;
use std::sync::PoisonError;

use oci::Digest;

use crate::holders::Holders;
use crate::{Result, Store};

/// Layers that work under way counts on, kept from removal until it is over.
pub(crate) struct Pins {
    store: Store,
    held: Mutex<Vec<Digest>>,
}

impl Pins {
    pub(crate) fn new(store: &Store) -> Pins {
        Pins {
            store: store.clone(),
            held: Mutex::new(Vec::new()),
        }
    }

    /// True if the store has the layer, and whole as far as it knows; from now on it stays.
    pub(crate) fn hold(&self, diff_id: &Digest) -> Result<bool> {
        let mut holders = self.store.holders();
        if !self.store.has_layer(diff_id)? {
            return Ok(false);
        }
        self.hold_with(&mut holders, diff_id);
        Ok(true)
    }

    /// The same for a caller that has the store's lock, and knows that the layer is there (or will be before the lock
    /// goes).
    pub(crate) fn hold_with(&self, holders: &mut Holders, diff_id: &Digest) {
        holders.pin(diff_id);
        self.lock().push(diff_id.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Digest>> {
        // A panic elsewhere leaves the list whole: it is only pushed to.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut holders = self.store.holders();
        let held = std::mem::take(&mut *self.lock());
        for diff_id in held.iter() {
            holders.unpin(diff_id);
        }
        // Its image may have been removed meanwhile; at the latest the next open finds that out.
        let dropped = self.store.drop_unused(&holders, &held);
        drop(holders);
        drop(dropped);
    }
}
