//! Whether somebody may come in, and what lets him in later without his password.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::Shared;
use super::auth::{TokenServer, basic, checked_realm};
use super::challenge::{Challenge, challenges};
use super::endpoint::{Endpoint, Finder};
use super::error::{Error, Kind, Result, status_text};
use super::exchange::complaint;
use super::scope::Scopes;
use super::settings::{Access, Credentials};
use super::token::{self, Wanted};

/// What a login gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedIn {
    /// To be kept in place of the password, where the registry gives one.
    pub identity_token: Option<String>,
}

pub(super) async fn login(
    shared: &Shared,
    domain: &str,
    credentials: &Credentials,
) -> Result<LoggedIn> {
    let finder = Finder {
        settings: &shared.settings,
        transports: &shared.transports,
    };
    let endpoints = finder.endpoints(domain, Access::PullPush).await?;
    let mut failed = None;
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_origin) {
        match at(endpoint, credentials).await {
            Err(error) if error.kind() == Kind::Unreachable => {
                failed = Some(error.at(&endpoint.host(), "login"));
            }
            other => return other.map_err(|e| e.at(&endpoint.host(), "login")),
        }
    }
    Err(failed.unwrap_or_else(|| Error::local(format!("{domain} has no server to log in to"))))
}

async fn at(endpoint: &Endpoint, credentials: &Credentials) -> Result<LoggedIn> {
    let response = knock(endpoint, None).await?;
    if response.status().is_success() {
        return Ok(LoggedIn::default());
    }
    if response.status() != 401 {
        return Err(complaint(response).await);
    }
    let offered: Vec<Challenge> = response
        .headers()
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| challenges(value.as_bytes()))
        .collect();
    let offers = |scheme: &str| offered.iter().find(|c| c.scheme == scheme);
    let (header, logged_in) = match (offers("bearer"), credentials) {
        (_, Credentials::RegistryToken(token)) => (bearer(token)?, LoggedIn::default()),
        (Some(challenge), _) => with_token(endpoint, challenge, credentials).await?,
        (None, Credentials::Basic { user, password }) if offers("basic").is_some() => {
            (basic(user, password)?, LoggedIn::default())
        }
        _ => return Err(complaint(response).await),
    };
    let response = knock(endpoint, Some(header)).await?;
    match response.status() {
        status if status.is_success() => Ok(logged_in),
        status if status == 401 => Err(Error::new(
            Kind::Unauthorized,
            format!(
                "login attempt to {} failed with status: {}",
                endpoint.base,
                status_text(401)
            ),
        )
        .with_status(401)),
        _ => Err(complaint(response).await),
    }
}

async fn with_token(
    endpoint: &Endpoint,
    challenge: &Challenge,
    credentials: &Credentials,
) -> Result<(HeaderValue, LoggedIn)> {
    let server = TokenServer {
        realm: checked_realm(challenge.parameter("realm").unwrap_or_default(), endpoint)?,
        service: challenge
            .parameter("service")
            .unwrap_or_default()
            .to_owned(),
    };
    let scopes = Scopes::default().joined(challenge.parameter("scope").unwrap_or_default());
    let given = token::fetch(
        &endpoint.pool,
        &Wanted {
            server: &server,
            scopes: &scopes,
            credentials,
            offline: true,
        },
    )
    .await?;
    let logged_in = LoggedIn {
        identity_token: given.refresh,
    };
    Ok((bearer(&given.token)?, logged_in))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::local("a token holds what no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Asks for the API's root, which says who may come in.
async fn knock(endpoint: &Endpoint, header: Option<HeaderValue>) -> Result<reqwest::Response> {
    let mut request = endpoint
        .pool
        .request(Method::GET, endpoint.base.clone())
        .headers(endpoint.headers.clone());
    if let Some(header) = header {
        request = request.header(AUTHORIZATION, header);
    }
    endpoint.pool.send(request, 0).await
}
