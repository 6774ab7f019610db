//! The end-to-end suites, one module a part of what users do.
#![forbid(unsafe_code)]

mod api;
mod attacks;
mod clients;
mod commit;
mod copy;
mod disk_full;
mod events;
mod exec;
mod footprint;
mod images;
mod killed;
mod killed_networks;
mod killed_transfers;
mod lifecycle;
mod links;
mod listing;
mod logs;
mod lost;
mod mirrors;
mod names;
mod networks;
mod own_registry;
mod platforms;
mod ports;
mod registry;
mod run;
mod runtime;
mod sdk;
mod short_names;
mod start;
mod store;
mod system;
mod transfer;
mod travel;
mod volumes;
