//! Connections: one pool for all servers that are trusted in the same way.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::{NoProxy, Proxy, Url};
use rustls::RootCertStore;

use super::certificates::{self, Material};
use super::dns::Resolver;
use super::error::{Error, Result};
use super::settings::{Settings, proxy_url};

/// Idle connections go away after this; most registries close theirs after a minute.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 8;
/// More pools than this means that certificate files keep changing; the old ones are let go.
const MOST_POOLS: usize = 64;

/// Makes and keeps the pools.
pub(super) struct Transports {
    pub(super) resolver: Resolver,
    pools: Mutex<HashMap<Material, reqwest::Client>>,
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Transports {
    pub(super) fn new() -> Self {
        Transports {
            resolver: Resolver::default(),
            pools: Mutex::default(),
            roots: OnceLock::new(),
        }
    }

    /// The pool for servers of this kind.
    pub(super) fn pool(&self, settings: &Settings, material: &Material) -> Result<reqwest::Client> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(material) {
            return Ok(pool.clone());
        }
        let pool = self.make(settings, material)?;
        if pools.len() >= MOST_POOLS {
            pools.clear();
        }
        pools.insert(material.clone(), pool.clone());
        Ok(pool)
    }

    fn make(&self, settings: &Settings, material: &Material) -> Result<reqwest::Client> {
        let tls = certificates::configuration(&self.roots(settings)?, material)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .no_proxy()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.idle_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .dns_resolver(self.resolver.clone());
        if let Some(proxy) = proxy(settings) {
            builder = builder.proxy(proxy);
        }
        builder
            .build()
            .map_err(|e| Error::local("setting up the HTTP client").caused_by(e))
    }

    fn roots(&self, settings: &Settings) -> Result<Arc<RootCertStore>> {
        if let Some(roots) = self.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let roots = Arc::new(certificates::trusted(&settings.trusted)?);
        Ok(Arc::clone(self.roots.get_or_init(|| roots)))
    }
}

/// What `HTTP_PROXY` and its kin say, with Go's rule that loopback never goes through a proxy.
fn proxy(settings: &Settings) -> Option<Proxy> {
    let proxies = &settings.proxies;
    let http = proxies.http.as_deref().and_then(proxy_url);
    let https = proxies.https.as_deref().and_then(proxy_url);
    if http.is_none() && https.is_none() {
        return None;
    }
    let choose = move |url: &Url| -> Option<Url> {
        if is_loopback(url) {
            return None;
        }
        match url.scheme() {
            "https" => https.clone(),
            _ => http.clone(),
        }
    };
    Some(Proxy::custom(choose).no_proxy(NoProxy::from_string(&proxies.none)))
}

/// Whether a URL is on this machine, by its looks.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(host) => {
            let text = host.to_string();
            let literal = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            literal.map_or_else(
                |_| super::dns::is_localhost(&text),
                |ip| ip.to_canonical().is_loopback(),
            )
        }
        None => false,
    }
}

/// What a failed exchange means, in words that say what to do.
pub(super) fn failed(error: reqwest::Error) -> Error {
    let error = error.without_url();
    if speaks_plain_http(&error) {
        return Error::unreachable("http: server gave HTTP response to HTTPS client")
            .caused_by(error);
    }
    if error.is_timeout() {
        let what = if error.is_connect() {
            "no connection in time"
        } else {
            "nothing came for too long"
        };
        return Error::unreachable(what).caused_by(error);
    }
    Error::unreachable(innermost(&error)).caused_by(error)
}

/// Whether a TLS handshake met something that is no TLS.
pub(super) fn speaks_plain_http(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(tls) = tls_error(cause) {
            return matches!(tls, rustls::Error::InvalidMessage(_));
        }
        next = cause.source();
    }
    false
}

/// `io::Error` hides what it carries from `source()`.
fn tls_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return io.get_ref().and_then(|inner| inner.downcast_ref());
    }
    cause.downcast_ref()
}

/// The deepest cause: what the kernel, the resolver or TLS said, in the words that Docker's users know.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut lookup = false;
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        lookup |= text == "dns error";
        if let Some(tls) = tls_error(cause) {
            return tls_problem(tls);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            text = io_problem(io);
        }
        next = cause.source();
    }
    if lookup {
        return format!("no such host ({text})");
    }
    text
}

fn tls_problem(error: &rustls::Error) -> String {
    use rustls::CertificateError::UnknownIssuer;
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(_) => {
            format!("tls: failed to verify certificate: {error}")
        }
        other => format!("tls: {other}"),
    }
}

fn io_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => error.to_string(),
    }
}
