//! Between the wire's words and the engine's. Nothing here decides anything.

pub(crate) mod compat;
pub(crate) mod create;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod network;
pub(crate) mod progress_bar;
pub(crate) mod registries;
pub(crate) mod reload;
pub(crate) mod status_text;
#[cfg(test)]
mod tests;
pub(crate) mod time;
