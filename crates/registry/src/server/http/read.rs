//! Bodies of requests: small ones whole, with a bound; nothing is waited for without end.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::server::failure::Failure;

/// Bytes that must come in each span of the registry's patience: a client that only keeps its connection is dropped.
const LEAST: u64 = 4 << 10;

/// Whether a body goes on coming.
pub(super) struct Coming {
    patience: Duration,
    since: Instant,
    came: u64,
}

impl Coming {
    pub(super) fn new(patience: Duration) -> Coming {
        Coming {
            patience,
            since: Instant::now(),
            came: 0,
        }
    }

    /// An error for who has sent too little in the span that has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        if self.since.elapsed() <= self.patience {
            return Ok(());
        }
        if self.came < LEAST {
            return Err(Failure::too_slow());
        }
        *self = Coming::new(self.patience);
        Ok(())
    }

    pub(super) fn came(&mut self, bytes: usize) {
        self.came = self.came.saturating_add(bytes as u64);
    }
}

/// The next piece of a body, or `None` at its end.
pub(super) async fn piece(
    body: &mut Incoming,
    patience: Duration,
) -> Result<Option<Bytes>, Failure> {
    loop {
        let next = tokio::time::timeout(patience, body.frame()).await;
        match next.map_err(|_| Failure::too_slow())? {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                let text = format!("the request's body broke off: {error}");
                return Err(Failure::new(StatusCode::BAD_REQUEST, "UNKNOWN", text));
            }
        }
    }
}

/// A whole body of at most `most` bytes.
pub(super) async fn whole(
    headers: &HeaderMap,
    mut body: Incoming,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Failure> {
    let too_long = || {
        let text = format!("at most {most} bytes are taken here");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", text)
    };
    if length(headers).is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let mut all = BytesMut::new();
    let mut coming = Coming::new(patience);
    while let Some(bytes) = piece(&mut body, patience).await? {
        coming.came(bytes.len());
        coming.check()?;
        if all.len() + bytes.len() > most {
            return Err(too_long());
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}

/// The length that a request says its body has.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

/// A header's text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
