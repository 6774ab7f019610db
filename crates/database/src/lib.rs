//! A redb database that a full disk does not end: it can be written again once there is room, and what removes can
//! be written before there is. It knows nothing of tables; `image` and `registry` bring their own.
#![forbid(unsafe_code)]

mod handle;
mod reserve;

pub use handle::Handle;
