//! The two networks that need no network: `none` and `host`.

use api::types::network::{Ipam, Network};
use jiff::Timestamp;

use crate::convert::time;
use crate::http::failure::Failure;
use crate::http::filters::Filters;

/// What is known about them, for as long as the daemon runs. Their ids are the same at every start.
#[derive(Debug)]
pub(crate) struct Networks {
    none: String,
    host: String,
    created: Timestamp,
}

impl Networks {
    /// `seed` tells engines apart: the engine's own id.
    pub(crate) fn new(seed: &str, created: Timestamp) -> Self {
        let id = |name: &str| {
            oci::Digest::sha256(format!("{seed} network {name}").as_bytes())
                .hex()
                .to_owned()
        };
        Self {
            none: id("none"),
            host: id("host"),
            created,
        }
    }

    /// The id of a network by its name.
    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        match name {
            "none" => Some(&self.none),
            "host" => Some(&self.host),
            _ => None,
        }
    }

    /// A network by name, id, or the beginning of its id.
    pub(crate) fn find(&self, name: &str) -> Result<Network, Failure> {
        let all = [self.network("host"), self.network("none")];
        let exact = all.iter().find(|n| n.name == name || n.id == name);
        let by_prefix = || {
            all.iter()
                .find(|n| !name.is_empty() && n.id.starts_with(name))
        };
        exact
            .or_else(by_prefix)
            .cloned()
            .ok_or_else(|| Failure::not_found(format!("network {name} not found")))
    }

    /// Those that the filters leave.
    pub(crate) fn list(&self, filters: &Filters) -> Result<Vec<Network>, Failure> {
        filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let values = filters.get(name);
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        let dangling = filters.switch("dangling")?;
        let mut all = vec![self.network("host"), self.network("none")];
        all.retain(|n| {
            any("name", &|v| n.name.contains(v))
                && any("id", &|v| n.id.starts_with(v))
                && any("driver", &|v| n.driver == v)
                && any("scope", &|v| n.scope == v)
                && any("type", &|v| v == "builtin")
                && any("label", &|_| false)
                // Networks that are built in are never left over.
                && dangling != Some(true)
        });
        Ok(all)
    }

    fn network(&self, name: &str) -> Network {
        Network {
            name: name.to_owned(),
            id: self.id(name).unwrap_or_default().to_owned(),
            created: time::text(Some(self.created)),
            scope: "local".to_owned(),
            driver: if name == "none" { "null" } else { name }.to_owned(),
            enable_ipv4: true,
            ipam: Ipam {
                driver: "default".to_owned(),
                options: None,
                config: None,
            },
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_by_name_id_and_prefix() {
        let networks = Networks::new("x", Timestamp::UNIX_EPOCH);
        let none = networks.find("none").unwrap();
        assert_eq!(networks.find(&none.id).unwrap(), none);
        assert_eq!(networks.find(&none.id[..12]).unwrap(), none);
        assert_eq!(
            networks.find("foo").unwrap_err().message,
            "network foo not found"
        );
        assert_eq!(
            networks.find("").unwrap_err().status,
            http::StatusCode::NOT_FOUND
        );
    }

    #[test]
    fn filtered() {
        let networks = Networks::new("x", Timestamp::UNIX_EPOCH);
        let names = |json: &str| {
            let filters = Filters::parse(json).unwrap();
            networks
                .list(&filters)
                .unwrap()
                .into_iter()
                .map(|n| n.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["host", "none"]);
        assert_eq!(names(r#"{"driver":["null"]}"#), ["none"]);
        assert_eq!(names(r#"{"type":["custom"]}"#), [""; 0]);
        assert_eq!(names(r#"{"name":["os"]}"#), ["host"]);
    }
}
