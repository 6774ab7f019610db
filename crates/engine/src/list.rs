//! `ps`: which containers, in what order.

use std::collections::BTreeMap;

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Those that do not run too.
    pub all: bool,
    /// The newest so many, running or not; `None`: all.
    pub limit: Option<usize>,
    /// Work out sizes.
    pub size: bool,
    /// Docker's filters: `id name label exited status ancestor before since volume network publish expose health
    /// is-task`.
    pub filters: BTreeMap<String, Vec<String>>,
}
