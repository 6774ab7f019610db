//! Containers' places in networks: wishes become endpoints when a container starts, and end with its run.

use std::net::IpAddr;

use network::{Address, Driver, Endpoint, GatewayMode, Identity, Network};
use oci::ContainerId;
use serde::{Deserialize, Serialize};

use super::{BRIDGE, Networks, drivers, wish};
use crate::error::{Error, Result};
use crate::options::EndpointOptions;
use crate::view::PlaceView;

/// A container's wish to be in a network and, while it runs, its place there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The network's name, or whatever the user said while there is no such network.
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<Identity>,
    #[serde(default)]
    pub(crate) wish: EndpointOptions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<Endpoint>,
}

/// A network and a container's endpoint in it, for the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) network: Network,
    pub(crate) endpoint: Endpoint,
}

impl Networks {
    /// A wish for a network of that name. If there is such a network already, the wish must be one that it can fulfil.
    pub(crate) fn place(&self, name: &str, wish: &EndpointOptions) -> Result<Place> {
        let id = self.find(name).ok();
        let mut place = Place {
            name: name.to_owned(),
            network: id.clone(),
            wish: wish.clone(),
            endpoint: None,
        };
        if let Some(id) = id {
            place.name = self.name_of(&id);
            self.check_wish(&id, wish)?;
        }
        Ok(place)
    }

    /// Whether there is a network of this id.
    pub(crate) fn is_there(&self, id: &Identity) -> bool {
        self.members().networks.contains_key(id) || self.is_any_built_in(id).is_some()
    }

    /// A network's name.
    pub(crate) fn name_of(&self, id: &Identity) -> String {
        let members = self.members();
        let made = members.networks.get(id).map(|m| m.record.name().to_owned());
        made.or_else(|| self.is_any_built_in(id).map(str::to_owned))
            .unwrap_or_default()
    }

    /// Docker's checks of what an endpoint is to be like.
    fn check_wish(&self, id: &Identity, wish: &EndpointOptions) -> Result<()> {
        let members = self.members();
        let record = members.networks.get(id).map(|member| &member.record);
        wish::check(wish, record, self.is_any_built_in(id).is_some())
    }

    /// The same for a container that is to be in no network of ours: nobody would give it what it asks for.
    pub(crate) fn check_without(&self, wish: &EndpointOptions) -> Result<()> {
        wish::check(wish, None, true)
    }

    /// Gives a container that starts its endpoints in all the networks that it is to be in, with addresses nobody else has.
    /// On an error none of them is taken.
    pub(crate) fn join(
        &self,
        container: &ContainerId,
        places: &mut [Place],
    ) -> Result<Vec<Connection>> {
        let mut joined: Vec<Connection> = Vec::new();
        for index in 0..places.len() {
            let one = self.join_one(container, &mut places[index], &joined);
            match one {
                Ok(one) => joined.push(one),
                Err(error) => {
                    for place in places {
                        if let (Some(id), Some(endpoint)) = (&place.network, place.endpoint.take())
                        {
                            self.release(container, id, &endpoint);
                        }
                    }
                    return Err(error);
                }
            }
        }
        lead_out(places, &mut joined);
        Ok(joined)
    }

    /// The same for one network; `others` are those that the container is in already.
    pub(crate) fn join_one(
        &self,
        container: &ContainerId,
        place: &mut Place,
        others: &[Connection],
    ) -> Result<Connection> {
        let id = match place.network.as_ref().filter(|id| self.is_there(id)) {
            Some(id) => id.clone(),
            // Not made yet when the container was, or removed and made again since.
            None => self.find(&place.name)?,
        };
        self.ready(&id)?;
        let mut members = self.members();
        let missing = || Error::not_found(format!("network {} not found", place.name));
        let member = members.networks.get_mut(&id).ok_or_else(missing)?;
        let Some(network) = member.record.made.clone() else {
            return Err(Error::invalid(
                "cannot create endpoint on configuration-only network",
            ));
        };
        let taken: Vec<_> = others
            .iter()
            .map(|one| one.endpoint.device.as_str())
            .collect();
        let mut endpoint = member.endpoint(&network, &place.wish, &taken)?;
        endpoint.names = self.has_names(&id) && !others.iter().any(|one| one.endpoint.names);
        member.endpoints.insert(container.clone(), endpoint.clone());
        place.name = member.record.name().to_owned();
        place.network = Some(id);
        place.endpoint = Some(endpoint.clone());
        Ok(Connection { network, endpoint })
    }

    /// Takes the endpoint out of the rules, then gives its addresses back. With the container's namespace the device goes too.
    pub(crate) fn leave(
        &self,
        container: &ContainerId,
        id: &Identity,
        endpoint: &Endpoint,
        netns: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> Result<()> {
        let made = self.made_of(id);
        let done = match made {
            Some(network) => self
                .host()
                .and_then(|host| Ok(host.disconnect(&network, endpoint, netns)?)),
            None => Ok(()),
        };
        self.release(container, id, endpoint);
        done
    }

    /// The endpoints of places, for the kernel: as many as there are places, if the container runs.
    pub(crate) fn joined(&self, places: &[Place]) -> Vec<Connection> {
        let one = |place: &Place| {
            let network = self.made_of(place.network.as_ref()?)?;
            let endpoint = place.endpoint.clone()?;
            Some(Connection { network, endpoint })
        };
        places.iter().filter_map(one).collect()
    }

    /// Notes endpoints that have changed.
    pub(crate) fn note(&self, container: &ContainerId, joined: &[Connection]) {
        let mut members = self.members();
        for one in joined {
            let member = members.networks.get_mut(&one.network.id);
            let held = member.and_then(|member| member.endpoints.get_mut(container));
            if let Some(held) = held {
                held.clone_from(&one.endpoint);
            }
        }
    }

    pub(crate) fn made_of(&self, id: &Identity) -> Option<Network> {
        let members = self.members();
        members
            .networks
            .get(id)
            .and_then(|member| member.record.made.clone())
    }

    /// Whether containers have names in it: in every network but the default bridge.
    pub(crate) fn has_names(&self, id: &Identity) -> bool {
        !self.is_built_in(id, BRIDGE)
    }

    /// The endpoints of the containers that run.
    pub(crate) fn endpoints(&self, id: &Identity) -> Vec<(ContainerId, Endpoint)> {
        let members = self.members();
        let endpoints = members.networks.get(id).map(|member| &member.endpoints);
        let endpoints = endpoints.into_iter().flatten();
        endpoints
            .map(|(container, endpoint)| (container.clone(), endpoint.clone()))
            .collect()
    }

    /// The driver's name, for events.
    pub(crate) fn driver_of(&self, id: &Identity) -> String {
        let members = self.members();
        let member = members.networks.get(id);
        member
            .map_or("bridge", |m| super::record::driver(&m.record.request))
            .to_owned()
    }

    fn release(&self, container: &ContainerId, id: &Identity, endpoint: &Endpoint) {
        let mut members = self.members();
        let Some(member) = members.networks.get_mut(id) else {
            return;
        };
        // Another run of the same container may have an endpoint of its own already.
        let held = member.endpoints.get(container);
        if held.is_none_or(|held| held.id != endpoint.id) {
            return;
        }
        member.endpoints.remove(container);
        member.give_back(endpoint.v4.iter().chain(&endpoint.v6));
    }

    /// Where the host is reached from containers: the default bridge's address.
    pub(crate) fn host_gateway(&self) -> Result<IpAddr> {
        let id = self.find(BRIDGE)?;
        if !self.setup.has_bridge() {
            return Err(Error::invalid(
                "unable to derive the IP value for host-gateway: there is no default bridge",
            ));
        }
        self.ready(&id)?;
        let made = self.made_of(&id);
        let gateway = made.and_then(|made| made.v4.and_then(|subnet| subnet.gateway));
        gateway.ok_or_else(|| Error::system("the default bridge has no address"))
    }

    /// What is shown of a place.
    pub(crate) fn show(
        &self,
        place: &Place,
        names: impl FnOnce(&[String]) -> Vec<String>,
    ) -> PlaceView {
        let made = place.network.as_ref().and_then(|id| self.made_of(id));
        let of = |made| gateways(made, place.endpoint.as_ref());
        let (v4, v6) = made.as_ref().map_or((None, None), of);
        let is_default = place.name == BRIDGE;
        let names = match is_default {
            true => Vec::new(),
            false => names(&place.wish.aliases),
        };
        let has_endpoint = place.endpoint.is_some();
        PlaceView {
            network: place.name.clone(),
            network_id: place
                .network
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            wish: place.wish.clone(),
            names,
            gateway_v4: v4.filter(|_| has_endpoint),
            gateway_v6: v6.filter(|_| has_endpoint),
            endpoint: place.endpoint.clone(),
        }
    }

    /// The place of a container in a network that needs no network.
    pub(crate) fn show_built_in(&self, name: &str) -> Option<PlaceView> {
        let id = self.built_in.get(name)?;
        Some(PlaceView {
            network: name.to_owned(),
            network_id: id.to_string(),
            ..PlaceView::default()
        })
    }
}

/// Where a container with this endpoint, or any, sends what is for elsewhere, if the network leads anywhere. Of several subnets
/// it is that of the endpoint's address.
fn gateways(network: &Network, endpoint: Option<&Endpoint>) -> (Option<IpAddr>, Option<IpAddr>) {
    let open = |mode| !network.internal && mode != GatewayMode::Isolated;
    let (v4, v6) = match &network.driver {
        Driver::Bridge(bridge) => (open(bridge.gateway_mode_v4), open(bridge.gateway_mode_v6)),
        Driver::Macvlan(_) | Driver::Ipvlan(_) => (!network.internal, !network.internal),
    };
    let of = |is_v4: bool, address: Option<Address>| {
        let is_near = |subnet: &&network::Subnet| {
            address.is_none_or(|address| subnet.prefix.contains(address.ip))
        };
        let subnet = network.subnets_of(is_v4).find(is_near)?;
        let other = drivers::gateway_name(is_v4);
        subnet.reserved.get(other).copied().or(subnet.gateway)
    };
    let own = endpoint.map_or((None, None), |endpoint| (endpoint.v4, endpoint.v6));
    (
        of(true, own.0).filter(|_| v4),
        of(false, own.1).filter(|_| v6),
    )
}

/// Chooses where a container's default routes lead: by the priority that the user gave, then by the network's name, as
/// Docker does. Both the places and their copies for the kernel are changed.
pub(crate) fn lead_out(places: &mut [Place], joined: &mut [Connection]) {
    let mut order: Vec<usize> = (0..places.len().min(joined.len())).collect();
    order.sort_by(|&a, &b| {
        let key = |index: usize| (-places[index].wish.gateway_priority, &places[index].name);
        key(a).cmp(&key(b))
    });
    let (mut has_v4, mut has_v6) = (false, false);
    for index in order {
        let one = &mut joined[index];
        let (v4, v6) = gateways(&one.network, Some(&one.endpoint));
        let endpoint = &mut one.endpoint;
        endpoint.gateway_v4 = v4.filter(|_| !has_v4);
        endpoint.gateway_v6 = v6.filter(|_| !has_v6);
        has_v4 |= v4.is_some();
        has_v6 |= v6.is_some();
        places[index].endpoint = Some(endpoint.clone());
    }
}

#[cfg(test)]
mod tests;
