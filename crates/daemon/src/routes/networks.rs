//! `/networks`: the two that are always there.

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
