//! What a pull or push tells while it works.

use std::time::{Duration, Instant};

use oci::{Descriptor, Digest};
use tokio::sync::mpsc;

/// Positions are told at most this often for one layer; a terminal shows no more.
const PACE: Duration = Duration::from_millis(100);

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A line for itself; the id stands before it.
    Line { id: Option<String>, text: String },
    /// What happens to a layer, by the short form of its digest; how far that is, and of how much.
    Layer {
        id: String,
        status: String,
        position: Option<(u64, u64)>,
    },
    /// A tag was pushed.
    Pushed {
        tag: String,
        digest: Digest,
        size: u64,
    },
    /// An image was pushed without the index that it came out of, since not all of that is here.
    Alone {
        index: Box<Descriptor>,
        pushed: Box<Descriptor>,
    },
}

/// Where to tell it. When whoever listens has gone, nothing is told.
#[derive(Debug, Clone)]
pub struct Reporter(mpsc::Sender<Report>);

impl Reporter {
    /// A reporter and what it tells, of which at most `ahead` waits to be read.
    pub fn new(ahead: usize) -> (Reporter, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(ahead.max(1));
        (Reporter(sender), receiver)
    }

    pub(crate) async fn line(&self, text: impl Into<String>) {
        self.tell(Report::Line {
            id: None,
            text: text.into(),
        })
        .await;
    }

    pub(crate) async fn tell(&self, report: Report) {
        // Who does not listen any more ends the transfer in his own way.
        let _gone = self.0.send(report).await;
    }

    /// Speaks about one layer.
    pub(crate) fn layer(&self, digest: &Digest) -> LayerReporter {
        LayerReporter {
            reporter: self.clone(),
            id: digest.short().to_owned(),
            last: None,
        }
    }
}

/// Tells how one layer fares.
pub(crate) struct LayerReporter {
    reporter: Reporter,
    id: String,
    last: Option<Instant>,
}

impl LayerReporter {
    /// Something that must be told.
    pub(crate) async fn is(&self, status: &str) {
        self.reporter.tell(self.report(status, None)).await;
    }

    /// A position: told only when there is room and the last one is a while ago.
    pub(crate) fn at(&mut self, status: &str, done: u64, total: u64) {
        if self.last.is_some_and(|last| last.elapsed() < PACE) {
            return;
        }
        self.last = Some(Instant::now());
        let _full = self
            .reporter
            .0
            .try_send(self.report(status, Some((done, total))));
    }

    /// The last position, which is told if there is room.
    pub(crate) fn at_once(&mut self, status: &str, total: u64) {
        self.last = None;
        self.at(status, total, total);
    }

    fn report(&self, status: &str, position: Option<(u64, u64)>) -> Report {
        Report::Layer {
            id: self.id.clone(),
            status: status.to_owned(),
            position,
        }
    }
}
