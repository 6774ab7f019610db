//! The engine with a real shim and real containers. Wants root, busybox (static) and `cargo build -p shim`.

mod files;
mod lives;
mod nothing_lost;
mod world;
