//! What the daemon and the per-container process `tare-shim` share: the framed [`protocol`] between them, the
//! [`log`] formats the shim writes and the daemon reads, and the [`time`] stamps both carry. And [`keeping`]: what the daemon says to
//! the keeper, the one process an engine that is the same file under another name.
//!
//! Nothing here does asynchronous I/O: frames are encoded into and decoded from byte buffers, so the shim drives
//! them with epoll and the daemon with tokio.
#![forbid(unsafe_code)]

pub mod keeping;
pub mod log;
pub mod protocol;
pub mod time;
