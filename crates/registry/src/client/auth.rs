//! Getting in: which way a server wants, and the tokens it wants.
//!
//! Secrets go to the registry whose user they are, and to the token server that this registry names; to that one only
//! over TLS, unless the administrator called the registry insecure. A mirror or a redirect's target never sees them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::challenge::{Challenge, challenges};
use super::endpoint::{Endpoint, host_of};
use super::error::{Error, Kind, Result};
use super::scope::Scopes;
use super::settings::Credentials;
use super::token::{self, Wanted};

/// Tokens that are kept; beyond that the ones that have run out go first.
const MOST_TOKENS: usize = 1024;
const MOST_SCHEMES: usize = 1024;

/// What a server wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Basic,
    Bearer(TokenServer),
}

/// Where tokens are to be had, as a registry named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenServer {
    pub(super) realm: Url,
    pub(super) service: String,
}

/// A token and how long it lasts.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) good_until: Instant,
}

type Key = (TokenServer, Scopes, Credentials);
type Cell = Arc<tokio::sync::Mutex<Option<Token>>>;

/// What all requests of one client know about getting in.
#[derive(Default)]
pub(super) struct Keyring {
    schemes: Mutex<HashMap<String, Scheme>>,
    tokens: Mutex<HashMap<Key, Cell>>,
}

impl Keyring {
    fn scheme(&self, endpoint: &Endpoint) -> Option<Scheme> {
        let schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.get(endpoint.base.as_str()).cloned()
    }

    fn learn(&self, endpoint: &Endpoint, scheme: Scheme) {
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        if schemes.len() >= MOST_SCHEMES {
            schemes.clear();
        }
        schemes.insert(endpoint.base.to_string(), scheme);
    }

    /// The place of one token: whoever holds its lock gets it, the others wait for that.
    fn cell(&self, key: Key) -> Cell {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            let now = Instant::now();
            tokens.retain(|_, cell| match cell.try_lock() {
                Ok(token) => token.as_ref().is_some_and(|t| t.good_until > now),
                Err(_) => true,
            });
        }
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        Arc::clone(tokens.entry(key).or_default())
    }
}

/// The right to ask one endpoint.
pub(super) struct Access<'a> {
    pub(super) keyring: &'a Keyring,
    pub(super) endpoint: &'a Endpoint,
    pub(super) credentials: &'a Credentials,
    pub(super) scopes: &'a Scopes,
}

impl Access<'_> {
    /// The header to send, as far as it is known what the server wants.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        match (self.keyring.scheme(self.endpoint), self.credentials) {
            (_, Credentials::RegistryToken(token)) if self.endpoint.is_origin => {
                secret(format!("Bearer {token}")).map(Some)
            }
            (Some(Scheme::Bearer(server)), _) => match self.token(&server, None).await {
                Ok(token) => Ok(Some(token)),
                // It may have moved: the registry says whom to ask now, or wants no token here.
                Err(_) => Ok(None),
            },
            (Some(Scheme::Basic), Credentials::Basic { user, password })
                if self.endpoint.is_origin =>
            {
                basic(user, password).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The header to try once more with after a 401, to a request that had `sent`.
    pub(super) async fn after_refusal(
        &self,
        headers: &reqwest::header::HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        let offered: Vec<Challenge> = headers
            .get_all(reqwest::header::WWW_AUTHENTICATE)
            .iter()
            .flat_map(|value| challenges(value.as_bytes()))
            .collect();
        if let Some(bearer) = offered.iter().find(|c| c.scheme == "bearer") {
            return self.bearer(bearer, sent).await;
        }
        if offered.iter().any(|c| c.scheme == "basic") {
            self.keyring.learn(self.endpoint, Scheme::Basic);
            return self.basic(sent);
        }
        Ok(None)
    }

    async fn bearer(
        &self,
        challenge: &Challenge,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        if matches!(self.credentials, Credentials::RegistryToken(_)) && self.endpoint.is_origin {
            // There is but this token, and it was refused.
            return Ok(None);
        }
        let server = TokenServer {
            realm: self.realm(challenge.parameter("realm").unwrap_or_default())?,
            service: challenge
                .parameter("service")
                .unwrap_or_default()
                .to_owned(),
        };
        let wanted = challenge.parameter("scope").unwrap_or_default();
        let known = self.scopes.holds_all(wanted);
        let scopes = self.scopes.joined(wanted);
        let access = Access {
            scopes: &scopes,
            ..*self
        };
        // A token with more rights than those we know of is for this one request.
        let sent = if known { sent } else { None };
        let token = access.token(&server, sent).await?;
        self.keyring.learn(self.endpoint, Scheme::Bearer(server));
        Ok(Some(token))
    }

    fn basic(&self, sent: Option<&HeaderValue>) -> Result<Option<HeaderValue>> {
        match self.credentials {
            Credentials::Basic { user, password } if self.endpoint.is_origin && sent.is_none() => {
                basic(user, password).map(Some)
            }
            Credentials::Basic { .. } if self.endpoint.is_origin => Ok(None),
            _ => Err(Error::new(Kind::Unauthorized, "no basic auth credentials")
                .beginning(format!("Get \"{}\": ", self.endpoint.base))),
        }
    }

    /// A token that is good for a while yet and is not the `refused` one.
    async fn token(
        &self,
        server: &TokenServer,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let credentials = if self.endpoint.is_origin {
            self.credentials.clone()
        } else {
            Credentials::None
        };
        let cell = self
            .keyring
            .cell((server.clone(), self.scopes.clone(), credentials.clone()));
        let mut held = cell.lock().await;
        let now = Instant::now();
        if let Some(token) = &*held
            && token.good_until > now
            && refused != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        let wanted = Wanted {
            server,
            scopes: self.scopes,
            credentials: &credentials,
            offline: false,
        };
        let got = token::fetch(&self.endpoint.pool, &wanted).await?;
        let header = secret(format!("Bearer {}", got.token))?;
        *held = Some(Token {
            header: header.clone(),
            good_until: now + early(got.lasts),
        });
        Ok(header)
    }

    /// The token server's address, if secrets may go there.
    fn realm(&self, realm: &str) -> Result<Url> {
        checked_realm(realm, self.endpoint)
    }
}

/// The token server's address, if it is one and secrets may go there.
pub(super) fn checked_realm(realm: &str, endpoint: &Endpoint) -> Result<Url> {
    let invalid = || {
        Error::lied(format!(
            "it names a token server that is no URL: {realm:.200?}"
        ))
    };
    let url = Url::parse(realm).map_err(|_| invalid())?;
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !fits || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid());
    }
    if url.scheme() == "http" && !endpoint.insecure {
        return Err(Error::lied(format!(
            "it names a token server without TLS, {}; credentials do not go there",
            host_of(&url)
        )));
    }
    Ok(url)
}

/// A token is renewed before it ends, so that it does not end on its way.
fn early(lasts: Duration) -> Duration {
    lasts.saturating_sub((lasts / 10).clamp(Duration::from_secs(1), Duration::from_secs(30)))
}

pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    let both = STANDARD.encode(format!("{user}:{password}"));
    secret(format!("Basic {both}"))
}

fn secret(text: String) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::local("a token or password holds what no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
