//! What the log says of each request. Paths and names are a stranger's text, so they are written in quotes, escaped and not
//! longer than some.

use std::net::SocketAddr;
use std::time::Duration;

use http::{StatusCode, header, request};
use hyper::body::Body as _;

use super::Reply;
use crate::server::Registry;

/// Characters of a path and of a name that are written.
const LONGEST_PATH: usize = 512;
const LONGEST_USER: usize = 128;
const LONGEST_METHOD: usize = 20;

/// A request, as the log names it.
pub(super) struct Line {
    method: String,
    path: String,
    peer: SocketAddr,
    user: String,
    shows_password: bool,
}

impl Line {
    pub(super) fn of(registry: &Registry, parts: &request::Parts, peer: SocketAddr) -> Line {
        let user = registry.door.who(&parts.headers).unwrap_or_default();
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let scheme = authorization.and_then(|value| value.as_bytes().get(..6));
        Line {
            // A token of HTTP, so nothing in it needs quotes.
            method: parts.method.as_str().chars().take(LONGEST_METHOD).collect(),
            path: shown(parts.uri.path(), LONGEST_PATH),
            peer,
            user: shown(&user, LONGEST_USER),
            shows_password: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic ")),
        }
    }

    /// Writes it once the answer begins; `took` is the time until then.
    pub(super) fn write(&self, reply: &Reply, took: Duration) {
        let Line {
            method,
            path,
            peer,
            user,
            ..
        } = self;
        let status = reply.status();
        if status == StatusCode::UNAUTHORIZED && self.shows_password {
            tracing::warn!("login refused: user={user} remote={peer} path={path}");
        }
        let bytes = reply.body().size_hint().lower();
        let status = status.as_u16();
        tracing::info!(
            "{method} {path} status={status} bytes={bytes} duration={took:.1?} remote={peer} user={user}"
        );
    }
}

/// In quotes; what could break the line or move a terminal's cursor is escaped.
fn shown(text: &str, most: usize) -> String {
    let beginning: String = text.chars().take(most).collect();
    format!("{beginning:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_writes_no_lines_of_the_log() {
        let text = shown("a\n\u{1b}[2J\u{202e}\"", 100);
        assert_eq!(text, r#""a\n\u{1b}[2J\u{202e}\"""#);
        assert_eq!(shown(&"x".repeat(1000), 8), "\"xxxxxxxx\"");
    }
}
