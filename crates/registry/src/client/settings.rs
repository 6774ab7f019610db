use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

/// How a client reaches registries. Plain data: nothing is read from the environment, and from disk only what is below
/// the folders named here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folders with one folder a registry: `<folder>/<host[:port]>/` holds `*.crt` (CAs), `*.cert` with `*.key` (client
    /// certificates) and `hosts.toml`; `_default/hosts.toml` is for registries without a folder. The first that exists
    /// counts, as with `/etc/docker/certs.d`.
    pub folders: Vec<PathBuf>,
    /// Files with the CAs that are trusted everywhere (PEM); the first that exists is taken.
    pub trusted: Vec<PathBuf>,
    pub mirrors: Vec<Mirror>,
    pub insecure: Vec<Insecure>,
    pub proxies: Proxies,
    pub user_agent: String,
    /// How often one request is tried before it has failed (`max-download-attempts`).
    pub attempts: u32,
    /// The wait before the second try; it doubles from try to try, up to [`Settings::longest_wait`].
    pub first_wait: Duration,
    pub longest_wait: Duration,
    /// For a connection to stand.
    pub connect_timeout: Duration,
    /// The longest silence: for an answer to begin, for the next byte to come, for the next chunk of an upload to be taken.
    pub idle_timeout: Duration,
    /// So many bytes at least have to come within each `idle_timeout` of waiting, or all.
    pub least_progress: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            folders: Vec::new(),
            trusted: Vec::new(),
            mirrors: Vec::new(),
            insecure: Vec::new(),
            proxies: Proxies::default(),
            user_agent: concat!("tare/", env!("CARGO_PKG_VERSION")).to_owned(),
            attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            least_progress: 64 << 10,
        }
    }
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    #[error(
        "invalid mirror: {0:?} is not a URL with http or https, a host and nothing behind its path"
    )]
    Mirror(String),
    #[error("insecure registry {0} should not contain '://'")]
    InsecureScheme(String),
    #[error("insecure registry {0} is not valid: it is neither a host nor a network")]
    Insecure(String),
    #[error(
        "invalid proxy {0:?}: wanted is http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT"
    )]
    Proxy(String),
}

/// A server that is asked before the registry itself: `https://mirror` for Docker Hub (as Docker's `registry-mirrors`),
/// `HOST=https://mirror` for the registry HOST, `*=https://mirror` for every registry (which is then told by `?ns=`
/// whose content is wanted, as containerd does it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry it stands for; `None` is every registry.
    pub registry: Option<String>,
    pub url: Url,
}

impl FromStr for Mirror {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSetting::Mirror(text.to_owned());
        let (registry, address) = match text.split_once('=') {
            Some((host, address)) if !host.contains(['/', '?']) => (host, address),
            _ => ("docker.io", text),
        };
        let url = server_url(address).ok_or_else(invalid)?;
        if registry.is_empty() {
            return Err(invalid());
        }
        Ok(Mirror {
            registry: (registry != "*").then(|| registry.to_owned()),
            url,
        })
    }
}

/// A URL of a server: http or https, a host, perhaps a path; no user, no query, no fragment.
pub(super) fn server_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

/// A registry that may be spoken to without a valid certificate, or in plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insecure {
    /// A host, with its port where it has one, as in image names.
    Host(String),
    /// Every host with an address in this network.
    Network { address: IpAddr, prefix: u8 },
}

impl Insecure {
    /// Whether the network holds this address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let Insecure::Network { address, prefix } = self else {
            return false;
        };
        match (address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_bits(u32::from(*net).into(), u32::from(ip).into(), 32 - prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_bits((*net).into(), ip.into(), 128 - prefix),
            _ => false,
        }
    }
}

fn same_bits(a: u128, b: u128, ignored: u8) -> bool {
    (a ^ b).checked_shr(ignored.into()).unwrap_or(0) == 0
}

impl FromStr for Insecure {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return Err(InvalidSetting::InsecureScheme(text.to_owned()));
        }
        let invalid = || InvalidSetting::Insecure(text.to_owned());
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| invalid())?;
            let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            if prefix > most {
                return Err(invalid());
            }
            return Ok(Insecure::Network { address, prefix });
        }
        let is_host = Url::parse(&format!("https://{text}/"))
            .is_ok_and(|url| url.path() == "/" && url.username().is_empty());
        if text.is_empty() || !is_host {
            return Err(invalid());
        }
        Ok(Insecure::Host(text.to_owned()))
    }
}

/// Where SOCKS proxies listen when nobody says (RFC 1928).
const SOCKS_PORT: u16 = 1080;

/// Proxies, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    pub http: Option<String>,
    pub https: Option<String>,
    /// Hosts, domains and networks without a proxy, separated by commas; loopback never has one.
    pub none: String,
}

impl Proxies {
    /// Checks what can be checked before the first connection.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        for text in [&self.http, &self.https].into_iter().flatten() {
            let fits = proxy_url(text).is_some();
            if !fits {
                return Err(InvalidSetting::Proxy(text.clone()));
            }
        }
        Ok(())
    }
}

/// A proxy's URL; `host:port` alone means http, as everywhere. With `socks5h` the proxy looks names up, with `socks5` we do.
pub(super) fn proxy_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let mut url = Url::parse(&text).ok()?;
    if matches!(url.scheme(), "socks5" | "socks5h") && url.port().is_none() {
        url.set_port(Some(SOCKS_PORT)).ok()?;
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    (known && url.has_host()).then_some(url)
}

/// Who asks.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    #[default]
    None,
    Basic {
        user: String,
        password: String,
    },
    /// A refresh token, with which the token server gives tokens (`identitytoken` of `X-Registry-Auth`).
    IdentityToken(String),
    /// A token that goes to the registry as it is (`registrytoken`).
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    /// Says of what kind they are; secrets do not get into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Basic { .. } => "Basic",
            Credentials::IdentityToken(_) => "IdentityToken",
            Credentials::RegistryToken(_) => "RegistryToken",
        })
    }
}

/// What is going to be done with a repository: what tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Pull,
    PullPush,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors() {
        let read = |text: &str| text.parse::<Mirror>();
        let hub = read("https://mirror.example/cache").unwrap();
        assert_eq!(hub.registry.as_deref(), Some("docker.io"));
        assert_eq!(
            read("ghcr.io=http://m:5000").unwrap().registry.as_deref(),
            Some("ghcr.io")
        );
        assert_eq!(read("*=http://m:5000").unwrap().registry, None);
        for bad in [
            "mirror",
            "ftp://m",
            "https://u@m",
            "https://m?x=1",
            "=https://m",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn insecure_registries() {
        let read = |text: &str| text.parse::<Insecure>();
        let net = read("10.1.0.0/16").unwrap();
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.0.1".parse().unwrap()));
        assert!(
            read("0.0.0.0/0")
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        assert!(
            read("fd00::/8")
                .unwrap()
                .contains("fd12::1".parse().unwrap())
        );
        assert_eq!(
            read("reg:5000").unwrap(),
            Insecure::Host("reg:5000".to_owned())
        );
        for bad in ["http://reg", "10.0.0.0/33", "", "a/b", "u@h"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies() {
        let check = |text: &str, expect: Option<&str>| {
            let url = proxy_url(text).map(|url| url.to_string());
            assert_eq!(url.as_deref(), expect, "{text}");
        };
        check("p:3128", Some("http://p:3128/"));
        check("https://u:w@p", Some("https://u:w@p/"));
        check("socks5://p", Some("socks5://p:1080"));
        check("socks5h://p:9", Some("socks5h://p:9"));
        check("socks4://p", None);
        check("ftp://p", None);
        check("", None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!(
            "{:?}",
            Credentials::Basic {
                user: "u".into(),
                password: "secret".into()
            }
        );
        assert!(!shown.contains("secret"));
    }
}
