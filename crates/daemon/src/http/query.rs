//! The query string, with Docker's rules for switches and numbers.

use super::failure::Failure;

/// The decoded parameters, in order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = raw.unwrap_or_default().split('&').filter(|p| !p.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key, Plus::IsSpace), decode(value, Plus::IsSpace))
                })
                .collect(),
        )
    }

    /// The first value of `key`; empty when it was not given.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.given(key).unwrap_or_default()
    }

    pub(crate) fn given(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    pub(crate) fn all(&self, key: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// Docker's `httputils.BoolValue`: anything but these five words is true.
    pub(crate) fn on(&self, key: &str) -> bool {
        let value = self.text(key).trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The same, with a default for a key that was not given.
    pub(crate) fn on_or(&self, key: &str, default: bool) -> bool {
        if self.given(key).is_some() {
            self.on(key)
        } else {
            default
        }
    }

    /// A whole number; `None` when not given or empty. The text of the error is Go's, and so is the status, 500.
    pub(crate) fn int(&self, key: &str) -> Result<Option<i64>, Failure> {
        match self.text(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Failure::internal(go_number_error("Atoi", text))),
        }
    }
}

/// What Go's strconv says about a text that is no number.
pub(crate) fn go_number_error(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {text:?}: invalid syntax")
}

/// What `+` means: a space in a query, itself in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    IsSpace,
    IsPlus,
}

/// Percent-decodes; bytes that are no UTF-8 become replacement characters, a broken escape stays as it is.
pub(crate) fn decode(text: &str, plus: Plus) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit))
            .and_then(|two| std::str::from_utf8(two).ok());
        match (
            bytes[at],
            hex.and_then(|two| u8::from_str_radix(two, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if plus == Plus::IsSpace => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_as_docker_reads_them() {
        let q = Query::parse(Some("a=1&b=0&c=False&d=none&e=no&f=zork&g=&h"));
        for (key, expect) in [
            ("a", true),
            ("b", false),
            ("c", false),
            ("d", false),
            ("e", false),
            ("f", true),
            ("g", false),
            ("h", false),
            ("i", false),
        ] {
            assert_eq!(q.on(key), expect, "{key}");
        }
        assert!(q.on_or("i", true) && !q.on_or("g", true));
    }

    #[test]
    fn decoding() {
        let check = |text, expect: &str| assert_eq!(decode(text, Plus::IsSpace), expect);
        check("a%2Fb+c", "a/b c");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("%C3%A9", "é");
        check("%+1x", "% 1x");
        assert_eq!(decode("a+b%20c", Plus::IsPlus), "a+b c");
    }

    #[test]
    fn numbers_fail_with_gos_text() {
        let q = Query::parse(Some("t=foo&n=-3"));
        assert_eq!(
            q.int("t").unwrap_err().message,
            "strconv.Atoi: parsing \"foo\": invalid syntax"
        );
        assert_eq!(q.int("n").unwrap(), Some(-3));
        assert_eq!(q.int("x").unwrap(), None);
    }

    #[test]
    fn the_same_key_again() {
        let q = Query::parse(Some("names=a&names=b%3Ac"));
        assert_eq!(q.all("names"), ["a", "b:c"]);
        assert_eq!(q.text("names"), "a");
    }
}
