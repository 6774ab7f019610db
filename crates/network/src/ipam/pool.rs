use std::net::IpAddr;

use super::ranges::Ranges;
use crate::prefix::{like, number, width};
use crate::{Error, Prefix, Result, Subnet};

/// The addresses of one subnet.
#[derive(Clone, Debug)]
pub struct Pool {
    prefix: Prefix,
    /// Where addresses are handed out.
    range: Prefix,
    taken: Ranges,
}

impl Pool {
    /// A pool in which nothing is taken but what is not for endpoints: the network's own address, the broadcast address,
    /// the gateway and the reserved ones.
    pub fn new(subnet: &Subnet) -> Result<Self> {
        let prefix = subnet.prefix;
        let range = subnet.range.unwrap_or(prefix);
        if !prefix.covers(range) {
            return Err(Error::Invalid(format!(
                "invalid range {range}: it is not within the subnet {prefix}"
            )));
        }
        let mut pool = Self {
            prefix,
            range,
            taken: Ranges::default(),
        };
        pool.take_special();
        if let Some(gateway) = subnet.gateway {
            pool.claim(gateway)?;
        }
        for (name, &address) in &subnet.reserved {
            if !prefix.contains(address) {
                return Err(Error::Invalid(format!(
                    "no matching subnet for aux-address {name}={address}"
                )));
            }
            pool.claim(address)?;
        }
        Ok(pool)
    }

    /// A prefix of one or two addresses has no address to spare (RFC 3021). The first of IPv6 is that of all routers.
    fn take_special(&mut self) {
        if width(self.prefix.address()) - self.prefix.length() < 2 {
            return;
        }
        self.taken.insert(number(self.prefix.first()));
        if self.prefix.is_ipv4() {
            self.taken.insert(number(self.prefix.last()));
        }
    }

    /// The lowest address that is free.
    pub fn take(&mut self) -> Result<IpAddr> {
        let (first, last) = (number(self.range.first()), number(self.range.last()));
        let free = self
            .taken
            .lowest_free(first, last)
            .ok_or(Error::NoAddress(self.range))?;
        self.taken.insert(free);
        Ok(like(self.prefix.address(), free))
    }

    /// Takes this very address. It may lie outside of the range, as with Docker, but not of the subnet.
    pub fn claim(&mut self, address: IpAddr) -> Result<()> {
        if !self.prefix.contains(address) {
            return Err(Error::Invalid(format!(
                "no configured subnet contains IP address {address}"
            )));
        }
        if self.taken.insert(number(address)) {
            Ok(())
        } else {
            Err(Error::AddressInUse(address))
        }
    }

    /// Gives an address back; false if it was not taken.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.prefix.contains(address) && self.taken.remove(number(address))
    }

    #[must_use]
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// How many addresses of the range are taken, those that are for no endpoint included.
    #[must_use]
    pub fn used(&self) -> u128 {
        self.taken
            .count(number(self.range.first()), number(self.range.last()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn subnet(prefix: &str) -> Subnet {
        Subnet::new(prefix.parse().unwrap())
    }

    #[test]
    fn lowest_first_and_again_when_free() {
        let mut pool = Pool::new(&subnet("172.17.0.0/16")).unwrap();
        let [a, b] = [pool.take().unwrap(), pool.take().unwrap()];
        assert_eq!([a.to_string(), b.to_string()], ["172.17.0.2", "172.17.0.3"]);
        assert!(pool.release(a));
        assert!(!pool.release(a));
        assert_eq!(pool.take().unwrap(), a);
        assert!(matches!(pool.claim(b), Err(Error::AddressInUse(x)) if x == b));
        assert_eq!(pool.used(), 5);
    }

    #[test]
    fn small_subnets() {
        let rest = |prefix: &str| {
            let mut pool = Pool::new(&subnet(prefix)).unwrap();
            std::iter::from_fn(|| pool.take().ok()).count()
        };
        assert_eq!(rest("10.0.0.0/29"), 5);
        assert_eq!(rest("10.0.0.0/30"), 1);
        assert_eq!(rest("10.0.0.0/31"), 1);
        assert_eq!(rest("10.0.0.0/32"), 1);
        assert_eq!(rest("fd00::/126"), 2);
        assert_eq!(rest("fd00::/127"), 1);
    }

    #[test]
    fn ranges_and_reserved_addresses() {
        let mut settings = subnet("10.0.0.0/24");
        settings.range = Some("10.0.0.128/30".parse().unwrap());
        settings
            .reserved
            .insert("router".into(), "10.0.0.129".parse().unwrap());
        let mut pool = Pool::new(&settings).unwrap();
        let got: Vec<_> = std::iter::from_fn(|| pool.take().ok())
            .map(|a| a.to_string())
            .collect();
        assert_eq!(got, ["10.0.0.128", "10.0.0.130", "10.0.0.131"]);
        pool.claim("10.0.0.7".parse().unwrap()).unwrap();
        assert!(pool.claim("10.0.1.7".parse().unwrap()).is_err());
        settings.range = Some("10.0.1.0/30".parse().unwrap());
        assert!(Pool::new(&settings).is_err());
    }

    proptest! {
        #[test]
        fn no_address_twice(steps in prop::collection::vec((0u8..3, any::<u8>()), 0..300)) {
            let mut pool = Pool::new(&subnet("10.0.0.0/26")).unwrap();
            let mut held = BTreeSet::new();
            for (step, low) in steps {
                let address = IpAddr::from([10, 0, 0, low % 64]);
                match step {
                    0 => if let Ok(got) = pool.take() { prop_assert!(held.insert(got)); },
                    1 => if pool.claim(address).is_ok() { prop_assert!(held.insert(address)); },
                    _ => if held.remove(&address) { prop_assert!(pool.release(address)); },
                }
                prop_assert!(!held.contains(&IpAddr::from([10, 0, 0, 1])));
                prop_assert_eq!(pool.used(), held.len() as u128 + 3);
            }
        }
    }
}
