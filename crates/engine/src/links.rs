//! `--link`. On the default bridge, where there are no names, a link is lines in the hosts file of who links and variables in its
//! environment; elsewhere it is a name that only who links knows (see [`naming`](crate::naming)).

mod variables;

use network::Endpoint;
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
                options
                    .host
                    .links
                    .push(format!("{}:{alias}", other.birth.id));
            }
            Ok(())
        }
    }
}

/// The containers that one links to on the default bridge, as far as they are there, and what it calls them.
fn others<'a>(
    shared: &Shared,
    container: &'a Container,
) -> impl Iterator<Item = (std::sync::Arc<Handle>, &'a str)> {
    let links = container.birth.options.host.links.iter();
    let found = links.filter_map(|link| {
        let (id, alias) = link.split_once(':')?;
        let id: ContainerId = id.parse().ok()?;
        let other = shared.registry().get(&id).cloned();
        Some((other?, alias))
    });
    found.collect::<Vec<_>>().into_iter()
}

/// The links as `inspect` shows them: `/db:/web/alias`.
pub(crate) fn view(shared: &Shared, container: &Container) -> Vec<String> {
    if container.birth.options.host.links.is_empty() {
        return Vec::new();
    }
    let own = container.name();
    let all = others(shared, container);
    all.map(|(other, alias)| format!("/{}:/{own}/{alias}", other.name()))
        .collect()
}

/// What a container that starts on the default bridge gets of its links; those it links to must run.
pub(crate) fn resolve(shared: &Shared, container: &Container) -> Result<Linked> {
    let mut linked = Linked::default();
    if container.birth.options.host.network_mode != BRIDGE {
        return Ok(linked);
    }
    let own = container.name();
    for (other, alias) in others(shared, container) {
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

/// A container has started on the default bridge: who links to it finds it at its new address.
pub(crate) fn started(shared: &Shared, container: &Container) {
    let Some(endpoint) = on_bridge(container) else {
        return;
    };
    let id = container.birth.id.as_str();
    for other in shared.containers() {
        if !other.phase().is_active() {
            continue;
        }
        for (target, alias) in others(shared, &other) {
            if target.birth.id.as_str() != id {
                continue;
            }
            let done = netfiles::relocate(shared, &other, &words(container, alias), &endpoint);
            if let Err(error) = done {
                tracing::error!(
                    id,
                    error = error.chain(),
                    "cannot tell a link's new address"
                );
            }
        }
    }
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
