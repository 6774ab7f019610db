//! The host's side: what is done with networks and endpoints.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use linux::netlink::Protocol;

use crate::error::Doing as _;
use crate::firewall::{self, Firewall, Watcher};
use crate::netlink::Connection;
use crate::{
    Address, DeviceName, Driver, Endpoint, Identity, Linked, Links, Network, Prefix, Published,
    Result, devices, forwarding, inside, link,
};

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

    pub(crate) const fn tag(self) -> u32 {
        self.tag
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
#[derive(Debug)]
pub struct Host {
    owner: Owner,
    route: Mutex<Connection>,
    firewall: Mutex<Firewall>,
    /// Whether the host is made a router where it is none.
    forwards: bool,
}

/// Held by one engine of the machine at a time.
#[derive(Debug)]
pub struct Alone {
    _locked: File,
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
    pub links: &'a Links,
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
    /// Opens the sockets; changes nothing. The calling thread's network namespace is the host's from now on, and the other
    /// methods are called from threads that are in it too.
    pub fn open(owner: Owner) -> Result<Self> {
        Ok(Self {
            owner,
            route: Mutex::new(Connection::open(Protocol::Route)?),
            firewall: Mutex::new(Firewall::open(owner)?),
            forwards: true,
        })
    }

    /// Whether [`Host::create`] turns on forwarding on a host that has it off (`--ip-forward`).
    #[must_use]
    pub fn with_forwarding(self, forwards: bool) -> Self {
        Self { forwards, ..self }
    }

    /// Waits until no other engine of this network namespace holds this, and holds it until it is dropped: whoever chooses a
    /// subnet by what the host has, and then makes it, does so alone. The lock is one of the namespace's own file.
    pub fn alone(&self) -> Result<Alone> {
        let failed = |error: std::io::Error| {
            let errno = linux::Errno::from_io_error(&error).unwrap_or(linux::Errno::IO);
            linux::Error::new("flock(/proc/thread-self/ns/net)", errno)
        };
        let lock = || {
            let file = File::open("/proc/thread-self/ns/net")?;
            file.lock().map(|()| Alone { _locked: file })
        };
        lock()
            .map_err(failed)
            .doing(|| "failed to lock the host's networks")
    }

    /// The addresses of a bridge that somebody has made, without those that are valid on the link only; `None` if there is no
    /// such device.
    pub fn bridge_addresses(&self, device: &DeviceName) -> Result<Option<Vec<Address>>> {
        let mut route = locked(&self.route);
        match link::find(&mut route, device)? {
            None => Ok(None),
            Some(found) => link::addresses(&mut route, found.index).map(Some),
        }
    }

    /// Every prefix that the host has a route or an address for, so that no subnet is taken out of one
    /// ([`crate::ipam::Subnets::allocate`]). The default route does not count, nor do our own devices.
    pub fn prefixes(&self) -> Result<Vec<Prefix>> {
        let mut route = locked(&self.route);
        let links = link::list(&mut route)?;
        let own: HashSet<u32> = links
            .iter()
            .filter(|link| link.group == self.owner.group())
            .map(|link| link.index)
            .collect();
        let routes = link::routes(&mut route)?;
        let mut prefixes: Vec<_> = routes
            .into_iter()
            .filter(|(_, device)| !own.contains(device))
            .map(|(prefix, _)| prefix)
            .collect();
        prefixes.sort();
        prefixes.dedup();
        Ok(prefixes)
    }

    /// Makes a network: devices, addresses, forwarding, rules. What is there already is left as it is, so it may be
    /// called again. Takes itself back if it fails.
    pub fn create(&self, network: &Network) -> Result<()> {
        let is_known = self.firewall().knows(&network.id);
        // Rules first: there is no moment in which a device is without them.
        self.firewall().add_network(network)?;
        self.make_devices(network).map_err(|error| {
            let undo = (!is_known).then(|| self.firewall().remove_network(&network.id));
            error.with_undo(undo.into_iter().filter_map(Result::err).collect())
        })
    }

    fn make_devices(&self, network: &Network) -> Result<()> {
        let is_new = devices::make(&mut locked(&self.route), self.owner, network)?;
        let settled = match &network.driver {
            Driver::Bridge(bridge) => forwarding::settle(&bridge.device),
            Driver::Macvlan(_) | Driver::Ipvlan(_) => Ok(()),
        };
        settled
            .and_then(|()| self.forward_for(network))
            .and_then(|()| match is_new {
                true => self.attach_ports(network),
                false => Ok(()),
            })
            .map_err(|error| {
                let undo =
                    is_new.then(|| devices::remove(&mut locked(&self.route), self.owner, network));
                error.with_undo(undo.into_iter().filter_map(Result::err).collect())
            })
    }

    /// Puts the ports that a bridge had which somebody has removed into the one that is in its place.
    fn attach_ports(&self, network: &Network) -> Result<()> {
        let endpoints = self.firewall().endpoints_of(&network.id);
        let (Some(bridge), false) = (network.bridge(), endpoints.is_empty()) else {
            return Ok(());
        };
        devices::attach(&mut locked(&self.route), self.owner, bridge, &endpoints)?;
        // The rules know the bridge by its index.
        self.firewall().restore()
    }

    /// Makes an endpoint's device; and the network's before, if somebody has removed it.
    fn plug(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: BorrowedFd<'_>,
    ) -> Result<Option<devices::Plug>> {
        let plug = || {
            let route = &mut locked(&self.route);
            devices::plug(route, self.owner, network, endpoint, netns)
        };
        let plugged = plug();
        match (plugged, network.bridge()) {
            (Err(_), Some(bridge)) if !self.is_there(&bridge.device)? => {
                self.make_devices(network)?;
                plug()
            }
            (plugged, _) => plugged,
        }
    }

    fn is_there(&self, device: &DeviceName) -> Result<bool> {
        let found = link::find(&mut locked(&self.route), device)?;
        Ok(found.is_some())
    }

    /// The guard is there before forwarding is.
    fn forward_for(&self, network: &Network) -> Result<()> {
        let missing = forwarding::missing(network);
        if missing.is_none() || !self.forwards {
            return Ok(());
        }
        let devices = forwarding::devices(&mut locked(&self.route), self.owner.group())?;
        self.firewall()
            .guard(forwarding::guarded(missing, &devices))?;
        forwarding::turn_on(missing, &devices)
    }

    /// Takes a network without endpoints away. Goes on after an error and tells the first.
    pub fn remove(&self, network: &Network) -> Result<()> {
        // Several networks may share a VLAN of ours: it goes with the last of them.
        let devices = if self.firewall().shares_device(network) {
            Ok(())
        } else {
            devices::remove(&mut locked(&self.route), self.owner, network)
        };
        let rules = self.firewall().remove_network(&network.id);
        first_error([devices, rules])
    }

    /// Connects an endpoint to the network namespace `netns`, and publishes its ports. Takes itself back if it fails.
    ///
    /// The endpoint's id is a new one for each connection: the kernel removes the devices of a container that has ended in
    /// its own time.
    pub fn connect(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: BorrowedFd<'_>,
    ) -> Result<Connected> {
        let plug = self.plug(network, endpoint, netns)?;
        // Before the container's end is up: nothing is ever sent that nobody looks at.
        let done = self
            .firewall()
            .add_endpoint(network, endpoint, plug)
            .and_then(|()| {
                let names = inside::configure(netns, endpoint)?;
                devices::settle_plug(&mut locked(&self.route), self.owner, network, endpoint)?;
                Ok(Connected { names })
            });
        done.map_err(|error| {
            let undo = self.disconnect(network, endpoint, Some(netns)).err();
            error.with_undo(undo.into_iter().collect())
        })
    }

    fn unplug(&self, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
        match network.driver {
            Driver::Bridge(_) => {
                let port = DeviceName::of_port(self.owner, &endpoint.id);
                // Whoever removes a device is made to wait until nobody can use it any more, 20 ms that the kernel lets others share: so
                // the socket is one of its own, and a hundred containers leave a network in the time of a few.
                let mut route = Connection::open(Protocol::Route)?;
                devices::delete(&mut route, port.as_str())
            }
            Driver::Macvlan(_) | Driver::Ipvlan(_) => inside::remove(netns, &endpoint.device),
        }
    }

    /// Takes an endpoint away. Without a namespace its container has ended, and with that the devices: only the rules are
    /// left to be taken out. Nothing being there is no error.
    pub fn disconnect(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<()> {
        let rules = self.firewall().remove_endpoint(network, &endpoint.id);
        let device = netns.map_or(Ok(()), |netns| self.unplug(network, endpoint, netns));
        first_error([rules, device])
    }

    /// Changes a running container's default routes, after the endpoint that has them has changed.
    pub fn set_default_routes(&self, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
        inside::set_default_routes(netns, endpoint)
    }

    /// Publishes further ports of a connected endpoint. The caller has reserved them ([`crate::port::reserve`]).
    pub fn publish(
        &self,
        network: &Network,
        endpoint: &Identity,
        ports: &[Published],
    ) -> Result<()> {
        let mut firewall = self.firewall();
        let mut all = firewall.ports(network, endpoint)?;
        all.extend(ports);
        firewall.set_ports(network, endpoint, &all)
    }

    /// An endpoint's ports are these from now on, in one transaction.
    pub fn set_ports(
        &self,
        network: &Network,
        endpoint: &Identity,
        ports: &[Published],
    ) -> Result<()> {
        self.firewall().set_ports(network, endpoint, ports)
    }

    /// What a connected endpoint may reach of others, where containers of a bridge do not reach each other.
    pub fn set_links(
        &self,
        network: &Network,
        endpoint: &Identity,
        links: Vec<Linked>,
    ) -> Result<()> {
        self.firewall().set_links(network, endpoint, links)
    }

    /// Ends what [`Host::publish`] began.
    pub fn unpublish(
        &self,
        network: &Network,
        endpoint: &Identity,
        ports: &[Published],
    ) -> Result<()> {
        let mut firewall = self.firewall();
        let mut all = firewall.ports(network, endpoint)?;
        all.retain(|port| !ports.contains(port));
        firewall.set_ports(network, endpoint, &all)
    }

    /// Brings the kernel to what the records say, whatever a killed daemon has left: tables are replaced in one
    /// transaction (no packet of a running connection is lost), missing bridges made, devices without an owner removed.
    pub fn reconcile(&self, expected: &[Expected<'_>]) -> Result<Reconciled> {
        self.firewall().replace(expected)?;
        for one in expected {
            self.make_devices(one.network)?;
        }
        let mut route = locked(&self.route);
        let links = link::list(&mut route)?;
        let wanted = self.wanted(expected);
        let mut done = Reconciled::default();
        for link in links.iter().filter(|l| l.group == self.owner.group()) {
            if !wanted.contains(&link.name) {
                devices::delete(&mut route, &link.name)?;
                done.removed.push(link.name.clone());
            }
        }
        let there: HashSet<&str> = links.iter().map(|link| link.name.as_str()).collect();
        let of_bridges = expected.iter().filter(|one| one.network.bridge().is_some());
        for endpoint in of_bridges.flat_map(|one| one.endpoints) {
            let port = DeviceName::of_port(self.owner, &endpoint.id);
            if !there.contains(port.as_str()) {
                done.missing.push(endpoint.id.clone());
            }
        }
        Ok(done)
    }

    fn wanted(&self, expected: &[Expected<'_>]) -> HashSet<String> {
        let mut names = HashSet::new();
        for one in expected {
            names.insert(one.network.device().to_string());
            for endpoint in one.endpoints {
                names.insert(DeviceName::of_port(self.owner, &endpoint.id).to_string());
            }
        }
        names
    }

    /// Waits until somebody changes the machine's rules, and makes ours again if they are gone or wrong; until
    /// `stop` is readable. For a thread of the caller, in the host's network namespace.
    pub fn guard_rules(&self, stop: BorrowedFd<'_>) -> Result<()> {
        self.guard_rules_from(stop, || {})
    }

    /// `listening` is called when no change is missed any more.
    fn guard_rules_from(&self, stop: BorrowedFd<'_>, listening: impl FnOnce()) -> Result<()> {
        let port = self.firewall().socket_port()?;
        let mut watcher = Watcher::open(self.owner.table(), port)?;
        listening();
        loop {
            let ready = linux::fd::wait_either(watcher.connection(), stop)
                .doing(|| "failed to wait for changes of the firewall")?;
            if ready == linux::fd::Ready::Second {
                return Ok(());
            }
            if watcher.is_damaged()? {
                self.firewall().restore()?;
            }
        }
    }

    /// Chains of other tables that drop what is forwarded unless a rule of theirs takes it, each as a sentence for the
    /// user. We cannot overrule them, and do not change them.
    pub fn forwarding_obstacles(&self) -> Result<Vec<String>> {
        firewall::obstacles(&self.owner.table())
    }

    /// Devices and tables with our mark, by name: for those who see to it that nothing is left.
    pub fn remains(&self) -> Result<Vec<String>> {
        let table = self.owner.table();
        let tables = firewall::tables()?;
        let mut found: Vec<_> = tables.into_iter().filter(|name| *name == table).collect();
        let links = link::list(&mut locked(&self.route))?;
        let own = links
            .into_iter()
            .filter(|link| link.group == self.owner.group());
        found.extend(own.map(|link| link.name));
        Ok(found)
    }

    /// Removes every device and table with our mark.
    pub fn remove_all(&self) -> Result<()> {
        let mut route = locked(&self.route);
        let mut results = Vec::new();
        for link in link::list(&mut route)? {
            if link.group == self.owner.group() {
                results.push(devices::delete(&mut route, &link.name));
            }
        }
        results.push(self.firewall().remove());
        first_error(results)
    }

    fn firewall(&self) -> MutexGuard<'_, Firewall> {
        locked(&self.firewall)
    }
}

/// A thread that panicked has left the socket usable: each use begins with a message of its own number.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first_error(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let mut errors = results.into_iter().filter_map(Result::err);
    match errors.next() {
        None => Ok(()),
        Some(first) => Err(first.with_undo(errors.collect())),
    }
}

#[cfg(test)]
mod tests;
