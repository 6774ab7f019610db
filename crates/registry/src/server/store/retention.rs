//! Rules for what may go by itself.
//!
//! A rule is written `PATTERN:KEY=VALUE,...`. The pattern is of repository names, with `*` for anything. Keys:
//! `last=N` keeps the N tags that were set last, `age=30d` keeps those younger than that, `tags=GLOB` makes the rule
//! speak of those tags only, `untagged=7d` removes manifests that no tag, index or subject leads to and that are older.
//! A tag goes when a rule speaks of it and neither its `last` nor its `age` keeps it. The first rule that fits a repository and a
//! tag decides alone.

use std::str::FromStr;
use std::time::Duration;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    repositories: String,
    tags: Option<String>,
    last: Option<usize>,
    age: Option<Duration>,
    untagged: Option<Duration>,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error(
        "{0:?}: a retention rule is written PATTERN:KEY=VALUE,..., such as 'team/*:last=5,age=30d'"
    )]
    Shape(String),
    #[error("{0:?} is no key of a retention rule: last, age, tags and untagged are")]
    Key(String),
    #[error("{0:?} is no value for {1} of a retention rule")]
    Value(String, &'static str),
    #[error("{0:?} keeps nothing and removes nothing: say last=, age= or untagged=")]
    Empty(String),
}

/// A tag with when it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dated {
    pub(super) tag: String,
    pub(super) at: u64,
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Rule, InvalidRule> {
        let shape = || InvalidRule::Shape(text.to_owned());
        let (repositories, terms) = text.split_once(':').ok_or_else(shape)?;
        let mut rule = Rule {
            repositories: repositories.to_owned(),
            tags: None,
            last: None,
            age: None,
            untagged: None,
        };
        if repositories.is_empty() {
            return Err(shape());
        }
        for term in terms.split(',') {
            let (key, value) = term.split_once('=').ok_or_else(shape)?;
            let bad = |key| InvalidRule::Value(value.to_owned(), key);
            match key {
                "last" => rule.last = Some(value.parse().map_err(|_| bad("last"))?),
                "age" => rule.age = Some(duration(value).ok_or_else(|| bad("age"))?),
                "untagged" => rule.untagged = Some(duration(value).ok_or_else(|| bad("untagged"))?),
                "tags" if !value.is_empty() => rule.tags = Some(value.to_owned()),
                "tags" => return Err(bad("tags")),
                other => return Err(InvalidRule::Key(other.to_owned())),
            }
        }
        if rule
            .last
            .or(rule.age.map(|_| 0))
            .or(rule.untagged.map(|_| 0))
            .is_none()
        {
            return Err(InvalidRule::Empty(text.to_owned()));
        }
        Ok(rule)
    }
}

impl Rule {
    fn speaks_of(&self, repository: &str, tag: &str) -> bool {
        let removes_tags = self.last.is_some() || self.age.is_some();
        removes_tags
            && matches(&self.repositories, repository)
            && self.tags.as_ref().is_none_or(|glob| matches(glob, tag))
    }
}

/// The tags of a repository that the rules let go.
pub(super) fn surplus(rules: &[Rule], repository: &str, tags: &[Dated], now: u64) -> Vec<String> {
    let mut newest: Vec<&Dated> = tags.iter().collect();
    newest.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.tag.cmp(&a.tag)));
    let mut kept = vec![0; rules.len()];
    let mut surplus = Vec::new();
    for Dated { tag, at } in newest {
        let Some(index) = rules.iter().position(|r| r.speaks_of(repository, tag)) else {
            continue;
        };
        let rule = &rules[index];
        kept[index] += 1;
        let among_last = rule.last.is_some_and(|last| kept[index] <= last);
        let young = rule
            .age
            .is_some_and(|age| now.saturating_sub(*at) < age.as_secs());
        if !among_last && !young {
            surplus.push(tag.clone());
        }
    }
    surplus
}

/// How old a manifest without a tag may become in a repository.
pub(super) fn untagged(rules: &[Rule], repository: &str) -> Option<Duration> {
    let mut fitting = rules
        .iter()
        .filter(|r| matches(&r.repositories, repository));
    fitting.find_map(|rule| rule.untagged)
}

/// `*` stands for anything, also for slashes and for nothing.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

/// `90s`, `15m`, `36h`, `30d`, `4w`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn dated(tags: &[(&str, u64)]) -> Vec<Dated> {
        let one = |(tag, at): &(&str, u64)| Dated {
            tag: (*tag).to_owned(),
            at: *at,
        };
        tags.iter().map(one).collect()
    }

    #[test]
    fn rules_read() {
        let read = rule("team/*:last=5,age=2d,tags=pr-*,untagged=1w");
        assert_eq!(
            (read.last, read.age),
            (Some(5), Some(Duration::from_secs(172_800)))
        );
        assert_eq!(read.tags.as_deref(), Some("pr-*"));
        for bad in [
            "",
            "x",
            "x:",
            ":last=1",
            "x:last",
            "x:last=-1",
            "x:age=5",
            "x:age=5y",
            "x:tags=a",
            "x:tags=",
            "x:more=1",
        ] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_and_the_young_stay() {
        let tags = dated(&[("a", 10), ("b", 20), ("c", 30), ("d", 95)]);
        let left = |rules: &[&str]| {
            let rules: Vec<Rule> = rules.iter().map(|r| rule(r)).collect();
            surplus(&rules, "team/x", &tags, 100)
        };
        assert_eq!(left(&["*:last=2"]), ["b", "a"]);
        assert_eq!(left(&["*:age=10s"]), ["c", "b", "a"]);
        assert_eq!(left(&["*:last=1,age=75s"]), ["b", "a"]);
        assert_eq!(left(&["other:last=0"]), Vec::<String>::new());
        assert_eq!(left(&["team/*:last=9,tags=a", "*:last=0"]), ["d", "c", "b"]);
        assert_eq!(left(&["*:untagged=1d"]), Vec::<String>::new());
    }

    #[test]
    fn globs() {
        for (glob, text) in [
            ("*", ""),
            ("*", "a/b"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("a*b*c", "axxbyyc"),
            ("a", "a"),
            ("*a", "aba"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("*x", "xa"),
        ] {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_rule_or_none(text in ".{0,40}") {
            let _ = text.parse::<Rule>();
            let _ = duration(&text);
        }

        #[test]
        fn last_keeps_that_many(ages in proptest::collection::vec(0u64..1000, 0..20), last in 0usize..25) {
            let tags: Vec<Dated> = ages.iter().enumerate().map(|(i, at)| Dated { tag: format!("t{i}"), at: *at }).collect();
            let gone = surplus(&[rule(&format!("*:last={last}"))], "x", &tags, 1000);
            prop_assert_eq!(tags.len() - gone.len(), tags.len().min(last));
        }
    }
}
