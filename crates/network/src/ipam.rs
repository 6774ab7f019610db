//! Which subnets networks have and which addresses endpoints have. Pure: the caller says what is taken.
//!
//! Nothing of this is kept on disk. A [`Subnets`] is made of the records of all networks, a [`Pool`] of the records of one
//! network's endpoints, so an address has one truth.

mod pool;
mod ranges;
mod subnets;

pub use pool::Pool;
pub use subnets::{Family, PoolSpec, Subnets, docker_pools, ula_pool};

use std::net::IpAddr;

use crate::Prefix;
use crate::prefix::{like, number, width};

/// The first address that a device can have: behind the network's own, except where there is no room for that.
#[must_use]
pub fn first_host(prefix: Prefix) -> Option<IpAddr> {
    let bits = width(prefix.address()) - prefix.length();
    match bits {
        0 => None,
        1 => Some(prefix.first()),
        _ => Some(like(prefix.address(), number(prefix.first()) + 1)),
    }
}
