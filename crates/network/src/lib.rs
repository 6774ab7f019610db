//! Networks of containers: devices, addresses, the firewall, names.
//!
//! Everything here is synchronous and goes to the kernel through netlink; no process is started, nothing is read from the
//! environment, and nothing is written to disk: the caller keeps [`Network`] and [`Endpoint`] (both are plain,
//! serialisable data) and gives them back after a restart.
//!
//! # Who owns what
//!
//! | what | where it lives | who makes it, who removes it |
//! |---|---|---|
//! | a network's settings | the caller's record of it | the caller |
//! | which subnets are taken | [`ipam::Subnets`], rebuilt from the records of all networks | nobody else hands subnets out |
//! | which addresses are taken | [`ipam::Pool`], rebuilt from the records of the endpoints | nobody else hands addresses out |
//! | a bridge | the host, device group of the engine ([`Owner::group`]) | [`Host::create`], [`Host::remove`]; one that was there before is used and left |
//! | an endpoint's pair of devices | one end in the bridge, one in the container | [`Host::connect`]; gone with the container's namespace, or by [`Host::disconnect`] |
//! | the rules | table `inet tare-<tag>` and table `netdev tare-<tag>` | [`Host`]; always what its list of networks, endpoints and ports says |
//! | names | [`dns::Table`], one a network | who serves them (see "Names") |
//!
//! The kernel holds no truth. What is in it follows from the records, so starting again is [`Host::reconcile`]: make what
//! the records say and is missing, remove what carries our mark and is in no record. Several engines on one machine
//! have different marks and never see each other's devices and tables.
//!
//! # What a container costs
//!
//! On a bridge without published ports: **one** batch in the host's namespace (a pair of devices, one of them up in the
//! bridge, the other born in the container's namespace with its final name, address and MTU), **one** transaction (the port's chain
//! and three set elements in the `netdev` table), and **one** batch in the container's namespace (addresses, up, routes). The sockets on
//! the host's side are open already; the one in the container's namespace is opened by a throw-away thread that enters it.
//! Nothing is done at the end but taking chain and elements out: the devices end with the namespace, in the kernel's own time.
//! Whoever wants to measure: `examples/cost.rs`.
//!
//! Connecting needs the namespace, not the process: the shim that waits has one already, so the caller connects while
//! that shim makes mounts and cgroups.
//!
//! # The firewall
//!
//! One table of family `inet` for routed traffic and one of family `netdev` for frames. Rules are fixed, but for the chain that each port has; what changes are the
//! elements of sets and maps. See the module `firewall` for the chains, and for what happens on a host whose own rules drop what
//! is forwarded.
//!
//! # Names
//!
//! [`dns`] is the pure part: messages, tables, answers. Sockets are bound in the container's namespace to 127.0.0.11 at a free
//! port (at 53 a name server in the container could not bind its own), and a two-rule table in that namespace leads
//! port 53 there. Who reads them must live while the daemon does not: one *keeper* an engine, a role of `tare-shim` that the daemon
//! starts with the first endpoint that has names. It gets the sockets (`SCM_RIGHTS`) and, with each change, the
//! table of the one network that changed; it forwards what is not ours; it also holds the sockets that reserve
//! published ports, and proxies where the kernel cannot (see [`port`]). One process, not a thread in every shim: a change in a network
//! of 100 containers is one message to it, not 100, and a shim stays as small as it is. A daemon that starts finds the keeper
//! through its socket in the exec root, sends all tables again and drops the sockets of containers that are gone. If the
//! keeper dies, the daemon starts another and binds the sockets anew.
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod answers;
pub mod device;
mod devices;
pub mod dns;
mod endpoint;
mod error;
mod firewall;
mod forwarding;
mod host;
mod inside;
pub mod ipam;
mod link;
mod linked;
mod mac;
mod netlink;
mod network;
pub mod port;
mod prefix;
mod resolver;

pub use device::DeviceName;
pub use endpoint::{Address, Endpoint, Identity, Route};
pub use error::{Error, Kind, Result};
pub use host::{Alone, Connected, Expected, Host, NameSockets, Owner, Reconciled};
pub use inside::listen_for_names;
pub use linked::{Linked, LinkedPorts, Links};
pub use mac::Mac;
pub use network::{
    Bridge, Driver, GatewayMode, Ipvlan, IpvlanMode, Macvlan, MacvlanMode, Network, Parent, Subnet,
};
pub use port::{Protocol, Published};
pub use prefix::Prefix;
pub use resolver::ADDRESS as NAME_SERVER;
