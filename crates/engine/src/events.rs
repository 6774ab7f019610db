//! What happens, told to everyone who listens: Docker's `events`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::Result;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Container,
    Image,
    Volume,
    Daemon,
}

impl Subject {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Container => "container",
            Subject::Image => "image",
            Subject::Volume => "volume",
            Subject::Daemon => "daemon",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub subject: Subject,
    /// `start`, `die`, `exec_create: sh -c x` and so on.
    pub action: String,
    /// The container's or image's id, or the volume's name.
    pub actor: String,
    pub attributes: BTreeMap<String, String>,
    pub time: Timestamp,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Also what happened since then, as far as it is remembered.
    pub since: Option<Timestamp>,
    /// End the stream then.
    pub until: Option<Timestamp>,
    /// Docker's filters: `container image event type label scope daemon volume network ...`. Values of one key are
    /// alternatives, keys must all match.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {}

impl EventStream {
    /// The next event; `None` once `until` has passed or the engine closes.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        todo!()
    }
}
