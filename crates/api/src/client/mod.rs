//! The HTTP client over the daemon's socket.
//!
//! A request goes out at once under [`crate::CLIENT_VERSION`]; only a daemon that answers 400 because it is older costs
//! a second round trip, in the version that its answer's `Api-Version` header names. Connections are kept and used again
//! as soon as an answer's body has been read.

mod body;
mod endpoint;
mod error;
mod hijack;
mod messages;
mod request;
mod ssh;

use std::sync::Mutex;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

pub use body::{ResponseBody, UploadBody};
pub use endpoint::Endpoint;
pub use error::{Error, LOST, Result};
pub use hijack::{HijackReader, HijackWriter, Hijacked};
pub use messages::Messages;
pub use request::{Method, Request};
pub use ssh::{Ssh, check as check_ssh};

use body::WireBody;
use endpoint::Transport;

const USER_AGENT_VALUE: &str = concat!("Tare-Client/", env!("CARGO_PKG_VERSION"), " (linux)");
const API_VERSION_HEADER: &str = "api-version";

/// How the client is set up.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The API version to keep to (`DOCKER_API_VERSION`); `None` settles it with the daemon.
    pub api_version: Option<String>,
    /// Headers for every request (`HttpHeaders` of config.json).
    pub headers: Vec<(String, String)>,
}

/// A way to one daemon. Requests may run at the same time.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    headers: HeaderMap,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    version: String,
    settled: Settled,
    idle: Vec<SendRequest<WireBody>>,
}

/// How sure the client is of the API version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// Nobody has confirmed it yet.
    No,
    /// The daemon has answered to it, or the user wants no other.
    Yes,
}

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    /// The status, below 400.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
}

impl Client {
    /// A client of the daemon at `host` (`unix:///run/tare/tare.sock`, `tcp://127.0.0.1:2375`). Does not connect yet.
    pub fn new(host: &str) -> Result<Self> {
        Self::with_config(host, &Config::default())
    }

    /// The same, set up.
    pub fn with_config(host: &str, config: &Config) -> Result<Self> {
        let endpoint: Endpoint = host.parse()?;
        let headers = default_headers(&endpoint, &config.headers)?;
        let (version, settled) = match &config.api_version {
            Some(version) => (version.trim_start_matches('v').to_owned(), Settled::Yes),
            None => (crate::CLIENT_VERSION.to_owned(), Settled::No),
        };
        let state = Mutex::new(State {
            version,
            settled,
            idle: Vec::new(),
        });
        Ok(Self {
            endpoint,
            headers,
            state,
        })
    }

    /// The daemon's address.
    pub fn host(&self) -> String {
        self.endpoint.to_string()
    }

    /// The API version that requests go out under.
    pub fn api_version(&self) -> String {
        self.with_state(|state| state.version.clone())
    }

    /// Connects, to find out whether the daemon is there. The connection is kept for the first request.
    pub async fn connect(&self) -> Result<()> {
        let sender = self.dial().await?;
        self.keep(sender);
        Ok(())
    }

    /// `GET /_ping`: settles the API version and returns the headers that describe the daemon.
    pub async fn ping(&self) -> Result<HeaderMap> {
        let request = Request::get("/_ping").unversioned();
        let response = self.send_once(&request, UploadBody::default()).await?;
        let (headers, body) = (response.headers, response.body);
        body.discard().await?;
        self.settle(&headers);
        Ok(headers)
    }

    /// Sends a request and reads a JSON document.
    pub async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let path = request.path().to_owned();
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Document { path, source })
    }

    /// Sends a request and reads the whole body.
    pub async fn bytes(&self, request: Request) -> Result<Bytes> {
        self.send(request).await?.body.collect().await
    }

    /// Sends a request whose answer has nothing to say. The status tells 304 from 204.
    pub async fn call(&self, request: Request) -> Result<StatusCode> {
        let response = self.send(request).await?;
        response.body.discard().await?;
        Ok(response.status)
    }

    /// Sends a request and hands on the answer, to read its headers or to stream its body.
    pub async fn send(&self, mut request: Request) -> Result<Response> {
        let upload = request.take_upload();
        if !upload.is_empty() && !self.is_settled() {
            // A body that is streamed can be sent only once.
            self.ping().await?;
        }
        match self.send_once(&request, upload).await {
            Err(error) if self.is_too_new(&error) => {
                self.send_once(&request, UploadBody::default()).await
            }
            other => other,
        }
    }

    /// Sends a request and reads JSON messages one by one, as they come.
    pub async fn messages<T: DeserializeOwned>(&self, request: Request) -> Result<Messages<T>> {
        Ok(Messages::new(self.send(request).await?.body))
    }

    /// Sends a request and takes the connection over, for raw bytes in both directions.
    pub async fn hijack(&self, request: Request) -> Result<Hijacked> {
        match self.hijack_once(&request).await {
            Err(error) if self.is_too_new(&error) => self.hijack_once(&request).await,
            other => other,
        }
    }

    async fn hijack_once(&self, request: &Request) -> Result<Hijacked> {
        let mut request = self.http_request(request, UploadBody::default())?;
        request
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        request
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("tcp"));
        let mut sender = self.sender().await?;
        let response = sender.send_request(request).await?;
        let response = self.checked(response).await?;
        self.confirm();
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::NotHijacked(response.status().as_u16()));
        }
        Hijacked::new(response).await
    }

    async fn send_once(&self, request: &Request, upload: UploadBody) -> Result<Response> {
        let is_versioned = request.is_versioned();
        let request = self.http_request(request, upload)?;
        let mut sender = self.sender().await?;
        let response = sender.send_request(request).await?;
        self.keep(sender);
        let (parts, body) = self.checked(response).await?.into_parts();
        if is_versioned {
            self.confirm();
        }
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: ResponseBody::new(body),
        })
    }

    fn http_request(
        &self,
        request: &Request,
        upload: UploadBody,
    ) -> Result<http::Request<WireBody>> {
        let mut target = String::with_capacity(request.path().len() + 16);
        if request.is_versioned() {
            target.push_str("/v");
            self.with_state(|state| target.push_str(&state.version));
        }
        target.push_str(&request.target());
        let mut out = http::Request::new(request.wire_body(upload));
        *out.method_mut() = request.method().clone();
        *out.uri_mut() = target.parse().map_err(|_| Error::Target(target))?;
        out.headers_mut().clone_from(&self.headers);
        out.headers_mut().extend(request.headers().clone());
        if request.is_empty_post() {
            out.headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(out)
    }

    /// Turns an answer from 400 up into an error.
    async fn checked(
        &self,
        response: http::Response<Incoming>,
    ) -> Result<http::Response<Incoming>> {
        let status = response.status();
        if status.as_u16() < 400 {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = ResponseBody::new(body).collect().await?;
        let older =
            status == StatusCode::BAD_REQUEST && !self.is_settled() && error::says_too_new(&body);
        if older && self.settle(&parts.headers) {
            return Err(Error::TooNew);
        }
        Err(Error::from_answer(status.as_u16(), &body))
    }

    fn is_too_new(&self, error: &Error) -> bool {
        matches!(error, Error::TooNew)
    }

    /// Takes the daemon's version if it is older than ours. Returns whether that changed anything.
    fn settle(&self, headers: &HeaderMap) -> bool {
        let daemon = headers
            .get(API_VERSION_HEADER)
            .and_then(|value| value.to_str().ok());
        self.with_state(|state| {
            if state.settled == Settled::Yes {
                return false;
            }
            state.settled = Settled::Yes;
            match daemon {
                Some(daemon) if is_older(daemon, &state.version) => {
                    daemon.clone_into(&mut state.version);
                    true
                }
                _ => false,
            }
        })
    }

    /// The daemon has answered to our version.
    fn confirm(&self) {
        self.with_state(|state| state.settled = Settled::Yes);
    }

    fn is_settled(&self) -> bool {
        self.with_state(|state| state.settled == Settled::Yes)
    }

    /// A connection that is free, or a new one. One whose answer is still being read (a wait, a log that is followed)
    /// may never become free, so it is left alone.
    async fn sender(&self) -> Result<SendRequest<WireBody>> {
        if self.has_idle() {
            // The connection's task takes note of an answer's end when it next runs.
            tokio::task::yield_now().await;
        }
        match self.take_idle() {
            Some(sender) => Ok(sender),
            None => self.dial().await,
        }
    }

    fn has_idle(&self) -> bool {
        self.with_state(|state| !state.idle.is_empty())
    }

    fn take_idle(&self) -> Option<SendRequest<WireBody>> {
        self.with_state(|state| {
            state.idle.retain(|sender| !sender.is_closed());
            let free = state.idle.iter().position(SendRequest::is_ready)?;
            Some(state.idle.swap_remove(free))
        })
    }

    fn keep(&self, sender: SendRequest<WireBody>) {
        self.with_state(|state| state.idle.push(sender));
    }

    async fn dial(&self) -> Result<SendRequest<WireBody>> {
        let transport = Transport::connect(&self.endpoint).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(transport)).await?;
        // Its errors reach the caller through the request that meets them.
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn with_state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(
            &mut self
                .state
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}

fn default_headers(endpoint: &Endpoint, extra: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, endpoint.host_header());
    headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
    for (name, value) in extra {
        let refused = || Error::Header(name.clone());
        let name: HeaderName = name.parse().map_err(|_| refused())?;
        headers.insert(name, value.parse().map_err(|_| refused())?);
    }
    Ok(headers)
}

/// Compares `1.24` with `1.9` by number, not by letter.
fn is_older(a: &str, b: &str) -> bool {
    let numbers = |version: &str| {
        let mut parts = version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    numbers(a) < numbers(b)
}

#[cfg(test)]
mod tests;
