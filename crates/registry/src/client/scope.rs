//! What a token allows: `repository:library/busybox:pull,push` (distribution, "Token Scope Documentation").

use std::collections::{BTreeMap, BTreeSet};

/// Scopes by resource, each with its actions, so that equal rights are equal whatever their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scopes(BTreeMap<String, BTreeSet<String>>);

/// A challenge that asks for more is a joke.
const MOST: usize = 32;

impl Scopes {
    /// The right to read a repository, and to write to it.
    pub(super) fn repository(path: &str, actions: &[&str]) -> Scopes {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Scopes(BTreeMap::from([(format!("repository:{path}"), actions)]))
    }

    /// These and what `text` says, several scopes separated by spaces.
    pub(super) fn joined(&self, text: &str) -> Scopes {
        let mut joined = self.clone();
        for (resource, actions) in parse(text) {
            if joined.0.len() >= MOST && !joined.0.contains_key(resource) {
                break;
            }
            let held = joined.0.entry(resource.to_owned()).or_default();
            held.extend(actions.take(MOST).map(str::to_owned));
        }
        joined
    }

    pub(super) fn with(mut self, other: Scopes) -> Scopes {
        for (resource, actions) in other.0 {
            self.0.entry(resource).or_default().extend(actions);
        }
        self
    }

    /// Whether `text` asks for nothing more.
    pub(super) fn holds_all(&self, text: &str) -> bool {
        parse(text).all(|(resource, mut actions)| match self.0.get(resource) {
            Some(held) => actions.all(|action| held.contains(action)),
            None => false,
        })
    }

    /// As they are asked for.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |(resource, actions): (&String, &BTreeSet<String>)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        };
        self.0.iter().map(text).collect()
    }
}

fn parse(text: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    text.split_ascii_whitespace()
        .filter_map(|scope| scope.rsplit_once(':'))
        .map(|(resource, actions)| (resource, actions.split(',').filter(|a| !a.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_joined_by_resource() {
        let scopes = Scopes::repository("a/b", &["pull"]);
        assert!(scopes.holds_all("repository:a/b:pull"));
        assert!(!scopes.holds_all("repository:a/b:push"));
        let joined = scopes.joined("repository:a/b:push repository:c:pull");
        assert_eq!(
            joined.texts(),
            ["repository:a/b:pull,push", "repository:c:pull"]
        );
        assert_eq!(joined, joined.joined("repository:a/b:push,pull"));
        assert_eq!(joined, joined.joined("nonsense"));
    }
}
