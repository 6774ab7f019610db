//! What Docker's API has and this daemon does not: each answers with its name, so that nobody has to guess.

use http::Method;

use super::Does;
use crate::http::router::Route;

const DELETE: Method = Method::DELETE;
const GET: Method = Method::GET;
const POST: Method = Method::POST;

/// 501 with a name.
static NOT_BUILT: &[(Method, &str, &str)] = &[
    (POST, "/build", "building an image (POST /build)"),
    (
        POST,
        "/build/cancel",
        "building an image (POST /build/cancel)",
    ),
    (POST, "/session", "BuildKit (POST /session)"),
    (POST, "/grpc", "BuildKit (POST /grpc)"),
    (
        GET,
        "/images/{name*}/attestations",
        "attestations (GET /images/{name}/attestations)",
    ),
    (
        GET,
        "/containers/{name*}/stats",
        "stats (GET /containers/{id}/stats)",
    ),
    (
        GET,
        "/containers/{name*}/attach/ws",
        "attaching by websocket (GET /containers/{id}/attach/ws)",
    ),
    (
        POST,
        "/containers/{name*}/update",
        "updating a container (POST /containers/{id}/update)",
    ),
    (
        GET,
        "/containers/{name*}/checkpoints",
        "checkpoints (GET /containers/{id}/checkpoints)",
    ),
    (
        POST,
        "/containers/{name*}/checkpoints",
        "checkpoints (POST /containers/{id}/checkpoints)",
    ),
    (
        DELETE,
        "/containers/{name*}/checkpoints/{checkpoint}",
        "checkpoints (DELETE /containers/{id}/checkpoints/{checkpoint})",
    ),
    (
        GET,
        "/plugins/privileges",
        "plugins (GET /plugins/privileges)",
    ),
    (POST, "/plugins/pull", "plugins (POST /plugins/pull)"),
    (POST, "/plugins/create", "plugins (POST /plugins/create)"),
    (
        GET,
        "/plugins/{name*}/json",
        "plugins (GET /plugins/{name}/json)",
    ),
    (
        DELETE,
        "/plugins/{name*}",
        "plugins (DELETE /plugins/{name})",
    ),
    (
        POST,
        "/plugins/{name*}/enable",
        "plugins (POST /plugins/{name}/enable)",
    ),
    (
        POST,
        "/plugins/{name*}/disable",
        "plugins (POST /plugins/{name}/disable)",
    ),
    (
        POST,
        "/plugins/{name*}/upgrade",
        "plugins (POST /plugins/{name}/upgrade)",
    ),
    (
        POST,
        "/plugins/{name*}/push",
        "plugins (POST /plugins/{name}/push)",
    ),
    (
        POST,
        "/plugins/{name*}/set",
        "plugins (POST /plugins/{name}/set)",
    ),
    (POST, "/swarm/init", "swarm mode (POST /swarm/init)"),
    (POST, "/swarm/join", "swarm mode (POST /swarm/join)"),
    (GET, "/debug/vars", "debugging variables (GET /debug/vars)"),
    (GET, "/debug/pprof/", "profiling (GET /debug/pprof/)"),
    (
        GET,
        "/debug/pprof/{name}",
        "profiling (GET /debug/pprof/{name})",
    ),
];

/// What a node outside a cluster answers with 503.
static CLUSTER: &[(Method, &str)] = &[
    (GET, "/swarm"),
    (POST, "/swarm/leave"),
    (POST, "/swarm/update"),
    (GET, "/swarm/unlockkey"),
    (POST, "/swarm/unlock"),
    (GET, "/nodes"),
    (GET, "/nodes/{name}"),
    (DELETE, "/nodes/{name}"),
    (POST, "/nodes/{name}/update"),
    (GET, "/services"),
    (POST, "/services/create"),
    (GET, "/services/{name}"),
    (DELETE, "/services/{name}"),
    (POST, "/services/{name}/update"),
    (GET, "/services/{name}/logs"),
    (GET, "/tasks"),
    (GET, "/tasks/{name}"),
    (GET, "/tasks/{name}/logs"),
    (GET, "/secrets"),
    (POST, "/secrets/create"),
    (GET, "/secrets/{name}"),
    (DELETE, "/secrets/{name}"),
    (POST, "/secrets/{name}/update"),
    (GET, "/configs"),
    (POST, "/configs/create"),
    (GET, "/configs/{name}"),
    (DELETE, "/configs/{name}"),
    (POST, "/configs/{name}/update"),
];

/// The lines for all of them.
pub(super) fn table() -> impl Iterator<Item = Route<Does>> {
    let not_built = NOT_BUILT
        .iter()
        .map(|(method, pattern, what)| Route::new(method.clone(), pattern, Does::NotBuilt(what)));
    let cluster = CLUSTER
        .iter()
        .map(|(method, pattern)| Route::new(method.clone(), pattern, Does::NoSwarm));
    not_built.chain(cluster)
}
