//! `run`: flags, exit codes, and what the process inside finds.

mod exit;
mod identity;
mod limits;
mod namespaces;
mod process;
mod security;
mod storage;
mod streams;
