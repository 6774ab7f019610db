//! Everything that is read of the kernel's answers, for `fuzz/`: a kernel with another layout, or a message cut off, must not end the daemon.

use crate::firewall::{conntrack_destination, guarded_devices, is_on_the_way};
use crate::link;
use crate::netlink::{Messages, refusal, u32_at};

/// What was found in a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub messages: usize,
    /// How often something has understood one of them.
    pub understood: usize,
}

/// Reads a datagram as each part of this crate would.
#[must_use]
pub fn read(datagram: &[u8]) -> Read {
    let mut read = Read::default();
    for message in Messages::new(datagram) {
        read.messages += 1;
        let index = u32_at(message.payload, 4).unwrap_or(0);
        let found = [
            link::Link::read(&message).is_some(),
            link::address(&message, index).is_some(),
            link::route(&message, 4).is_some(),
            link::route(&message, 16).is_some(),
            is_on_the_way(&message),
            !guarded_devices(&message).is_empty(),
            conntrack_destination(&message).is_some(),
            refusal(&message).is_some(),
        ];
        read.understood += found.into_iter().filter(|found| *found).count();
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_what_a_kernel_says() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/netlink");
        for file in std::fs::read_dir(seeds).expect("seeds") {
            let path = file.expect("a seed").path();
            let found = read(&std::fs::read(&path).expect("a seed"));
            assert!(found.understood > 0, "{}: {found:?}", path.display());
        }
    }
}
