//! Names of containers in networks: what the keeper is told, and when.
//!
//! In every network but the default bridge a container is known by its name, its aliases there, its short id and its host name, and has
//! a name server at 127.0.0.11. Nothing of it is kept on disk: it follows from the containers' records.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use network::dns::Named;
use network::{Identity, NameSockets};
use oci::ContainerId;
use shim::keeping::{Kept, Server, Zone};

use crate::container::{Container, Handle};
use crate::error::{Context as _, Result};
use crate::netfiles;
use crate::networks::Place;
use crate::shared::Shared;

/// What a container is called in a network, its own name first.
pub(crate) fn names(
    name: &str,
    id: &ContainerId,
    hostname: &str,
    aliases: &[String],
) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    all.extend(aliases.iter().cloned());
    all.push(id.short().to_owned());
    all.push(hostname.to_owned());
    let mut seen = BTreeSet::new();
    all.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    all
}

/// Tells the keeper a network's names as they are now.
pub(crate) fn tell(shared: &Shared, network: &Identity) -> Result<()> {
    if !is_told(shared, network) {
        return Ok(());
    }
    shared.keeper.names(network, || zone(shared, network))?;
    // Who has names of its own for others there may have to find them elsewhere.
    for (id, _) in shared.networks.endpoints(network) {
        let container = shared.registry().get(&id).cloned();
        if let Some(container) = container.filter(|one| has_links(one)) {
            serve_otherwise(shared, &container)?;
        }
    }
    Ok(())
}

/// Whether the keeper knows the names in a network: containers ask for them in every one but the default bridge, the host in all.
fn is_told(shared: &Shared, network: &Identity) -> bool {
    shared.config.host_names.is_some() || shared.networks.has_names(network)
}

fn has_links(container: &Container) -> bool {
    let live = container.live();
    live.places.iter().any(|place| !place.wish.links.is_empty())
}

/// The names of its own that a container has for others in its networks.
fn private(shared: &Shared, container: &Container) -> Vec<Named> {
    if !has_links(container) {
        return Vec::new();
    }
    let places = container.live().places.clone();
    let mut all = Vec::new();
    for place in places.iter().filter(|place| place.endpoint.is_some()) {
        let zone = place.network.as_ref().and_then(|id| zone(shared, id));
        let entries = zone.into_iter().flat_map(|zone| zone.entries);
        let of = |named: Named| {
            let links = place
                .wish
                .links
                .iter()
                .filter_map(|link| crate::links::parse(link).ok());
            let links = links.filter(|(name, _)| named.names.iter().any(|one| one == name));
            let aliases: Vec<String> = links
                .flat_map(|(_, alias)| [alias.to_owned(), format!("{alias}.{}", place.name)])
                .collect();
            (!aliases.is_empty()).then_some(Named {
                names: aliases,
                ..named
            })
        };
        all.extend(entries.filter_map(of));
    }
    all
}

fn zone(shared: &Shared, network: &Identity) -> Option<Zone> {
    let endpoints = shared.networks.endpoints(network);
    let entry = |(id, endpoint): &(ContainerId, network::Endpoint)| {
        let container = shared.registry().get(id).cloned()?;
        let live = container.live();
        let place = live.places.iter();
        let place = place
            .clone()
            .find(|place| place.network.as_ref() == Some(network))?;
        let hostname = &container.birth.options.hostname;
        Some(Named {
            endpoint: endpoint.id.clone(),
            names: names(&live.name, id, hostname, &place.wish.aliases),
            addresses: endpoint.addresses().map(|address| address.ip).collect(),
        })
    };
    let entries: Vec<_> = endpoints.iter().filter_map(entry).collect();
    (!entries.is_empty()).then(|| Zone {
        network: network.clone(),
        name: shared.networks.name_of(network),
        entries,
    })
}

/// The container has been connected: its networks learn its names, and it gets its name server if the sockets for one were made.
pub(crate) fn joined(
    shared: &Shared,
    container: &Container,
    sockets: Option<NameSockets>,
    netns: BorrowedFd<'_>,
) -> Result<()> {
    for network in joined_networks(container) {
        tell(shared, &network)?;
    }
    match sockets {
        Some(_) => shared
            .keeper
            .serve(server(shared, container), sockets, netns),
        None => serve_otherwise(shared, container),
    }
}

/// The container, which runs on, has left a network.
pub(crate) fn left(shared: &Shared, container: &Container, network: &Identity) -> Result<()> {
    tell(shared, network)?;
    serve_otherwise(shared, container)
}

fn serve_otherwise(shared: &Shared, container: &Container) -> Result<()> {
    let id = container.birth.id.as_str();
    shared
        .keeper
        .serve_otherwise(id, || server(shared, container))
}

/// The container's run is over.
pub(crate) fn gone(shared: &Shared, container: &Container, left: &[Identity]) {
    let id = container.birth.id.as_str();
    let mut results = vec![shared.keeper.unserve(id)];
    results.extend(left.iter().map(|network| tell(shared, network)));
    for error in results.into_iter().filter_map(Result::err) {
        tracing::error!(id, error = error.chain(), "cannot take names back");
    }
}

/// The container has another name.
pub(crate) fn renamed(shared: &Shared, container: &Container) {
    for network in joined_networks(container) {
        if let Err(error) = tell(shared, &network) {
            let id = container.birth.id.as_str();
            tracing::error!(id, error = error.chain(), "cannot tell the new name");
        }
    }
}

/// The networks with names that the container is in, that of its default route first.
fn networks(shared: &Shared, container: &Container) -> Vec<Identity> {
    let mut all = joined_networks(container);
    all.retain(|id| shared.networks.has_names(id));
    all
}

/// All networks that the container is in, in the same order.
fn joined_networks(container: &Container) -> Vec<Identity> {
    let mut places: Vec<Place> = container.live().places.clone();
    places.retain(|place| place.endpoint.is_some());
    places.sort_by(|a, b| {
        let key = |place: &Place| (-place.wish.gateway_priority, place.name.clone());
        key(a).cmp(&key(b))
    });
    places.into_iter().filter_map(|p| p.network).collect()
}

fn server(shared: &Shared, container: &Container) -> Server {
    let reaches_out = |place: &Place| {
        let endpoint = place.endpoint.as_ref();
        endpoint.is_some_and(|one| one.gateway_v4.is_some() || one.gateway_v6.is_some())
    };
    let reaches_out = container.live().places.iter().any(reaches_out);
    Server {
        id: container.birth.id.to_string(),
        networks: networks(shared, container),
        private: private(shared, container),
        // A container that reaches nothing outside does not reach out through us either.
        upstreams: match reaches_out {
            true => netfiles::upstreams(shared, container),
            false => Vec::new(),
        },
    }
}

/// A daemon has started: the keeper it has met goes on for the containers that run, and for nobody else.
pub(crate) fn adopt(shared: &Arc<Shared>, kept: &Kept) {
    let containers = shared.containers();
    let mut named = BTreeSet::new();
    let mut served = BTreeSet::new();
    for container in &containers {
        let joined = joined_networks(container);
        named.extend(joined.into_iter().filter(|id| is_told(shared, id)));
        let networks = networks(shared, container);
        if networks.is_empty()
            && !kept
                .servers
                .iter()
                .any(|id| *id == container.birth.id.as_str())
        {
            continue;
        }
        match adopt_one(shared, container, kept) {
            Ok(()) => drop(served.insert(container.birth.id.to_string())),
            Err(error) => {
                let id = container.birth.id.as_str();
                tracing::error!(id, error = error.chain(), "a container has no names");
            }
        }
    }
    let mut results: Vec<_> = named.iter().map(|network| tell(shared, network)).collect();
    let others = kept.networks.iter().filter(|id| !named.contains(*id));
    results.extend(others.map(|network| shared.keeper.names(network, || None)));
    let others = kept.servers.iter().filter(|id| !served.contains(*id));
    results.extend(others.map(|id| shared.keeper.unserve(id)));
    for error in results.into_iter().filter_map(Result::err) {
        tracing::error!(error = error.chain(), "cannot bring the keeper up to date");
    }
}

fn adopt_one(shared: &Shared, container: &Handle, kept: &Kept) -> Result<()> {
    let netns = namespace(container)?;
    let server = server(shared, container);
    if kept.servers.contains(&server.id) {
        return shared.keeper.take_over(server, netns);
    }
    shared.keeper.serve(server, None, netns.as_fd())
}

fn namespace(container: &Container) -> Result<OwnedFd> {
    let pid = container.phase().pid().unwrap_or_default();
    let file = File::open(format!("/proc/{pid}/ns/net"));
    let file = file.context(|| "open the container's network namespace".to_owned())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_docker_s_order_and_once() {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let aliases = ["ali".to_owned(), "web".to_owned()];
        assert_eq!(
            names("web", &id, "hosty", &aliases),
            ["web", "ali", "abababababab", "hosty"]
        );
        assert_eq!(names("web", &id, "", &[]), ["web", "abababababab"]);
    }
}
