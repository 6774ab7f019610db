//! What this module keeps on disk, and what users say and see of a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use network::Identity;
use oci::ContainerId;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Result};

/// The version of `networks/<id>.json`.
const VERSION: u32 = 1;

/// `networks/<id>.json`: fields are only ever added, each with a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) id: Identity,
    pub(super) created: Timestamp,
    /// As it was asked for.
    pub(super) request: NetworkRequest,
    /// What was made of that; nothing for a network that only holds settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<network::Network>,
}

/// A network to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRequest {
    pub name: String,
    /// `bridge` (also if empty), `macvlan` or `ipvlan`.
    pub driver: String,
    /// Nothing outside is reached.
    pub internal: bool,
    /// Shown only: it is for swarm networks.
    pub attachable: bool,
    /// Swarm only; refused.
    pub ingress: bool,
    /// Empty or `local`.
    pub scope: String,
    /// `None`: yes.
    pub enable_ipv4: Option<bool>,
    /// `None`: no.
    pub enable_ipv6: Option<bool>,
    /// Empty or `default`.
    pub ipam_driver: String,
    pub ipam_options: BTreeMap<String, String>,
    pub pools: Vec<AddressPool>,
    /// The driver's.
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// It holds settings for others, and nobody joins it.
    pub config_only: bool,
    /// The name of the network whose settings are taken; empty for none.
    pub config_from: String,
}

/// Addresses as the user wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressPool {
    pub subnet: String,
    pub range: String,
    pub gateway: String,
    /// Addresses that are taken, by name.
    pub auxiliary: BTreeMap<String, String>,
}

/// A network at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkView {
    pub id: String,
    pub name: String,
    pub created: Timestamp,
    /// `bridge`, `host`, `null`, `macvlan` or `ipvlan`.
    pub driver: String,
    pub internal: bool,
    pub attachable: bool,
    pub enable_ipv4: bool,
    pub enable_ipv6: bool,
    pub ipam_driver: String,
    pub ipam_options: BTreeMap<String, String>,
    /// `None` for a network that has no addresses to hand out.
    pub pools: Option<Vec<AddressPool>>,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub config_only: bool,
    pub config_from: String,
    /// `bridge`, `host` and `none`.
    pub built_in: bool,
    /// Those of running containers.
    pub endpoints: Vec<EndpointView>,
}

/// A running container in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    pub container: ContainerId,
    pub name: String,
    pub endpoint: network::Endpoint,
}

impl Record {
    pub(super) fn new(id: Identity, request: NetworkRequest) -> Self {
        Self {
            version: VERSION,
            id,
            created: Timestamp::now(),
            request,
            made: None,
        }
    }

    pub(super) fn path(folder: &Path, id: &Identity) -> PathBuf {
        folder.join(format!("{id}.json"))
    }

    /// Replaces the record durably: when this returns, the network exists whatever happens.
    pub(super) fn commit(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_vec(self).context(|| "encode a network's record".to_owned())?;
        linux::durable::replace(&Self::path(folder, &self.id), &json)
            .context(|| format!("keep the record of network {}", self.request.name))
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).context(|| format!("read {}", path.display()))?;
        let record: Self = serde_json::from_slice(&bytes)
            .context(|| format!("{} is not a network's record", path.display()))?;
        if record.version == 0 || record.version > VERSION {
            return Err(Error::system(format!(
                "{} has version {}; this engine reads versions up to {VERSION}",
                path.display(),
                record.version
            )));
        }
        Ok(record)
    }

    pub(super) fn name(&self) -> &str {
        &self.request.name
    }

    /// The subnets that the user chose: there fixed addresses may be asked for.
    pub(super) fn chosen_subnets(&self) -> impl Iterator<Item = network::Prefix> {
        let pools = self.request.pools.iter();
        pools.filter_map(|pool| pool.subnet.parse().ok())
    }

    pub(super) fn view(&self, built_in: bool, endpoints: Vec<EndpointView>) -> NetworkView {
        let request = &self.request;
        NetworkView {
            id: self.id.to_string(),
            name: request.name.clone(),
            created: self.created,
            // One that only holds settings has none.
            driver: if request.config_only {
                "null"
            } else {
                driver(request)
            }
            .to_owned(),
            internal: request.internal,
            attachable: request.attachable,
            enable_ipv4: request.enable_ipv4.unwrap_or(true),
            enable_ipv6: request.enable_ipv6.unwrap_or(false),
            ipam_driver: match request.ipam_driver.as_str() {
                "" => "default".to_owned(),
                name => name.to_owned(),
            },
            ipam_options: request.ipam_options.clone(),
            pools: Some(self.pools()),
            options: request.options.clone(),
            labels: request.labels.clone(),
            config_only: request.config_only,
            config_from: request.config_from.clone(),
            built_in,
            endpoints,
        }
    }

    /// What the user said, then what was chosen beside that.
    fn pools(&self) -> Vec<AddressPool> {
        let mut all = self.request.pools.clone();
        for subnet in self.made.iter().flat_map(network::Network::subnets) {
            let prefix = subnet.prefix.to_string();
            if all.iter().any(|pool| pool.subnet == prefix) {
                continue;
            }
            all.push(AddressPool {
                subnet: prefix,
                gateway: subnet.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
                range: String::new(),
                auxiliary: BTreeMap::new(),
            });
        }
        all
    }
}

/// The driver's name, `bridge` unless another was asked for.
pub(super) fn driver(request: &NetworkRequest) -> &str {
    match request.driver.as_str() {
        "" | "default" => "bridge",
        name => name,
    }
}
