//! Turning the host into a router, as far as containers need it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Doing as _;
use crate::firewall::Guarded;
use crate::link;
use crate::netlink::Connection;
use crate::{DeviceName, Network, Result};

const FORWARD4: &str = "/proc/sys/net/ipv4/ip_forward";
const CONF6: &str = "/proc/sys/net/ipv6/conf";

/// Which of the two have to be turned on for a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    v4: bool,
    v6: bool,
}

impl Missing {
    pub(crate) const fn is_none(self) -> bool {
        !self.v4 && !self.v6
    }
}

/// What forwarding a network needs and the host does not do.
pub(crate) fn missing(network: &Network) -> Missing {
    if network.internal || network.bridge().is_none() {
        return Missing::default();
    }
    let is_off = |path: &Path| fs::read(path).is_ok_and(|value| value.starts_with(b"0"));
    Missing {
        v4: network.v4.is_some() && is_off(Path::new(FORWARD4)),
        v6: network.v6.is_some() && is_off(&conf6("all", "forwarding")),
    }
}

fn conf6(device: &str, setting: &str) -> PathBuf {
    [CONF6, device, setting].iter().collect()
}

/// The host's devices of this moment, but for loopback and our own.
pub(crate) fn devices(connection: &mut Connection, group: u32) -> Result<Vec<DeviceName>> {
    let links = link::list(connection)?;
    let others = links.iter().filter(|l| l.group != group && l.name != "lo");
    Ok(others.filter_map(|link| link.name.parse().ok()).collect())
}

/// What is not to forward after all, of the families that are turned on.
pub(crate) fn guarded(missing: Missing, devices: &[DeviceName]) -> Vec<Guarded> {
    let of = |is_missing: bool, v4| {
        let concerned = devices.iter().filter(move |_| is_missing);
        concerned.map(move |device| Guarded {
            v4,
            device: device.clone(),
        })
    };
    of(missing.v4, true).chain(of(missing.v6, false)).collect()
}

/// Turns on what is missing. A device of the host that has its IPv6 routes from a router keeps them: without more, a host that
/// forwards would not listen to routers any more.
pub(crate) fn turn_on(missing: Missing, devices: &[DeviceName]) -> Result<()> {
    if missing.v6 {
        for device in devices {
            let path = conf6(device.as_str(), "accept_ra");
            if fs::read(&path).is_ok_and(|value| value.starts_with(b"1")) {
                set(&path, "2")?;
            }
        }
        set(&conf6("all", "forwarding"), "1")?;
    }
    if missing.v4 {
        set(Path::new(FORWARD4), "1")?;
    }
    Ok(())
}

/// A bridge of ours hears no routers: containers are none.
pub(crate) fn settle(bridge: &DeviceName) -> Result<()> {
    let path = conf6(bridge.as_str(), "accept_ra");
    if path.exists() {
        set(&path, "0")
    } else {
        Ok(())
    }
}

fn set(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value)
        .map_err(|error| {
            let errno = linux::Errno::from_io_error(&error).unwrap_or(linux::Errno::IO);
            linux::Error::new(format!("write({path:?}, {value:?})"), errno)
        })
        .doing(|| "failed to let the host forward packets")
}
