//! Go's `path.Match`, by which `images --filter reference=` is defined.

/// Whether `pattern` matches all of `name`: `*` (no slash), `?`, `[a-z]`, `[^a]`, `\c`. A malformed pattern is an error.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    check(&pattern)?;
    Ok(match_from(&pattern, &name))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct BadPattern;

fn check(mut pattern: &[char]) -> Result<(), BadPattern> {
    while let Some((token, rest)) = token(pattern) {
        if token.is_none() {
            return Err(BadPattern);
        }
        pattern = rest;
    }
    Ok(())
}

enum Token<'a> {
    Star,
    Any,
    Class(&'a [char]),
    Literal(char),
}

/// The first token and the rest; `Some((None, _))` where it is malformed, `None` at the end.
fn token(pattern: &[char]) -> Option<(Option<Token<'_>>, &[char])> {
    let (first, rest) = pattern.split_first()?;
    Some(match first {
        '*' => (Some(Token::Star), rest),
        '?' => (Some(Token::Any), rest),
        '\\' => match rest.split_first() {
            Some((c, rest)) => (Some(Token::Literal(*c)), rest),
            None => (None, rest),
        },
        '[' => match class_end(rest) {
            Some(end) => (Some(Token::Class(&rest[..end])), &rest[end + 1..]),
            None => (None, rest),
        },
        c => (Some(Token::Literal(*c)), rest),
    })
}

/// Where the class that begins here is closed; at least one range must stand in it.
fn class_end(class: &[char]) -> Option<usize> {
    let mut at = usize::from(class.first() == Some(&'^'));
    let start = at;
    while at < class.len() {
        match class[at] {
            ']' if at > start => return Some(at),
            ']' | '-' if at == start => return None,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The usual walk with one place to come back to: the last star.
fn match_from(mut pattern: &[char], mut name: &[char]) -> bool {
    let mut back: Option<(&[char], &[char])> = None;
    loop {
        match token(pattern) {
            Some((Some(Token::Star), rest)) => {
                back = Some((rest, name));
                pattern = rest;
                continue;
            }
            None if name.is_empty() => return true,
            Some((Some(one), rest)) if name.first().is_some_and(|c| one.takes(*c)) => {
                (pattern, name) = (rest, &name[1..]);
                continue;
            }
            _ => {}
        }
        // Let the last star take one character more.
        match back {
            Some((after, [c, rest @ ..])) if *c != '/' => {
                back = Some((after, rest));
                (pattern, name) = (after, rest);
            }
            _ => return false,
        }
    }
}

impl Token<'_> {
    fn takes(&self, c: char) -> bool {
        match self {
            Token::Star => false,
            Token::Any => c != '/',
            Token::Literal(l) => *l == c,
            Token::Class(class) => class_takes(class, c),
        }
    }
}

fn class_takes(class: &[char], c: char) -> bool {
    let (negated, mut ranges) = match class {
        ['^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some((low, rest)) = character(ranges) {
        let (high, rest) = match rest {
            ['-', rest @ ..] => character(rest).unwrap_or((low, rest)),
            _ => (low, rest),
        };
        found |= (low..=high).contains(&c);
        ranges = rest;
    }
    found != negated
}

fn character(class: &[char]) -> Option<(char, &[char])> {
    match class {
        ['\\', c, rest @ ..] | [c, rest @ ..] => Some((*c, rest)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_go() {
        let check = |pattern: &str, name: &str, expect: bool| {
            assert_eq!(matches(pattern, name), Ok(expect), "{pattern} {name}");
        };
        check("abc", "abc", true);
        check("*", "abc", true);
        check("*c", "abc", true);
        check("a*", "ab/c", false);
        check("a*/b", "abc/b", true);
        check("a*b?c*x", "abxbbxdbxebxczzx", true);
        check("a*b?c*x", "abxbbxdbxebxczzy", false);
        check("ab[c]", "abc", true);
        check("ab[b-d]", "abc", true);
        check("ab[^b-d]", "abc", false);
        check("a\\*b", "a*b", true);
        check("[a-ζ]*", "α", true);
        check("a[^a]b", "a☺b", true);
        check("[\\-x]", "-", true);
        check("*x", "xxx", true);
        check("busy*:lat?st", "busybox:latest", true);
        for bad in ["[]a]", "[-]", "[a", "a\\", "[", "[^"] {
            assert_eq!(matches(bad, "a"), Err(BadPattern), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]^\\\\-]{0,12}", name in "[a/-]{0,12}") {
            let _ = matches(&pattern, &name);
        }
    }
}
