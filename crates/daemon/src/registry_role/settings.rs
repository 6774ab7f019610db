//! From what the user said to what the registry is to be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::registry::client::{self, Credentials};
use ::registry::server::{
    Auth, Grace, Htpasswd, Issuer, PlainHttp, PublicKey, Readers, Rule, Settings, Tls, Upstream,
    Writes,
};

use super::flags::{Said, size, time};

/// Where Linux distributions keep the CAs that they trust.
const TRUSTED: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
const CERTIFICATES: [&str; 2] = ["/etc/tare/certs.d", "/etc/docker/certs.d"];
const FRESH: Duration = Duration::from_secs(300);

pub(super) fn settings(said: &Said) -> Result<Settings, String> {
    let address = said.read("addr", address)?;
    let local = SocketAddr::from(([127, 0, 0, 1], 5000));
    let mut settings = Settings::new(root(said)?, address.unwrap_or(local));
    settings.tls = tls(said)?;
    if said.is_set("plain-http") {
        settings.plain_http = PlainHttp::Anywhere;
    }
    settings.auth = auth(said)?;
    settings.writes = match (said.is_set("read-only"), said.is_set("delete")) {
        (true, true) => return Err("--read-only and --delete cannot go together".to_owned()),
        (true, false) => Writes::None,
        (false, true) => Writes::PushAndDelete,
        (false, false) => Writes::Push,
    };
    limits(said, &mut settings)?;
    settings.collect_every = match said.get("gc-interval") {
        Some("off") => None,
        Some(_) => said.read("gc-interval", |text| time(text).filter(|t| !t.is_zero()))?,
        None => settings.collect_every,
    };
    settings.grace = grace(said)?;
    settings.rules = rules(said)?;
    settings.upstreams = upstreams(said)?;
    settings.client = client_settings(said)?;
    settings.metrics = said.read("metrics-addr", self::address)?;
    Ok(settings)
}

pub(super) fn root(said: &Said) -> Result<PathBuf, String> {
    let root = said.get("root").filter(|root| !root.is_empty());
    root.map(PathBuf::from)
        .ok_or_else(|| "--root is needed: the folder where everything is kept".to_owned())
}

pub(super) fn grace(said: &Said) -> Result<Grace, String> {
    let usual = Grace::default();
    Ok(Grace {
        blobs: said.read("gc-grace", time)?.unwrap_or(usual.blobs),
        uploads: said.read("upload-grace", time)?.unwrap_or(usual.uploads),
    })
}

pub(super) fn rules(said: &Said) -> Result<Vec<Rule>, String> {
    let read = |text: &String| text.parse().map_err(|e| format!("--keep: {e}"));
    said.all("keep").iter().map(read).collect()
}

/// As for `-H`: of names only `localhost`.
fn address(text: &str) -> Option<SocketAddr> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().ok()
}

fn tls(said: &Said) -> Result<Option<Tls>, String> {
    let client_ca = said.get("tls-client-ca").map(PathBuf::from);
    match (said.get("tls-cert"), said.get("tls-key")) {
        (Some(certificate), Some(key)) => Ok(Some(Tls {
            certificate: certificate.into(),
            key: key.into(),
            client_ca,
        })),
        (None, None) if client_ca.is_none() => Ok(None),
        (None, None) => Err("--tls-client-ca needs --tls-cert and --tls-key".to_owned()),
        _ => Err("--tls-cert and --tls-key belong together".to_owned()),
    }
}

fn auth(said: &Said) -> Result<Auth, String> {
    let readers = if said.is_set("anonymous-pull") {
        Readers::Anyone
    } else {
        Readers::Users
    };
    let usual = match (said.is_set("htpasswd"), said.is_set("token-key")) {
        (true, true) => return Err("--htpasswd and --token-key cannot go together".to_owned()),
        (true, false) => "basic",
        (false, true) => "token",
        (false, false) => "none",
    };
    let kind = said.get("auth").unwrap_or(usual);
    if readers == Readers::Anyone && (kind == "none" || said.is_set("token-key")) {
        return Err("--anonymous-pull is for logins with --htpasswd".to_owned());
    }
    let foreign = ["token-key", "token-realm", "token-service", "token-issuer"];
    if let Some(name) = foreign
        .iter()
        .find(|name| said.is_set(name) && !said.is_set("token-key"))
    {
        return Err(format!("--{name} needs --token-key"));
    }
    match (kind, said.is_set("htpasswd"), said.is_set("token-key")) {
        ("none", false, false) => Ok(Auth::Open),
        ("basic", true, false) => Ok(Auth::Basic {
            users: users(said)?,
            readers,
        }),
        ("token", true, false) => Ok(Auth::OwnTokens {
            users: users(said)?,
            readers,
        }),
        ("token", false, true) => issuer(said).map(Auth::ForeignTokens),
        ("none", ..) => Err("--auth none, but there are --htpasswd or --token-key".to_owned()),
        ("basic", ..) => Err("--auth basic needs --htpasswd".to_owned()),
        ("token", ..) => Err(
            "--auth token needs --htpasswd (tokens of our own) or --token-key (somebody else's)"
                .to_owned(),
        ),
        (other, ..) => Err(format!(
            "invalid argument {other:?} for --auth: none, basic and token are supported"
        )),
    }
}

fn users(said: &Said) -> Result<Arc<Htpasswd>, String> {
    let path = Path::new(said.get("htpasswd").unwrap_or_default());
    let text = read_file(path)?;
    Htpasswd::parse(&text)
        .map(Arc::new)
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn issuer(said: &Said) -> Result<Issuer, String> {
    let need = |name: &str| {
        let value = said
            .get(name)
            .filter(|v| !v.is_empty() && !v.contains(['"', '\\']) && v.is_ascii());
        value
            .map(str::to_owned)
            .ok_or_else(|| format!("--token-key needs --{name}"))
    };
    let path = Path::new(said.get("token-key").unwrap_or_default());
    let key = PublicKey::from_pem(read_file(path)?.as_bytes())
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Issuer {
        name: need("token-issuer")?,
        realm: need("token-realm")?,
        service: need("token-service")?,
        key,
    })
}

fn limits(said: &Said, settings: &mut Settings) -> Result<(), String> {
    let some = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0);
    let limits = &mut settings.limits;
    limits.count = said.read("max-uploads", some)?.unwrap_or(limits.count);
    limits.bytes = said.read("max-upload-bytes", size)?.unwrap_or(limits.bytes);
    limits.blob = said.read("max-blob-bytes", size)?.unwrap_or(limits.blob);
    let connections = |text: &str| {
        text.parse::<usize>()
            .ok()
            .filter(|n| (1..=1 << 20).contains(n))
    };
    settings.connections = said
        .read("max-connections", connections)?
        .unwrap_or(settings.connections);
    let patience = said.read("timeout", |text| time(text).filter(|t| !t.is_zero()))?;
    settings.patience = patience.unwrap_or(settings.patience);
    Ok(())
}

fn upstreams(said: &Said) -> Result<Vec<Upstream>, String> {
    let fresh = said.read("upstream-fresh", time)?.unwrap_or(FRESH);
    let mut upstreams = Vec::new();
    for text in said.all("upstream") {
        let wrong =
            || format!("invalid argument {text:?} for --upstream: PREFIX=REGISTRY is wanted");
        let (prefix, registry) = text.split_once('=').ok_or_else(wrong)?;
        let plain = |part: &str| !part.is_empty() && !part.contains("://") && !part.ends_with('/');
        let is_name = prefix.is_empty()
            || oci::Reference::parse(&format!("registry.invalid/{prefix}/x")).is_ok();
        if !plain(registry) || !is_name || oci::Reference::parse(&format!("{registry}/x")).is_err()
        {
            return Err(wrong());
        }
        upstreams.push(Upstream {
            prefix: prefix.to_owned(),
            registry: registry.to_owned(),
            credentials: credentials(said, prefix)?,
            fresh,
        });
    }
    for login in said.all("upstream-login") {
        let prefix = login.split_once('=').map(|(prefix, _)| prefix);
        if !upstreams.iter().any(|u| Some(u.prefix.as_str()) == prefix) {
            return Err(format!(
                "--upstream-login {login}: there is no --upstream of this prefix"
            ));
        }
    }
    Ok(upstreams)
}

fn credentials(said: &Said, prefix: &str) -> Result<Credentials, String> {
    let of_this = |login: &&String| login.split_once('=').is_some_and(|(p, _)| p == prefix);
    let Some(login) = said.all("upstream-login").iter().find(of_this) else {
        return Ok(Credentials::None);
    };
    let path = Path::new(login.split_once('=').map_or("", |(_, path)| path));
    let text = read_file(path)?;
    let (user, password) = text
        .trim_end()
        .split_once(':')
        .ok_or_else(|| format!("{}: USER:PASSWORD is wanted", path.display()))?;
    Ok(Credentials::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// Upstreams are reached as the daemon reaches registries: the same certificates, the same proxies.
fn client_settings(said: &Said) -> Result<client::Settings, String> {
    let insecure = |host: &String| {
        host.parse()
            .map_err(|e| format!("--insecure-upstream: {e}"))
    };
    let proxies = client::Proxies {
        http: variable("http_proxy"),
        https: variable("https_proxy"),
        none: variable("no_proxy").unwrap_or_default(),
    };
    proxies.check().map_err(|e| e.to_string())?;
    Ok(client::Settings {
        folders: CERTIFICATES.map(PathBuf::from).to_vec(),
        trusted: TRUSTED.map(PathBuf::from).to_vec(),
        insecure: said
            .all("insecure-upstream")
            .iter()
            .map(insecure)
            .collect::<Result<_, _>>()?,
        proxies,
        ..client::Settings::default()
    })
}

fn variable(name: &str) -> Option<String> {
    let found = std::env::var(name).or_else(|_| std::env::var(name.to_uppercase()));
    found.ok().filter(|value| !value.is_empty())
}

pub(super) fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::flags::SERVE;
    use super::*;

    fn read(words: &[&str]) -> Result<Settings, String> {
        let all: Vec<String> = ["--root", "/x"]
            .iter()
            .chain(words)
            .map(|w| (*w).to_owned())
            .collect();
        settings(&Said::parse(SERVE, &all)?)
    }

    #[test]
    fn the_usual() {
        let usual = read(&[]).unwrap();
        assert_eq!(usual.address.to_string(), "127.0.0.1:5000");
        assert_eq!(usual.writes, Writes::Push);
        assert!(matches!(usual.auth, Auth::Open) && usual.tls.is_none());
        let all = read(&[
            "--addr",
            "localhost:1",
            "--delete",
            "--gc-interval",
            "off",
            "--upstream",
            "hub=docker.io",
            "--max-blob-bytes",
            "1m",
        ])
        .unwrap();
        assert_eq!(all.address.to_string(), "127.0.0.1:1");
        assert_eq!(
            (all.writes, all.collect_every, all.limits.blob),
            (Writes::PushAndDelete, None, 1 << 20)
        );
        assert_eq!(all.upstreams[0].registry, "docker.io");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |words: &[&str], part: &str| {
            let text = read(words).unwrap_err();
            assert!(text.contains(part), "{text}");
        };
        check(&["--addr", "example.org:1"], "--addr");
        check(&["--tls-cert", "x"], "--tls-key");
        check(&["--tls-client-ca", "x"], "--tls-client-ca");
        check(&["--auth", "basic"], "--htpasswd");
        check(&["--auth", "ldap"], "ldap");
        check(&["--anonymous-pull"], "--anonymous-pull");
        check(&["--token-realm", "x"], "--token-key");
        check(&["--htpasswd", "/no/such/file"], "/no/such/file");
        check(&["--read-only", "--delete"], "--delete");
        check(&["--keep", "x"], "--keep");
        check(&["--gc-interval", "0s"], "--gc-interval");
        check(&["--timeout", "x"], "--timeout");
        check(&["--upstream", "x=http://y"], "--upstream");
        check(&["--upstream", "X=y.example"], "--upstream");
        check(&["--upstream-login", "x=y"], "--upstream-login");
        assert!(
            Said::parse(SERVE, &[])
                .and_then(|said| settings(&said))
                .is_err()
        );
    }
}
