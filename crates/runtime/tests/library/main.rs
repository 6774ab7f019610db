//! Real containers through the library. Needs root and busybox; says so and fails without.

mod command;
mod fixture;
mod lifecycle;
mod processes;
