//! One request and its answer: getting in, waiting and trying again, following redirects.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode, Url};

use super::Shared;
use super::auth::Access;
use super::body;
use super::challenge::challenges;
use super::endpoint::{Endpoint, Finder, host_of};
use super::error::{Error, Kind, Result};
use super::pace::Patience;
use super::scope::Scopes;
use super::settings::Credentials;
use super::token;
use super::transport::is_loopback;
use super::upload::ByteStream;

/// Redirects in a row.
const MOST_REDIRECTS: usize = 10;
/// Of a failed request's answer, what is read to learn why.
const MAX_COMPLAINT: u64 = 64 << 10;
/// Whoever asks for a longer wait is told to the user instead.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A request that may be sent again as it is.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) patience: Patience,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Ask {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            patience: Patience::Usual,
        }
    }
}

/// The way to one endpoint, with somebody's credentials and for something.
pub(super) struct Line {
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Credentials,
    pub(super) scopes: Scopes,
    /// Whether it ever answered: what never did is not tried again and again.
    pub(super) answered: AtomicBool,
    /// Whether a connection ever stood: who refuses the first one is not asked again.
    pub(super) reached: AtomicBool,
    /// Whether it ever had what it was asked for.
    pub(super) served: AtomicBool,
    /// A mirror that lied.
    pub(super) distrusted: AtomicBool,
}

impl Line {
    /// The same line with more rights.
    pub(super) fn with_scopes(&self, more: Scopes) -> Line {
        Line {
            endpoint: self.endpoint.clone(),
            credentials: self.credentials.clone(),
            scopes: self.scopes.clone().with(more),
            answered: AtomicBool::new(self.answered.load(Ordering::Relaxed)),
            reached: AtomicBool::new(self.reached.load(Ordering::Relaxed)),
            served: AtomicBool::new(self.served.load(Ordering::Relaxed)),
            distrusted: AtomicBool::new(self.distrusted.load(Ordering::Relaxed)),
        }
    }

    /// Sends until there is an answer that means something; one with a bad status is an error.
    pub(super) async fn send(&self, shared: &Shared, ask: &Ask) -> Result<Response> {
        let mut tries = Tries::new(shared);
        loop {
            match self.redirected(shared, ask).await {
                Ok(response) if is_passing(response.status()) => {
                    tries.wait(complaint(response).await).await?;
                }
                Ok(response) if is_good(response.status()) => return Ok(response),
                Ok(response) => return Err(complaint(response).await),
                Err(error) if self.may_be_passing(&error) => tries.wait(error).await?,
                Err(error) if self.is_unreached(&error) => {
                    return Err(unreached(shared, &self.endpoint, error));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Nobody is there, or nobody who can be believed; a token server is somebody else.
    fn is_unreached(&self, error: &Error) -> bool {
        error.is_connect() && error.step() != token::STEP && !self.reached.load(Ordering::Relaxed)
    }

    fn may_be_passing(&self, error: &Error) -> bool {
        // A token server that does not answer was asked several times already.
        error.kind() == Kind::Unreachable
            && error.step() != token::STEP
            && self.answered.load(Ordering::Relaxed)
            && !self.is_unreached(error)
    }

    /// Follows redirects; what the endpoint itself must see stays with it.
    async fn redirected(&self, shared: &Shared, ask: &Ask) -> Result<Response> {
        let mut response = self.admitted(shared, ask).await?;
        let mut url = ask.url.clone();
        let may_follow = matches!(ask.method, Method::GET | Method::HEAD);
        for _ in 0..=MOST_REDIRECTS {
            if !is_redirect(response.status()) || !may_follow {
                return Ok(response);
            }
            let next = self.target(&url, response.headers())?;
            let onward = Ask {
                url: next.clone(),
                ..ask.clone()
            };
            response = if next.origin() == self.endpoint.base.origin() {
                self.admitted(shared, &onward).await?
            } else {
                stranger(shared, &onward)
                    .await
                    .map_err(|e| e.at(&host_of(&next), "download it was redirected to"))?
            };
            url = next;
        }
        Err(Error::lied(format!(
            "it redirects more than {MOST_REDIRECTS} times"
        )))
    }

    /// Where a redirect leads, if that is somewhere to go.
    pub(super) fn target(&self, from: &Url, headers: &HeaderMap) -> Result<Url> {
        let text = headers
            .get(LOCATION)
            .ok_or_else(|| Error::lied("it redirects, but does not say where to"))?;
        let invalid = || Error::lied("it redirects to something that is no URL");
        let text = text.to_str().map_err(|_| invalid())?;
        let mut url = from.join(text).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https")
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(invalid());
        }
        // A registry behind a proxy often does not know that it is reached over TLS.
        let base = &self.endpoint.base;
        if base.scheme() == "https" && url.scheme() == "http" && url.host() == base.host() {
            let port = url.port();
            let upgraded = url.set_scheme("https").is_ok();
            if upgraded
                && (port.is_none() || port == Some(80))
                && url.set_port(base.port()).is_err()
            {
                return Err(invalid());
            }
        }
        if base.scheme() == "https" && url.scheme() == "http" && !self.endpoint.insecure {
            return Err(Error::lied(format!(
                "it redirects to {} without TLS, which is only followed for insecure registries",
                host_of(&url)
            )));
        }
        url.set_fragment(None);
        Ok(url)
    }

    /// Sends with what the server wants to see, once more when it says what that is.
    async fn admitted(&self, shared: &Shared, ask: &Ask) -> Result<Response> {
        let access = self.access(shared);
        let mut sent = access.header().await?;
        let mut response = self.once(ask, sent.as_ref(), Content::Whole).await?;
        // Twice: a token may have ended, and the server may then ask for more than the first one allowed.
        for _ in 0..2 {
            if response.status() != StatusCode::UNAUTHORIZED {
                break;
            }
            let offered = response.headers().clone();
            let Some(header) = access.after_refusal(&offered, sent.as_ref()).await? else {
                break;
            };
            response = self.once(ask, Some(&header), Content::Whole).await?;
            sent = Some(header);
        }
        Ok(response)
    }

    fn access<'a>(&'a self, shared: &'a Shared) -> Access<'a> {
        Access {
            keyring: &shared.keyring,
            endpoint: &self.endpoint,
            credentials: &self.credentials,
            scopes: &self.scopes,
        }
    }

    /// Sends a body that cannot be sent twice; whatever comes back is the answer.
    pub(super) async fn send_once(
        &self,
        shared: &Shared,
        ask: &Ask,
        content: ByteStream,
    ) -> Result<Response> {
        let header = self.access(shared).header().await?;
        let content = Content::Stream(content);
        let response = self.once(ask, header.as_ref(), content).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // The next try has a new token.
            let offered = response.headers().clone();
            self.access(shared)
                .after_refusal(&offered, header.as_ref())
                .await?;
        }
        if is_good(response.status()) {
            return Ok(response);
        }
        Err(complaint(response).await)
    }

    async fn once(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
        content: Content,
    ) -> Result<Response> {
        let mut headers = self.endpoint.headers.clone();
        headers.extend(ask.headers.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let pool = &self.endpoint.pool;
        let request = pool
            .request(ask.method.clone(), ask.url.clone())
            .headers(headers);
        let response = match content {
            Content::Stream(content) => pool.send_content(request, content).await?,
            Content::Whole if has_body(&ask.method) => {
                let length = ask.body.len();
                let request = request.body(ask.body.clone());
                pool.send_patiently(request, length, ask.patience).await?
            }
            Content::Whole => pool.send(request, 0).await?,
        };
        self.answered.store(true, Ordering::Relaxed);
        self.reached.store(true, Ordering::Relaxed);
        Ok(response)
    }
}

/// The failure of a first contact as Docker tells it: `Get "https://host/v2/": dial tcp host:443: connect: ...`.
fn unreached(shared: &Shared, endpoint: &Endpoint, error: Error) -> Error {
    let base = &endpoint.base;
    let proxies = &shared.settings.proxies;
    let direct = (proxies.http.is_none() && proxies.https.is_none()) || is_loopback(base);
    let dialled = if error.problem().starts_with("lookup ") {
        "dial tcp: ".to_owned()
    } else if direct && error.problem().starts_with("connect: ") {
        let port = base.port_or_known_default().unwrap_or_default();
        format!("dial tcp {}:{port}: ", base.host_str().unwrap_or_default())
    } else {
        String::new()
    };
    let error = error.at(&endpoint.host(), "/v2/");
    error.never_reached(format!("Get \"{base}\": {dialled}"))
}

/// What a request carries.
enum Content {
    /// The body of its [`Ask`].
    Whole,
    Stream(ByteStream),
}

fn has_body(method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::POST | Method::PATCH)
}

/// Asks a host that a registry sent us to: without credentials, and trusted as any other host.
pub(super) async fn stranger(shared: &Shared, ask: &Ask) -> Result<Response> {
    let finder = Finder {
        settings: &shared.settings,
        transports: &shared.transports,
    };
    let host = host_of(&ask.url);
    let mut material = finder.folder_material(&host)?;
    material.unverified = finder.is_insecure(&host).await;
    let pool = shared.transports.pool(&shared.settings, &material)?;
    let mut headers = ask.headers.clone();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let request = pool.request(ask.method.clone(), ask.url.clone());
    pool.send(request.headers(headers), 0).await
}

/// Counts tries and waits between them.
pub(super) struct Tries<'a> {
    shared: &'a Shared,
    failed: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Tries::after(shared, 0)
    }

    /// Goes on counting after `failed` tries.
    pub(super) fn after(shared: &'a Shared, failed: u32) -> Self {
        Tries { shared, failed }
    }

    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// Waits before the next try; gives the error back when there is none.
    pub(super) async fn wait(&mut self, error: Error) -> Result<()> {
        self.failed += 1;
        let asked = error.wait();
        let settings = &self.shared.settings;
        if self.failed >= settings.attempts || asked.is_some_and(|w| w > LONGEST_RETRY_AFTER) {
            return Err(error);
        }
        let doubled = settings
            .first_wait
            .saturating_mul(1 << (self.failed - 1).min(16))
            .min(settings.longest_wait);
        let wait = asked.unwrap_or(doubled);
        tracing::debug!(%error, try_ = self.failed, ?wait, "asking the registry again");
        // Clients that failed together do not come back together.
        tokio::time::sleep(wait + doubled.mul_f64(jitter() / 2.0)).await;
        Ok(())
    }

    /// A try that brought something does not count.
    pub(super) fn forgive(&mut self) {
        self.failed = 0;
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

/// The error that a bad answer is.
pub(super) async fn complaint(response: Response) -> Error {
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let lacks_rights = status == 401 && says_insufficient(response.headers());
    // One that cannot be read, or is too long, says nothing beyond its status.
    let bytes = body::whole(response, MAX_COMPLAINT)
        .await
        .unwrap_or_default();
    let error = Error::answered(status, &bytes).after(wait);
    if lacks_rights {
        return error.denied();
    }
    error
}

/// Who asked is known (or anonymous), but his token does not reach far enough (RFC 6750, section 3.1).
fn says_insufficient(headers: &HeaderMap) -> bool {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| challenges(value.as_bytes()))
        .any(|challenge| challenge.parameter("error") == Some("insufficient_scope"))
}

fn is_good(status: StatusCode) -> bool {
    status.is_success()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether the same request may go better later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long a server asks to wait: seconds, or until when (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(
        until
            .duration_since(jiff::Timestamp::now())
            .try_into()
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_servers_ask_for() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(read("Wed, 21 Oct 2099 07:28:00 GMT") > Some(Duration::from_secs(3600)));
        assert_eq!(read("soon"), None);
    }
}
