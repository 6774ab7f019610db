//! The Docker Engine API as Tare speaks it, seen from both of its ends.
//!
//! [`types`] are the wire types: structs whose JSON is what the real daemon sends, field for field, so that the
//! daemon can serialise them and the client can read them. [`stdcopy`] is the framing of a container's output when
//! it has no terminal. [`client`] is the HTTP client over the daemon's socket.
//!
//! Nothing here knows what a container is: these are documents and a way to carry them.
#![forbid(unsafe_code)]

pub mod client;
pub mod stdcopy;
pub mod types;

/// The newest API version whose documents these types describe.
pub const MAX_VERSION: &str = "1.55";

/// The oldest API version that is still served.
pub const MIN_VERSION: &str = "1.24";

/// The API version our own client speaks: the newest one that both Docker 28 and this daemon know, so that neither
/// costs a round trip to find that out.
pub const CLIENT_VERSION: &str = "1.51";
