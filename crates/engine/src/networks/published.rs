//! What networks know of published ports.

use std::net::IpAddr;
use std::sync::{Arc, MutexGuard, PoisonError};

use network::{Identity, Published};

use super::{Networks, PublishMode, drivers};
use crate::error::Result;

impl Networks {
    /// Held while ports are chosen: from [`Networks::published`] until they are noted.
    pub(crate) fn reserving(&self) -> MutexGuard<'_, ()> {
        self.reserving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports of all endpoints.
    pub(crate) fn published(&self) -> Vec<Published> {
        let members = self.members();
        let endpoints = members.networks.values().flat_map(|m| m.endpoints.values());
        endpoints
            .flat_map(|endpoint| endpoint.ports.iter().copied())
            .collect()
    }

    /// The address of the host that a network's ports are published on if they name none.
    pub(crate) fn binding_of(&self, id: &Identity) -> IpAddr {
        let members = self.members();
        let member = members.networks.get(id);
        let said =
            member.and_then(|m| m.record.request.options.get(drivers::BINDING)?.parse().ok());
        said.unwrap_or(IpAddr::from([0, 0, 0, 0]))
    }

    /// Whether the proxy is to carry a network's published ports on.
    pub(crate) fn carries(&self, id: &Identity) -> Result<bool> {
        let said = {
            let members = self.members();
            let member = members.networks.get(id);
            member.and_then(|m| {
                m.record
                    .request
                    .options
                    .get(drivers::PUBLISH_MODE)?
                    .parse()
                    .ok()
            })
        };
        match said.unwrap_or(self.setup.publish_mode) {
            PublishMode::Nat => Ok(false),
            PublishMode::HostSocket => Ok(true),
            PublishMode::Auto if !self.setup.proxy => Ok(false),
            PublishMode::Auto => {
                let obstacles = self.host()?.forwarding_obstacles()?;
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                for obstacle in &obstacles {
                    if told.insert(obstacle.clone()) {
                        tracing::warn!("{obstacle}; published ports go through the proxy");
                    }
                }
                Ok(!obstacles.is_empty())
            }
        }
    }

    /// What of other firewalls drops what our containers send and are sent, as sentences; nothing before the first
    /// network is in use.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let host = self
            .kernel()
            .as_ref()
            .map(|kernel| Arc::clone(&kernel.host));
        let obstacles = host.map(|host| host.forwarding_obstacles());
        // Who asks has no use for a reason why they cannot be found.
        obstacles.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether there is a proxy for what the kernel cannot translate.
    pub(crate) fn has_proxy(&self) -> bool {
        self.setup.proxy
    }
}
