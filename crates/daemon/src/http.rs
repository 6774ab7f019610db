//! The HTTP side: everything about requests and responses that holds for every endpoint.

pub(crate) mod body;
pub(crate) mod failure;
pub(crate) mod filters;
mod lenient;
pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod version;
