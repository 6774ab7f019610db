//! The default bridge, as the daemon's options describe it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use network::ipam::PoolSpec;
use network::{Address, DeviceName, Prefix};

use super::record::{AddressPool, NetworkRequest};
use super::{BRIDGE, drivers};
use crate::error::{Error, Result};

/// The option that tells the default bridge from others.
pub(super) const IS_DEFAULT: &str = "com.docker.network.bridge.default_bridge";

/// How networks are set up. Texts are what the administrator wrote; [`Networking::check`] judges them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networking {
    /// The device of the default bridge: one that the administrator has made. Empty: our own. `none`: there is no such network.
    pub bridge: String,
    /// What our own is called; empty: a name with the engine's mark.
    pub own_name: String,
    /// The bridge's address and its subnet, `192.0.2.1/24`.
    pub bip: String,
    pub bip6: String,
    /// The part of the subnet that addresses are handed out of.
    pub fixed_cidr: String,
    pub fixed_cidr_v6: String,
    /// Where containers send what is for elsewhere, if not to the bridge.
    pub default_gateway: Option<IpAddr>,
    pub default_gateway_v6: Option<IpAddr>,
    pub mtu: u32,
    /// Whether its containers reach each other without publishing.
    pub icc: bool,
    pub ipv6: bool,
    pub masquerade: bool,
    /// The address that ports are published on if they name none.
    pub ip: IpAddr,
    /// Whether the host is made a router where it is none. For all networks.
    pub forwarding: bool,
    /// How published ports lead to containers. For all networks that say nothing else.
    pub publish_mode: PublishMode,
    /// Whether published ports are reached by the containers' own addresses too (`--allow-direct-routing`). For all networks.
    pub direct: bool,
    /// Whether what the kernel cannot translate is carried on by the keeper (`--userland-proxy`).
    pub proxy: bool,
    /// Where subnets come from that nobody chose: a prefix, and the length of the parts that it is cut into. None: Docker's.
    pub pools: Vec<(String, u8)>,
    /// What new networks get that say nothing else: options by driver. Not for the default bridge.
    pub options: BTreeMap<String, BTreeMap<String, String>>,
}

/// How published ports lead to containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublishMode {
    /// Translated by the kernel, unless somebody else's rules on this host drop what is forwarded: then as with `HostSocket`.
    #[default]
    Auto,
    /// Translated by the kernel. The container sees who connects.
    Nat,
    /// Each port is a socket of the host's, so the host's own rules for incoming connections hold. The container sees the host only.
    HostSocket,
}

impl FromStr for PublishMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "nat" => Ok(Self::Nat),
            "host-socket" => Ok(Self::HostSocket),
            _ => Err(Error::invalid(format!(
                "unknown publish-mode {text:?}: choose one of auto, nat, host-socket"
            ))),
        }
    }
}

impl Default for Networking {
    fn default() -> Self {
        Self {
            bridge: String::new(),
            own_name: String::new(),
            bip: String::new(),
            bip6: String::new(),
            fixed_cidr: String::new(),
            fixed_cidr_v6: String::new(),
            default_gateway: None,
            default_gateway_v6: None,
            mtu: 1500,
            icc: true,
            ipv6: false,
            masquerade: true,
            ip: IpAddr::from([0, 0, 0, 0]),
            forwarding: true,
            publish_mode: PublishMode::Auto,
            direct: false,
            proxy: true,
            pools: Vec::new(),
            options: BTreeMap::new(),
        }
    }
}

/// What the options say about the addresses of one family.
struct Said<'a> {
    v4: bool,
    bip: &'a str,
    fixed: &'a str,
    gateway: Option<IpAddr>,
}

impl Networking {
    /// Gives a request the options of its driver that it does not say itself.
    pub(super) fn complete(&self, request: &mut NetworkRequest) {
        let options = self.options.get(super::record::driver(request));
        for (name, value) in options.into_iter().flatten() {
            let place = request.options.entry(name.clone());
            place.or_insert_with(|| value.clone());
        }
    }

    /// Whether there is a default bridge at all.
    #[must_use]
    pub fn has_bridge(&self) -> bool {
        self.bridge != "none"
    }

    /// The device of the default bridge, if it is not ours to make.
    pub(super) fn foreign_bridge(&self) -> Result<Option<DeviceName>> {
        match self.bridge.as_str() {
            "" | "none" => Ok(None),
            name => Ok(Some(name.parse()?)),
        }
    }

    /// Everything about the options that does not depend on the machine.
    pub fn check(&self) -> Result<()> {
        let has_bip = !self.bip.is_empty() || !self.bip6.is_empty();
        if !self.bridge.is_empty() && has_bip {
            return Err(Error::invalid(
                "you specified -b & --bip, mutually exclusive options. Please specify only one",
            ));
        }
        if !(self.ipv6 || self.bip6.is_empty() && self.fixed_cidr_v6.is_empty()) {
            return Err(Error::invalid(
                "--bip6 and --fixed-cidr-v6 want --ipv6, which gives the default bridge IPv6",
            ));
        }
        self.foreign_bridge()?;
        self.pool_specs()?;
        self.request(&[]).map(drop)
    }

    /// The pools that were named.
    pub(super) fn pool_specs(&self) -> Result<Vec<PoolSpec>> {
        let one = |(base, size): &(String, u8)| Ok(PoolSpec::new(base.parse::<Prefix>()?, *size)?);
        self.pools.iter().map(one).collect()
    }

    /// The network to make; `has` are the addresses of a bridge that the administrator has made.
    pub(super) fn request(&self, has: &[Address]) -> Result<NetworkRequest> {
        let v4 = Said {
            v4: true,
            bip: &self.bip,
            fixed: &self.fixed_cidr,
            gateway: self.default_gateway,
        };
        let v6 = Said {
            v4: false,
            bip: &self.bip6,
            fixed: &self.fixed_cidr_v6,
            gateway: self.default_gateway_v6,
        };
        let families = [Some(v4), self.ipv6.then_some(v6)];
        let pools = families
            .into_iter()
            .flatten()
            .filter_map(|said| said.pool(has).transpose());
        Ok(NetworkRequest {
            name: BRIDGE.to_owned(),
            driver: "bridge".to_owned(),
            enable_ipv6: Some(self.ipv6),
            pools: pools.collect::<Result<_>>()?,
            options: self.options(),
            ..NetworkRequest::default()
        })
    }

    fn options(&self) -> BTreeMap<String, String> {
        let options = [
            (IS_DEFAULT, "true".to_owned()),
            (drivers::ICC, self.icc.to_string()),
            (drivers::MASQUERADE, self.masquerade.to_string()),
            (drivers::BINDING, self.ip.to_string()),
            (drivers::MTU, self.mtu.to_string()),
        ];
        options.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Said<'_> {
    /// `None` leaves the subnet to be chosen.
    fn pool(&self, has: &[Address]) -> Result<Option<AddressPool>> {
        let own = has.iter().find(|address| address.ip.is_ipv4() == self.v4);
        let bridge = match self.bip {
            "" => own.copied(),
            text => Some(self.address("bip", text)?),
        };
        let range = match self.fixed {
            "" => None,
            text => Some(self.prefix(text)?),
        };
        let subnet = match (bridge, range) {
            (Some(address), _) => Prefix::of(address.ip, address.length())?,
            (None, Some(range)) => range,
            (None, None) if self.gateway.is_some() => {
                return Err(Error::invalid(
                    "--default-gateway wants a subnet that it lies in: name one with --bip or --fixed-cidr",
                ));
            }
            (None, None) => return Ok(None),
        };
        if let Some(range) = range.filter(|range| !subnet.covers(*range)) {
            return Err(Error::invalid(format!(
                "--fixed-cidr {range} is not within the bridge's subnet {subnet}"
            )));
        }
        let mut pool = AddressPool {
            subnet: subnet.to_string(),
            gateway: bridge
                .map(|address| address.ip.to_string())
                .unwrap_or_default(),
            range: range
                .filter(|range| *range != subnet)
                .map(|range| range.to_string())
                .unwrap_or_default(),
            ..AddressPool::default()
        };
        if let Some(gateway) = self.gateway {
            if !subnet.contains(gateway) {
                return Err(Error::invalid(format!(
                    "--default-gateway {gateway} is not within the bridge's subnet {subnet}"
                )));
            }
            if bridge.is_none_or(|address| address.ip != gateway) {
                let name = drivers::gateway_name(self.v4).to_owned();
                pool.auxiliary.insert(name, gateway.to_string());
            }
        }
        Ok(Some(pool))
    }

    fn address(&self, option: &str, text: &str) -> Result<Address> {
        let address = text.parse::<Address>().ok();
        address
            .filter(|address| address.ip.is_ipv4() == self.v4)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "--{option} {text} is no address with the length of its subnet ({})",
                    if self.v4 {
                        "192.0.2.1/24"
                    } else {
                        "fd00::1/64"
                    }
                ))
            })
    }

    fn prefix(&self, text: &str) -> Result<Prefix> {
        let prefix = text.parse::<Prefix>().ok();
        prefix
            .filter(|prefix| prefix.is_ipv4() == self.v4)
            .ok_or_else(|| Error::invalid(format!("--fixed-cidr {text} is no subnet")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(networking: &Networking, has: &[&str]) -> Result<Vec<AddressPool>> {
        let has: Vec<_> = has.iter().map(|text| text.parse().unwrap()).collect();
        networking.check()?;
        Ok(networking.request(&has)?.pools)
    }

    #[test]
    fn without_options_everything_is_chosen() {
        let request = Networking::default().request(&[]).unwrap();
        assert!(request.pools.is_empty());
        assert_eq!(request.options[IS_DEFAULT], "true");
        assert_eq!(request.options[drivers::BINDING], "0.0.0.0");
    }

    #[test]
    fn the_bridge_s_address_and_its_subnet() {
        let networking = Networking {
            bip: "10.1.2.3/24".into(),
            fixed_cidr: "10.1.2.128/25".into(),
            default_gateway: Some([10, 1, 2, 9].into()),
            ipv6: true,
            fixed_cidr_v6: "fd00:7::/64".into(),
            ..Networking::default()
        };
        let pools = pools(&networking, &[]).unwrap();
        assert_eq!(pools[0].subnet, "10.1.2.0/24");
        assert_eq!(pools[0].gateway, "10.1.2.3");
        assert_eq!(pools[0].range, "10.1.2.128/25");
        assert_eq!(pools[0].auxiliary["DefaultGatewayIPv4"], "10.1.2.9");
        assert_eq!(
            (pools[1].subnet.as_str(), pools[1].gateway.as_str()),
            ("fd00:7::/64", "")
        );
    }

    #[test]
    fn a_bridge_that_is_there_keeps_its_address() {
        let networking = Networking {
            bridge: "br7".into(),
            ..Networking::default()
        };
        let pools = pools(&networking, &["10.7.0.1/16", "fd00::1/64"]).unwrap();
        assert_eq!(pools.len(), 1);
        assert_eq!(
            (pools[0].subnet.as_str(), pools[0].gateway.as_str()),
            ("10.7.0.0/16", "10.7.0.1")
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let check = |networking: Networking, text: &str| {
            let error = networking.check().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        let base = Networking::default();
        let bip = |text: &str| Networking {
            bip: text.into(),
            ..Networking::default()
        };
        check(bip("10.0.0.1"), "is no address");
        check(bip("fd00::1/64"), "is no address");
        check(
            Networking {
                bridge: "br0".into(),
                ..bip("10.0.0.1/8")
            },
            "mutually exclusive",
        );
        check(
            Networking {
                fixed_cidr: "10.9.0.0/16".into(),
                ..bip("10.8.0.1/16")
            },
            "is not within",
        );
        check(
            Networking {
                default_gateway: Some([1, 2, 3, 4].into()),
                ..base.clone()
            },
            "wants a subnet",
        );
        check(
            Networking {
                bip6: "fd00::1/64".into(),
                ..base.clone()
            },
            "want --ipv6",
        );
        check(
            Networking {
                pools: vec![("10.0.0.0/8".into(), 4)],
                ..base
            },
            "invalid address pool",
        );
    }
}
