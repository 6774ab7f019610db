//! What clients ask about networks.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::ContainerId;

use super::filter::{ListFilter, PruneFilter};
use super::record::{NetworkRequest, NetworkView, driver};
use crate::blocking;
use crate::container::{Container, Order};
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::options::EndpointOptions;
use crate::owner::PortChange;
use crate::shared::Shared;

impl Engine {
    /// Makes a network; its id.
    pub async fn create_network(&self, request: NetworkRequest) -> Result<String> {
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let (name, kind) = (request.name.clone(), driver(&request).to_owned());
            let id = shared.networks.create(request)?;
            shared.announce_network("create", id.as_str(), (&name, &kind), None);
            Ok(id.to_string())
        })
        .await
    }

    /// The networks by name. Filters: `dangling`, `driver`, `id`, `label`, `name`, `scope`, `type`.
    pub async fn networks(
        &self,
        filters: BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<NetworkView>> {
        let filter = ListFilter::read(&filters)?;
        let shared = self.shared();
        let mut views = shared.networks.views(&name_of(shared));
        views.retain(|view| filter.matches(view, !view.endpoints.is_empty()));
        Ok(views)
    }

    /// One network, by name, id or the beginning of its id.
    pub async fn network(&self, name: &str) -> Result<NetworkView> {
        let (shared, name) = (Arc::clone(self.shared()), name.to_owned());
        blocking(move || {
            let id = shared.networks.find(&name)?;
            // Who looks at the default bridge wants to know its subnet. Where it cannot be made, there is none to tell.
            if let Err(error) = shared.networks.ready(&id) {
                tracing::warn!(error = error.chain(), "cannot make the default bridge");
            }
            shared.networks.view(&id, &name_of(&shared))
        })
        .await
    }

    /// The id of a network by its name, for those who show containers.
    pub fn network_id(&self, name: &str) -> Option<String> {
        let found = self.shared().networks.find(name).ok();
        found.map(|id| id.to_string())
    }

    /// Puts a container into a network.
    pub async fn connect(
        &self,
        network: &str,
        container: &str,
        wish: EndpointOptions,
    ) -> Result<()> {
        let shared = self.shared();
        let id = shared.networks.find(network)?;
        let handle = shared.find(container)?;
        let order = |answer| Order::Connect {
            network: id.to_string(),
            wish: Box::new(wish),
            answer,
        };
        handle.order(order).await
    }

    /// Takes a container out of a network.
    pub async fn disconnect(&self, network: &str, container: &str) -> Result<()> {
        let shared = self.shared();
        let found = shared.networks.find(network);
        let handle = shared.find(container)?;
        // A container may still wish to be in a network that is gone.
        let network = match found {
            Ok(id) => id.to_string(),
            Err(error) if !wishes(&handle, network) => return Err(error),
            Err(_) => network.to_owned(),
        };
        let order = |answer| Order::Disconnect { network, answer };
        handle.order(order).await
    }

    /// Publishes further ports of a container, and ends others.
    pub async fn republish(&self, container: &str, change: PortChange) -> Result<()> {
        let handle = self.shared().find(container)?;
        let order = |answer| Order::Republish {
            change: Box::new(change),
            answer,
        };
        handle.order(order).await
    }

    /// Removes a network that no running container is in.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        let (shared, name) = (Arc::clone(self.shared()), name.to_owned());
        blocking(move || {
            let id = shared.networks.find(&name)?;
            remove(&shared, &id).map(drop)
        })
        .await
    }

    /// Removes networks that no running container is in; their names. Filters: `label`, `label!`, `until`.
    pub async fn prune_networks(
        &self,
        filters: BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<String>> {
        let filter = PruneFilter::read(&filters)?;
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let mut names = Vec::new();
            for view in shared.networks.views(&name_of(&shared)) {
                if !filter.matches(&view) {
                    continue;
                }
                match remove(&shared, &view.id.parse()?) {
                    Ok(name) => names.push(name),
                    // Joined or removed meanwhile.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            shared.announce_prune(crate::Subject::Network, 0);
            Ok(names)
        })
        .await
    }
}

/// Whether a container is to be in a network of that name.
fn wishes(container: &Container, network: &str) -> bool {
    let live = container.live();
    live.places.iter().any(|place| place.name == network)
}

fn remove(shared: &Shared, id: &network::Identity) -> Result<String> {
    let record = shared.networks.remove(id, &name_of(shared))?;
    let name = record.request.name.clone();
    let of = (name.as_str(), driver(&record.request));
    shared.announce_network("destroy", id.as_str(), of, None);
    Ok(name)
}

fn name_of(shared: &Shared) -> impl Fn(&ContainerId) -> String {
    |id| {
        let handle = shared.registry().get(id).cloned();
        handle.map(|handle| handle.name()).unwrap_or_default()
    }
}
