//! Which handler a path means.
//!
//! Names of images hold slashes (`/images/a/b:tag/json`), so a pattern may have a piece that takes any number of
//! segments. The first entry that fits wins; the table's order says what a path means that fits several.

use http::Method;

use super::query::{Plus, decode};
use super::version::ApiVersion;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Route<H> {
    method: Method,
    pieces: Vec<Piece>,
    handler: H,
}

/// One segment of a pattern, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Word(&'static str),
    /// `{name}`: one segment.
    One(&'static str),
    /// `{name*}`: one segment or more.
    Many(&'static str),
}

impl<H> Route<H> {
    /// `pattern` is read by `/`: a word stands for itself, `{x}` takes one segment, `{x*}` one or more.
    pub(crate) fn new(method: Method, pattern: &'static str, handler: H) -> Self {
        let pieces = pattern.split('/').skip(1).map(Piece::read).collect();
        Self {
            method,
            pieces,
            handler,
        }
    }

    /// What tells lines apart.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        format!("{} {:?}", self.method, self.pieces)
    }
}

impl Piece {
    fn read(text: &'static str) -> Self {
        match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            None => Piece::Word(text),
            Some(name) => name.strip_suffix('*').map_or(Piece::One(name), Piece::Many),
        }
    }
}

/// The pieces of the path that the pattern named, at most two.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Vars(Vec<(&'static str, String)>);

impl Vars {
    /// The piece that the pattern calls `name`; empty when it has none of that name.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// A path without its version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) version: Option<ApiVersion>,
    /// Decoded, starting with a slash.
    pub(crate) path: String,
}

/// Splits `/v1.44/containers/json`. A first segment that only resembles a version is part of the path.
pub(crate) fn target(raw: &str) -> Target {
    let path = decode(raw, Plus::IsPlus);
    let versioned = path
        .strip_prefix("/v")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(version, rest)| {
            let looks_like_one = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            looks_like_one
                .then(|| version.parse().ok())
                .flatten()
                .map(|version| (version, rest))
        });
    match versioned {
        Some((version, rest)) => Target {
            version: Some(version),
            path: format!("/{rest}"),
        },
        None => Target {
            version: None,
            path,
        },
    }
}

/// Where a client is sent whose path has doubled slashes or dots, as Go's router does; `None` for a clean path.
pub(crate) fn cleaned(raw: &str) -> Option<String> {
    let untidy = raw.contains("//") || raw.split('/').any(|s| s == "." || s == "..");
    if !untidy {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            word => kept.push(word),
        }
    }
    let tail = if raw.ends_with('/') && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{tail}", kept.join("/")))
}

/// Finds the entry for a method and a path.
pub(crate) fn find<'t, H>(
    table: &'t [Route<H>],
    method: &Method,
    path: &str,
) -> Option<(&'t H, Vars)> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    table
        .iter()
        .filter(|route| route.method == *method)
        .find_map(|route| {
            let mut vars = Vars::default();
            fit(&route.pieces, &segments, &mut vars).then_some((&route.handler, vars))
        })
}

fn fit(pieces: &[Piece], segments: &[&str], vars: &mut Vars) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return segments.is_empty();
    };
    let (name, most) = match piece {
        Piece::Word(word) => {
            return segments
                .split_first()
                .is_some_and(|(first, tail)| first == word && fit(rest, tail, vars));
        }
        Piece::One(name) => (name, 1),
        Piece::Many(name) => (name, segments.len()),
    };
    // The longest fit first: an image may be called `json`.
    for count in (1..=most.min(segments.len())).rev() {
        let (taken, tail) = segments.split_at(count);
        if taken.iter().any(|s| s.is_empty()) {
            continue;
        }
        let mut deeper = Vars::default();
        if fit(rest, tail, &mut deeper) {
            vars.0.push((name, taken.join("/")));
            vars.0.append(&mut deeper.0);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Route<u8>> {
        let get = |pattern, handler| Route::new(Method::GET, pattern, handler);
        vec![
            get("/images/json", 1),
            get("/images/{name*}/json", 2),
            get("/containers/{id}/json", 3),
            get("/networks/", 4),
            Route::new(Method::DELETE, "/images/{name*}", 5),
        ]
    }

    fn found(method: &Method, path: &str) -> Option<(u8, String)> {
        let table = table();
        find(&table, method, path)
            .map(|(h, vars)| (*h, format!("{}{}", vars.get("name"), vars.get("id"))))
    }

    #[test]
    fn names_with_slashes() {
        let check = |path, expect: Option<(u8, &str)>| {
            assert_eq!(
                found(&Method::GET, path),
                expect.map(|(h, v)| (h, v.to_owned())),
                "{path}"
            );
        };
        check("/images/json", Some((1, "")));
        check("/images/a/b:tag/json", Some((2, "a/b:tag")));
        check("/images/json/json", Some((2, "json")));
        check("/images/a/json/json", Some((2, "a/json")));
        check("/images//json", None);
        check("/containers/x/json", Some((3, "x")));
        check("/containers/x/y/json", None);
        check("/containers/x", None);
        check("/networks/", Some((4, "")));
        check("", None);
        assert_eq!(
            found(&Method::DELETE, "/images/a/b"),
            Some((5, "a/b".into()))
        );
        assert_eq!(found(&Method::POST, "/images/json"), None);
    }

    #[test]
    fn versions_in_the_path() {
        let check = |raw, version: Option<(u16, u16)>, path: &str| {
            let version = version.map(|(a, b)| ApiVersion::new(a, b));
            assert_eq!(
                target(raw),
                Target {
                    version,
                    path: path.into()
                },
                "{raw}"
            );
        };
        check("/v1.44/info", Some((1, 44)), "/info");
        check("/info", None, "/info");
        check("/v1.5x/info", None, "/v1.5x/info");
        check("/volumes/x", None, "/volumes/x");
        check(
            "/v1.44/images/a%2Fb/json",
            Some((1, 44)),
            "/images/a/b/json",
        );
        check("/version", None, "/version");
        check("/v/info", None, "/v/info");
    }

    #[test]
    fn untidy_paths() {
        assert_eq!(cleaned("//info"), Some("/info".into()));
        assert_eq!(cleaned("/a/../b/"), Some("/b/".into()));
        assert_eq!(cleaned("/../../x"), Some("/x".into()));
        assert_eq!(cleaned("/info"), None);
        assert_eq!(cleaned("/a..b/c"), None);
    }
}
