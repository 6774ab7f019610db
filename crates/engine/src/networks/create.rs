//! Making and removing networks.

use network::ipam::Family;
use network::{Driver, Identity, Macvlan, MacvlanMode, Network, Prefix, Subnet};
use oci::ContainerId;

use super::addresses::{self, Wanted};
use super::record::{NetworkRequest, Record};
use super::{BRIDGE, BUILT_IN, Member, Networks, drivers, remove_record};
use crate::error::{Error, ErrorKind, Result};

/// Everything about a request that does not depend on other networks.
fn check(request: &NetworkRequest) -> Result<()> {
    if request.name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if BUILT_IN.contains(&request.name.as_str()) || request.name == "default" {
        return Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "operation is not permitted on predefined {} network ",
                request.name
            ),
        ));
    }
    let is_operated = request.ingress || request.internal || request.attachable;
    if request.config_only && (is_operated || !request.scope.is_empty()) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "configuration network can only contain network specific fields. \
             Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
        ));
    }
    if request.ingress {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "Ingress network can only be global scope network",
        ));
    }
    match request.scope.as_str() {
        "" | "local" => {}
        "swarm" => {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "cannot create a swarm scoped network when swarm is not active",
            ));
        }
        scope => {
            return Err(Error::unsupported(format_args!(
                "the network scope {scope:?}"
            )));
        }
    }
    match request.ipam_driver.as_str() {
        "" | "default" => {}
        name => return Err(Error::not_found(format!("plugin {name:?} not found"))),
    }
    if let Some(name) = request.ipam_options.keys().next() {
        return Err(Error::unsupported(format_args!(
            "the address option {name:?} (--ipam-opt)"
        )));
    }
    drivers::check(request)
}

/// A device that a macvlan passes through is one network's.
fn alone_on(wanted: &Macvlan, other: &Macvlan, id: &Identity) -> Result<()> {
    let parent = wanted.parent.device();
    if wanted.mode == MacvlanMode::Passthru {
        return Err(Error::system(format!(
            "cannot use mode passthru, macvlan network {id} is already using parent interface {parent}"
        )));
    }
    if other.mode == MacvlanMode::Passthru {
        return Err(Error::system(format!(
            "macvlan network {id} is already using parent interface {parent} in mode passthru"
        )));
    }
    Ok(())
}

impl Networks {
    /// Makes a network. When it returns there is all or nothing.
    pub(super) fn create(&self, request: NetworkRequest) -> Result<Identity> {
        check(&request)?;
        let _making = self
            .making
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = |members: &super::Members| {
            let mut all = members.networks.values();
            all.any(|member| member.record.name() == request.name)
        };
        if taken(&self.members()) {
            return Err(Error::conflict(format!(
                "network with name {} already exists",
                request.name
            )));
        }
        let mut request = self.complete(request)?;
        drivers::read_families(&mut request)?;
        let id: Identity = ContainerId::random().as_str().parse()?;
        let record = Record::new(id.clone(), request);
        if record.request.config_only {
            addresses::read(&record.request)?;
            record.commit(&self.folder)?;
            return self.take_in(record).map(|()| id);
        }
        self.make(record)?;
        Ok(id)
    }

    /// Takes the settings over from the network that is named for that.
    fn complete(&self, mut request: NetworkRequest) -> Result<NetworkRequest> {
        let from = request.config_from.clone();
        if from.is_empty() {
            self.setup.complete(&mut request);
            return Ok(request);
        }
        if request.config_only {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "a configuration network cannot depend on another configuration network",
            ));
        }
        if !request.options.is_empty() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "network driver options are not supported if the network depends on a configuration network",
            ));
        }
        if !request.pools.is_empty() || request.enable_ipv6.is_some() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "user specified configurations are not supported if the network depends on a configuration network",
            ));
        }
        let missing = || Error::not_found(format!("configuration network {from:?} does not exist"));
        let id = self.find(&from).map_err(|_| missing())?;
        let members = self.members();
        let settings = &members
            .networks
            .get(&id)
            .ok_or_else(missing)?
            .record
            .request;
        if !settings.config_only {
            return Err(missing());
        }
        request.pools.clone_from(&settings.pools);
        request.options.clone_from(&settings.options);
        // Records of earlier versions may say it.
        request.internal |= settings.internal;
        request.enable_ipv4 = settings.enable_ipv4;
        request.enable_ipv6 = settings.enable_ipv6;
        request.labels.extend(settings.labels.clone());
        Ok(request)
    }

    /// Chooses addresses, then writes the record, then makes devices and rules: whatever a crash leaves of these, the record
    /// completes. The caller holds `making`.
    fn make(&self, mut record: Record) -> Result<()> {
        let mut settings = drivers::settings(&record.id, &record.request)?;
        self.open_directly(&mut settings.driver);
        let wanted = addresses::read(&record.request)?;
        self.check_device(&settings.driver)?;
        let host = self.host()?;
        // Or another engine on this machine chooses the same at the same moment.
        let _alone = host.alone()?;
        let Wanted { v4, v6, more } = self.allocate(&record.request, wanted, &host.prefixes()?)?;
        let made = Network {
            id: record.id.clone(),
            driver: settings.driver,
            v4,
            v6,
            more,
            internal: record.request.internal,
            mtu: settings.mtu,
        };
        record.made = Some(made.clone());
        let done = Member::new(record.clone()).and_then(|member| {
            record.commit(&self.folder)?;
            host.create(&made)?;
            Ok(member)
        });
        match done {
            Ok(member) => {
                self.members().networks.insert(record.id.clone(), member);
                Ok(())
            }
            Err(error) => {
                self.give_back(&made);
                remove_record(&self.folder, &record.id)?;
                Err(error)
            }
        }
    }

    /// Two networks on one bridge would not be told apart; and who has a device of the host to himself shares it with nobody.
    fn check_device(&self, driver: &network::Driver) -> Result<()> {
        let members = self.members();
        let made =
            |member: &super::Member| member.record.made.as_ref().map(|made| made.driver.clone());
        for member in members.networks.values() {
            let record = &member.record;
            match (driver, made(member)) {
                (Driver::Bridge(wanted), Some(Driver::Bridge(other)))
                    if other.device == wanted.device =>
                {
                    return Err(Error::new(
                        ErrorKind::Forbidden,
                        format!(
                            "cannot create network {}: conflicts with network {} ({}): networks have same bridge name",
                            wanted.device,
                            record.id,
                            record.name()
                        ),
                    ));
                }
                (Driver::Macvlan(wanted), Some(Driver::Macvlan(other)))
                    if other.parent.device() == wanted.parent.device() =>
                {
                    alone_on(wanted, &other, &record.id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The subnets that were wanted, and ours where none was, all of them taken.
    fn allocate(
        &self,
        request: &NetworkRequest,
        wanted: Wanted,
        avoid: &[Prefix],
    ) -> Result<Wanted> {
        let v4 = request.enable_ipv4.unwrap_or(true);
        let v6 = request.enable_ipv6.unwrap_or(false);
        if !v4 && !v6 {
            return Err(Error::invalid("IPv4 or IPv6 must be enabled"));
        }
        let members = &mut *self.members();
        let mut taken = Vec::new();
        let mut claim = |subnet: Subnet| -> Result<Subnet> {
            members.subnets.claim(subnet.prefix)?;
            taken.push(subnet.prefix);
            Ok(subnet)
        };
        let is_on = |subnet: &Subnet| if subnet.prefix.is_ipv4() { v4 } else { v6 };
        let claim_all = || -> Result<Wanted> {
            let more = wanted.more.into_iter().filter(is_on);
            Ok(Wanted {
                v4: wanted.v4.filter(is_on).map(&mut claim).transpose()?,
                v6: wanted.v6.filter(is_on).map(&mut claim).transpose()?,
                more: more.map(&mut claim).collect::<Result<_>>()?,
            })
        };
        let claimed = claim_all();
        let all = claimed.and_then(|mut all| {
            for (place, family, is_on) in
                [(&mut all.v4, Family::V4, v4), (&mut all.v6, Family::V6, v6)]
            {
                if is_on && place.is_none() {
                    let prefix = members.subnets.allocate(&self.pools, family, avoid)?;
                    taken.push(prefix);
                    let mut subnet = Subnet::new(prefix);
                    if addresses::is_without_gateway(request) {
                        subnet.gateway = None;
                    }
                    *place = Some(subnet);
                }
            }
            Ok(all)
        });
        if all.is_err() {
            for prefix in taken {
                members.subnets.release(prefix);
            }
        }
        all
    }

    pub(super) fn give_back(&self, made: &Network) {
        let mut members = self.members();
        for subnet in made.subnets() {
            members.subnets.release(subnet.prefix);
        }
    }

    /// The network as it is made in the kernel; the default bridge is made now if it is not there yet.
    pub(super) fn ready(&self, id: &Identity) -> Result<()> {
        if self.members().networks.contains_key(id) || !self.is_built_in(id, BRIDGE) {
            return Ok(());
        }
        let _making = self
            .making
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.members().networks.contains_key(id) {
            return Ok(());
        }
        let mut record = Record::new(id.clone(), self.default_request()?);
        record.created = self.created;
        self.make(record)
    }

    /// The default bridge as it is to be made on this machine.
    fn default_request(&self) -> Result<NetworkRequest> {
        let foreign = self.setup.foreign_bridge()?;
        let has = match &foreign {
            Some(device) => self.host()?.bridge_addresses(device)?.ok_or_else(|| {
                Error::invalid(format!(
                    "error creating default \"bridge\" network: bridge device with non default name {device} must be created manually"
                ))
            })?,
            None => Vec::new(),
        };
        let mut request = self.setup.request(&has)?;
        // Several engines may run on one machine: a name that was not chosen has the engine's mark in it.
        let device = match (&foreign, self.setup.own_name.as_str()) {
            (Some(device), _) => device.to_string(),
            (None, "") => self.owner.table(),
            (None, name) => name.to_owned(),
        };
        request
            .options
            .insert(drivers::BRIDGE_NAME.to_owned(), device);
        Ok(request)
    }

    /// Forgets the default bridge of an earlier daemon where it is not what is asked for now, or where somebody else has taken
    /// its subnet meanwhile: it is made anew with the next container. While containers use it, it stays.
    pub(super) fn review_default_bridge(&self) -> Result<()> {
        let id = self.find(BRIDGE)?;
        if self.setup.has_bridge() && self.setup.foreign_bridge()?.is_some() {
            // An administrator's mistake is told at the start.
            self.default_request()?;
        }
        let (record, is_used) = {
            let members = self.members();
            let Some(member) = members.networks.get(&id) else {
                return Ok(());
            };
            (member.record.clone(), !member.endpoints.is_empty())
        };
        let wanted = match self.setup.has_bridge() {
            true => Some(self.default_request()?),
            false => None,
        };
        let is_same = wanted.is_some_and(|wanted| wanted == record.request);
        if is_same && (is_used || !self.is_overrun(&record)?) {
            return Ok(());
        }
        if is_used {
            tracing::warn!(
                "containers use the default bridge: its new settings come into force when none does"
            );
            return Ok(());
        }
        self.members().networks.remove(&id);
        remove_record(&self.folder, &id)?;
        if let Some(made) = &record.made {
            self.give_back(made);
            self.host()?.remove(made)?;
        }
        Ok(())
    }

    /// Whether the host has other routes into the network's subnets.
    fn is_overrun(&self, record: &Record) -> Result<bool> {
        let Some(made) = &record.made else {
            return Ok(false);
        };
        if self.setup.foreign_bridge()?.is_some() {
            return Ok(false);
        }
        let routes = self.host()?.prefixes()?;
        let mut subnets = made.subnets();
        Ok(subnets.any(|subnet| routes.iter().any(|route| route.overlaps(subnet.prefix))))
    }

    /// Removes a network that no running container is in. Its name, for the event.
    pub(super) fn remove(
        &self,
        id: &Identity,
        name_of: &dyn Fn(&ContainerId) -> String,
    ) -> Result<Record> {
        if let Some(name) = self.is_any_built_in(id) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{name} is a pre-defined network and cannot be removed"),
            ));
        }
        let _making = self
            .making
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Taken out first: from here on nobody joins it.
        let member = self.take_out(id, name_of)?;
        let removed = match &member.record.made {
            Some(made) => self.host().and_then(|host| Ok(host.remove(made)?)),
            None => Ok(()),
        };
        if let Err(error) = removed.and_then(|()| remove_record(&self.folder, id)) {
            self.members().networks.insert(id.clone(), member);
            return Err(error);
        }
        if let Some(made) = &member.record.made {
            self.give_back(made);
        }
        Ok(member.record)
    }

    fn take_out(&self, id: &Identity, name_of: &dyn Fn(&ContainerId) -> String) -> Result<Member> {
        let (name, endpoints) = {
            let mut members = self.members();
            let gone = || Error::not_found(format!("network {id} not found"));
            let member = members.networks.get(id).ok_or_else(gone)?;
            let name = member.record.name();
            let mut all = members.networks.values();
            if all.any(|other| other.record.request.config_from == name) {
                let text = "error while removing network: configuration network";
                return Err(Error::new(
                    ErrorKind::Forbidden,
                    format!("{text} {name:?} is in use"),
                ));
            }
            if member.endpoints.is_empty() {
                return members.networks.remove(id).ok_or_else(gone);
            }
            (name.to_owned(), member.endpoints.clone())
        };
        let users: Vec<_> = endpoints
            .iter()
            .map(|(container, endpoint)| {
                format!("name:{:?} id:{:?}", name_of(container), endpoint.id.short())
            })
            .collect();
        Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "error while removing network: network {name} has active endpoints ({})",
                users.join(", ")
            ),
        ))
    }
}
