//! What the user said about ports, read and checked.

use std::net::IpAddr;

use network::Protocol;

use crate::error::{Error, Result};
use crate::options::{ContainerOptions, PortBinding};

/// A port that is to be published, before an address and a port of the host are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) protocol: Protocol,
    pub(crate) container: u16,
    /// `None`: the network's choice.
    pub(crate) address: Option<IpAddr>,
    /// The first and the last of the host's ports to choose from; `None`: any.
    pub(crate) host: Option<(u16, u16)>,
}

/// A port as `80/tcp`, or several as `80-90/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) protocol: Protocol,
}

impl Ports {
    /// As images and clients write it; without a protocol it is TCP.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range(numbers)?;
        Some(Self {
            first,
            last,
            protocol: protocol_of(protocol)?,
        })
    }
}

fn protocol_of(name: &str) -> Option<Protocol> {
    match name.to_ascii_lowercase().as_str() {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// What is to be published, with what `-P` adds. Errors are Docker's.
pub(crate) fn wishes(options: &ContainerOptions, published: &[PortBinding]) -> Result<Vec<Wish>> {
    let mut wishes = published.iter().map(wish).collect::<Result<Vec<_>>>()?;
    for exposed in &options.exposed_ports {
        let Some(ports) = Ports::read(exposed) else {
            return Err(invalid(exposed));
        };
        if !options.host.publish_all_ports {
            continue;
        }
        for container in ports.first..=ports.last {
            let is_it =
                |wish: &Wish| (wish.container, wish.protocol) == (container, ports.protocol);
            if !wishes.iter().any(is_it) {
                wishes.push(Wish {
                    protocol: ports.protocol,
                    container,
                    address: None,
                    host: None,
                });
            }
        }
    }
    Ok(wishes)
}

fn invalid(text: &str) -> Error {
    let port = text.split('/').next().unwrap_or_default();
    Error::invalid(format!("invalid port specification: {port:?}"))
}

/// Reads one binding of a create request.
pub(crate) fn wish(binding: &PortBinding) -> Result<Wish> {
    let port = Ports::read(&binding.port).filter(|port| port.first == port.last);
    let port = port.ok_or_else(|| invalid(&binding.port))?;
    let host = match binding.host_port.as_str() {
        "" | "0" => None,
        text => Some(range(text).ok_or_else(|| invalid(text))?),
    };
    let address = match binding.host_ip.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            Error::invalid(format!(
                "invalid host address in a published port: {text:?}"
            ))
        })?),
    };
    Ok(Wish {
        protocol: port.protocol,
        container: port.first,
        address,
        host,
    })
}
