//! The lists of Docker's client: what their columns are.

pub(crate) mod container;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod network;
mod ports;
mod quote;
pub(crate) mod search;
pub(crate) mod tree;
pub(crate) mod volume;

/// Go's zero time in Unix seconds: what does not know when it was made.
const YEAR_ONE: i64 = -62_135_596_800;

/// How long a column may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trunc {
    /// Ids of 12 digits, commands of 20 letters.
    Short,
    /// `--no-trunc`.
    Full,
}

impl Trunc {
    /// What `--no-trunc` says.
    pub(crate) fn unless(no_trunc: bool) -> Self {
        if no_trunc { Self::Full } else { Self::Short }
    }

    /// An id, `sha256:` or not.
    pub(crate) fn id(self, id: &str) -> &str {
        match self {
            Self::Full => id,
            Self::Short => short_id(id),
        }
    }
}

/// The first 12 digits of an id.
pub(crate) fn short_id(id: &str) -> &str {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

/// What `rmi` says: one line for each name and each layer.
pub(crate) fn told(items: &[api::types::image::DeleteItem]) -> String {
    let line = |item: &api::types::image::DeleteItem| match item.deleted.as_str() {
        "" => format!("Untagged: {}\n", item.untagged),
        deleted => format!("Deleted: {deleted}\n"),
    };
    items.iter().map(line).collect()
}
