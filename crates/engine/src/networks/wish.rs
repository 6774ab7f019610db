//! What a container wants of its place in a network: read, and checked in Docker's words.

use std::net::IpAddr;

use network::{Address, DeviceName, Mac};

use super::addresses;
use super::record::Record;
use crate::error::{Error, Result};
use crate::links;
use crate::options::EndpointOptions;

/// The name a device of an endpoint is given, and its settings.
pub(super) const DEVICE: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// Docker's checks, in its words and order; `is_default` for what is no network that a user has made.
pub(super) fn check(
    wish: &EndpointOptions,
    record: Option<&Record>,
    is_default: bool,
) -> Result<()> {
    let mut wrong = Vec::new();
    if is_default && !wish.aliases.is_empty() {
        wrong.push(
            "network-scoped alias is supported only for containers in user defined networks"
                .to_owned(),
        );
    }
    if is_default && !wish.links.is_empty() {
        return Err(Error::unsupported(
            "links of an endpoint on the default bridge: say them with --link",
        ));
    }
    for link in &wish.links {
        links::parse(link)?;
    }
    let has_ip = !wish.ipv4.is_empty() || !wish.ipv6.is_empty();
    if has_ip && is_default {
        wrong.push(
            "user specified IP address is supported on user defined networks only".to_owned(),
        );
    }
    for (text, is_v4) in [(&wish.ipv4, true), (&wish.ipv6, false)] {
        if !text.is_empty() {
            check_ip(text, is_v4, record, &mut wrong);
        }
    }
    match addresses::complaint(&wrong) {
        None => settings(wish).map(drop),
        Some(text) => Err(Error::invalid(format!("invalid endpoint settings:{text}"))),
    }
}

/// A fixed address lies in a subnet of its family that somebody has chosen.
fn check_ip(text: &str, is_v4: bool, record: Option<&Record>, wrong: &mut Vec<String>) {
    let ip: Option<IpAddr> = text
        .parse()
        .ok()
        .filter(|ip: &IpAddr| ip.is_ipv4() == is_v4);
    if ip.is_none() {
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        wrong.push(format!("invalid {family} address: {text}"));
    }
    let chosen: Vec<_> = record
        .into_iter()
        .flat_map(Record::chosen_subnets)
        .filter(|prefix| prefix.is_ipv4() == is_v4)
        .collect();
    if chosen.is_empty() {
        wrong.push(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
                .to_owned(),
        );
    } else if !ip.is_some_and(|ip| chosen.iter().any(|prefix| prefix.contains(ip))) {
        wrong.push(format!(
            "no configured subnet or ip-range contain the IP address {text}"
        ));
    }
}

/// What a wish says about the device.
pub(super) struct Settings {
    pub(super) mac: Option<Mac>,
    pub(super) device: Option<DeviceName>,
    pub(super) sysctls: Vec<(String, String)>,
    pub(super) link_local: Vec<Address>,
}

pub(super) fn settings(wish: &EndpointOptions) -> Result<Settings> {
    let known = |name: &&String| !matches!(name.as_str(), DEVICE | SYSCTLS);
    if let Some(name) = wish.driver_options.keys().find(known) {
        return Err(Error::unsupported(format_args!(
            "the endpoint's option {name:?} (--driver-opt)"
        )));
    }
    let mac = match wish.mac_address.as_str() {
        "" => None,
        text => Some(text.parse::<Mac>()?),
    };
    let device = wish.driver_options.get(DEVICE);
    let sysctls = wish.driver_options.get(SYSCTLS).map_or("", String::as_str);
    Ok(Settings {
        mac,
        device: device.map(|name| name.parse()).transpose()?,
        sysctls: sysctls
            .split(',')
            .filter(|setting| !setting.is_empty())
            .map(sysctl)
            .collect::<Result<_>>()?,
        link_local: wish
            .link_local
            .iter()
            .map(|text| link_local(text))
            .collect::<Result<_>>()?,
    })
}

/// A setting of the device: `net.ipv4.conf.IFNAME.log_martians=1`.
fn sysctl(setting: &str) -> Result<(String, String)> {
    let pair = setting.split_once('=');
    let known = pair.filter(|(name, _)| {
        let parts: Vec<_> = name.split('.').collect();
        matches!(parts[..], ["net", "ipv4" | "ipv6" | "mpls", _, "IFNAME", ref rest @ ..] if !rest.is_empty())
    });
    match known {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::invalid(format!(
            "invalid endpoint settings:\nunrecognised network interface sysctl '{setting}'; \
             represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        ))),
    }
}

/// A further address, with the length that Docker gives it: that of its family's link-local addresses.
fn link_local(text: &str) -> Result<Address> {
    let ip: IpAddr = text.parse().map_err(|_| {
        Error::invalid(format!(
            "invalid endpoint settings:\ninvalid link-local IP address: {text}"
        ))
    })?;
    let length = if ip.is_ipv4() { 16 } else { 64 };
    Ok(Address::new(ip, length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_device() {
        let read = |text: &str| sysctl(text).is_ok();
        assert!(read("net.ipv4.conf.IFNAME.log_martians=1"));
        assert!(read("net.mpls.conf.IFNAME.input=1"));
        for wrong in [
            "foo",
            "net.ipv4.conf.IFNAME.log_martians",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.eth0.log_martians=1",
            "net.ipv4.conf.IFNAME=1",
            "kernel.x.conf.IFNAME.y=1",
        ] {
            let words = sysctl(wrong).unwrap_err().to_string();
            assert!(
                words.contains(&format!("sysctl '{wrong}'; represent")),
                "{words}"
            );
        }
    }

    #[test]
    fn link_local_addresses() {
        let read = |text: &str| link_local(text).map(|address| address.to_string());
        assert_eq!(read("169.254.7.7").unwrap(), "169.254.7.7/16");
        assert_eq!(read("fe80::7").unwrap(), "fe80::7/64");
        assert!(read("x").is_err());
    }

    #[test]
    fn what_nobody_would_give() {
        let wish = EndpointOptions {
            ipv4: "10.0.0.7".into(),
            aliases: vec!["a".into()],
            ..EndpointOptions::default()
        };
        let words = check(&wish, None, true).unwrap_err().to_string();
        assert_eq!(words.lines().count(), 4, "{words}");
        assert!(check(&EndpointOptions::default(), None, true).is_ok());
    }
}
