//! Real containers through the library. Needs root and busybox; says so and fails without.

mod fixture;
mod lifecycle;
