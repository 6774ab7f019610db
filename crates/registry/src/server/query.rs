//! The part of a URI behind the question mark, and the `Link` that leads to the next page.

use std::fmt::Write as _;

use super::target::decoded;

/// Entries of one page where the client says no number, and the most it gets if it does.
pub(crate) const PAGE: usize = 10_000;

/// The parameters of a request, decoded, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// A page of a list: how many entries, and after which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) count: usize,
    pub(crate) after: String,
}

impl Query {
    /// Reads a query; a piece that is wrongly encoded is as good as none.
    pub(crate) fn parse(raw: &str) -> Query {
        let pairs = raw.split('&').filter(|piece| !piece.is_empty());
        let read = |piece: &str| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            let plain =
                |text: &str| decoded(&text.replace('+', " ")).map(std::borrow::Cow::into_owned);
            Some((plain(key)?, plain(value)?))
        };
        Query(pairs.filter_map(read).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    pub(crate) fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// `n` and `last`; `None` when `n` is no number.
    pub(crate) fn page(&self) -> Option<Page> {
        let count = match self.get("n") {
            None => PAGE,
            Some(text) => text.parse::<usize>().ok()?.min(PAGE),
        };
        let after = self.get("last").unwrap_or_default().to_owned();
        Some(Page { count, after })
    }
}

/// The value of a `Link` header (RFC 8288) to the entries of `path` after `last`.
pub(crate) fn next(path: &str, count: usize, last: &str, more: &[(&str, &str)]) -> String {
    let mut link = format!("<{path}?n={count}&last={}", encoded(last));
    for (key, value) in more {
        let _ = write!(link, "&{key}={}", encoded(value));
    }
    link.push_str(">; rel=\"next\"");
    link
}

/// Percent signs for all that is not plain in a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters() {
        let query = Query::parse(
            "n=3&last=a%2Fb&digest=sha256:00&x&bad=%zz&artifactType=a+b&artifactType=c",
        );
        assert_eq!(query.get("digest"), Some("sha256:00"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("bad"), None);
        assert_eq!(query.all("artifactType").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(
            query.page(),
            Some(Page {
                count: 3,
                after: "a/b".to_owned()
            })
        );
        assert_eq!(Query::parse("n=x").page(), None);
        assert_eq!(Query::parse("n=-1").page(), None);
        assert_eq!(Query::parse("n=999999999").page().unwrap().count, PAGE);
        assert_eq!(Query::parse("").page().unwrap().count, PAGE);
    }

    #[test]
    fn links() {
        assert_eq!(
            next("/v2/_catalog", 2, "a/b", &[("artifactType", "x y")]),
            "</v2/_catalog?n=2&last=a/b&artifactType=x%20y>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn what_a_link_holds_comes_back(last in ".{0,40}", kind in ".{0,20}") {
            let link = next("/v2/_catalog", 7, &last, &[("k", &kind)]);
            let inner = link.strip_prefix("</v2/_catalog?").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            prop_assert!(!inner.contains(['>', '"', ' ', '\r', '\n']));
            let query = Query::parse(inner);
            prop_assert_eq!(query.page().unwrap(), Page { count: 7, after: last });
            prop_assert_eq!(query.get("k"), Some(&*kind));
        }

        #[test]
        fn any_query_is_read(raw in ".{0,80}") {
            let _ = Query::parse(&raw).page();
        }
    }
}
