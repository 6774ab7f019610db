//! The end-to-end suites, one module a part of what users do.
#![forbid(unsafe_code)]

mod run;
