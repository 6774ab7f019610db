//! The host's side: what is done with networks and endpoints.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::{Endpoint, Identity, Network, Prefix, Published, Result};

/// Whose devices and tables these are. Several engines live side by side on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    tag: u32,
}

impl Owner {
    /// The mark of an engine, out of its id, which never changes.
    #[must_use]
    pub fn of(engine_id: &str) -> Self {
        // FNV-1a, folded to 24 bits.
        let hash = engine_id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
        Self {
            tag: (hash ^ hash >> 24 ^ hash >> 48) as u32 & 0x00ff_ffff,
        }
    }

    /// The device group of everything this engine makes.
    #[must_use]
    pub const fn group(self) -> u32 {
        0x7400_0000 | self.tag
    }

    /// The name of its tables.
    #[must_use]
    pub fn table(self) -> String {
        format!("tare-{:06x}", self.tag)
    }
}

/// One engine's hold on the host's networks. All methods may be called from any thread; each returns when the kernel is done.
pub struct Host {
    owner: Owner,
}

/// What connecting gives back.
#[derive(Debug)]
pub struct Connected {
    /// Bound in the container's namespace, for an endpoint with names; to be handed to who answers them.
    pub names: Option<NameSockets>,
}

/// The sockets behind 127.0.0.11:53 of a container.
#[derive(Debug)]
pub struct NameSockets {
    pub udp: OwnedFd,
    /// Listens.
    pub tcp: OwnedFd,
}

/// What a network's records say should be there.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub network: &'a Network,
    /// Those of running containers.
    pub endpoints: &'a [Endpoint],
}

/// What [`Host::reconcile`] found.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Devices with our mark that nobody owned, by name.
    pub removed: Vec<String>,
    /// Endpoints whose devices are gone: their containers have no connection any more.
    pub missing: Vec<Identity>,
}

impl Host {
    /// Opens the sockets; changes nothing. The calling thread's network namespace is the host's from now on.
    pub fn open(owner: Owner) -> Result<Self> {
        Ok(Self { owner })
    }

    /// Every prefix that the host has a route or an address for, so that no subnet is taken out of one
    /// ([`crate::ipam::Subnets::allocate`]). The default route does not count, nor do our own devices.
    pub fn prefixes(&self) -> Result<Vec<Prefix>> {
        todo!()
    }

    /// Makes a network: devices, addresses, forwarding, rules. What is there already is left as it is, so it may be
    /// called again. Takes itself back if it fails.
    pub fn create(&self, network: &Network) -> Result<()> {
        todo!()
    }

    /// Takes a network without endpoints away. Goes on after an error and tells the first.
    pub fn remove(&self, network: &Network) -> Result<()> {
        todo!()
    }

    /// Connects an endpoint to the network namespace `netns`, and publishes its ports. Takes itself back if it fails.
    pub fn connect(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: BorrowedFd<'_>,
    ) -> Result<Connected> {
        todo!()
    }

    /// Takes an endpoint away. Without a namespace its container has ended, and with that the devices: only the rules are
    /// left to be taken out. Nothing being there is no error.
    pub fn disconnect(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<()> {
        todo!()
    }

    /// Changes a running container's default routes, after the endpoint that has them has changed.
    pub fn set_default_routes(&self, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
        todo!()
    }

    /// Publishes further ports of a connected endpoint. The caller has reserved them ([`crate::port::reserve`]).
    pub fn publish(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        ports: &[Published],
    ) -> Result<()> {
        todo!()
    }

    /// Ends what [`Host::publish`] began, including connections of UDP that are open.
    pub fn unpublish(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        ports: &[Published],
    ) -> Result<()> {
        todo!()
    }

    /// Brings the kernel to what the records say, whatever a killed daemon has left: tables are replaced in one
    /// transaction (no packet of a running connection is lost), missing bridges made, devices without an owner removed.
    pub fn reconcile(&self, expected: &[Expected<'_>]) -> Result<Reconciled> {
        todo!()
    }

    /// Waits until somebody changes the machine's rules, and makes ours again if they are gone or wrong; until
    /// `stop` is readable. For a thread of the caller.
    pub fn guard_rules(&self, stop: BorrowedFd<'_>) -> Result<()> {
        todo!()
    }

    /// Chains of other tables that drop what is forwarded unless a rule of theirs takes it, each as a sentence for the
    /// user. We cannot overrule them, and do not change them.
    pub fn forwarding_obstacles(&self) -> Result<Vec<String>> {
        todo!()
    }

    /// Removes every device and table with our mark.
    pub fn remove_all(&self) -> Result<()> {
        todo!()
    }
}
