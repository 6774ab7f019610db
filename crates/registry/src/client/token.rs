//! Asking a token server (distribution, "Token Authentication Specification" and "OAuth2 Token Authentication").

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::auth::{self, TokenServer};
use super::body;
use super::endpoint::host_of;
use super::error::{Error, Kind, Result, printable};
use super::exchange::{LONGEST_RETRY_AFTER, retry_after};
use super::scope::Scopes;
use super::settings::Credentials;
use super::transport::Pool;

/// What is being done, in errors.
pub(super) const STEP: &str = "token";
/// Who we are to token servers; some know only this name.
const CLIENT: &str = "docker";
/// What a token without `expires_in` lasts, by the specification.
const USUAL: u64 = 60;
/// No token is believed to last longer.
const LONGEST: u64 = 24 * 3600;
const MAX_ANSWER: u64 = 1 << 20;
/// Tries when the server is overloaded.
const TRIES: u32 = 3;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) server: &'a TokenServer,
    pub(super) scopes: &'a Scopes,
    pub(super) credentials: &'a Credentials,
    /// Also a refresh token, with which later tokens are to be had without the password.
    pub(super) offline: bool,
}

/// What was given.
pub(super) struct Given {
    pub(super) token: String,
    pub(super) refresh: Option<String>,
    pub(super) lasts: Duration,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Gets a token.
pub(super) async fn fetch(pool: &Pool, wanted: &Wanted<'_>) -> Result<Given> {
    let host = host_of(&wanted.server.realm);
    let asked = async {
        let response = patiently(pool, wanted).await?;
        let status = response.status();
        let bytes = body::whole(response, MAX_ANSWER).await?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &bytes));
        }
        read(&bytes)
    };
    asked.await.map_err(|e| e.at(&host, STEP))
}

async fn patiently(pool: &Pool, wanted: &Wanted<'_>) -> Result<reqwest::Response> {
    let mut tried = 0;
    loop {
        tried += 1;
        let answer = pool.send(request(pool, wanted)?, 0).await;
        let usual = Duration::from_millis(300 << tried);
        let wait = match answer {
            Ok(response) if is_passing(&response) && tried < TRIES => {
                match retry_after(response.headers()).unwrap_or(usual) {
                    wait if wait > LONGEST_RETRY_AFTER => return Ok(response),
                    wait => wait,
                }
            }
            Ok(response) => return Ok(response),
            Err(error) if tried < TRIES && error.is_break() => usual,
            Err(error) => return Err(error),
        };
        tokio::time::sleep(wait).await;
    }
}

fn is_passing(response: &reqwest::Response) -> bool {
    response.status().is_server_error() || response.status() == 429
}

fn request(pool: &Pool, wanted: &Wanted<'_>) -> Result<reqwest::RequestBuilder> {
    match wanted.credentials {
        Credentials::IdentityToken(token) => Ok(exchange(pool, wanted, token)),
        Credentials::Basic { user, password } => {
            let url = query(wanted, Some(user));
            let header = auth::basic(user, password)?;
            Ok(pool.request(Method::GET, url).header(AUTHORIZATION, header))
        }
        Credentials::None | Credentials::RegistryToken(_) => {
            Ok(pool.request(Method::GET, query(wanted, None)))
        }
    }
}

fn query(wanted: &Wanted<'_>, account: Option<&str>) -> Url {
    let mut url = wanted.server.realm.clone();
    {
        let mut pairs = url.query_pairs_mut();
        if let Some(account) = account {
            pairs.append_pair("account", account);
        }
        for scope in wanted.scopes.texts() {
            pairs.append_pair("scope", &scope);
        }
        if !wanted.server.service.is_empty() {
            pairs.append_pair("service", &wanted.server.service);
        }
        if wanted.offline {
            pairs.append_pair("client_id", CLIENT);
            pairs.append_pair("offline_token", "true");
        }
    }
    url
}

/// A refresh token for an access token, by POST.
fn exchange(pool: &Pool, wanted: &Wanted<'_>, token: &str) -> reqwest::RequestBuilder {
    let scope = wanted.scopes.texts().join(" ");
    // A form is written as a query is.
    let mut form = wanted.server.realm.clone();
    form.query_pairs_mut()
        .clear()
        .append_pair("client_id", CLIENT)
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token)
        .append_pair("scope", &scope)
        .append_pair("service", &wanted.server.service);
    let body = form.query().unwrap_or_default().to_owned();
    pool.request(Method::POST, wanted.server.realm.clone())
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .body(body)
}

fn read(bytes: &[u8]) -> Result<Given> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|e| Error::lied("the token server's answer is not understood").caused_by(e))?;
    let token = if document.token.is_empty() {
        document.access_token
    } else {
        document.token
    };
    if token.is_empty() {
        return Err(Error::lied(
            "authorization server did not include a token in the response",
        ));
    }
    // Less than the usual minute is not to be believed either, by the specification.
    let lasts = document.expires_in.unwrap_or(USUAL).clamp(USUAL, LONGEST);
    Ok(Given {
        token,
        refresh: Some(document.refresh_token).filter(|t| !t.is_empty()),
        lasts: Duration::from_secs(lasts),
    })
}

/// Token servers answer in several dialects.
fn refused(status: u16, bytes: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Details {
        #[serde(alias = "error_description", alias = "message")]
        details: String,
    }
    let error = Error::answered(status, bytes);
    match serde_json::from_slice::<Details>(bytes) {
        Ok(said) if error.answers().is_empty() && error.kind() == Kind::Unauthorized => {
            let text = format!("unauthorized: {}", printable(&said.details, 300));
            Error::new(Kind::Unauthorized, text).with_status(status)
        }
        _ => error,
    }
}
