//! The endpoints: one line each in [`table`], one function each in the modules below.

mod check;
mod commit;
mod containers;
mod execs;
mod files;
mod images;
mod import;
mod networks;
mod registries;
mod streams;
mod system;
mod travel;
mod unsupported;
mod volumes;

pub(crate) use images::publish_removed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use crate::app::App;
use crate::http::body::{self, Answer};
use crate::http::failure::Failure;
use crate::http::query::Query;
use crate::http::router::{self, Route, Vars};
use crate::http::serve::{Handler, Outcome, Pending, Upgrade};
use crate::http::version::{ApiVersion, MAX_VERSION, MIN_VERSION, Mismatch, check};

/// A request on its way through a handler.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) version: ApiVersion,
    pub(crate) vars: Vars,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
}

impl Call {
    /// The container, exec or image that the path names.
    pub(crate) fn name(&self) -> &str {
        self.vars.get("name")
    }

    /// How the client wants a raw connection.
    pub(crate) fn upgrade(&self) -> Upgrade {
        let wants_tcp = self
            .headers
            .get(header::UPGRADE)
            .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"tcp"));
        if wants_tcp {
            Upgrade::Tcp
        } else {
            Upgrade::Bare
        }
    }
}

pub(crate) type Reply = Result<Answer, Failure>;

/// What a path does.
pub(crate) enum Does {
    Answer(fn(Call) -> Pending<Reply>),
    /// May take the connection over.
    Stream(fn(Call) -> Pending<Result<Outcome, Failure>>),
    /// Docker has it, we do not.
    NotBuilt(&'static str),
    /// Docker answers this on a node without a cluster.
    NoSwarm,
}

macro_rules! answers {
    ($($method:ident $pattern:literal => $handler:path,)*) => {
        [$(Route::new(Method::$method, $pattern, Does::Answer(|call| Box::pin($handler(call))))),*]
    };
}

macro_rules! streams {
    ($($method:ident $pattern:literal => $handler:path,)*) => {
        [$(Route::new(Method::$method, $pattern, Does::Stream(|call| Box::pin($handler(call))))),*]
    };
}

/// Every path of the Engine API.
fn table() -> Vec<Route<Does>> {
    let mut table = Vec::new();
    table.extend(answers! {
        GET "/_ping" => system::ping,
        HEAD "/_ping" => system::ping,
        GET "/version" => system::version,
        GET "/info" => system::info,
        GET "/events" => system::events,
        POST "/system/check" => check::check,
        GET "/system/df" => system::disk_usage,
        GET "/containers/json" => containers::list,
        POST "/commit" => commit::commit,
        POST "/containers/create" => containers::create,
        POST "/containers/prune" => containers::prune,
        GET "/containers/{name*}/json" => containers::inspect,
        POST "/containers/{name*}/start" => containers::start,
        POST "/containers/{name*}/stop" => containers::stop,
        POST "/containers/{name*}/restart" => containers::restart,
        POST "/containers/{name*}/kill" => containers::kill,
        POST "/containers/{name*}/pause" => containers::pause,
        POST "/containers/{name*}/unpause" => containers::unpause,
        POST "/containers/{name*}/rename" => containers::rename,
        POST "/containers/{name*}/resize" => containers::resize,
        POST "/containers/{name*}/wait" => containers::wait,
        GET "/containers/{name*}/top" => containers::top,
        DELETE "/containers/{name*}" => containers::remove,
        GET "/containers/{name*}/logs" => streams::logs,
        GET "/containers/{name*}/changes" => files::changes,
        GET "/containers/{name*}/export" => files::export,
        HEAD "/containers/{name*}/archive" => files::archive_stat,
        GET "/containers/{name*}/archive" => files::archive_get,
        PUT "/containers/{name*}/archive" => files::archive_put,
        POST "/containers/{name*}/exec" => execs::create,
        GET "/exec/{name}/json" => execs::inspect,
        POST "/exec/{name}/resize" => execs::resize,
        POST "/auth" => registries::login,
        GET "/distribution/{name*}/json" => registries::distribution,
        GET "/images/search" => registries::search,
        GET "/images/json" => images::list,
        GET "/images/get" => images::save_many,
        POST "/images/load" => images::load,
        POST "/images/create" => images::create,
        POST "/images/prune" => images::prune,
        GET "/images/{name*}/get" => images::save,
        GET "/images/{name*}/history" => images::history,
        GET "/images/{name*}/json" => images::inspect,
        POST "/images/{name*}/tag" => images::tag,
        POST "/images/{name*}/push" => registries::push,
        DELETE "/images/{name*}" => images::remove,
        GET "/networks" => networks::list,
        GET "/networks/" => networks::list,
        GET "/networks/{name*}" => networks::inspect,
        POST "/networks/create" => networks::create,
        POST "/networks/{name*}/connect" => networks::connect,
        POST "/networks/{name*}/disconnect" => networks::disconnect,
        POST "/networks/prune" => networks::prune,
        DELETE "/networks/{name*}" => networks::remove,
        GET "/volumes" => volumes::list,
        POST "/volumes/create" => volumes::create,
        POST "/volumes/prune" => volumes::prune,
        GET "/volumes/{name}" => volumes::inspect,
        DELETE "/volumes/{name}" => volumes::remove,
        PUT "/volumes/{name}" => volumes::update,
        POST "/build/prune" => system::prune_build_cache,
        GET "/plugins" => system::plugins,
        GET "/tare/images/{name*}" => travel::parts,
        POST "/tare/containers/{name}/ports" => containers::republish,
        POST "/tare/images" => travel::arrive,
        GET "/tare/layers/{name}/status" => travel::status,
        GET "/tare/layers/{name}" => travel::layer,
        PUT "/tare/layers/{name}" => travel::receive,
    });
    table.extend(streams! {
        POST "/containers/{name*}/attach" => streams::attach,
        POST "/exec/{name}/start" => streams::exec_start,
    });
    table.extend(unsupported::table());
    table
}

/// The handler of every request of this daemon.
pub(crate) fn handler(app: Arc<App>) -> Handler {
    let table = Arc::new(table());
    Arc::new(move |request| {
        let (app, table) = (Arc::clone(&app), Arc::clone(&table));
        Box::pin(async move { dispatch(app, &table, request).await })
    })
}

async fn dispatch(app: Arc<App>, table: &[Route<Does>], request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    if let Some(location) = router::cleaned(parts.uri.path()) {
        return Outcome::Answer(moved(&location, parts.uri.query()));
    }
    let target = router::target(parts.uri.path());
    if parts.method == Method::OPTIONS {
        return decorated(Outcome::Answer(body::empty(StatusCode::OK)));
    }
    let Some((does, vars)) = router::find(table, &parts.method, &target.path) else {
        return Outcome::Answer(body::failure(&Failure::not_found("page not found")));
    };
    let version = match check(
        target.version.unwrap_or(MAX_VERSION),
        app.config().min_api_version,
    ) {
        Ok(version) => version,
        Err(mismatch) => return decorated(Outcome::Answer(refused(&mismatch))),
    };
    tracing::debug!(method = %parts.method, path = %parts.uri.path(), "request");
    let call = Call {
        app,
        version,
        vars,
        query: Query::parse(parts.uri.query()),
        headers: parts.headers,
        body,
    };
    let outcome = match does {
        Does::Answer(handler) => unpanicked(handler(call)).await.map(Outcome::Answer),
        Does::Stream(handler) => unpanicked(handler(call)).await,
        Does::NotBuilt(what) => Err(Failure::not_built(what)),
        Does::NoSwarm => Err(Failure::no_swarm()),
    };
    decorated(outcome.unwrap_or_else(|failure| {
        if failure.status.is_server_error() && failure.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(method = %parts.method, path = %parts.uri.path(), message = %failure.message, "request failed");
        }
        Outcome::Answer(body::failure(&failure))
    }))
}

/// Turns a panic into an answer: a bug in one request ends that request and nothing else.
async fn unpanicked<T>(mut work: Pending<Result<T, Failure>>) -> Result<T, Failure> {
    std::future::poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        // The panic hook has told the operator where it was.
        polled.unwrap_or_else(|_panic| {
            Poll::Ready(Err(Failure::internal(
                "this request met a bug in the daemon; its log says where",
            )))
        })
    })
    .await
}

/// Adds what every answer of an endpoint says about this daemon.
fn decorated(mut outcome: Outcome) -> Outcome {
    let headers = match &mut outcome {
        Outcome::Answer(answer) => answer.headers_mut(),
        Outcome::Hijack(hijack) => &mut hijack.headers,
    };
    let version = const { concat!("Tare/", env!("CARGO_PKG_VERSION"), " (linux)") };
    headers.insert("api-version", HeaderValue::from_static(MAX_VERSION_TEXT));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert(header::SERVER, HeaderValue::from_static(version));
    outcome
}

const MAX_VERSION_TEXT: &str = api::MAX_VERSION;

/// Clients older than 1.24 cannot read JSON errors, so theirs is plain text, as Docker has it.
fn refused(mismatch: &Mismatch) -> Answer {
    let failure = Failure::bad_request(mismatch.to_string());
    match mismatch {
        Mismatch::TooOld(version, _) if *version < MIN_VERSION => {
            let text = format!("{}\n", failure.message);
            let mut answer = body::with(
                failure.status,
                "text/plain; charset=utf-8",
                body::full(text),
            );
            answer.headers_mut().insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            answer
        }
        _ => body::failure(&failure),
    }
}

fn moved(path: &str, query: Option<&str>) -> Answer {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut answer = body::empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(value) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_listed_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for route in table() {
            assert!(seen.insert(route.shown()), "{}", route.shown());
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let work: Pending<Reply> = Box::pin(async { panic!("on purpose") });
        let failure = unpanicked(work).await.unwrap_err();
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn versions_agree_with_the_wire_types() {
        assert_eq!(MAX_VERSION.to_string(), api::MAX_VERSION);
        assert_eq!(MIN_VERSION.to_string(), api::MIN_VERSION);
    }
}
