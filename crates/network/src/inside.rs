//! The container's side of an endpoint, in its network namespace.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use linux::netlink::Protocol;
use linux::ns::{self, Kinds};

use crate::error::Doing as _;
use crate::link::{self, Hop};
use crate::netlink::{Batch, Connection};
use crate::{DeviceName, Endpoint, Error, NameSockets, Prefix, Result, resolver};

/// Gives the device its addresses and settings, brings it up, and sets routes.
pub(crate) fn configure(netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<Option<NameSockets>> {
    let sysctls = sysctls(endpoint)?;
    ns::in_namespace(netns, Kinds::NETWORK, || {
        let mut connection = Connection::open(Protocol::Route)?;
        let device = index(&mut connection, &endpoint.device)?;
        for (path, value) in &sysctls {
            write(path, value)?;
        }
        let mut batch = Batch::new();
        for &address in endpoint.addresses() {
            let doing = format!("give the container the address {address}");
            link::add_unmarked(&mut batch, device, address, doing);
        }
        link::set_up(&mut batch, &endpoint.device);
        add_routes(&mut batch, endpoint, device);
        connection.run(batch)?;
        endpoint.names.then(resolver::listen).transpose()
    })
}

/// Sets the default routes only.
pub(crate) fn set_default_routes(netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<()> {
    ns::in_namespace(netns, Kinds::NETWORK, || {
        let mut connection = Connection::open(Protocol::Route)?;
        let device = index(&mut connection, &endpoint.device)?;
        let mut batch = Batch::new();
        add_default_routes(&mut batch, endpoint, device);
        connection.run(batch)
    })
}

/// Binds the sockets of a running container's name server again, after whoever had them has ended.
pub fn listen_for_names(netns: BorrowedFd<'_>) -> Result<NameSockets> {
    ns::in_namespace(netns, Kinds::NETWORK, resolver::listen)
}

/// Removes the device. That it is gone is no error.
pub(crate) fn remove(netns: BorrowedFd<'_>, device: &DeviceName) -> Result<()> {
    ns::in_namespace(netns, Kinds::NETWORK, || {
        let mut connection = Connection::open(Protocol::Route)?;
        let mut batch = Batch::new();
        link::delete(&mut batch, device.as_str());
        match connection.run(batch) {
            Err(error) if error.errno() == Some(linux::Errno::NODEV) => Ok(()),
            result => result,
        }
    })
}

fn index(connection: &mut Connection, device: &DeviceName) -> Result<u32> {
    let link = link::find(connection, device)?;
    link.map(|link| link.index).ok_or_else(|| {
        Error::Conflict(format!(
            "the network device {device} is not in the container"
        ))
    })
}

fn add_routes(batch: &mut Batch, endpoint: &Endpoint, device: u32) {
    for route in &endpoint.routes {
        let hop = Hop {
            device,
            via: route.via,
            on_link: false,
        };
        let doing = format!("give the container the route to {}", route.to);
        link::set_route(batch, route.to, hop, doing);
    }
    add_default_routes(batch, endpoint, device);
}

fn add_default_routes(batch: &mut Batch, endpoint: &Endpoint, device: u32) {
    let gateways = [
        (endpoint.gateway_v4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        (endpoint.gateway_v6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    ];
    for (gateway, everything) in gateways {
        let (Some(via), Ok(everything)) = (gateway, Prefix::of(everything, 0)) else {
            continue;
        };
        let is_near = |a: &crate::Address| {
            Prefix::of(a.ip, a.length()).is_ok_and(|prefix| prefix.contains(via))
        };
        let hop = Hop {
            device,
            via: Some(via),
            on_link: !endpoint.addresses().any(is_near),
        };
        let doing = format!("give the container the default route by {via}");
        link::set_route(batch, everything, hop, doing);
    }
}

/// The files to write. An endpoint without IPv6 addresses gets no link-local one either.
fn sysctls(endpoint: &Endpoint) -> Result<Vec<(PathBuf, String)>> {
    let has_v6 = endpoint.addresses().any(|address| address.ip.is_ipv6());
    let disabled = Path::new("/proc/sys/net/ipv6/conf")
        .join(endpoint.device.as_str())
        .join("disable_ipv6");
    let mut all = vec![(disabled, if has_v6 { "0" } else { "1" }.to_owned())];
    for (name, value) in &endpoint.sysctls {
        all.push((sysctl_path(&endpoint.device, name)?, value.clone()));
    }
    Ok(all)
}

/// Only what is the device's own: the rest of a namespace is not an endpoint's to set.
fn sysctl_path(device: &DeviceName, name: &str) -> Result<PathBuf> {
    let refused = || {
        Error::Invalid(format!(
            "unrecognised network interface sysctl {name:.100}: net.ipv4, net.ipv6 or net.mpls, then conf or neigh, IFNAME and the setting are wanted"
        ))
    };
    let parts: Vec<&str> = name.split('.').collect();
    let [
        "net",
        family @ ("ipv4" | "ipv6" | "mpls"),
        table @ ("conf" | "neigh"),
        "IFNAME",
        setting,
    ] = parts[..]
    else {
        return Err(refused());
    };
    let clean = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if setting.is_empty() || !setting.bytes().all(clean) {
        return Err(refused());
    }
    Ok(["/proc/sys/net", family, table, device.as_str(), setting]
        .iter()
        .collect())
}

/// A kernel without IPv6 has none to disable.
fn write(path: &Path, value: &str) -> Result<()> {
    match fs::write(path, value) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.ends_with("disable_ipv6") => {
            Ok(())
        }
        result => result
            .map_err(|error| {
                let errno = linux::Errno::from_io_error(&error).unwrap_or(linux::Errno::IO);
                linux::Error::new(format!("write({path:?}, {value:?})"), errno)
            })
            .doing(|| "failed to set a setting of the container's network device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_s_settings() {
        let device = "eth0.5".parse().unwrap();
        assert_eq!(
            sysctl_path(&device, "net.ipv4.conf.IFNAME.log_martians").unwrap(),
            Path::new("/proc/sys/net/ipv4/conf/eth0.5/log_martians")
        );
        for wrong in [
            "",
            "net.ipv4.ip_forward",
            "net.ipv4.conf.all.forwarding",
            "net.ipv4.conf.IFNAME.",
            "net.ipv4.conf.IFNAME.../../x",
            "kernel.conf.IFNAME.x",
            "net.ipv4.conf.IFNAME.a/b",
        ] {
            assert!(sysctl_path(&device, wrong).is_err(), "{wrong}");
        }
    }
}
