//! Where the host itself may ask for names of containers.

use std::net::{IpAddr, SocketAddr};

use engine::HostNames;

use super::ConfigError;
use super::flags::{Given, Settings};

const PORT: u16 = 53;
const DOMAIN: &str = "tare";

pub(super) fn read(settings: &Settings) -> Result<Option<HostNames>, ConfigError> {
    let text = |name: &str| match settings.get(name) {
        Some(Given::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let bad = |option: &'static str, why: &str| ConfigError::Value {
        option,
        value: text(option).unwrap_or_default().to_owned(),
        why: why.to_owned(),
    };
    let domain = text("host-names-domain");
    let Some(address) = text("host-names").filter(|text| !text.is_empty()) else {
        return match domain {
            None => Ok(None),
            Some(_) => Err(bad("host-names-domain", "without host-names nobody asks")),
        };
    };
    let at = read_address(address).ok_or_else(|| {
        let why = "not a loopback address, with or without a port: names are for this host alone";
        bad("host-names", why)
    })?;
    let domain = domain.unwrap_or(DOMAIN).to_ascii_lowercase();
    if !is_domain(&domain) {
        return Err(bad("host-names-domain", "not a domain"));
    }
    Ok(Some(HostNames { at, domain }))
}

fn read_address(text: &str) -> Option<SocketAddr> {
    let alone = text
        .parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, PORT))
        .ok();
    let at = alone.or_else(|| text.parse().ok())?;
    (at.ip().is_loopback() && at.port() != 0).then_some(at)
}

fn is_domain(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(good);
    text.len() <= 120 && text.split('.').all(is_label)
}
