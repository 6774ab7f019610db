//! The `filters` of list, prune and events.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Values by filter name: alternatives of one name, conditions of several.
///
/// On the wire `{"label":{"a=b":true}}`; clients older than API 1.22 send `{"label":["a=b"]}`, which is read too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<String, Values>",
    into = "BTreeMap<String, BTreeMap<String, bool>>"
)]
pub struct Filters(pub BTreeMap<String, BTreeSet<String>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Reads the query parameter; an empty one filters nothing.
    pub fn parse(query: &str) -> Result<Self, serde_json::Error> {
        if query.is_empty() {
            Ok(Self::default())
        } else {
            serde_json::from_str(query)
        }
    }

    /// The query parameter.
    pub fn to_query(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Adds a value for a name.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_default().insert(value.into());
    }

    /// The values for a name.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first name that is not among `known`: Docker answers `invalid filter 'NAME'` to it.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0
            .keys()
            .map(String::as_str)
            .find(|name| !known.contains(name))
    }
}

impl From<BTreeMap<String, Values>> for Filters {
    fn from(wire: BTreeMap<String, Values>) -> Self {
        let values = |values| match values {
            Values::Map(map) => map
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(value, _)| value)
                .collect(),
            Values::List(list) => list.into_iter().collect(),
        };
        Self(
            wire.into_iter()
                .map(|(name, wire)| (name, values(wire)))
                .collect(),
        )
    }
}

impl From<Filters> for BTreeMap<String, BTreeMap<String, bool>> {
    fn from(filters: Filters) -> Self {
        let values =
            |values: BTreeSet<String>| values.into_iter().map(|value| (value, true)).collect();
        filters
            .0
            .into_iter()
            .map(|(name, set)| (name, values(set)))
            .collect()
    }
}
