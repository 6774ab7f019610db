//! How lists and documents are printed: Docker's tables, `--format`, JSON.

mod absent;
mod actions;
mod check;
pub(crate) mod columns;
mod data;
mod functions;
pub(crate) mod json;
mod methods;
pub(crate) mod natural;
pub(crate) mod sheet;
mod template;
pub(crate) mod time;
pub(crate) mod units;

pub(crate) use data::Data;
pub(crate) use sheet::{Field, Format, Sheet};
pub(crate) use template::{Missing, Template};
