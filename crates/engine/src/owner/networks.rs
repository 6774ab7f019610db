//! A container's networks: joined while it runs, left at its end, and at any moment between when the user says so.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::Owner;
use crate::blocking;
use crate::container::Container;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::mode::Network;
use crate::networks::{BRIDGE, Place, lead_out};
use crate::options::EndpointOptions;
use crate::shared::Shared;
use crate::{naming, netfiles, ports};

impl Owner {
    /// The run is over: the container's ports pass no frame any more, and its addresses are free.
    pub(super) async fn leave_networks(&self, shared: &Arc<Shared>) {
        // Also where it has left its last network: its name server is still there.
        let mode = self.me.birth.options.host.network_mode.parse();
        if !matches!(mode, Ok(Network::Named(_))) {
            return;
        }
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || leave_all(&work, &me)).await;
    }

    /// Puts the container into a further network, at once if it runs.
    pub(super) async fn connect(
        &mut self,
        shared: &Arc<Shared>,
        network: String,
        wish: EndpointOptions,
    ) -> Result<()> {
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || connect(&work, &me, &network, &wish)).await
    }

    /// Takes the container out of a network.
    pub(super) async fn disconnect(&mut self, shared: &Arc<Shared>, network: String) -> Result<()> {
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || disconnect(&work, &me, &network)).await
    }
}

/// Ends all of a container's endpoints whose namespace is gone or going. Blocks.
pub(crate) fn leave_all(shared: &Shared, container: &Container) {
    let id = &container.birth.id;
    let places: Vec<Place> = container.live().places.clone();
    let mut left = Vec::new();
    for place in &places {
        let (Some(network), Some(endpoint)) = (&place.network, &place.endpoint) else {
            continue;
        };
        left.push(network.clone());
        if let Err(error) = shared.networks.leave(id, network, endpoint, None) {
            tracing::error!(%id, error = error.chain(), "cannot leave a network");
        }
        announce(shared, "disconnect", container, place);
    }
    ports::release(shared, id);
    for place in &mut container.live().places {
        place.endpoint = None;
    }
    naming::gone(shared, container, &left);
}

/// Tells that a container has joined or left a network.
pub(crate) fn announce(shared: &Shared, action: &str, container: &Container, place: &Place) {
    let Some(network) = &place.network else {
        return;
    };
    let driver = shared.networks.driver_of(network);
    let of = (place.name.as_str(), driver.as_str());
    shared.announce_network(action, network.as_str(), of, Some(&container.birth.id));
}

/// Docker's checks of whether a container can be in several networks at all.
fn check_mode(container: &Container, network: &str) -> Result<()> {
    if network == "host" {
        return Err(Error::invalid(
            "cannot connect container to host network - container must be created in host network mode",
        ));
    }
    let mode: Network = container.birth.options.host.network_mode.parse()?;
    match mode {
        Network::Named(_) if network != "none" => Ok(()),
        Network::Named(_) | Network::None => Err(Error::invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        )),
        Network::Host | Network::Container(_) => Err(Error::invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        )),
    }
}

fn connect(
    shared: &Shared,
    container: &Container,
    network: &str,
    wish: &EndpointOptions,
) -> Result<()> {
    let id = shared.networks.find(network)?;
    let mut place = shared.networks.place(id.as_str(), wish)?;
    check_mode(container, &place.name)?;
    let mut places = container.live().places.clone();
    let is_there = |other: &Place| other.network.as_ref() == Some(&id) || other.name == place.name;
    if let Some(other) = places.iter().position(is_there) {
        if places[other].endpoint.is_some() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "endpoint with name {} already exists in network {}",
                    container.name(),
                    place.name
                ),
            ));
        }
        places.remove(other);
    }
    if let Some(pid) = container.phase().pid() {
        return connect_running(shared, container, (places, place), pid);
    }
    place.endpoint = None;
    places.push(place);
    keep(shared, container, places)
}

fn connect_running(
    shared: &Shared,
    container: &Container,
    (mut places, mut place): (Vec<Place>, Place),
    pid: u32,
) -> Result<()> {
    let id = &container.birth.id;
    let netns = namespace(pid)?;
    let others = shared.networks.joined(&places);
    let mut joined = others.clone();
    joined.push(shared.networks.join_one(id, &mut place, &others)?);
    places.push(place);
    lead_out(&mut places, &mut joined);
    let host = shared.networks.host()?;
    let last = joined.len() - 1;
    let moves = match ports::rearrange(shared, container, &mut places, &mut joined, &[]) {
        Ok(moves) => moves,
        Err(error) => {
            let new = &joined[last];
            let (network, endpoint) = (&new.network.id, &new.endpoint);
            shared.networks.leave(id, network, endpoint, None)?;
            return Err(error);
        }
    };
    let connected = moves.take_out(&host, &joined).and_then(|()| {
        let new = &joined[last];
        let connected = host.connect(&new.network, &new.endpoint, netns.as_fd())?;
        moves.put_in(&host, &joined, Some(last))?;
        Ok(connected)
    });
    let connected = match connected {
        Ok(connected) => connected,
        Err(error) => {
            let new = &joined[last];
            let (network, endpoint) = (&new.network.id, &new.endpoint);
            let left = shared.networks.leave(id, network, endpoint, None);
            moves.take_back(shared, id, &others);
            return Err(left.err().unwrap_or(error));
        }
    };
    let place = places.last().cloned();
    shared.networks.note(id, &joined);
    let kept = keep(shared, container, places);
    let mut written = netfiles::add_addresses(shared, container, &joined[last].endpoint);
    if connected.names.is_some() {
        written = written.and(netfiles::use_own_server(shared, container));
    }
    tell_of_files(container, written);
    naming::joined(shared, container, connected.names, netns.as_fd())?;
    if let Some(place) = place {
        announce(shared, "connect", container, &place);
    }
    kept
}

fn disconnect(shared: &Shared, container: &Container, network: &str) -> Result<()> {
    let mut places = container.live().places.clone();
    let id = &container.birth.id;
    let Some(found) = place_in(shared, &places, network) else {
        let network = shared.networks.find(network)?;
        let name = shared.networks.name_of(&network);
        let article = if container.phase().is_active() {
            ""
        } else {
            "the "
        };
        return Err(Error::system(format!(
            "container {id} is not connected to {article}network {name}"
        )));
    };
    let place = places.remove(found);
    if let (Some(network), Some(endpoint), Some(pid)) =
        (&place.network, &place.endpoint, container.phase().pid())
    {
        let netns = namespace(pid)?;
        shared
            .networks
            .leave(id, network, endpoint, Some(netns.as_fd()))?;
        let mut joined = shared.networks.joined(&places);
        lead_out(&mut places, &mut joined);
        let host = shared.networks.host()?;
        let moves = ports::rearrange(shared, container, &mut places, &mut joined, &endpoint.ports)?;
        moves.take_out(&host, &joined)?;
        moves.put_in(&host, &joined, None)?;
        for one in &joined {
            host.set_default_routes(&one.endpoint, netns.as_fd())?;
        }
        shared.networks.note(id, &joined);
        let kept = keep(shared, container, places);
        tell_of_files(
            container,
            netfiles::remove_addresses(shared, container, endpoint),
        );
        naming::left(shared, container, network)?;
        kept?;
    } else {
        keep(shared, container, places)?;
    }
    announce(shared, "disconnect", container, &place);
    Ok(())
}

/// Which of the places is in the network of this id; or, while the place's own network is gone, in one of that name.
fn place_in(shared: &Shared, places: &[Place], network: &str) -> Option<usize> {
    let networks = &shared.networks;
    let found = networks.find(network).ok();
    let name = match &found {
        Some(id) => networks.name_of(id),
        None => network.to_owned(),
    };
    let is_lost = |place: &Place| {
        let own = place.network.as_ref();
        place.name == name && !own.is_some_and(|id| networks.is_there(id))
    };
    let by_id = |place: &Place| found.is_some() && place.network == found;
    places
        .iter()
        .position(by_id)
        .or_else(|| places.iter().position(is_lost))
}

/// The files are the container's to write: whatever it has made of them, its networks are as the user wants them.
fn tell_of_files(container: &Container, written: Result<()>) {
    if let Err(error) = written {
        let id = container.birth.id.as_str();
        tracing::warn!(
            id,
            error = error.chain(),
            "cannot write a container's addresses"
        );
    }
}

/// Where a container's process is.
fn namespace(pid: u32) -> Result<std::fs::File> {
    std::fs::File::open(format!("/proc/{pid}/ns/net"))
        .context(|| "open the container's network namespace".to_owned())
}

fn keep(shared: &Shared, container: &Container, places: Vec<Place>) -> Result<()> {
    container.live().places = places;
    container
        .record()
        .commit(&shared.paths.record(&container.birth.id))
}

/// The places that a new container is to have.
pub(crate) fn first_places(
    shared: &Shared,
    options: &crate::options::ContainerOptions,
) -> Result<Vec<Place>> {
    let host = &options.host;
    let mode: Network = host.network_mode.parse()?;
    let Network::Named(main) = mode else {
        return other_places(shared, options);
    };
    let mut wishes = options.networks.clone();
    let mut wish = wishes.remove(&main).unwrap_or_default();
    if main == BRIDGE || main == "default" {
        wish = wishes.remove("default").unwrap_or(wish);
    }
    if wish.mac_address.is_empty() {
        wish.mac_address.clone_from(&options.mac_address);
    } else if !options.mac_address.is_empty() && options.mac_address != wish.mac_address {
        return Err(Error::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
        ));
    }
    let all = std::iter::once((main, wish)).chain(wishes);
    let mut places: Vec<Place> = Vec::new();
    for (name, wish) in all {
        if matches!(name.as_str(), "none" | "host") {
            return Err(Error::invalid(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            ));
        }
        let place = shared.networks.place(&name, &wish).map_err(|error| {
            let kind = error.kind();
            Error::new(kind, format!("invalid config for network {name}")).caused_by(error.chain())
        })?;
        // By name and by id it may be the same one.
        let is_there = |other: &Place| place.network.is_some() && other.network == place.network;
        if !places.iter().any(is_there) {
            places.push(place);
        }
    }
    Ok(places)
}

/// A container without networks of its own has no endpoints either; a client may name the mode itself, but not ask it for addresses.
fn other_places(shared: &Shared, options: &crate::options::ContainerOptions) -> Result<Vec<Place>> {
    let mode = options.host.network_mode.as_str();
    let is_mode =
        |name: &String| name == mode || name == "default" || name == "none" || name == "host";
    if options.networks.keys().all(is_mode) {
        for wish in options.networks.values() {
            shared.networks.check_without(wish).map_err(|error| {
                Error::new(error.kind(), format!("invalid config for network {mode}"))
                    .caused_by(error.chain())
            })?;
        }
        return Ok(Vec::new());
    }
    Err(Error::invalid(if mode == "none" {
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    } else {
        "container sharing network namespace with another container or host cannot be connected to any other network"
    }))
}
