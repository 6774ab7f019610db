//! Sockets that are held so that nobody else on the host takes their ports.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use shim::keeping::{MAX_FDS, Use};

use super::Error;

/// Held sockets by their keys.
#[derive(Default)]
pub(super) struct Held {
    all: BTreeMap<String, Vec<(Use, OwnedFd)>>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }

    pub(super) fn hold(
        &mut self,
        key: String,
        uses: Vec<Use>,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        if uses.len() != fds.len() {
            return Err(Error::Refused("not one socket for each use".to_owned()));
        }
        if uses.iter().any(|one| *one != Use::Reserve) {
            return Err(Error::Refused("this keeper has no proxy".to_owned()));
        }
        self.all
            .entry(key)
            .or_default()
            .extend(uses.into_iter().zip(fds));
        Ok(())
    }

    /// Copies.
    pub(super) fn lend(&self, key: &str, skip: usize) -> Result<Vec<(Use, OwnedFd)>, Error> {
        let held = self.all.get(key).map_or(&[][..], Vec::as_slice);
        let copy = |(of, fd): &(Use, OwnedFd)| Ok((*of, linux::fd::duplicate(fd)?));
        held.iter().skip(skip).take(MAX_FDS).map(copy).collect()
    }

    pub(super) fn release(&mut self, key: &str) {
        self.all.remove(key);
    }
}
