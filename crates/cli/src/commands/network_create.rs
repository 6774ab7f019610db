//! `network create`: make a network.

use std::collections::BTreeMap;

use api::client::Request;
use api::types::network::{
    ConfigReference, Ipam, IpamPool, NetworkCreateRequest, NetworkCreateResponse,
};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::options::{environment, key_values};
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["network create"],
    about: "Create a network",
    usage: "[OPTIONS] NETWORK",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("attachable", None, "Noted and shown; for swarm networks"),
        Flag::list("aux-address", None, "Address that is taken: NAME=ADDRESS"),
        Flag::text("config-from", None, "Take the settings of this network"),
        Flag::bool("config-only", None, "Only hold settings for other networks"),
        Flag::text(
            "driver",
            Some('d'),
            "Its driver: bridge (the default), macvlan or ipvlan",
        ),
        Flag::list("gateway", None, "Gateway of a subnet"),
        Flag::bool("ingress", None, "Swarm's routing mesh; refused"),
        Flag::bool("internal", None, "Let nothing outside be reached"),
        Flag::list(
            "ip-range",
            None,
            "Part of a subnet to hand addresses out of",
        ),
        Flag::text("ipam-driver", None, "Driver of the addresses (default)"),
        Flag::list("ipam-opt", None, "Option of that driver: NAME=VALUE"),
        Flag::bool("ipv4", None, "Hand out IPv4 addresses (the default)"),
        Flag::bool("ipv6", None, "Hand out IPv6 addresses"),
        Flag::checked_list(
            "label",
            None,
            "list",
            environment::check_label,
            "Set a label: NAME=VALUE",
        ),
        Flag::list("opt", Some('o'), "Set an option of the driver: NAME=VALUE"),
        Flag::text("scope", None, "Its scope: local"),
        Flag::list("subnet", None, "Subnet as ADDRESS/LENGTH"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let ipam = Ipam {
        driver: matches.text("ipam-driver").unwrap_or("default").to_owned(),
        options: Some(key_values(matches.list("ipam-opt"))),
        config: Some(pools(matches)?),
    };
    let said = |name: &str| matches.given(name).then(|| matches.flag(name));
    let wanted = NetworkCreateRequest {
        name: matches.args[0].clone(),
        driver: matches.text("driver").unwrap_or("bridge").to_owned(),
        scope: matches.text_or_empty("scope").to_owned(),
        enable_ipv4: said("ipv4"),
        enable_ipv6: said("ipv6"),
        ipam: Some(ipam),
        internal: matches.flag("internal"),
        attachable: matches.flag("attachable"),
        ingress: matches.flag("ingress"),
        config_only: matches.flag("config-only"),
        config_from: matches
            .text("config-from")
            .filter(|name| !name.is_empty())
            .map(|network| ConfigReference {
                network: network.to_owned(),
            }),
        options: Some(key_values(matches.list("opt"))),
        labels: Some(key_values(matches.list("label"))),
    };
    let request = Request::post("/networks/create").body(&wanted);
    let made: NetworkCreateResponse =
        context.talk(async |client| Ok(client.json(request).await?))?;
    if !made.warning.is_empty() {
        warn(&made.warning);
    }
    print(&format!("{}\n", made.id))
}

/// Ranges, gateways and taken addresses belong to the subnet that holds them.
fn pools(matches: &Matches) -> Result<Vec<IpamPool>, Failure> {
    let subnets: Vec<&str> = matches.list("subnet").collect();
    let (ranges, gateways) = (matches.texts("ip-range"), matches.texts("gateway"));
    if ranges.len() > subnets.len() || gateways.len() > subnets.len() {
        return Err(Failure::new(
            "every ip-range or gateway must have a corresponding subnet",
        ));
    }
    let mut pools: BTreeMap<&str, IpamPool> = BTreeMap::new();
    for subnet in &subnets {
        if pools.keys().any(|other| overlap(other, subnet)) {
            return Err(Failure::new(
                "multiple overlapping subnet configuration is not supported",
            ));
        }
        let pool = IpamPool {
            subnet: (*subnet).to_owned(),
            ..IpamPool::default()
        };
        pools.insert(subnet, pool);
    }
    for range in &ranges {
        let pool = holder(&mut pools, range)
            .ok_or_else(|| Failure::new(format!("no matching subnet for range {range}")))?;
        if !pool.ip_range.is_empty() {
            return Err(Failure::new(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                pool.ip_range, pool.subnet
            )));
        }
        pool.ip_range.clone_from(range);
    }
    for gateway in &gateways {
        let pool = holder(&mut pools, gateway)
            .ok_or_else(|| Failure::new(format!("no matching subnet for gateway {gateway}")))?;
        if !pool.gateway.is_empty() {
            return Err(Failure::new(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                pool.gateway, pool.subnet
            )));
        }
        pool.gateway.clone_from(gateway);
    }
    for (name, address) in key_values(matches.list("aux-address")) {
        let pool = holder(&mut pools, &address)
            .ok_or_else(|| Failure::new(format!("no matching subnet for aux-address {address}")))?;
        pool.auxiliary_addresses.insert(name, address);
    }
    Ok(pools.into_values().collect())
}

/// The subnet that an address or a range is in.
fn holder<'a>(pools: &'a mut BTreeMap<&str, IpamPool>, text: &str) -> Option<&'a mut IpamPool> {
    let address = text.split('/').next()?;
    let mut all = pools.iter_mut();
    all.find(|(subnet, _)| contains(subnet, address))
        .map(|(_, pool)| pool)
}

fn overlap(one: &str, other: &str) -> bool {
    let address = |subnet: &str| subnet.split('/').next().unwrap_or_default().to_owned();
    contains(one, &address(other)) || contains(other, &address(one))
}

/// Whether an address is in a subnet; what cannot be read is in none, and the daemon says what is wrong with it.
fn contains(subnet: &str, address: &str) -> bool {
    let Some((network, length)) = subnet.split_once('/') else {
        return false;
    };
    let (Some(network), Some(address), Ok(length)) =
        (bits(network), bits(address), length.parse::<u32>())
    else {
        return false;
    };
    let shift = network.1.checked_sub(length);
    network.1 == address.1
        && shift.is_some_and(|shift| {
            network.0.checked_shr(shift).unwrap_or(0) == address.0.checked_shr(shift).unwrap_or(0)
        })
}

/// An address as a number, and how many bits it has.
fn bits(text: &str) -> Option<(u128, u32)> {
    match text.parse().ok()? {
        std::net::IpAddr::V4(v4) => Some((u32::from(v4).into(), 32)),
        std::net::IpAddr::V6(v6) => Some((v6.into(), 128)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Vec<IpamPool>, String> {
        let flags: Vec<_> = COMMAND
            .flags
            .iter()
            .flat_map(|group| group.iter())
            .collect();
        let words = line.iter().map(|&word| word.to_owned());
        let matches = crate::flags::parse(&flags, Order::Anywhere, words)
            .map_err(|error| error.to_string())?;
        pools(&matches).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_belongs_to_which_subnet() {
        let pools = read(&[
            "--subnet=10.0.0.0/24",
            "--subnet=fd00::/64",
            "--gateway=fd00::9",
            "--ip-range=10.0.0.128/25",
            "--aux-address=router=10.0.0.5",
        ])
        .unwrap();
        assert_eq!(pools[0].ip_range, "10.0.0.128/25");
        assert_eq!(pools[0].auxiliary_addresses["router"], "10.0.0.5");
        assert_eq!(
            (pools[1].gateway.as_str(), pools[1].ip_range.as_str()),
            ("fd00::9", "")
        );
    }

    #[test]
    fn dockers_words_for_what_belongs_nowhere() {
        let check = |line: &[&str], text: &str| assert_eq!(read(line).unwrap_err(), text);
        check(
            &["--gateway=10.0.0.1"],
            "every ip-range or gateway must have a corresponding subnet",
        );
        check(
            &["--subnet=10.0.0.0/24", "--gateway=10.0.1.1"],
            "no matching subnet for gateway 10.0.1.1",
        );
        check(
            &["--subnet=10.0.0.0/24", "--subnet=10.0.0.128/25"],
            "multiple overlapping subnet configuration is not supported",
        );
        check(
            &["--subnet=10.0.0.0/24", "--aux-address=a=10.0.9.1"],
            "no matching subnet for aux-address 10.0.9.1",
        );
    }
}
