//! Networks: their records, the addresses in use, and what is made of both in the kernel.
//!
//! ```text
//! <data-root>/networks/<id>.json   a Record: a network exists when, and only when, this file does
//! ```
//!
//! `host` and `none` need no record, and the default bridge gets its own when the first container joins it: until then
//! nothing on the host is touched. Which container is in which network is the containers' own truth; in memory each
//! network knows the endpoints of those that run, and its addresses in use are counted from these.
//!
//! The kernel's part is `network::Host`. It is opened when it is first needed, so an engine on a kernel without bridges or
//! nftables still runs containers with `--network none` and `host`.

mod addresses;
mod calls;
mod create;
mod default;
mod drivers;
mod filter;
mod member;
mod places;
mod published;
mod record;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use network::ipam::{PoolSpec, Subnets};
use network::{Endpoint, Expected, Host, Identity, Links, Owner};
use oci::ContainerId;

pub use default::{Networking, PublishMode};
pub(crate) use places::{Connection, Place, lead_out};
pub use record::{AddressPool, EndpointView, NetworkRequest, NetworkView};

use crate::config::Config;
use crate::error::{Context as _, Error, ErrorKind, Result};
use member::Member;
use record::Record;

/// The name of the default bridge network.
pub(crate) const BRIDGE: &str = "bridge";
/// Networks that are always there.
pub(crate) const BUILT_IN: [&str; 3] = [BRIDGE, "host", "none"];

/// All networks of one engine.
#[derive(Debug)]
pub(crate) struct Networks {
    folder: PathBuf,
    owner: Owner,
    pools: Vec<PoolSpec>,
    setup: Networking,
    created: jiff::Timestamp,
    built_in: BTreeMap<&'static str, Identity>,
    kernel: Mutex<Option<Kernel>>,
    /// Held while a network is made or removed, so that these never cross.
    making: Mutex<()>,
    reserving: Mutex<()>,
    /// Obstacles on this host that the log knows of.
    told: Mutex<BTreeSet<String>>,
    members: Mutex<Members>,
}

/// The kernel's part, and what ends the thread that watches over the rules.
#[derive(Debug)]
struct Kernel {
    host: Arc<Host>,
    stop: OwnedFd,
    thread: JoinHandle<()>,
}

/// What is in memory; never held over I/O, nor while another lock is taken: who holds a container's lock asks for networks.
#[derive(Debug, Default)]
struct Members {
    networks: BTreeMap<Identity, Member>,
    subnets: Subnets,
}

impl Networks {
    /// Reads the records; nothing in the kernel is touched.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let folder = config.data_root.join("networks");
        fs::create_dir_all(&folder).context(|| format!("make {}", folder.display()))?;
        let id = |name: &str| {
            let digest = oci::Digest::sha256(format!("{} network {name}", config.id).as_bytes());
            digest.hex().parse().map_err(Error::from)
        };
        let mut built_in = BTreeMap::new();
        for name in BUILT_IN {
            built_in.insert(name, id(name)?);
        }
        let mut pools = config.networking.pool_specs()?;
        if pools.iter().all(|pool| !pool.base.is_ipv4()) {
            pools.extend(network::ipam::docker_pools());
        }
        let digest = oci::Digest::sha256(config.id.as_bytes());
        let seed = u64::from_str_radix(&digest.hex()[..16], 16).unwrap_or_default();
        pools.push(network::ipam::ula_pool(seed));
        let networks = Self {
            owner: Owner::of(&config.id),
            pools,
            setup: config.networking.clone(),
            created: born(&folder),
            built_in,
            kernel: Mutex::default(),
            making: Mutex::default(),
            reserving: Mutex::default(),
            told: Mutex::default(),
            members: Mutex::default(),
            folder,
        };
        networks.read_records()?;
        Ok(networks)
    }

    /// What the daemon says of all networks, and no record does.
    fn open_directly(&self, driver: &mut network::Driver) {
        if let network::Driver::Bridge(bridge) = driver {
            bridge.direct = self.setup.direct;
        }
    }

    fn read_records(&self) -> Result<()> {
        let reading = || format!("read {}", self.folder.display());
        for entry in fs::read_dir(&self.folder).context(reading)? {
            let path = entry.context(reading)?.path();
            // What is no whole file yet is a draft that a crash has left.
            if path.extension().is_none_or(|kind| kind != "json") {
                crate::launch::remove_file(&path)?;
                continue;
            }
            match Record::read(&path).and_then(|record| self.take_in(record)) {
                Ok(()) => {}
                // A record that cannot be read is kept for a person to look at.
                Err(error) => {
                    tracing::error!(error = error.chain(), "a network cannot be taken in");
                }
            }
        }
        Ok(())
    }

    fn take_in(&self, mut record: Record) -> Result<()> {
        let mut members = self.members();
        if let Some(made) = &record.made {
            for subnet in made.subnets() {
                members.subnets.claim(subnet.prefix)?;
            }
        }
        if let Some(made) = &mut record.made {
            self.open_directly(&mut made.driver);
        }
        let member = Member::new(record)?;
        members.networks.insert(member.record.id.clone(), member);
        Ok(())
    }

    /// Takes over the endpoints of containers that run, and brings the kernel to what the records say. Nothing is done on a host
    /// on which no network was ever made.
    pub(crate) fn adopt(
        &self,
        running: Vec<(ContainerId, Identity, Endpoint)>,
        links: &Links,
    ) -> Result<()> {
        for (container, network, endpoint) in running {
            if let Some(member) = self.members().networks.get_mut(&network) {
                member.adopt(container, endpoint);
            }
        }
        self.review_default_bridge()?;
        let all = self.made();
        if all.is_empty() {
            return Ok(());
        }
        let expected: Vec<_> = all
            .iter()
            .map(|(network, endpoints)| Expected {
                network,
                endpoints,
                links,
            })
            .collect();
        let done = self.host()?.reconcile(&expected)?;
        for device in done.removed {
            tracing::info!(device, "collected a network device without an owner");
        }
        for endpoint in done.missing {
            tracing::warn!(%endpoint, "a running container has lost its network device");
        }
        Ok(())
    }

    fn made(&self) -> Vec<(network::Network, Vec<Endpoint>)> {
        let members = self.members();
        let of = |member: &Member| {
            let made = member.record.made.clone()?;
            Some((made, member.endpoints.values().cloned().collect()))
        };
        members.networks.values().filter_map(of).collect()
    }

    /// Takes devices and rules away when the engine ends and no container needs them; the records make them again.
    pub(crate) fn close(&self) {
        let used = self
            .members()
            .networks
            .values()
            .any(|m| !m.endpoints.is_empty());
        let Some(Kernel { host, stop, thread }) = self.kernel().take() else {
            return;
        };
        drop(stop);
        // Or it would put back what is cleared away.
        let _ended = thread.join();
        if !used && let Err(error) = host.remove_all() {
            tracing::error!(
                error = Error::from(error).chain(),
                "cannot clear away networks"
            );
        }
    }

    /// The kernel's part, opened when first asked for.
    pub(crate) fn host(&self) -> Result<Arc<Host>> {
        let mut kernel = self.kernel();
        if let Some(kernel) = &*kernel {
            return Ok(Arc::clone(&kernel.host));
        }
        let host = Host::open(self.owner)?;
        let host = Arc::new(host.with_forwarding(self.setup.forwarding));
        let (stop, thread) = watch(Arc::clone(&host))?;
        *kernel = Some(Kernel {
            host: Arc::clone(&host),
            stop,
            thread,
        });
        Ok(host)
    }

    fn kernel(&self) -> MutexGuard<'_, Option<Kernel>> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A network's id by its name, id, or the beginning of its id.
    pub(crate) fn find(&self, name: &str) -> Result<Identity> {
        let members = self.members();
        let built_in = self.built_in.iter().map(|(name, id)| (*name, id));
        let made = members
            .networks
            .values()
            .map(|m| (m.record.name(), &m.record.id));
        let all: BTreeSet<_> = built_in.chain(made).collect();
        let exact = |by_id: bool| {
            let mut all = all.iter();
            all.find(move |(of, id)| {
                if by_id {
                    id.as_str() == name
                } else {
                    *of == name
                }
            })
        };
        if let Some((_, id)) = exact(true).or_else(|| exact(false)) {
            return Ok((*id).clone());
        }
        let mut found = all.iter().filter(|(_, id)| id.as_str().starts_with(name));
        match (found.next(), found.count()) {
            (Some((_, id)), 0) if !name.is_empty() => Ok((*id).clone()),
            (Some(_), more) if !name.is_empty() => Err(Error::invalid(format!(
                "network {name} is ambiguous ({} matches found based on ID prefix)",
                more + 1
            ))),
            _ => Err(Error::not_found(format!("network {name} not found"))),
        }
    }

    /// Whether it is the built-in network of that name.
    pub(crate) fn is_built_in(&self, id: &Identity, name: &str) -> bool {
        self.built_in.get(name) == Some(id)
    }

    fn is_any_built_in(&self, id: &Identity) -> Option<&'static str> {
        let mut all = self.built_in.iter();
        all.find(|(_, of)| *of == id).map(|(name, _)| *name)
    }

    /// One network; `name_of` knows the containers' names.
    pub(crate) fn view(
        &self,
        id: &Identity,
        name_of: &dyn Fn(&ContainerId) -> String,
    ) -> Result<NetworkView> {
        let made = {
            let members = self.members();
            let member = members.networks.get(id);
            member.map(|member| (member.record.clone(), member.endpoints.clone()))
        };
        if let Some((record, endpoints)) = made {
            let endpoints = endpoints.into_iter().map(|(container, endpoint)| {
                let name = name_of(&container);
                EndpointView {
                    container,
                    name,
                    endpoint,
                }
            });
            let built_in = self.is_any_built_in(id).is_some();
            return Ok(record.view(built_in, endpoints.collect()));
        }
        let name = self
            .is_any_built_in(id)
            .ok_or_else(|| Error::not_found(format!("network {id} not found")))?;
        Ok(self.idle(id, name))
    }

    /// All networks, by name.
    pub(crate) fn views(&self, name_of: &dyn Fn(&ContainerId) -> String) -> Vec<NetworkView> {
        let mut ids: BTreeSet<Identity> = self.built_in.values().cloned().collect();
        ids.extend(self.members().networks.keys().cloned());
        let mut all: Vec<_> = ids
            .iter()
            .filter_map(|id| self.view(id, name_of).ok())
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A built-in network without a record.
    fn idle(&self, id: &Identity, name: &str) -> NetworkView {
        let plain = NetworkRequest {
            name: name.to_owned(),
            ..NetworkRequest::default()
        };
        let request = match name {
            BRIDGE => self.setup.request(&[]).unwrap_or(plain),
            _ => plain,
        };
        let mut record = Record::new(id.clone(), request);
        record.created = self.created;
        let mut view = record.view(true, Vec::new());
        if name != BRIDGE {
            view.driver = if name == "none" { "null" } else { name }.to_owned();
            view.pools = None;
        }
        view
    }
}

/// When the engine began to have networks: that is how old those are that are always there.
fn born(folder: &Path) -> jiff::Timestamp {
    let born = fs::metadata(folder).and_then(|found| found.created()).ok();
    born.and_then(|time| jiff::Timestamp::try_from(time).ok())
        .unwrap_or_else(jiff::Timestamp::now)
}

/// Watches over the rules on a thread of its own, until the descriptor is dropped.
fn watch(host: Arc<Host>) -> Result<(OwnedFd, JoinHandle<()>)> {
    let making = || "watch over the firewall".to_owned();
    let (stop, held) = std::io::pipe().context(making)?;
    let work = move || {
        use std::os::fd::AsFd as _;
        if let Err(error) = host.guard_rules(stop.as_fd()) {
            let error = Error::from(error);
            tracing::error!(
                error = error.chain(),
                "nobody watches over the firewall any more"
            );
        }
    };
    let thread = std::thread::Builder::new().name("firewall".to_owned());
    let thread = thread.spawn(work).context(making)?;
    Ok((held.into(), thread))
}

/// The record's file, gone.
fn remove_record(folder: &Path, id: &Identity) -> Result<()> {
    crate::launch::remove_file(&Record::path(folder, id))
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        let kind = match (error.kind(), &error) {
            // Docker's status for these is another than that of other conflicts.
            (_, network::Error::Overlap { .. } | network::Error::AddressInUse(_)) => {
                ErrorKind::Forbidden
            }
            (network::Kind::Invalid, _) | (_, network::Error::NoSubnet) => {
                ErrorKind::InvalidParameter
            }
            (network::Kind::Unsupported, _) => ErrorKind::NotImplemented,
            (network::Kind::Conflict | network::Kind::Exhausted | network::Kind::System, _) => {
                ErrorKind::System
            }
        };
        let message = error.to_string();
        match std::error::Error::source(&error) {
            None => Self::new(kind, message),
            Some(source) => Self::new(kind, message).caused_by(source.to_string()),
        }
    }
}
