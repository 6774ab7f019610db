//! Where a registry's content is asked for: mirrors first, the registry itself last.

use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::certificates::{self, Material};
use super::dns;
use super::error::{Error, Result};
use super::hosts_toml::{ClientCertificates, HostTable, HostsToml, OneOrMany};
use super::settings::{Access, Insecure, Settings, server_url};
use super::transport::{Pool, Transports, is_loopback};

/// Docker Hub, whose registry has another host than its images' names.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";
const DEFAULT_FOLDER: &str = "_default";
const MAX_HOSTS_TOML: u64 = 1 << 20;

/// One server that may have the content.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Where the API begins, `https://host/v2/`.
    pub(super) base: Url,
    pub(super) pool: Pool,
    /// The registry itself, to which the user's credentials belong.
    pub(super) is_origin: bool,
    /// Bad certificates are taken, and redirects and token servers may be without TLS.
    pub(super) insecure: bool,
    /// Which registry's content is wanted, for servers that stand for several.
    pub(super) namespace: Option<String>,
    pub(super) headers: HeaderMap,
    capabilities: Capabilities,
}

#[derive(Clone, Copy, Debug)]
struct Capabilities {
    pull: bool,
    resolve: bool,
    push: bool,
}

impl Endpoint {
    /// A URL below the API; `path` is made of checked names.
    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url> {
        let invalid = |e| Error::local(format!("making a URL of {path:?}")).caused_by(e);
        let mut url = Url::parse(&format!("{}{path}", self.base)).map_err(invalid)?;
        if !query.is_empty() || self.namespace.is_some() {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            if let Some(namespace) = &self.namespace {
                pairs.append_pair("ns", namespace);
            }
        }
        Ok(url)
    }

    /// Host and port, for people.
    pub(super) fn host(&self) -> String {
        host_of(&self.base)
    }

    fn serves(&self, access: Access) -> bool {
        match access {
            Access::Pull => self.capabilities.pull && self.capabilities.resolve,
            Access::PullPush => self.capabilities.push,
        }
    }

    /// The same server without TLS.
    fn plain(&self) -> Option<Endpoint> {
        let mut base = self.base.clone();
        base.set_scheme("http").ok()?;
        Some(Endpoint {
            base,
            ..self.clone()
        })
    }
}

pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Finds the endpoints of one registry. Files are read each time, so that what an administrator changes counts from
/// the next pull on.
pub(super) struct Finder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) transports: &'a Transports,
}

impl Finder<'_> {
    /// The servers to ask, in order; never empty.
    pub(super) async fn endpoints(&self, domain: &str, access: Access) -> Result<Vec<Endpoint>> {
        let mut found = Vec::new();
        let file = self.hosts_file(domain)?;
        let mut origin_table = HostTable::default();
        let mut server = None;
        let folder = match file {
            Some((folder, file)) => {
                for (name, table) in file.hosts().map_err(|e| in_folder(&folder, &e))? {
                    let url = host_url(&name).ok_or_else(|| {
                        in_folder(&folder, &format!("{name:?} is no URL of a server"))
                    })?;
                    found.push(self.of_table(url, &table, &folder, Some(domain))?);
                }
                server.clone_from(&file.server);
                origin_table = file.origin();
                Some(folder)
            }
            None => None,
        };
        for mirror in &self.settings.mirrors {
            let for_all = mirror.registry.is_none();
            if for_all || mirror.registry.as_deref() == Some(domain) {
                let namespace = for_all.then_some(domain);
                found.push(self.mirror(mirror.url.clone(), namespace).await?);
            }
        }
        found.extend(
            self.origin(domain, server.as_deref(), &origin_table, folder.as_deref())
                .await?,
        );
        found.retain(|endpoint| endpoint.serves(access));
        if found.is_empty() {
            return Err(Error::local(format!(
                "hosts.toml leaves no server of {domain} for this"
            )));
        }
        Ok(found)
    }

    async fn mirror(&self, url: Url, namespace: Option<&str>) -> Result<Endpoint> {
        let host = host_of(&url);
        let mut material = self.folder_material(&host)?;
        let insecure = url.scheme() == "http" || self.is_insecure(&host).await;
        material.unverified = insecure;
        Ok(Endpoint {
            base: api_base(url, false),
            pool: self.transports.pool(self.settings, &material)?,
            is_origin: false,
            insecure,
            namespace: namespace.map(str::to_owned),
            headers: HeaderMap::new(),
            capabilities: Capabilities {
                pull: true,
                resolve: true,
                push: false,
            },
        })
    }

    /// The registry itself; an insecure one once with TLS and once without.
    async fn origin(
        &self,
        domain: &str,
        server: Option<&str>,
        table: &HostTable,
        folder: Option<&Path>,
    ) -> Result<Vec<Endpoint>> {
        let host = if domain == HUB { HUB_HOST } else { domain };
        let named = server.map(|text| {
            host_url(text)
                .ok_or_else(|| Error::local(format!("server = {text:?} is no URL of a server")))
        });
        let url = match named {
            Some(url) => url?,
            None => server_url(&format!("https://{host}"))
                .ok_or_else(|| Error::local(format!("{host} is no host name")))?,
        };
        let insecure = self.is_insecure(domain).await || url.scheme() == "http";
        let here = PathBuf::new();
        let mut endpoint = self.of_table(url, table, folder.unwrap_or(&here), None)?;
        endpoint.is_origin = true;
        let mut material = self.folder_material(domain)?;
        if domain == HUB && material == Material::default() {
            material = self.folder_material(HUB_HOST)?;
        }
        add_table(&mut material, table, folder.unwrap_or(&here))?;
        material.unverified |= insecure;
        endpoint.insecure |= insecure;
        endpoint.pool = self.transports.pool(self.settings, &material)?;
        let plain = (insecure && endpoint.base.scheme() == "https")
            .then(|| endpoint.plain())
            .flatten();
        Ok(std::iter::once(endpoint).chain(plain).collect())
    }

    fn of_table(
        &self,
        url: Url,
        table: &HostTable,
        folder: &Path,
        namespace: Option<&str>,
    ) -> Result<Endpoint> {
        let mut material = Material::default();
        add_table(&mut material, table, folder)?;
        // The registry's own host may stand in the list too, with certificates of its own.
        let is_own = |domain: &str| {
            let own = if domain == HUB { HUB_HOST } else { domain };
            host_of(&url) == own
        };
        let is_origin = namespace.is_some_and(is_own);
        let namespace = namespace.filter(|_| !is_origin);
        Ok(Endpoint {
            insecure: table.skip_verify || url.scheme() == "http",
            is_origin,
            pool: self.transports.pool(self.settings, &material)?,
            base: api_base(url, table.override_path),
            namespace: namespace.map(str::to_owned),
            headers: headers(table)?,
            capabilities: capabilities(table)?,
        })
    }

    /// TLS files of a host's own folder.
    pub(super) fn folder_material(&self, host: &str) -> Result<Material> {
        match self.folder(host) {
            Some(folder) => certificates::of_folder(&folder),
            None => Ok(Material::default()),
        }
    }

    fn folder(&self, host: &str) -> Option<PathBuf> {
        // A host comes from an image's name, whose grammar knows no slash; a redirect's may be anything.
        if host.is_empty() || host.starts_with('.') || host.contains(['/', '\\', '\0']) {
            return None;
        }
        let folders = self.settings.folders.iter();
        folders
            .map(|all| all.join(host))
            .find(|folder| folder.is_dir())
    }

    fn hosts_file(&self, domain: &str) -> Result<Option<(PathBuf, HostsToml)>> {
        let own = self.folder(domain);
        let own = own.filter(|folder| folder.join("hosts.toml").is_file());
        let default = || {
            self.folder(DEFAULT_FOLDER)
                .filter(|f| f.join("hosts.toml").is_file())
        };
        let Some(folder) = own.or_else(default) else {
            return Ok(None);
        };
        let path = folder.join("hosts.toml");
        let length = path.metadata().map_or(0, |m| m.len());
        if length > MAX_HOSTS_TOML {
            return Err(in_folder(&folder, &"it is too long"));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| in_folder(&folder, &e))?;
        let file = HostsToml::parse(&text).map_err(|e| in_folder(&folder, &e))?;
        Ok(Some((folder, file)))
    }

    /// Whether the registry may be spoken to without a valid certificate: by its name, or by where it is.
    pub(super) async fn is_insecure(&self, domain: &str) -> bool {
        let listed = |rule: &Insecure| matches!(rule, Insecure::Host(host) if host == domain);
        if self.settings.insecure.iter().any(listed) {
            return true;
        }
        let Some(url) = server_url(&format!("https://{domain}")) else {
            return false;
        };
        if is_loopback(&url) {
            return true;
        }
        let by_network = |rule: &&Insecure| matches!(rule, Insecure::Network { .. });
        let networks: Vec<&Insecure> = self.settings.insecure.iter().filter(by_network).collect();
        if networks.is_empty() {
            return false;
        }
        let host = url.host_str().unwrap_or_default();
        let addresses = match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => vec![ip],
            Err(_) if dns::is_localhost(host) => Vec::new(),
            // Without an address nothing says that it is in one of the networks.
            Err(_) => self
                .transports
                .resolver
                .addresses(host)
                .await
                .unwrap_or_default(),
        };
        addresses
            .iter()
            .any(|ip| networks.iter().any(|network| network.contains(*ip)))
    }
}

fn in_folder(folder: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::local(format!(
        "{}: {problem}",
        folder.join("hosts.toml").display()
    ))
}

/// A server of `hosts.toml`: without a scheme it is https, on loopback http, as in containerd.
fn host_url(text: &str) -> Option<Url> {
    if text.contains("://") {
        return server_url(text);
    }
    let url = server_url(&format!("https://{text}"))?;
    if is_loopback(&url) {
        return server_url(&format!("http://{text}"));
    }
    Some(url)
}

/// Where the API of a server begins: below `/v2` of what was named, unless that already is the whole path.
fn api_base(mut url: Url, is_whole: bool) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    let path = if is_whole || path.ends_with("/v2") {
        format!("{path}/")
    } else {
        format!("{path}/v2/")
    };
    url.set_path(&path);
    url
}

fn add_table(material: &mut Material, table: &HostTable, folder: &Path) -> Result<()> {
    for file in table.ca.iter().flat_map(OneOrMany::list) {
        material
            .authorities
            .push(certificates::read(&folder.join(file))?);
    }
    let pairs = table
        .client
        .as_ref()
        .map(ClientCertificates::pairs)
        .unwrap_or_default();
    if let Some((certificate, key)) = pairs.first() {
        let file = |name: &str| certificates::read(&folder.join(name));
        material.client = Some((file(certificate)?, file(key)?));
    }
    material.unverified |= table.skip_verify;
    Ok(())
}

fn headers(table: &HostTable) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &table.header {
        let values = match value {
            toml::Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        for value in values {
            let invalid = || Error::local(format!("hosts.toml: header {name:?} is invalid"));
            let text = value.as_str().ok_or_else(invalid)?;
            let name = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
            headers.append(name, HeaderValue::try_from(text).map_err(|_| invalid())?);
        }
    }
    Ok(headers)
}

fn capabilities(table: &HostTable) -> Result<Capabilities> {
    let Some(words) = &table.capabilities else {
        return Ok(Capabilities {
            pull: true,
            resolve: true,
            push: true,
        });
    };
    if let Some(strange) = words
        .iter()
        .find(|word| !matches!(word.as_str(), "pull" | "resolve" | "push"))
    {
        return Err(Error::local(format!(
            "hosts.toml: unknown capability {strange:?}"
        )));
    }
    let has = |word: &str| words.iter().any(|w| w == word);
    Ok(Capabilities {
        pull: has("pull"),
        resolve: has("resolve"),
        push: has("push"),
    })
}
