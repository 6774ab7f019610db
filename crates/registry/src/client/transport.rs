//! Connections: one pool for all servers that are trusted in the same way.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::certificates::{self, Material};
use super::dns::Resolver;
use super::error::{Error, Result};
use super::pace::{Pace, Pacer, Patience};
use super::settings::{Settings, proxy_url};
use super::tls_words;
use super::upload::ByteStream;
use super::verifier::Trusted;
use reqwest::{Method, NoProxy, Proxy, RequestBuilder, Response, Url};

/// Idle connections go away after this; most registries close theirs after a minute.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 8;
/// More pools than this means that certificate files keep changing; the old ones are let go.
const MOST_POOLS: usize = 64;

/// Makes and keeps the pools.
pub(super) struct Transports {
    pub(super) resolver: Resolver,
    pools: Mutex<HashMap<Material, Pool>>,
    trusted: OnceLock<Trusted>,
}

impl Transports {
    pub(super) fn new() -> Self {
        Transports {
            resolver: Resolver::default(),
            pools: Mutex::default(),
            trusted: OnceLock::new(),
        }
    }

    /// The pool for servers of this kind.
    pub(super) fn pool(&self, settings: &Settings, material: &Material) -> Result<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(material) {
            return Ok(pool.clone());
        }
        let pool = Pool {
            http: self.make(settings, material)?,
            pace: Pace {
                window: settings.idle_timeout,
                least: settings.least_progress,
                connect: settings.connect_timeout,
            },
        };
        if pools.len() >= MOST_POOLS {
            pools.clear();
        }
        pools.insert(material.clone(), pool.clone());
        Ok(pool)
    }

    fn make(&self, settings: &Settings, material: &Material) -> Result<reqwest::Client> {
        let tls = certificates::configuration(self.trusted(settings)?, material)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .no_proxy()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
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

    fn trusted(&self, settings: &Settings) -> Result<&Trusted> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(trusted);
        }
        let trusted = certificates::trusted(&settings.trusted)?;
        Ok(self.trusted.get_or_init(|| trusted))
    }
}

/// Connections to servers that are trusted in the same way, and how slow they may be.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    http: reqwest::Client,
    pace: Pace,
}

impl Pool {
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request whose body has `length` bytes.
    pub(super) async fn send(&self, request: RequestBuilder, length: usize) -> Result<Response> {
        self.send_patiently(request, length, Patience::Usual).await
    }

    /// The same, for one that may take long to be answered.
    pub(super) async fn send_patiently(
        &self,
        request: RequestBuilder,
        length: usize,
        patience: Patience,
    ) -> Result<Response> {
        let answered = self.pace.head(length, patience, request.send()).await?;
        self.paced(answered.map_err(failed)?)
    }

    /// Sends content that is not in memory.
    pub(super) async fn send_content(
        &self,
        request: RequestBuilder,
        content: ByteStream,
    ) -> Result<Response> {
        let (watched, watch) = self.pace.watched(content);
        let request = request.body(reqwest::Body::wrap_stream(watched));
        tokio::select! {
            answered = request.send() => self.paced(answered.map_err(failed)?),
            stalled = watch.stalled() => Err(stalled),
        }
    }

    /// The pace goes with the answer to whoever reads its body.
    fn paced(&self, mut response: Response) -> Result<Response> {
        response.extensions_mut().insert(self.pace);
        Ok(response)
    }
}

/// The pace of an answer's body.
pub(super) fn pacer(response: &Response) -> Result<Pacer> {
    let pace = response.extensions().get::<Pace>();
    let pace = pace.ok_or_else(|| Error::local("an answer has no pace"))?;
    Ok(pace.begin())
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

/// `io::Error` hides what it carries from `source()`, and may carry another one.
fn tls_error<'e>(mut cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    while let Some(io) = cause.downcast_ref::<io::Error>() {
        cause = io.get_ref()?;
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
            return tls_words::tls(tls);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            text = io_problem(io);
        }
        next = cause.source();
    }
    if lookup && !text.starts_with("lookup ") {
        return format!("lookup failed: {text}");
    }
    text
}

fn io_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => error.to_string(),
    }
}
