//! The host's devices: of a network, and of an endpoint.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use linux::Errno;

use crate::host::Owner;
use crate::link::{self, Link, ifla};
use crate::netlink::{Batch, Connection};
use crate::{
    Address, Bridge, DeviceName, Driver, Endpoint, Error, GatewayMode, Identity, Ipvlan,
    IpvlanMode, Mac, Macvlan, MacvlanMode, Network, Parent, Result, Subnet,
};

/// Makes a network's devices, as far as they are not there. True if there is something to take back.
pub(crate) fn make(connection: &mut Connection, owner: Owner, network: &Network) -> Result<bool> {
    match &network.driver {
        Driver::Bridge(bridge) => make_bridge(connection, owner, network, bridge),
        Driver::Macvlan(Macvlan { parent, .. }) | Driver::Ipvlan(Ipvlan { parent, .. }) => {
            make_parent(connection, owner, parent)
        }
    }
}

/// Removes a network's devices that are ours. That they are gone is no error.
pub(crate) fn remove(connection: &mut Connection, owner: Owner, network: &Network) -> Result<()> {
    let device = network.device();
    match link::find(connection, device)? {
        Some(link) if link.group == owner.group() => delete(connection, device.as_str()),
        Some(link) => leave(connection, network, &link),
        None => Ok(()),
    }
}

/// Takes from a bridge of somebody else the addresses that we have given it; one that it had before stays, though a network had the same.
fn leave(connection: &mut Connection, network: &Network, link: &Link) -> Result<()> {
    let Some(bridge) = network.bridge() else {
        return Ok(());
    };
    let wanted = addresses(network, bridge);
    let mut batch = Batch::new();
    for (address, by) in link::marked_addresses(connection, link.index)? {
        if by == link::BY_US && wanted.contains(&address) {
            link::remove_address(&mut batch, link.index, address);
        }
    }
    connection.run(batch)
}

/// That it is gone is no error.
pub(crate) fn delete(connection: &mut Connection, device: &str) -> Result<()> {
    let mut batch = Batch::new();
    link::delete(&mut batch, device);
    match connection.run(batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result,
    }
}

fn make_bridge(
    connection: &mut Connection,
    owner: Owner,
    network: &Network,
    bridge: &Bridge,
) -> Result<bool> {
    let found = link::find(connection, &bridge.device)?;
    let is_new = found.is_none();
    if let Some(Link { kind, .. }) = found
        && kind != "bridge"
    {
        return Err(Error::Conflict(format!(
            "the network device {} is there already, and is no bridge",
            bridge.device
        )));
    }
    if is_new {
        connection.run(new_bridge(owner, network, bridge))?;
    }
    let done = settle_bridge(connection, network, bridge, is_new);
    match done {
        Err(error) if is_new => {
            let others = delete(connection, bridge.device.as_str()).err();
            Err(error.with_undo(others.into_iter().collect()))
        }
        result => result.map(|()| is_new),
    }
}

fn new_bridge(owner: Owner, network: &Network, bridge: &Bridge) -> Batch {
    let mut batch = Batch::new();
    let doing = format!("create the bridge {}", bridge.device);
    let mut message = link::create(&mut batch, &bridge.device, doing);
    message.u32(ifla::GROUP, owner.group());
    link::mac(&mut message, mac_of_bridge(network));
    if let Some(mtu) = network.mtu {
        message.u32(ifla::MTU, mtu);
    }
    message.nest(ifla::LINKINFO, |info| {
        info.text(ifla::INFO_KIND, "bridge")
            .nest(ifla::INFO_DATA, |data| {
                data.u32(ifla::BR_FORWARD_DELAY, 0);
            });
    });
    drop(message);
    batch
}

/// One of its own: otherwise it would change with the ports that come and go.
fn mac_of_bridge(network: &Network) -> Mac {
    Mac::from_seed(u64::from_str_radix(&network.id.as_str()[..16], 16).unwrap_or(1))
}

/// Addresses and settings; those that are there stay.
fn settle_bridge(
    connection: &mut Connection,
    network: &Network,
    bridge: &Bridge,
    is_new: bool,
) -> Result<()> {
    let device = &bridge.device;
    let link = link::find(connection, device)?
        .ok_or_else(|| Error::Conflict(format!("the bridge {device} has been removed")))?;
    let mut settings = Batch::new();
    let doing = format!("configure the bridge {device}");
    if is_new || network.v6.is_none() {
        link::without_link_local(&mut link::change(&mut settings, device, doing.clone()));
    }
    link::with_routed_loopback(&mut link::change(&mut settings, device, doing));
    link::set_up(&mut settings, device);
    connection.run(settings)?;
    let own = is_new.then(|| link_local(network, bridge)).flatten();
    for address in addresses(network, bridge).into_iter().chain(own) {
        let mut batch = Batch::new();
        let doing = format!("give the bridge {device} the address {address}");
        link::add_address(&mut batch, link.index, address, doing);
        match connection.run(batch) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            result => result?,
        }
    }
    Ok(())
}

/// The address by which a bridge asks where containers are, for what comes from elsewhere. One that the kernel gives it is looked for among the
/// neighbours first, and until then, for seconds on a busy machine, the kernel asks for nobody: who connected at once gave up.
/// A bridge that containers are not to reach has none.
fn link_local(network: &Network, bridge: &Bridge) -> Option<Address> {
    let wanted = network.v6.is_some() && bridge.gateway_mode_v6 != GatewayMode::Isolated;
    wanted
        .then(|| Address::new(mac_of_bridge(network).link_local().into(), 64).ok())
        .flatten()
}

/// The gateways' addresses, where the bridge is to have them.
fn addresses(network: &Network, bridge: &Bridge) -> Vec<Address> {
    let wanted = |subnet: &Option<Subnet>, mode, inhibited: bool| {
        let subnet = subnet.as_ref()?;
        let gateway = subnet.gateway?;
        (mode != GatewayMode::Isolated && !inhibited)
            .then(|| Address::new(gateway, subnet.prefix.length()).ok())
            .flatten()
    };
    let v4 = wanted(&network.v4, bridge.gateway_mode_v4, bridge.inhibit_v4);
    let v6 = wanted(&network.v6, bridge.gateway_mode_v6, false);
    v4.into_iter().chain(v6).collect()
}

fn make_parent(connection: &mut Connection, owner: Owner, parent: &Parent) -> Result<bool> {
    let device = parent.device();
    if let Some(link) = link::find(connection, device)? {
        if !link.is_up && link.group == owner.group() {
            let mut batch = Batch::new();
            link::set_up(&mut batch, device);
            connection.run(batch)?;
        }
        return Ok(false);
    }
    let mut batch = Batch::new();
    match parent {
        Parent::Device(device) => {
            return Err(Error::Invalid(format!(
                "invalid subinterface vlan name {device}, example formatting is eth0.10"
            )));
        }
        Parent::Dummy(device) => {
            let doing = format!("create the network device {device}");
            link::create(&mut batch, device, doing)
                .u32(ifla::GROUP, owner.group())
                .nest(ifla::LINKINFO, |info| {
                    info.text(ifla::INFO_KIND, "dummy");
                });
        }
        Parent::Vlan { device, of, id } => {
            const VLAN_ID: u16 = 1;
            let lower = existing(connection, of)?;
            let doing = format!("create VLAN {id} of the network device {of}");
            link::create(&mut batch, device, doing)
                .u32(ifla::GROUP, owner.group())
                .u32(ifla::LINK, lower.index)
                .nest(ifla::LINKINFO, |info| {
                    info.text(ifla::INFO_KIND, "vlan")
                        .nest(ifla::INFO_DATA, |data| {
                            data.u16(VLAN_ID, *id);
                        });
                });
        }
    }
    link::set_up(&mut batch, device);
    connection.run(batch)?;
    Ok(true)
}

impl Parent {
    /// The device that containers share.
    #[must_use]
    pub const fn device(&self) -> &DeviceName {
        match self {
            Self::Device(device) | Self::Dummy(device) | Self::Vlan { device, .. } => device,
        }
    }
}

fn existing(connection: &mut Connection, device: &DeviceName) -> Result<Link> {
    link::find(connection, device)?.ok_or_else(|| {
        Error::Invalid(format!(
            "the network device {device} was not found on the host"
        ))
    })
}

/// The indices of an endpoint's port and of its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plug {
    pub(crate) port: u32,
    pub(crate) bridge: u32,
}

/// Makes an endpoint's device, or pair of devices; the container's is in its namespace at once, under its final name.
pub(crate) fn plug(
    connection: &mut Connection,
    owner: Owner,
    network: &Network,
    endpoint: &Endpoint,
    netns: BorrowedFd<'_>,
) -> Result<Option<Plug>> {
    let netns = netns.as_raw_fd().cast_unsigned();
    let mut bridge_index = None;
    let batch = match &network.driver {
        Driver::Bridge(bridge) => {
            let master = existing(connection, &bridge.device)?.index;
            bridge_index = Some(master);
            pair(owner, network, endpoint, (bridge, master), netns)
        }
        Driver::Macvlan(Macvlan { parent, mode }) => {
            let lower = existing(connection, parent.device())?.index;
            share(
                network,
                endpoint,
                lower,
                netns,
                ("macvlan", macvlan_mode(*mode)),
            )
        }
        Driver::Ipvlan(Ipvlan { parent, mode }) => {
            let lower = existing(connection, parent.device())?.index;
            share(
                network,
                endpoint,
                lower,
                netns,
                ("ipvlan", ipvlan_mode(*mode)),
            )
        }
    };
    let mut port = None;
    let made = connection.run_and_hear(batch, |message| {
        port = port.or_else(|| Link::read(message).map(|link| link.index));
    });
    made.map_err(|error| without_kind(&network.driver, error))?;
    let plug = port.zip(bridge_index);
    Ok(plug.map(|(port, bridge)| Plug { port, bridge }))
}

/// Returns when frames pass an endpoint's port. Its carrier is there as soon as the container's end is up, but until the kernel's work
/// queue has heard of it, port and bridge drop everything, and that queue waits for a lock that namespaces which end hold for
/// seconds: ARP asks three times, and gives up. Asking for a device makes up for it at once (Linux 6.8).
pub(crate) fn settle_plug(
    connection: &mut Connection,
    owner: Owner,
    network: &Network,
    endpoint: &Endpoint,
) -> Result<()> {
    let Some(bridge) = network.bridge() else {
        return Ok(());
    };
    let mut batch = Batch::new();
    // The bridge has a carrier when a port has.
    link::ask_for(&mut batch, &DeviceName::of_port(owner, &endpoint.id));
    link::ask_for(&mut batch, &bridge.device);
    match connection.run(batch) {
        // The container has ended already.
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result,
    }
}

/// What to do on a kernel that does not have the kind of device.
fn without_kind(driver: &Driver, error: Error) -> Error {
    let (kind, option, others) = match driver {
        Driver::Ipvlan(_) => ("ipvlan", "CONFIG_IPVLAN", "a macvlan or a bridge network"),
        Driver::Macvlan(_) => ("macvlan", "CONFIG_MACVLAN", "a bridge network"),
        Driver::Bridge(_) => return error,
    };
    if error.errno() != Some(Errno::OPNOTSUPP) {
        return error;
    }
    Error::Unsupported(format!(
        "this kernel has no {kind} devices ({option}): use {others}"
    ))
}

fn pair(
    owner: Owner,
    network: &Network,
    endpoint: &Endpoint,
    (bridge, master): (&Bridge, u32),
    netns: u32,
) -> Batch {
    let port = DeviceName::of_port(owner, &endpoint.id);
    let doing = format!(
        "connect the endpoint {} to {}",
        endpoint.id.short(),
        bridge.device
    );
    let mut batch = Batch::new();
    let mut message = link::create(&mut batch, &port, doing.clone());
    message
        .u32(ifla::GROUP, owner.group())
        .u32(ifla::MASTER, master);
    if let Some(mtu) = network.mtu {
        message.u32(ifla::MTU, mtu);
    }
    message.nest(ifla::LINKINFO, |info| {
        info.text(ifla::INFO_KIND, "veth")
            .nest(ifla::INFO_DATA, |data| {
                data.nest(ifla::VETH_PEER, |peer| {
                    peer.raw(&link::ifinfo(0, 0, 0));
                    inner(peer, network, endpoint, netns);
                });
            });
    });
    drop(message);
    // Its own IPv6 address would make it speak before anybody has asked.
    let mut message = link::change(&mut batch, &port, doing);
    link::without_link_local(&mut message);
    port_settings(&mut message, bridge);
    drop(message);
    // Before it is up: then others would have to be waited for.
    link::ask_for(&mut batch, &port);
    link::set_up(&mut batch, &port);
    batch
}

/// What a port is like in its bridge.
fn port_settings(message: &mut crate::netlink::MessageWriter<'_>, bridge: &Bridge) {
    // Where br_netfilter translates, a container that reaches itself by a published port does so within the bridge.
    let isolated = u8::from(!bridge.inter_container);
    message.nest(ifla::LINKINFO, |info| {
        info.text(ifla::INFO_SLAVE_KIND, "bridge")
            .nest(ifla::INFO_SLAVE_DATA, |data| {
                data.u8(ifla::BRPORT_HAIRPIN, 1)
                    .u8(ifla::BRPORT_ISOLATED, isolated);
            });
    });
}

/// Puts the ports of endpoints into a bridge, as far as there are any.
pub(crate) fn attach(
    connection: &mut Connection,
    owner: Owner,
    bridge: &Bridge,
    endpoints: &[Identity],
) -> Result<()> {
    let master = existing(connection, &bridge.device)?.index;
    for endpoint in endpoints {
        let port = DeviceName::of_port(owner, endpoint);
        let doing = format!("put the port {port} into {}", bridge.device);
        let mut batch = Batch::new();
        link::change(&mut batch, &port, doing.clone()).u32(ifla::MASTER, master);
        port_settings(&mut link::change(&mut batch, &port, doing), bridge);
        match connection.run(batch) {
            // Its container has ended.
            Err(error) if error.errno() == Some(Errno::NODEV) => {}
            result => result?,
        }
    }
    Ok(())
}

/// What the container's device has in any case.
fn inner(
    message: &mut crate::netlink::MessageWriter<'_>,
    network: &Network,
    endpoint: &Endpoint,
    netns: u32,
) {
    message
        .text(ifla::IFNAME, endpoint.device.as_str())
        .u32(ifla::NET_NS_FD, netns);
    if !matches!(network.driver, Driver::Ipvlan(_)) {
        link::mac(message, endpoint.mac);
    }
    if let Some(mtu) = network.mtu {
        message.u32(ifla::MTU, mtu);
    }
}

fn share(
    network: &Network,
    endpoint: &Endpoint,
    lower: u32,
    netns: u32,
    (kind, mode): (&str, Mode),
) -> Batch {
    const MODE: u16 = 1;
    let mut batch = Batch::new();
    let doing = format!(
        "create the {kind} device of the endpoint {}",
        endpoint.id.short()
    );
    let mut message = batch.message(link::NEWLINK, link::CREATE, &link::ifinfo(0, 0, 0), doing);
    message.u32(ifla::LINK, lower);
    inner(&mut message, network, endpoint, netns);
    message.nest(ifla::LINKINFO, |info| {
        info.text(ifla::INFO_KIND, kind)
            .nest(ifla::INFO_DATA, |data| {
                match mode {
                    Mode::Macvlan(mode) => data.u32(MODE, mode),
                    Mode::Ipvlan(mode) => data.u16(MODE, mode),
                };
            });
    });
    drop(message);
    batch
}

enum Mode {
    Macvlan(u32),
    Ipvlan(u16),
}

const fn macvlan_mode(mode: MacvlanMode) -> Mode {
    Mode::Macvlan(match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    })
}

const fn ipvlan_mode(mode: IpvlanMode) -> Mode {
    Mode::Ipvlan(match mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    })
}
