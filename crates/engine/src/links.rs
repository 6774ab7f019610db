//! `--link`. On the default bridge, where there are no names, a link is lines in the hosts file of who links and variables in its
//! environment; elsewhere it is a name that only who links knows (see [`naming`](crate::naming)).

mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use network::{Endpoint, LinkedPorts};
use oci::ContainerId;

use crate::container::{Container, Handle};
use crate::error::{Error, Result};
use crate::mode::Network;
use crate::naming;
use crate::netfiles;
use crate::networks::BRIDGE;
use crate::options::ContainerOptions;
use crate::shared::Shared;

/// What a container that starts gets of those it links to.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// For its hosts file.
    pub(crate) hosts: String,
    /// Its own variables go before these.
    pub(crate) variables: Vec<String>,
}

/// Reads `CONTAINER[:ALIAS]`, or `/CONTAINER:/SELF/ALIAS` as `inspect` has it.
pub(crate) fn parse(text: &str) -> Result<(&str, &str)> {
    if text.is_empty() {
        return Err(Error::invalid("empty string specified for links"));
    }
    let mut parts = text.split(':');
    let (name, alias, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return Err(Error::invalid(format!("bad format for links: {text}")));
    }
    let name = name.strip_prefix('/').unwrap_or(name);
    let alias = match alias {
        None | Some("") => name,
        Some(alias) => alias.rsplit('/').next().unwrap_or(alias),
    };
    if alias.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::invalid(format!("bad format for links: {text:?}")));
    }
    Ok((name, alias))
}

/// Checks the links of a new container. Those of the default bridge lead to containers, not to names, from now on; those of
/// other networks are a matter of that network.
pub(crate) fn settle(shared: &Shared, options: &mut ContainerOptions) -> Result<()> {
    let links = std::mem::take(&mut options.host.links);
    if links.is_empty() {
        return Ok(());
    }
    let conflict = |kind: &str| {
        Err(Error::invalid(format!(
            "conflicting options: {kind} type networking can't be used with links. This would result in undefined behavior"
        )))
    };
    match options.host.network_mode.parse()? {
        Network::Host => conflict("host"),
        Network::Container(_) => Err(Error::invalid(
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        )),
        Network::Named(name) if name != BRIDGE => {
            links.iter().try_for_each(|link| parse(link).map(drop))?;
            // Docker's client says them twice.
            let own = &mut options.networks.entry(name).or_default().links;
            if own.is_empty() {
                *own = links;
            }
            Ok(())
        }
        Network::Named(_) | Network::None => {
            for link in &links {
                let (name, alias) = parse(link)?;
                let other = shared.find(name).map_err(|error| {
                    // Not "not found": for clients that would be the image.
                    Error::invalid(format!("could not get container for {name}")).caused_by(error)
                })?;
                if other.birth.options.host.network_mode == "host" {
                    return conflict("host");
                }
                // As with Docker, the first of two with the same alias counts.
                let kept = &mut options.host.links;
                if !kept.iter().any(|one| split(one).1 == alias) {
                    kept.push(format!("{}:{alias}", other.birth.id));
                }
            }
            Ok(())
        }
    }
}

/// The id and the alias of a link as it is kept.
fn split(link: &str) -> (&str, &str) {
    link.split_once(':').unwrap_or((link, ""))
}

/// The containers that one links to on the default bridge, as far as they are there, and what it calls them.
fn others(shared: &Shared, container: &Container) -> Vec<(Arc<Handle>, String)> {
    let links = container.live().links(&container.birth).to_vec();
    let registry = shared.registry();
    let found = links.iter().filter_map(|link| {
        let (id, alias) = split(link);
        let id: ContainerId = id.parse().ok()?;
        Some((registry.get(&id).cloned()?, alias.to_owned()))
    });
    found.collect()
}

/// The links as `inspect` shows them: `/db:/web/alias`.
pub(crate) fn view(shared: &Shared, container: &Container) -> Vec<String> {
    let all = others(shared, container);
    if all.is_empty() {
        return Vec::new();
    }
    let own = container.name();
    all.iter()
        .map(|(other, alias)| format!("/{}:/{own}/{alias}", other.name()))
        .collect()
}

/// What containers are called by those that link to them on the default bridge: `web/alias`.
pub(crate) fn names(containers: &[Arc<Handle>]) -> BTreeMap<ContainerId, Vec<String>> {
    let mut names = BTreeMap::<_, Vec<String>>::new();
    for container in containers {
        let live = container.live();
        for (id, alias) in live.links(&container.birth).iter().map(|link| split(link)) {
            if let Ok(id) = id.parse() {
                let name = format!("{}/{alias}", live.name);
                names.entry(id).or_default().push(name);
            }
        }
    }
    names
}

/// The two parts of a name that a link gives: `web/db`.
pub(crate) fn path(name: &str) -> Option<(&str, &str)> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    bare.split_once('/').filter(|(_, alias)| !alias.is_empty())
}

/// The container that such a name means, behind the one that calls it so.
pub(crate) fn target(shared: &Shared, name: &str) -> Option<(Arc<Handle>, Arc<Handle>)> {
    let (from, alias) = path(name)?;
    let from = shared.registry().find(from).ok()?;
    if from.name() != self::path(name)?.0 {
        return None;
    }
    let mut all = others(shared, &from).into_iter();
    let (to, _) = all.find(|(_, one)| one == alias)?;
    Some((from, to))
}

/// Ends the link of this alias: it is no name any more, neither in the hosts file nor to the engine, and opens no ports.
pub(crate) fn remove(shared: &Shared, container: &Container, alias: &str) -> Result<()> {
    let all = others(shared, container);
    let ended = all.into_iter().find(|(_, one)| one == alias);
    let Some((other, _)) = ended else {
        let name = format!("{}/{alias}", container.name());
        return Err(Error::no_such_container(&name));
    };
    let mut left = container.live().links(&container.birth).to_vec();
    left.retain(|link| split(link).1 != alias);
    let before = container.live().links.replace(left);
    let path = shared.paths.record(&container.birth.id);
    if let Err(error) = container.record().commit(&path) {
        container.live().links = before;
        return Err(error);
    }
    if container.phase().is_active() {
        netfiles::forget(shared, container, &words(&other, alias))?;
        open(shared, container)?;
    }
    Ok(())
}

/// What a container that starts on the default bridge gets of its links; those it links to must run.
pub(crate) fn resolve(shared: &Shared, container: &Container) -> Result<Linked> {
    let mut linked = Linked::default();
    if container.birth.options.host.network_mode != BRIDGE {
        return Ok(linked);
    }
    let own = container.name();
    for (other, alias) in others(shared, container) {
        let alias = alias.as_str();
        let name = other.name();
        if other.phase().pid().is_none() {
            return Err(Error::system(format!(
                "Cannot link to a non running container: /{name} AS /{own}/{alias}"
            )));
        }
        let Some(endpoint) = on_bridge(&other) else {
            continue;
        };
        let words = words(&other, alias);
        for address in endpoint.addresses() {
            linked.hosts.push_str(&format!("{}\t{words}\n", address.ip));
        }
        if let Some(address) = endpoint.addresses().next() {
            let options = &other.birth.options;
            let path = format!("/{own}/{alias}");
            let of = (options.exposed_ports.iter(), options.env.iter());
            linked
                .variables
                .extend(variables::of(&path, address.ip, of.0, of.1));
        }
    }
    Ok(linked)
}

fn on_bridge(container: &Container) -> Option<Endpoint> {
    let live = container.live();
    let place = live.places.iter().find(|place| place.name == BRIDGE)?;
    place.endpoint.clone()
}

/// The names that a hosts file has for a container that is linked to, each once.
fn words(other: &Container, alias: &str) -> String {
    let (id, name) = (&other.birth.id, other.name());
    naming::names(alias, id, &name, &[]).join(" ")
}

/// A container has started on the default bridge: it reaches those it links to, and those that link to it find it at its new address.
pub(crate) fn started(shared: &Shared, container: &Container) -> Result<()> {
    let Some(endpoint) = on_bridge(container) else {
        return Ok(());
    };
    open(shared, container)?;
    let id = &container.birth.id;
    for other in shared.containers() {
        if !other.phase().is_active() {
            continue;
        }
        let mut told = Ok(());
        let mut is_linked = false;
        for (target, alias) in others(shared, &other) {
            if target.birth.id == *id {
                is_linked = true;
                let words = words(container, &alias);
                told = told.and(netfiles::relocate(shared, &other, &words, &endpoint));
            }
        }
        if is_linked {
            told = told.and(open(shared, &other));
        }
        if let Err(error) = told {
            let error = error.chain();
            tracing::error!(%id, error, "cannot tell a link's new address");
        }
    }
    Ok(())
}

/// Lets a container reach the ports of those it links to where containers of the default bridge do not reach each other.
fn open(shared: &Shared, container: &Container) -> Result<()> {
    let place = container.live().places.iter().find_map(|place| {
        let (network, endpoint) = (place.network.clone()?, place.endpoint.clone()?);
        (place.name == BRIDGE).then_some((network, endpoint))
    });
    let network = place.and_then(|(id, own)| Some((shared.networks.made_of(&id)?, own)));
    let Some((network, own)) = network else {
        return Ok(());
    };
    let apart = network.bridge().is_some_and(|one| !one.inter_container);
    if apart && !container.birth.options.host.links.is_empty() {
        let others = others(shared, container);
        let targets = others.iter().map(|(other, _)| &*other.container);
        let host = shared.networks.host()?;
        host.set_links(&network, &own.id, openings(targets))?;
    }
    Ok(())
}

/// What links to these containers open, each once.
fn openings<'a>(targets: impl Iterator<Item = &'a Container>) -> Vec<network::Linked> {
    let mut all = BTreeMap::<_, Vec<LinkedPorts>>::new();
    for target in targets {
        if let Some(endpoint) = on_bridge(target) {
            all.insert(endpoint.id, ports(target));
        }
    }
    all.into_iter()
        .map(|(to, ports)| network::Linked::new(to, ports))
        .collect()
}

/// What a container exposes, and publishes.
fn ports(container: &Container) -> Vec<LinkedPorts> {
    let published = container.published();
    let published = published.iter().map(|binding| &binding.port);
    let exposed = container.birth.options.exposed_ports.iter();
    let all = exposed.chain(published);
    let read = all.filter_map(|text| crate::ports::Ports::read(text));
    let linked = |ports: crate::ports::Ports| LinkedPorts {
        protocol: ports.protocol,
        first: ports.first,
        last: ports.last,
    };
    read.map(linked).collect()
}

/// The links between containers that run when a daemon starts, by the endpoint of who has them.
pub(crate) fn all(containers: &[&Container]) -> network::Links {
    let by_id: BTreeMap<_, _> = containers
        .iter()
        .map(|one| (one.birth.id.as_str(), *one))
        .collect();
    let of = |container: &&Container| {
        let own = on_bridge(container)?;
        let links = container.live().links(&container.birth).to_vec();
        let targets = links.iter().filter_map(|link| by_id.get(split(link).0));
        let opened = openings(targets.copied());
        (!opened.is_empty()).then_some((own.id, opened))
    };
    containers.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_docker_reads_them() {
        for (text, want) in [
            ("db", Some(("db", "db"))),
            ("db:", Some(("db", "db"))),
            ("db:alias", Some(("db", "alias"))),
            ("/db:/web/alias", Some(("db", "alias"))),
            ("", None),
            ("a:b:c", None),
            ("a:b c", None),
            ("a:b\nc", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text:?}");
        }
    }
}
