//! The distribution protocol over HTTP: one function a resource, and the table that leads to them.

mod access;
mod blobs;
mod content;
mod manifests;
mod pages;
mod read;
mod serve;
mod tokens;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

pub(crate) use content::{Buffers, Content};
pub(crate) use serve::{Listener, Shows, accept, listen};

use super::Registry;
use super::auth::Action;
use super::failure::Failure;
use super::query::Query;
use super::store;
use super::target::Target;

pub(crate) type Reply = Response<Content>;
type Answer = Result<Reply, Failure>;

/// A request, with what every handler needs of it.
struct Asked {
    method: Method,
    headers: http::HeaderMap,
    query: Query,
    path: String,
    /// How the client reaches us: `https://host:port`.
    base: String,
    body: Incoming,
}

/// Answers one request; whatever goes wrong becomes an answer too.
pub(crate) async fn answer(
    registry: Arc<Registry>,
    request: Request<Incoming>,
    scheme: &str,
    peer: SocketAddr,
) -> Reply {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let line = access::Line::of(&registry, &parts, peer);
    let asked = Asked {
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        path: parts.uri.path().to_owned(),
        base: base(scheme, &parts.headers),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let method = asked.method.clone();
    let target = Target::parse(&asked.path);
    let kind = target.as_ref().map_or("unknown", Target::kind);
    let result = match target {
        Ok(target) => route(&registry, target, asked).await,
        Err(unknown) => refuse_path(&registry, unknown, &asked).await,
    };
    let mut reply = result.unwrap_or_else(|failure| failed(&failure));
    if method == Method::HEAD {
        *reply.body_mut() = Content::empty();
    }
    common_headers(&mut reply);
    registry
        .metrics
        .answered(&method, kind, reply.status(), begun.elapsed());
    line.write(&reply, begun.elapsed());
    reply
}

/// Nobody learns what is no path before he may come in.
async fn refuse_path(
    registry: &Registry,
    unknown: super::target::Unknown,
    asked: &Asked,
) -> Answer {
    let entering = registry
        .door
        .check(&asked.headers, Action::Enter, None, &asked.base);
    entering.await?;
    Err(Failure::of_path(unknown, &asked.method))
}

async fn route(registry: &Arc<Registry>, target: Target, asked: Asked) -> Answer {
    if target == Target::Token {
        return tokens::give(registry, asked).await;
    }
    let action = Action::of(&target, &asked.method);
    let entering = registry
        .door
        .check(&asked.headers, action, target.name(), &asked.base);
    entering.await?;
    registry.allows(&target, &asked.method)?;
    let target = registry.redirected(target, &asked.query)?;
    let reads = matches!(asked.method, Method::GET | Method::HEAD);
    match (target, asked.method.as_str()) {
        (Target::Base, _) if reads => json(StatusCode::OK, b"{}".as_slice()),
        (Target::Catalog, "GET" | "HEAD") => manifests::catalog(registry, &asked).await,
        (Target::Tags(name), "GET" | "HEAD") => manifests::tags(registry, name, &asked).await,
        (Target::Referrers(name, subject), "GET" | "HEAD") => {
            manifests::referrers(registry, name, subject, &asked).await
        }
        (Target::Manifest(name, reach), "GET" | "HEAD") => {
            manifests::get(registry, name, reach, &asked).await
        }
        (Target::Manifest(name, reach), "PUT") => {
            manifests::put(registry, name, reach, asked).await
        }
        (Target::Manifest(name, reach), "DELETE") => manifests::delete(registry, name, reach).await,
        (Target::Blob(name, digest), "GET" | "HEAD") => {
            blobs::get(registry, name, digest, &asked).await
        }
        (Target::Blob(name, digest), "DELETE") => blobs::delete(registry, name, digest).await,
        (Target::Uploads(name), "POST") => uploads::begin(registry, name, asked).await,
        (Target::Upload(name, id), "GET" | "HEAD") => uploads::status(registry, name, id).await,
        (Target::Upload(name, id), "PATCH") => uploads::patch(registry, name, id, asked).await,
        (Target::Upload(name, id), "PUT") => uploads::put(registry, name, id, asked).await,
        (Target::Upload(name, id), "DELETE") => uploads::cancel(registry, name, id).await,
        (Target::Metrics, "GET" | "HEAD") => pages::metrics(registry).await,
        (Target::Home, "GET" | "HEAD") => pages::home(registry, &asked).await,
        (Target::Page(name), "GET" | "HEAD") => pages::repository(registry, name, &asked).await,
        (Target::ManifestPage(name, reach), "GET" | "HEAD") => {
            pages::manifest(registry, name, reach).await
        }
        _ => Err(Failure::unsupported(
            "the resource does not know this method",
        )),
    }
}

/// Runs what may wait for the disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> store::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::from),
        Err(error) => {
            tracing::error!("a request ended in a panic: {error}");
            Err(Failure::internal())
        }
    }
}

fn reply(status: StatusCode) -> Reply {
    let mut reply = Response::new(Content::empty());
    *reply.status_mut() = status;
    reply
}

/// Puts a header whose value is made of what has been checked.
fn put_header(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

fn json(status: StatusCode, body: impl Into<bytes::Bytes>) -> Answer {
    let mut reply = reply(status);
    let body = body.into();
    put_header(&mut reply, header::CONTENT_TYPE, "application/json");
    put_header(&mut reply, header::CONTENT_LENGTH, &body.len().to_string());
    *reply.body_mut() = Content::of(body);
    Ok(reply)
}

fn failed(failure: &Failure) -> Reply {
    let mut reply = json(failure.status, failure.body()).unwrap_or_else(|_| reply(failure.status));
    for (name, value) in &failure.headers {
        reply.headers_mut().insert(name.clone(), value.clone());
    }
    reply
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

fn common_headers(reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    // What was pushed is never a page of this host, whatever it looks like.
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
}

/// Where the client believes us to be; it is told nothing that it did not say itself.
fn base(scheme: &str, headers: &http::HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let plain = |host: &&str| {
        host.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    };
    format!("{scheme}://{}", host.filter(plain).unwrap_or("localhost"))
}
