use serde::{Deserialize, Serialize};

use crate::prefix::{like, number, width};
use crate::{Error, Prefix, Result};

/// Where subnets come from that nobody chose: `base` is cut into prefixes of length `size`
/// (`default-address-pools` of daemon.json).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    pub base: Prefix,
    pub size: u8,
}

impl PoolSpec {
    /// A pool; at most 2^24 subnets can be cut from one, as with Docker's.
    pub fn new(base: Prefix, size: u8) -> Result<Self> {
        let most = width(base.address());
        if size < base.length() || size > most {
            return Err(Error::Invalid(format!(
                "invalid address pool {base} of size {size}: the size is to be from {} to {most}",
                base.length()
            )));
        }
        Ok(Self { base, size })
    }

    fn step(self) -> u128 {
        1u128
            .checked_shl((width(self.base.address()) - self.size).into())
            .unwrap_or(0)
    }
}

/// Docker's pools: the default bridge's 172.17.0.0/16 is the first, then those up to 172.31.0.0/16, then 192.168.0.0/16 in parts of
/// 4,096 addresses.
#[must_use]
pub fn docker_pools() -> Vec<PoolSpec> {
    let pool = |a: u8, b: u8, length: u8, size: u8| {
        Prefix::of([a, b, 0, 0].into(), length).map(|base| PoolSpec { base, size })
    };
    [
        pool(172, 17, 16, 16),
        pool(172, 18, 16, 16),
        pool(172, 19, 16, 16),
        pool(172, 20, 14, 16),
        pool(172, 24, 14, 16),
        pool(172, 28, 14, 16),
        pool(192, 168, 16, 20),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The pool of an engine's IPv6 subnets: a unique local prefix (RFC 4193) out of `seed`, which is to be a hash of what never
/// changes about the engine, cut into /64.
#[must_use]
pub fn ula_pool(seed: u64) -> PoolSpec {
    let global_id = u128::from(seed & 0xff_ffff_ffff);
    let address = like(
        std::net::Ipv6Addr::UNSPECIFIED.into(),
        0xfd << 120 | global_id << 80,
    );
    let base = Prefix::of(address, 48).unwrap_or_else(|_| unreachable!("48 bits are in range"));
    PoolSpec { base, size: 64 }
}

/// The subnets of all networks. No two overlap.
#[derive(Clone, Debug, Default)]
pub struct Subnets {
    taken: std::collections::BTreeSet<Prefix>,
}

impl Subnets {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a subnet that somebody chose. The host's own routes do not stop that, as they do not with Docker.
    pub fn claim(&mut self, prefix: Prefix) -> Result<()> {
        if let Some(other) = self.overlapping(prefix) {
            return Err(Error::Overlap {
                wanted: prefix,
                other,
            });
        }
        self.taken.insert(prefix);
        Ok(())
    }

    pub fn release(&mut self, prefix: Prefix) -> bool {
        self.taken.remove(&prefix)
    }

    fn overlapping(&self, prefix: Prefix) -> Option<Prefix> {
        self.taken.iter().copied().find(|p| p.overlaps(prefix))
    }

    /// Takes the first subnet of the pools that overlaps neither another network's nor one of `avoid`, which are the
    /// prefixes the host has routes for ([`crate::Host::prefixes`]). Of the pools, those of `like`'s family count.
    pub fn allocate(
        &mut self,
        pools: &[PoolSpec],
        family: Family,
        avoid: &[Prefix],
    ) -> Result<Prefix> {
        let pools = pools
            .iter()
            .filter(|pool| pool.base.is_ipv4() == (family == Family::V4));
        for pool in pools {
            if let Some(found) = self.first_free(*pool, avoid) {
                self.taken.insert(found);
                return Ok(found);
            }
        }
        Err(Error::NoSubnet)
    }

    /// Jumps behind whatever is in the way, so it takes as many steps as there are obstacles, not as there are subnets.
    fn first_free(&self, pool: PoolSpec, avoid: &[Prefix]) -> Option<Prefix> {
        let last = number(pool.base.last());
        let mut at = number(pool.base.first());
        loop {
            let candidate = Prefix::of(like(pool.base.address(), at), pool.size).ok()?;
            let obstacle = self
                .overlapping(candidate)
                .or_else(|| avoid.iter().copied().find(|p| p.overlaps(candidate)));
            let Some(obstacle) = obstacle else {
                return Some(candidate);
            };
            let behind = number(obstacle.last())
                .max(number(candidate.last()))
                .checked_add(1)?;
            at = behind.checked_next_multiple_of(pool.step().max(1))?;
            if at > last {
                return None;
            }
        }
    }
}

/// Which addresses are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn docker_s_order_and_number() {
        let (pools, mut subnets) = (docker_pools(), Subnets::new());
        let got: Vec<_> = std::iter::from_fn(|| subnets.allocate(&pools, Family::V4, &[]).ok())
            .map(|p| p.to_string())
            .collect();
        assert_eq!(got.len(), 31);
        assert_eq!(got[..2], ["172.17.0.0/16", "172.18.0.0/16"]);
        assert_eq!(got[14..16], ["172.31.0.0/16", "192.168.0.0/20"]);
        assert_eq!(got[30], "192.168.240.0/20");
    }

    #[test]
    fn the_host_s_routes_are_in_the_way() {
        let mut subnets = Subnets::new();
        let avoid = [prefix("172.16.0.0/13"), prefix("172.24.8.0/24")];
        let got = subnets
            .allocate(&docker_pools(), Family::V4, &avoid)
            .unwrap();
        assert_eq!(got, prefix("172.25.0.0/16"));
        subnets.claim(prefix("172.24.8.0/24")).unwrap();
        assert!(matches!(
            subnets.claim(prefix("172.25.1.0/24")),
            Err(Error::Overlap { other, .. }) if other == got
        ));
    }

    #[test]
    fn a_pool_of_millions_is_no_loop() {
        let pool = ula_pool(0x12_3456_789a);
        assert_eq!(pool.base.to_string(), "fd12:3456:789a::/48");
        let mut subnets = Subnets::new();
        let all = [prefix("::/0")];
        assert!(matches!(
            subnets.allocate(&[pool], Family::V6, &all),
            Err(Error::NoSubnet)
        ));
        let half = [prefix("fd12:3456:789a::/49")];
        let got = subnets.allocate(&[pool], Family::V6, &half).unwrap();
        assert_eq!(got.to_string(), "fd12:3456:789a:8000::/64");
    }

    proptest! {
        #[test]
        fn nothing_overlaps(
            size in 24u8..=30,
            avoid in prop::collection::vec((any::<u8>(), 22u8..=32), 0..8),
            claims in prop::collection::vec((any::<u8>(), any::<u8>(), 22u8..=32), 0..8),
        ) {
            let pool = PoolSpec::new(prefix("10.0.0.0/22"), size).unwrap();
            let avoid: Vec<_> = avoid.into_iter().map(|(c, length)| Prefix::of([10, 0, c % 4, c].into(), length).unwrap()).collect();
            let mut subnets = Subnets::new();
            for (c, d, length) in claims {
                let _ = subnets.claim(Prefix::of([10, 0, c % 4, d].into(), length).unwrap());
            }
            let claimed = subnets.taken.clone();
            while let Ok(got) = subnets.allocate(&[pool], Family::V4, &avoid) {
                prop_assert!(pool.base.covers(got) && got.length() == size);
                prop_assert!(!avoid.iter().any(|p| p.overlaps(got)));
            }
            let all: Vec<_> = subnets.taken.iter().collect();
            for (i, one) in all.iter().enumerate() {
                prop_assert!(!all[i + 1..].iter().any(|other| other.overlaps(**one)));
            }
            // What is left free is in somebody's way.
            let free = (0..1u32 << (size - 22)).map(|n| Prefix::of(std::net::Ipv4Addr::from(0x0a00_0000 + (n << (32 - size))).into(), size).unwrap());
            for candidate in free {
                prop_assert!(subnets.taken.iter().chain(&claimed).chain(&avoid).any(|p| p.overlaps(candidate)));
            }
        }
    }
}
