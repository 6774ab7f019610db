//! What flags and file say about networks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::Networking;

use super::ConfigError;
use super::flags::{Given, Settings};

/// The engine's networks; `own_name` is what its default bridge is called.
pub(super) fn read(settings: &Settings, own_name: &str) -> Result<Networking, ConfigError> {
    let text = |name: &str| match settings.get(name) {
        Some(Given::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let on = |name: &str, default| match settings.get(name) {
        Some(Given::Switch(on)) => *on,
        _ => default,
    };
    let address = |name: &'static str| match text(name).as_str() {
        "" => Ok(None),
        text => text
            .parse::<IpAddr>()
            .map(Some)
            .map_err(|_| ConfigError::Value {
                option: name,
                value: text.to_owned(),
                why: "not an IP address".to_owned(),
            }),
    };
    refuse_other_choices(settings)?;
    let defaults = Networking::default();
    let networking = Networking {
        bridge: text("bridge"),
        own_name: own_name.to_owned(),
        bip: text("bip"),
        bip6: text("bip6"),
        fixed_cidr: text("fixed-cidr"),
        fixed_cidr_v6: text("fixed-cidr-v6"),
        default_gateway: address("default-gateway")?,
        default_gateway_v6: address("default-gateway-v6")?,
        mtu: mtu(settings)?.unwrap_or(defaults.mtu),
        icc: on("icc", true),
        ipv6: on("ipv6", false),
        masquerade: on("ip-masq", true),
        ip: address("ip")?.unwrap_or(defaults.ip),
        forwarding: on("ip-forward", true),
        publish_mode: match text("publish-mode").as_str() {
            "" => defaults.publish_mode,
            text => text
                .parse()
                .map_err(|error: engine::Error| ConfigError::Network(error.chain()))?,
        },
        direct: on("allow-direct-routing", false),
        proxy: on("userland-proxy", true),
        pools: pools(settings)?,
        options: options(settings)?,
    };
    networking
        .check()
        .map_err(|error| ConfigError::Network(error.chain()))?;
    Ok(networking)
}

/// Switches of which one position is what happens here.
fn refuse_other_choices(settings: &Settings) -> Result<(), ConfigError> {
    for name in ["iptables", "ip6tables"] {
        if let Some(Given::Switch(false)) = settings.get(name) {
            return Err(ConfigError::Value {
                option: name,
                value: "false".to_owned(),
                why: "this daemon has tables of its own in nftables, and without them there is neither isolation nor a published port"
                    .to_owned(),
            });
        }
    }
    match settings.get("firewall-backend") {
        Some(Given::Text(name)) if name != "nftables" => Err(ConfigError::Value {
            option: "firewall-backend",
            value: name.clone(),
            why: "choose nftables, the only one here".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn mtu(settings: &Settings) -> Result<Option<u32>, ConfigError> {
    // What an interface of the kernel can have at all.
    const RANGE: std::ops::RangeInclusive<i64> = 68..=65535;
    match settings.get("mtu") {
        None | Some(Given::Number(0)) => Ok(None),
        Some(Given::Number(number)) if RANGE.contains(number) => Ok(u32::try_from(*number).ok()),
        Some(other) => Err(ConfigError::Value {
            option: "mtu",
            value: other.to_string(),
            why: "not a number from 68 to 65535".to_owned(),
        }),
    }
}

/// `bridge=com.docker.network.driver.mtu=1400` as often as one likes, or the file's options by driver.
fn options(settings: &Settings) -> Result<BTreeMap<String, BTreeMap<String, String>>, ConfigError> {
    let bad = |value: &str, why: &str| ConfigError::Value {
        option: "default-network-opt",
        value: value.to_owned(),
        why: why.to_owned(),
    };
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    match settings.get("default-network-opt") {
        Some(Given::List(words)) => {
            for word in words {
                let said = word
                    .split_once('=')
                    .and_then(|(driver, option)| Some((driver, option.split_once('=')?)));
                let Some((driver, (name, value))) = said else {
                    return Err(bad(word, "write it as DRIVER=OPTION=VALUE"));
                };
                let of_driver = all.entry(driver.to_owned()).or_default();
                of_driver.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(Given::Table(table)) => {
            for (driver, options) in table {
                let options = serde_json::from_value(options.clone())
                    .map_err(|_| bad(driver, "its options are to be an object of strings"))?;
                all.insert(driver.clone(), options);
            }
        }
        _ => {}
    }
    Ok(all)
}

/// `base=10.0.0.0/8,size=24`, as often as one likes; the file's objects have been turned into such words.
fn pools(settings: &Settings) -> Result<Vec<(String, u8)>, ConfigError> {
    let Some(Given::List(words)) = settings.get("default-address-pool") else {
        return Ok(Vec::new());
    };
    words.iter().map(|word| pool(word)).collect()
}

fn pool(word: &str) -> Result<(String, u8), ConfigError> {
    let bad = |why: &str| ConfigError::Value {
        option: "default-address-pool",
        value: word.to_owned(),
        why: why.to_owned(),
    };
    let (mut base, mut size) = (None, None);
    for part in word.split(',') {
        match part.split_once('=') {
            Some(("base", text)) => base = Some(text.to_owned()),
            Some(("size", text)) => size = text.parse().ok(),
            _ => return Err(bad("write it as base=SUBNET,size=BITS")),
        }
    }
    base.zip(size)
        .ok_or_else(|| bad("write it as base=SUBNET,size=BITS"))
}
