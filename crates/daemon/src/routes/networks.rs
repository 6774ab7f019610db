//! `/networks`: the two that are always there.

use api::types::prune::NetworksPruned;

use super::{Call, Reply};
use crate::http::body;
use crate::http::filters::Filters;

pub(super) async fn list(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    body::json(&call.app.networks.list(&filters)?)
}

pub(super) async fn inspect(call: Call) -> Reply {
    body::json(&call.app.networks.find(call.name())?)
}

/// Networks that are built in are never pruned, and there are no others; `docker system prune` asks all the same.
pub(super) async fn prune(call: Call) -> Reply {
    Filters::from_query(&call.query)?.only(&["label", "label!", "until"])?;
    body::json(&NetworksPruned::default())
}
