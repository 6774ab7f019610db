//! What Prometheus asks for, in its text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};

use super::store::Collected;

/// Counters of one process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Kind, Answered>>,
    received: AtomicU64,
    sent: AtomicU64,
    pub(crate) connections: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    collections: AtomicU64,
    collected_blobs: AtomicU64,
    collected_bytes: AtomicU64,
}

/// Method, resource and status of requests.
type Kind = (&'static str, &'static str, u16);

/// How many requests there were of a kind, and how long they took together.
#[derive(Debug, Default)]
struct Answered {
    count: u64,
    seconds: f64,
}

/// What the store says at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Levels {
    pub(crate) repositories: u64,
    pub(crate) blobs: (u64, u64),
    pub(crate) uploads: (u64, u64),
}

impl Metrics {
    pub(crate) fn answered(
        &self,
        method: &Method,
        kind: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = requests
            .entry((known(method), kind, status.as_u16()))
            .or_default();
        entry.count += 1;
        entry.seconds += took.as_secs_f64();
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counted when the answer begins.
    pub(crate) fn sending(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn cache_hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cache_miss(&self) {
        self.cache_misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn collected(&self, collected: &Collected) {
        self.collections.fetch_add(1, Ordering::Relaxed);
        self.collected_blobs
            .fetch_add(collected.blobs, Ordering::Relaxed);
        self.collected_bytes
            .fetch_add(collected.bytes, Ordering::Relaxed);
    }

    pub(crate) fn text(&self, levels: Levels) -> String {
        let mut text = String::new();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.requests_text(&mut text);
        let counters = [
            (
                "received_bytes_total",
                "Bytes of blobs and manifests that clients sent.",
                get(&self.received),
            ),
            (
                "sent_bytes_total",
                "Bytes of blobs and manifests in answers that were begun.",
                get(&self.sent),
            ),
            (
                "cache_hits_total",
                "Requests to cached repositories that needed no fetch.",
                get(&self.cache_hits),
            ),
            (
                "cache_misses_total",
                "Fetches from upstream registries.",
                get(&self.cache_misses),
            ),
            (
                "collections_total",
                "Garbage collections.",
                get(&self.collections),
            ),
            (
                "collected_blobs_total",
                "Blobs that were collected.",
                get(&self.collected_blobs),
            ),
            (
                "collected_bytes_total",
                "Bytes of blobs that were collected.",
                get(&self.collected_bytes),
            ),
        ];
        let gauges = [
            ("connections", "Open connections.", get(&self.connections)),
            (
                "repositories",
                "Repositories with a manifest.",
                levels.repositories,
            ),
            ("blobs", "Blobs in the store.", levels.blobs.0),
            (
                "blob_bytes",
                "Bytes of all blobs in the store.",
                levels.blobs.1,
            ),
            ("uploads", "Unfinished uploads.", levels.uploads.0),
            (
                "upload_bytes",
                "Bytes of unfinished uploads.",
                levels.uploads.1,
            ),
        ];
        for (rows, kind) in [(&counters[..], "counter"), (&gauges[..], "gauge")] {
            for (name, help, value) in rows {
                let name = format!("tare_registry_{name}");
                let _ = write!(
                    text,
                    "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
                );
            }
        }
        text
    }

    fn requests_text(&self, text: &mut String) {
        let name = "tare_registry_request_seconds";
        let _ = write!(
            text,
            "# HELP {name} Time until answers began.\n# TYPE {name} summary\n"
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((method, kind, status), Answered { count, seconds }) in &*requests {
            let labels = format!("{{method=\"{method}\",resource=\"{kind}\",status=\"{status}\"}}");
            let _ = write!(
                text,
                "{name}_sum{labels} {seconds:.6}\n{name}_count{labels} {count}\n"
            );
        }
    }
}

/// A stranger's method makes no new row.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_a_row_for_each() {
        let metrics = Metrics::default();
        metrics.answered(
            &Method::GET,
            "blob",
            StatusCode::OK,
            Duration::from_millis(5),
        );
        metrics.answered(
            &Method::GET,
            "blob",
            StatusCode::OK,
            Duration::from_millis(5),
        );
        let strange = Method::from_bytes(b"BREW").unwrap();
        metrics.answered(
            &strange,
            "blob",
            StatusCode::METHOD_NOT_ALLOWED,
            Duration::ZERO,
        );
        metrics.received(7);
        let text = metrics.text(Levels {
            blobs: (3, 99),
            ..Levels::default()
        });
        for row in [
            "tare_registry_request_seconds_count{method=\"GET\",resource=\"blob\",status=\"200\"} 2\n",
            "tare_registry_request_seconds_sum{method=\"GET\",resource=\"blob\",status=\"200\"} 0.010000\n",
            "method=\"other\"",
            "# TYPE tare_registry_blob_bytes gauge\ntare_registry_blob_bytes 99\n",
            "\ntare_registry_received_bytes_total 7\n",
        ] {
            assert!(text.contains(row), "{row} is not in {text}");
        }
    }
}
