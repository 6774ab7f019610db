//! `hosts.toml`, containerd's file on how a registry is reached (containerd, docs/hosts.md), for every registry.

use serde::Deserialize;

/// The file as it was written. Keys that are not here are refused by name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostsToml {
    /// The registry itself; without it the one that the image's name says.
    pub(super) server: Option<String>,
    #[serde(default)]
    pub(super) host: toml::map::Map<String, toml::Value>,
    // The registry's own settings stand at the top.
    #[serde(default)]
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) ca: Option<OneOrMany>,
    pub(super) client: Option<ClientCertificates>,
    #[serde(default)]
    pub(super) skip_verify: bool,
    #[serde(default)]
    pub(super) override_path: bool,
    #[serde(default)]
    pub(super) header: toml::map::Map<String, toml::Value>,
}

/// One server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTable {
    #[serde(default)]
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) ca: Option<OneOrMany>,
    pub(super) client: Option<ClientCertificates>,
    #[serde(default)]
    pub(super) skip_verify: bool,
    #[serde(default)]
    pub(super) override_path: bool,
    #[serde(default)]
    pub(super) header: toml::map::Map<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        }
    }
}

/// A file with certificate and key, several of them, or pairs of files.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ClientCertificates {
    One(String),
    Many(Vec<String>),
    Pairs(Vec<(String, String)>),
}

impl ClientCertificates {
    /// Files with certificates, each with the file of its key.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let both = |one: &String| (one.clone(), one.clone());
        match self {
            ClientCertificates::One(one) => vec![both(one)],
            ClientCertificates::Many(many) => many.iter().map(both).collect(),
            ClientCertificates::Pairs(pairs) => pairs.clone(),
        }
    }
}

impl HostsToml {
    pub(super) fn parse(text: &str) -> Result<HostsToml, toml::de::Error> {
        toml::from_str(text)
    }

    /// The servers to ask first, in the order of the file.
    pub(super) fn hosts(&self) -> Result<Vec<(String, HostTable)>, toml::de::Error> {
        let table = |(name, value): (&String, &toml::Value)| {
            Ok((name.clone(), value.clone().try_into::<HostTable>()?))
        };
        self.host.iter().map(table).collect()
    }

    /// The settings at the top, which are the registry's own.
    pub(super) fn origin(self) -> HostTable {
        HostTable {
            capabilities: self.capabilities,
            ca: self.ca,
            client: self.client,
            skip_verify: self.skip_verify,
            override_path: self.override_path,
            header: self.header,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_containerds_page() {
        let text = r#"
server = "https://registry-1.docker.io"

[host."https://zzz.example"]
  capabilities = ["pull", "resolve"]
  ca = ["/etc/certs/a.pem", "b.pem"]
  client = [["/etc/certs/client.cert", "/etc/certs/client.key"]]

[host."https://aaa.example/v2/cache"]
  skip_verify = true
  override_path = true
  [host."https://aaa.example/v2/cache".header]
    x-custom = "value"
"#;
        let file = HostsToml::parse(text).unwrap();
        let hosts = file.hosts().unwrap();
        let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["https://zzz.example", "https://aaa.example/v2/cache"]
        );
        assert_eq!(hosts[0].1.client.as_ref().unwrap().pairs().len(), 1);
        assert!(hosts[1].1.skip_verify && hosts[1].1.override_path);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = HostsToml::parse("dial_timeout = '3s'").unwrap_err();
        assert!(error.to_string().contains("dial_timeout"), "{error}");
    }
}
