/// What `images` shows; every part narrows.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Also images that are only parents of others.
    pub all: bool,
    pub dangling: Option<bool>,
    /// Patterns as `path.Match` of Go takes them, any of which is to match: `busybox`, `*/app:v?`.
    pub references: Vec<String>,
    pub labels: Vec<LabelFilter>,
    /// Names of images; only older ones are shown.
    pub before: Vec<String>,
    /// Names of images; only younger ones are shown.
    pub since: Vec<String>,
    /// Only images made before this time.
    pub until: Option<jiff::Timestamp>,
}

/// `label=key`, `label=key=value`, or `label!=` of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter {
    pub key: String,
    pub value: Option<String>,
    pub negated: bool,
}

/// What `image prune` removes.
#[derive(Clone, Debug)]
pub struct PruneQuery {
    /// Only untagged images (the default); otherwise every image no container uses.
    pub dangling_only: bool,
    pub until: Option<jiff::Timestamp>,
    pub labels: Vec<LabelFilter>,
}

impl Default for PruneQuery {
    fn default() -> Self {
        PruneQuery {
            dangling_only: true,
            until: None,
            labels: Vec::new(),
        }
    }
}
