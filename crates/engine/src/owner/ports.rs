//! Ports of a container that change while it runs.

use std::sync::Arc;

use super::Owner;
use crate::blocking;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::mode::Network;
use crate::options::PortBinding;
use crate::ports::{self, Wish};
use crate::shared::Shared;

/// What becomes of a container's published ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortChange {
    /// Comes first, so that a port of the host can lead elsewhere in one go.
    pub remove: Vec<PortBinding>,
    pub add: Vec<PortBinding>,
}

impl Owner {
    /// Publishes further ports and ends others, at once if the container runs. What was removed stays so if adding fails.
    pub(super) async fn republish(
        &mut self,
        shared: &Arc<Shared>,
        change: PortChange,
    ) -> Result<()> {
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || republish(&work, &me, change)).await
    }
}

fn republish(shared: &Shared, container: &Container, change: PortChange) -> Result<()> {
    let added = change
        .add
        .iter()
        .map(ports::wish)
        .collect::<Result<Vec<_>>>()?;
    let removed = change
        .remove
        .iter()
        .map(ports::wish)
        .collect::<Result<Vec<_>>>()?;
    let mode: Network = container.birth.options.host.network_mode.parse()?;
    if !matches!(mode, Network::Named(_)) {
        return Err(Error::invalid(
            "a container without a network of its own publishes no ports",
        ));
    }
    let mut published = container.published();
    for (wish, binding) in removed.iter().zip(&change.remove) {
        let before = published.len();
        published.retain(|one| !ports::wish(one).is_ok_and(|one| is_meant(wish, &one)));
        if published.len() == before {
            let (name, port) = (container.name(), &binding.port);
            return Err(Error::not_found(format!(
                "container {name} does not publish port {port}"
            )));
        }
    }
    if container.phase().pid().is_some() {
        ports::remove(shared, container, &removed)?;
    }
    keep(shared, container, &published)?;
    if container.phase().pid().is_some() {
        ports::add(shared, container, &added)?;
    }
    published.extend(change.add);
    keep(shared, container, &published)
}

/// What a removal does not say means all.
fn is_meant(wanted: &Wish, published: &Wish) -> bool {
    (wanted.container, wanted.protocol) == (published.container, published.protocol)
        && (wanted.host.is_none() || wanted.host == published.host)
        && (wanted.address.is_none() || wanted.address == published.address)
}

fn keep(shared: &Shared, container: &Container, published: &[PortBinding]) -> Result<()> {
    container.live().published = Some(published.to_vec());
    container
        .record()
        .commit(&shared.paths.record(&container.birth.id))
}
