//! The options of the drivers. One that is not known is refused by name.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use network::{
    Bridge, DeviceName, Driver, GatewayMode, Identity, Ipvlan, IpvlanMode, Macvlan, MacvlanMode,
    Parent,
};

use super::record::{NetworkRequest, driver};
use crate::error::{Error, Result};

pub(super) const MTU: &str = "com.docker.network.driver.mtu";
const PREFIX: &str = "com.docker.network.container_iface_prefix";
pub(super) const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
pub(super) const ICC: &str = "com.docker.network.bridge.enable_icc";
pub(super) const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Which families the network has, said in the way of older clients and compose files.
const FAMILIES: [&str; 2] = [
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
];
/// How published ports lead to containers; ours alone.
pub(super) const PUBLISH_MODE: &str = "publish-mode";
/// The address that ports are published on if they name none.
pub(super) const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";

/// What follows from the options.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) driver: Driver,
    pub(super) mtu: Option<u32>,
}

/// Refuses drivers that are not here.
pub(super) fn check(request: &NetworkRequest) -> Result<()> {
    match driver(request) {
        "bridge" | "macvlan" | "ipvlan" => Ok(()),
        name @ ("host" | "null") => Err(Error::new(
            crate::ErrorKind::Forbidden,
            format!("only one instance of {name:?} network is allowed"),
        )),
        "overlay" => Err(Error::new(
            crate::ErrorKind::Forbidden,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        )),
        name => Err(Error::not_found(format!("plugin {name:?} not found"))),
    }
}

/// Takes over which families the options ask for, where the request itself says nothing.
pub(super) fn read_families(request: &mut NetworkRequest) -> Result<()> {
    let mut options = Options {
        all: &request.options,
        left: Vec::new(),
    };
    let [v4, v6] = FAMILIES.map(|name| match request.options.contains_key(name) {
        true => options.switch(name, false).map(Some),
        false => Ok(None),
    });
    request.enable_ipv4 = request.enable_ipv4.or(v4?);
    request.enable_ipv6 = request.enable_ipv6.or(v6?);
    Ok(())
}

/// Reads the options of a network with this id.
pub(super) fn settings(id: &Identity, request: &NetworkRequest) -> Result<Settings> {
    let mut options = Options {
        all: &request.options,
        left: request.options.keys().map(String::as_str).collect(),
    };
    let mtu = options.parsed(MTU)?;
    for name in FAMILIES {
        options.take(name);
    }
    options.take(PREFIX);
    let driver = match driver(request) {
        "macvlan" => Driver::Macvlan(Macvlan {
            mode: macvlan_mode(options.take("macvlan_mode").unwrap_or_default())?,
            parent: parent("macvlan", id, options.take("parent").unwrap_or_default())?,
        }),
        "ipvlan" => Driver::Ipvlan(ipvlan(id, &mut options)?),
        _ => {
            let bridge = bridge(id, &mut options)?;
            let modes = [bridge.gateway_mode_v4, bridge.gateway_mode_v6];
            if !request.internal && modes.contains(&GatewayMode::Isolated) {
                return Err(Error::invalid(
                    "gateway mode 'isolated' can only be used for an internal network",
                ));
            }
            Driver::Bridge(bridge)
        }
    };
    match options.left.first() {
        Some(unknown) => Err(Error::unsupported(format_args!(
            "the network option {unknown:?} (--opt)"
        ))),
        None => Ok(Settings { driver, mtu }),
    }
}

/// What containers call their devices of this network, before the number.
pub(super) fn device_prefix(request: &NetworkRequest) -> &str {
    let prefix = request.options.get(PREFIX).map_or("", String::as_str);
    if prefix.is_empty() { "eth" } else { prefix }
}

/// The name of a reserved address that containers take for their gateway, as Docker has it.
pub(super) const fn gateway_name(v4: bool) -> &'static str {
    if v4 {
        "DefaultGatewayIPv4"
    } else {
        "DefaultGatewayIPv6"
    }
}

struct Options<'a> {
    all: &'a BTreeMap<String, String>,
    left: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn take(&mut self, name: &str) -> Option<&'a str> {
        self.left.retain(|left| *left != name);
        self.all.get(name).map(String::as_str)
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|why| invalid(name, text, &why))
    }

    /// As Go's `strconv.ParseBool` has it.
    fn switch(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.take(name) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(text) => {
                let why = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
                Err(invalid(name, text, &why))
            }
        }
    }

    fn gateway_mode(&mut self, name: &str) -> Result<GatewayMode> {
        match self.take(name) {
            None | Some("" | "nat") => Ok(GatewayMode::Nat),
            Some("nat-unprotected") => Ok(GatewayMode::NatUnprotected),
            Some("routed") => Ok(GatewayMode::Routed),
            Some("isolated") => Ok(GatewayMode::Isolated),
            Some(text) => Err(Error::invalid(format!(
                "unknown gateway mode {text:?} in {name}"
            ))),
        }
    }
}

fn invalid(name: &str, text: &str, why: &dyn Display) -> Error {
    Error::invalid(format!("failed to parse {name} value: {text} ({why})"))
}

fn bridge(id: &Identity, options: &mut Options<'_>) -> Result<Bridge> {
    const OF: &str = "com.docker.network.bridge";
    let device = match options.parsed::<DeviceName>(BRIDGE_NAME)? {
        Some(name) => name,
        None => DeviceName::of_bridge(id),
    };
    let mut bridge = Bridge::new(device);
    options.switch(super::default::IS_DEFAULT, false)?;
    bridge.inter_container = options.switch(ICC, true)?;
    bridge.masquerade = options.switch(MASQUERADE, true)?;
    bridge.inhibit_v4 = options.switch(&format!("{OF}.inhibit_ipv4"), false)?;
    bridge.gateway_mode_v4 = options.gateway_mode(&format!("{OF}.gateway_mode_ipv4"))?;
    bridge.gateway_mode_v6 = options.gateway_mode(&format!("{OF}.gateway_mode_ipv6"))?;
    for name in [
        "com.docker.network.host_ipv4",
        "com.docker.network.host_ipv6",
    ] {
        bridge
            .source
            .extend(options.parsed::<std::net::IpAddr>(name)?);
    }
    options.parsed::<std::net::IpAddr>(BINDING)?;
    options.parsed::<super::PublishMode>(PUBLISH_MODE)?;
    let name = format!("{OF}.trusted_host_interfaces");
    let trusted = options.take(&name).unwrap_or_default();
    for device in trusted.split(':').filter(|device| !device.is_empty()) {
        let device = device.parse().map_err(|why| invalid(&name, device, &why))?;
        bridge.trusted.push(device);
    }
    Ok(bridge)
}

fn macvlan_mode(text: &str) -> Result<MacvlanMode> {
    match text {
        "" | "bridge" => Ok(MacvlanMode::Bridge),
        "private" => Ok(MacvlanMode::Private),
        "vepa" => Ok(MacvlanMode::Vepa),
        "passthru" => Ok(MacvlanMode::Passthru),
        _ => Err(Error::invalid(format!(
            "requested macvlan mode '{text}' is not valid, 'bridge' mode is the macvlan driver default"
        ))),
    }
}

fn ipvlan(id: &Identity, options: &mut Options<'_>) -> Result<Ipvlan> {
    let mode = match options.take("ipvlan_mode").unwrap_or_default() {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3s,
        text => {
            return Err(Error::invalid(format!(
                "requested ipvlan mode '{text}' is not valid, 'l2' mode is the ipvlan driver default"
            )));
        }
    };
    match options.take("ipvlan_flag").unwrap_or_default() {
        "" | "bridge" => {}
        flag if !matches!(flag, "private" | "vepa") => {
            return Err(Error::invalid(format!(
                "requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
            )));
        }
        flag => {
            return Err(Error::unsupported(format_args!(
                "the ipvlan_flag {flag:?} (--opt)"
            )));
        }
    }
    let parent = parent("ipvlan", id, options.take("parent").unwrap_or_default())?;
    Ok(Ipvlan { parent, mode })
}

/// A device of the host, a VLAN of one (`eth0.50`), or one of our own that leads nowhere.
fn parent(kind: &str, id: &Identity, text: &str) -> Result<Parent> {
    let device = |text: &str| {
        let parsed = text.parse::<DeviceName>();
        parsed.map_err(|why| invalid("parent", text, &why))
    };
    if text == "lo" {
        return Err(Error::system(format!(
            "loopback interface is not a valid {kind} parent link"
        )));
    }
    if text.is_empty() {
        return Ok(Parent::Dummy(device(&format!("dm-{}", id.short()))?));
    }
    let vlan = text
        .rsplit_once('.')
        .and_then(|(of, number)| Some((of, number.parse::<u16>().ok()?)));
    match vlan {
        Some((of, number)) if (1..=4094).contains(&number) => Ok(Parent::Vlan {
            device: device(text)?,
            of: device(of)?,
            id: number,
        }),
        _ => Ok(Parent::Device(device(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(driver: &str, options: &[(&str, &str)]) -> Result<Settings> {
        let request = NetworkRequest {
            driver: driver.into(),
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..NetworkRequest::default()
        };
        check(&request)?;
        settings(&"ab".repeat(32).parse().unwrap(), &request)
    }

    #[test]
    fn a_bridge_s_options() {
        let settings = with(
            "",
            &[
                ("com.docker.network.bridge.enable_icc", "false"),
                ("com.docker.network.bridge.gateway_mode_ipv4", "routed"),
                ("com.docker.network.driver.mtu", "1400"),
                (
                    "com.docker.network.bridge.trusted_host_interfaces",
                    "eth0:wg0",
                ),
            ],
        )
        .unwrap();
        let Driver::Bridge(bridge) = settings.driver else {
            panic!("a bridge");
        };
        assert_eq!(bridge.device.as_str(), "br-abababababab");
        assert!(!bridge.inter_container && bridge.masquerade);
        assert_eq!(bridge.gateway_mode_v4, GatewayMode::Routed);
        assert_eq!((bridge.trusted.len(), settings.mtu), (2, Some(1400)));
    }

    #[test]
    fn families_by_option_where_the_request_is_silent() {
        let read = |enable_ipv6, value: &str| {
            let mut request = NetworkRequest {
                enable_ipv6,
                options: BTreeMap::from([("com.docker.network.enable_ipv6".into(), value.into())]),
                ..NetworkRequest::default()
            };
            read_families(&mut request).map(|()| (request.enable_ipv4, request.enable_ipv6))
        };
        assert_eq!(read(None, "true").unwrap(), (None, Some(true)));
        assert_eq!(read(Some(false), "true").unwrap(), (None, Some(false)));
        assert!(read(None, "perhaps").is_err());
        assert!(with("", &[("com.docker.network.enable_ipv6", "true")]).is_ok());
    }

    #[test]
    fn a_vlan_of_a_device() {
        let settings = with("macvlan", &[("parent", "eth0.50")]).unwrap();
        let Driver::Macvlan(Macvlan { parent, .. }) = settings.driver else {
            panic!("a macvlan");
        };
        assert!(matches!(parent, Parent::Vlan { id: 50, .. }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |driver, name, value| with(driver, &[(name, value)]).unwrap_err().to_string();
        assert_eq!(
            error("", "com.docker.network.bridge.enable_icc", "xx"),
            "failed to parse com.docker.network.bridge.enable_icc value: xx (strconv.ParseBool: parsing \"xx\": invalid syntax)"
        );
        assert!(error("", "foo", "x").contains("\"foo\""));
        assert!(error("", "parent", "eth0").contains("\"parent\""));
        assert_eq!(error("foo", "x", "y"), "plugin \"foo\" not found");
        assert_eq!(
            error("host", "x", "y"),
            "only one instance of \"host\" network is allowed"
        );
    }
}
