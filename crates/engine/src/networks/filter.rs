//! Which networks are listed, and which are pruned.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::record::NetworkView;
use crate::error::{Error, Result};
use crate::events::has_label;

/// The filters of a list.
#[derive(Debug, Default)]
pub(super) struct ListFilter {
    dangling: Option<bool>,
    drivers: Vec<String>,
    ids: Vec<String>,
    labels: Vec<String>,
    names: Vec<String>,
    scopes: Vec<String>,
    kinds: Vec<String>,
}

impl ListFilter {
    pub(super) fn read(filters: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            let place = match key.as_str() {
                "dangling" => {
                    filter.dangling = Some(dangling(values)?);
                    continue;
                }
                "driver" => &mut filter.drivers,
                "id" => &mut filter.ids,
                "label" => &mut filter.labels,
                "name" => &mut filter.names,
                "scope" => &mut filter.scopes,
                "type" => &mut filter.kinds,
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            };
            place.clone_from(values);
        }
        let known = |kind: &&String| !matches!(kind.as_str(), "builtin" | "custom");
        match filter.kinds.iter().find(known) {
            Some(kind) => Err(Error::invalid(format!("invalid filter: 'type'='{kind}'"))),
            None => Ok(filter),
        }
    }

    /// `is_used`: whether a container is in it, running or not.
    pub(super) fn matches(&self, view: &NetworkView, is_used: bool) -> bool {
        let any = |wanted: &[String], matches: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|value| matches(value))
        };
        // Those that are built in are never left over.
        let dangling = !is_used && !view.built_in;
        self.dangling.is_none_or(|wanted| wanted == dangling)
            && any(&self.drivers, &|value| view.driver == value)
            && any(&self.ids, &|value| is_match(value, &view.id))
            && any(&self.names, &|value| is_match(value, &view.name))
            && any(&self.scopes, &|value| value == "local")
            && any(&self.kinds, &|value| (value == "builtin") == view.built_in)
            && self
                .labels
                .iter()
                .all(|label| has_label(&view.labels, label))
    }
}

fn dangling(values: &[String]) -> Result<bool> {
    match values {
        [value] if matches!(value.as_str(), "1" | "true") => Ok(true),
        [value] if matches!(value.as_str(), "0" | "false") => Ok(false),
        _ => Err(Error::invalid(
            "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")",
        )),
    }
}

/// As in Docker, the text itself or a pattern that occurs in it; what is no pattern matches nothing else.
fn is_match(value: &str, text: &str) -> bool {
    value == text || regex_lite::Regex::new(value).is_ok_and(|pattern| pattern.is_match(text))
}

/// The filters of a prune.
#[derive(Debug, Default)]
pub(super) struct PruneFilter {
    labels: Vec<String>,
    without: Vec<String>,
    until: Option<Timestamp>,
}

impl PruneFilter {
    pub(super) fn read(filters: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            match key.as_str() {
                "label" => filter.labels.clone_from(values),
                "label!" => filter.without.clone_from(values),
                "until" => filter.until = Some(crate::queries::until(values)?),
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    pub(super) fn matches(&self, view: &NetworkView) -> bool {
        !view.built_in
            && view.endpoints.is_empty()
            && self.until.is_none_or(|until| view.created <= until)
            && self
                .labels
                .iter()
                .all(|label| has_label(&view.labels, label))
            && !self
                .without
                .iter()
                .any(|label| has_label(&view.labels, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Result<ListFilter> {
        ListFilter::read(&BTreeMap::from([(key.to_owned(), vec![value.to_owned()])]))
    }

    #[test]
    fn names_and_ids_are_patterns() {
        for (pattern, expect) in [
            ("web.db", true),
            ("^web", true),
            ("b\\.d", true),
            ("web.?db$", true),
            ("^db", false),
            ("[", false),
        ] {
            assert_eq!(is_match(pattern, "web.db"), expect, "{pattern}");
        }
        assert!(is_match("a(b", "a(b"));
    }

    #[test]
    fn dockers_words_for_values_that_are_none() {
        let words = |key, value| read(key, value).unwrap_err().to_string();
        assert_eq!(words("type", "x"), "invalid filter: 'type'='x'");
        assert!(
            words("dangling", "maybe").starts_with("invalid value for filter 'dangling', must")
        );
        assert!(read("dangling", "1").is_ok());
        assert_eq!(words("x", "y"), "invalid filter 'x'");
    }
}
