//! Hashing beside the work: a layer's bytes are read or written by one thread and hashed by another, so that a digest
//! costs no time where there is a second core.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use oci::{Algorithm, Digest, Hasher};

/// Bytes that go to the other thread at once.
const PIECE: usize = 128 * 1024;

/// Pieces that wait for it: the bound on memory.
const AHEAD: usize = 4;

/// What is fed to it piece by piece becomes a digest. Less than a piece takes no thread.
pub(crate) struct Hashing {
    piece: Vec<u8>,
    /// Who hashes as long as there is no other thread.
    hasher: Hasher,
    beside: Option<Beside>,
}

/// The other thread.
struct Beside {
    full: SyncSender<Vec<u8>>,
    /// Pieces come back to be filled again.
    empties: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

impl Hashing {
    pub(crate) fn new(algorithm: Algorithm) -> Hashing {
        Hashing {
            piece: Vec::new(),
            hasher: algorithm.hasher(),
            beside: None,
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.piece.len() == PIECE {
                self.pass_on();
            }
            let taken = bytes.len().min(PIECE - self.piece.len());
            let (now, rest) = bytes.split_at(taken);
            self.piece.extend_from_slice(now);
            bytes = rest;
        }
    }

    pub(crate) fn finish(self) -> io::Result<Digest> {
        let mut hasher = match self.beside {
            None => self.hasher,
            Some(Beside { full, thread, .. }) => {
                drop(full);
                let ended = thread.join();
                ended.map_err(|_| io::Error::other("the hashing thread panicked"))?
            }
        };
        hasher.update(&self.piece);
        Ok(hasher.finish())
    }

    fn pass_on(&mut self) {
        if self.beside.is_none() {
            self.beside = Beside::start(&self.hasher).ok();
        }
        let Some(beside) = &self.beside else {
            // No thread to be had.
            self.hasher.update(&self.piece);
            self.piece.clear();
            return;
        };
        let empty = beside.empties.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.piece, empty);
        // A thread that has panicked is told of at the end.
        let _ = beside.full.send(full);
        self.piece.reserve_exact(PIECE);
    }
}

impl Beside {
    fn start(hasher: &Hasher) -> io::Result<Beside> {
        let (full, pieces) = sync_channel::<Vec<u8>>(AHEAD);
        let (back, empties) = sync_channel(AHEAD + 2);
        let mut hasher = hasher.clone();
        let work = move || {
            while let Ok(mut piece) = pieces.recv() {
                hasher.update(&piece);
                piece.clear();
                // Nobody takes it when there is nothing more to hash.
                let _ = back.try_send(piece);
            }
            hasher
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(work)?;
        Ok(Beside {
            full,
            empties,
            thread,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_the_pieces() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 20 * PIECE + 7] {
            let bytes: Vec<u8> = (0..length).map(|n| (n / 3) as u8).collect();
            for piece in [1000, PIECE, 5 * PIECE] {
                let mut hashing = Hashing::new(Algorithm::Sha256);
                bytes.chunks(piece).for_each(|piece| hashing.update(piece));
                assert_eq!(hashing.finish().unwrap(), Digest::sha256(&bytes));
            }
        }
    }
}
