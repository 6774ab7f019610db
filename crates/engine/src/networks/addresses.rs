//! The addresses of a request, checked in Docker's words.

use std::net::IpAddr;

use network::ipam::Pool;
use network::{Prefix, Subnet};

use super::record::{AddressPool, NetworkRequest};
use crate::error::{Error, Result};

/// The subnets that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) v4: Option<Subnet>,
    pub(super) v6: Option<Subnet>,
    /// Further ones, for drivers that can have several of a family.
    pub(super) more: Vec<Subnet>,
}

/// Checks all pools and tells everything that is wrong with them at once, as Docker does.
pub(super) fn read(request: &NetworkRequest) -> Result<Wanted> {
    let (mut wanted, mut wrong) = (Wanted::default(), Vec::new());
    for pool in &request.pools {
        let Some(mut subnet) = subnet(pool, &mut wrong) else {
            continue;
        };
        if pool.gateway.is_empty() && is_without_gateway(request) {
            subnet.gateway = None;
        }
        let place = if subnet.prefix.is_ipv4() {
            &mut wanted.v4
        } else {
            &mut wanted.v6
        };
        if place.is_none() {
            *place = Some(subnet);
        } else if super::record::driver(request) == "bridge" {
            return Err(Error::new(
                crate::ErrorKind::Forbidden,
                "bridge driver doesn't support multiple subnets",
            ));
        } else {
            wanted.more.push(subnet);
        }
    }
    match complaint(&wrong) {
        Some(text) => Err(Error::invalid(format!("invalid network config:{text}"))),
        None => Ok(wanted),
    }
}

/// Where nothing leads outside, nobody is the gateway unless the user says so, and its address is a container's. A bridge of ours has it
/// all the same.
pub(super) fn is_without_gateway(request: &NetworkRequest) -> bool {
    request.internal && super::record::driver(request) != "bridge"
}

/// Docker's way to join several errors: one stands on a line of its own, several get bullets.
pub(super) fn complaint(wrong: &[String]) -> Option<String> {
    match wrong {
        [] => None,
        [one] => Some(format!("\n{one}")),
        many => Some(many.iter().map(|one| format!("\n* {one}")).collect()),
    }
}

fn subnet(pool: &AddressPool, wrong: &mut Vec<String>) -> Option<Subnet> {
    let Ok(prefix) = pool.subnet.parse::<Prefix>() else {
        wrong.push(format!(
            "invalid subnet {}: invalid CIDR block notation",
            pool.subnet
        ));
        return None;
    };
    if !is_masked(&pool.subnet, prefix) {
        wrong.push(format!(
            "invalid subnet {}: it should be {prefix}",
            pool.subnet
        ));
    }
    let mut subnet = Subnet::new(prefix);
    if !pool.range.is_empty() {
        subnet.range = range(&pool.range, prefix)
            .map_err(|why| wrong.push(format!("invalid ip-range {}: {why}", pool.range)))
            .ok();
        subnet.gateway = first_of_range(&subnet);
    }
    if !pool.gateway.is_empty() {
        subnet.gateway = address(&pool.gateway, &pool.subnet, prefix)
            .map_err(|why| wrong.push(format!("invalid gateway {}: {why}", pool.gateway)))
            .ok();
    }
    for (name, text) in &pool.auxiliary {
        match address(text, &pool.subnet, prefix) {
            Ok(ip) => drop(subnet.reserved.insert(name.clone(), ip)),
            Err(why) => wrong.push(format!("invalid auxiliary address {text}: {why}")),
        }
    }
    // One that is reserved by name and the gateway by default is the user's, so the gateway is another.
    if pool.gateway.is_empty()
        && subnet
            .reserved
            .values()
            .any(|ip| Some(*ip) == subnet.gateway)
    {
        wrong.push(format!(
            "the auxiliary address {} is the gateway's: choose another with --gateway",
            subnet.gateway.map(|ip| ip.to_string()).unwrap_or_default()
        ));
    }
    Some(subnet)
}

/// The gateway that nobody has chosen, with Docker, is the first address that is handed out.
fn first_of_range(subnet: &Subnet) -> Option<IpAddr> {
    let bare = Subnet {
        gateway: None,
        ..subnet.clone()
    };
    Pool::new(&bare).and_then(|mut pool| pool.take()).ok()
}

fn is_masked(text: &str, prefix: Prefix) -> bool {
    let ip = text.split('/').next().and_then(|ip| ip.parse().ok());
    ip == Some(prefix.address())
}

pub(super) fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn range(text: &str, parent: Prefix) -> Result<Prefix, String> {
    let range: Prefix = text
        .parse()
        .map_err(|_| "invalid CIDR block notation".to_owned())?;
    if range.is_ipv4() != parent.is_ipv4() {
        return Err(format!(
            "parent subnet is an {} block",
            family(parent.address())
        ));
    }
    if !is_masked(text, range) {
        return Err(format!("it should be {range}"));
    }
    if range.length() < parent.length() {
        return Err(format!(
            "CIDR block is bigger than its parent subnet {parent}"
        ));
    }
    if !parent.covers(range) {
        return Err(format!("parent subnet {parent} doesn't contain ip-range"));
    }
    Ok(range)
}

fn address(text: &str, said: &str, parent: Prefix) -> Result<IpAddr, String> {
    let ip: IpAddr = text.parse().map_err(|_| "invalid address".to_owned())?;
    if ip.is_ipv4() != parent.is_ipv4() {
        return Err(format!(
            "parent subnet is an {} block",
            family(parent.address())
        ));
    }
    if !parent.contains(ip) {
        return Err(format!("parent subnet {said} doesn't contain this address"));
    }
    Ok(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, range: &str, gateway: &str) -> NetworkRequest {
        NetworkRequest {
            pools: vec![AddressPool {
                subnet: subnet.into(),
                range: range.into(),
                gateway: gateway.into(),
                ..AddressPool::default()
            }],
            ..NetworkRequest::default()
        }
    }

    fn check(subnet: &str, range: &str, gateway: &str, expect: &str) {
        let error = read(&pool(subnet, range, gateway)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid network config:{expect}")
        );
    }

    #[test]
    fn dockers_words_for_what_is_wrong() {
        check(
            "x",
            "",
            "",
            "\ninvalid subnet x: invalid CIDR block notation",
        );
        check(
            "10.99.0.1/24",
            "",
            "10.98.0.1",
            "\n* invalid subnet 10.99.0.1/24: it should be 10.99.0.0/24\
             \n* invalid gateway 10.98.0.1: parent subnet 10.99.0.1/24 doesn't contain this address",
        );
        check(
            "10.0.0.0/24",
            "10.0.0.0/16",
            "",
            "\ninvalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
        );
        check(
            "10.0.0.0/24",
            "",
            "fd00::1",
            "\ninvalid gateway fd00::1: parent subnet is an IPv4 block",
        );
    }

    #[test]
    fn the_gateway_is_in_the_range() {
        let gateway = |range, gateway| {
            let wanted = read(&pool("10.0.0.0/24", range, gateway)).unwrap();
            wanted.v4.unwrap().gateway.unwrap().to_string()
        };
        assert_eq!(gateway("10.0.0.64/26", ""), "10.0.0.64");
        assert_eq!(gateway("10.0.0.0/26", ""), "10.0.0.1");
        assert_eq!(gateway("10.0.0.64/26", "10.0.0.9"), "10.0.0.9");
    }

    #[test]
    fn one_subnet_a_family_of_a_bridge() {
        let mut request = pool("10.0.0.0/24", "10.0.0.128/25", "10.0.0.9");
        request.pools.extend(pool("fd00:1::/64", "", "").pools);
        let wanted = read(&request).unwrap();
        let v4 = wanted.v4.unwrap();
        assert_eq!(v4.gateway.unwrap().to_string(), "10.0.0.9");
        assert_eq!(v4.range.unwrap().to_string(), "10.0.0.128/25");
        assert_eq!(wanted.v6.unwrap().gateway.unwrap().to_string(), "fd00:1::1");
        request.pools.extend(pool("10.1.0.0/24", "", "").pools);
        assert!(read(&request).is_err());
        request.driver = "macvlan".into();
        let wanted = read(&request).unwrap();
        assert_eq!(wanted.v4.unwrap().prefix.to_string(), "10.0.0.0/24");
        assert_eq!(wanted.more[0].gateway.unwrap().to_string(), "10.1.0.1");
        request.internal = true;
        assert_eq!(read(&request).unwrap().more[0].gateway, None);
    }
}
