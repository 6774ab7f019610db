//! Sockets that are held so that nobody else on the host takes their ports. Some of them lead to containers.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use shim::keeping::{MAX_FDS, Use};

use super::Error;
use super::proxy::Proxies;
use super::watch::Watch;

/// Held sockets by their keys.
#[derive(Default)]
pub(super) struct Held {
    all: BTreeMap<String, Vec<(Use, OwnedFd)>>,
    pub(super) proxies: Proxies,
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
        watch: &mut Watch,
        key: String,
        uses: Vec<Use>,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        if uses.len() != fds.len() {
            return Err(Error::Refused("not one socket for each use".to_owned()));
        }
        let opened = uses
            .iter()
            .zip(&fds)
            .try_for_each(|(of, fd)| self.proxies.open(watch, &key, (*of, fd)));
        if opened.is_err() {
            // All or nothing, of what is held under the key.
            self.release(watch, &key);
        }
        opened?;
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

    /// Closes those of a key's sockets that these descriptors are copies of.
    pub(super) fn part(
        &mut self,
        watch: &Watch,
        key: &str,
        copies: &[OwnedFd],
    ) -> Result<(), Error> {
        // Each socket has a number, which its copies have too.
        let number = |fd: BorrowedFd<'_>| linux::file::stat(fd).map(|stat| stat.st_ino);
        let meant = copies.iter().map(|fd| number(fd.as_fd()));
        let meant = meant.collect::<linux::Result<Vec<_>>>()?;
        let is_meant = |fd: BorrowedFd<'_>| number(fd).is_ok_and(|one| meant.contains(&one));
        self.proxies.shut(watch, key, is_meant);
        if let Some(held) = self.all.get_mut(key) {
            held.retain(|(_, fd)| !is_meant(fd.as_fd()));
            if held.is_empty() {
                self.all.remove(key);
            }
        }
        Ok(())
    }

    pub(super) fn release(&mut self, watch: &Watch, key: &str) {
        self.proxies.shut(watch, key, |_| true);
        self.all.remove(key);
    }
}
