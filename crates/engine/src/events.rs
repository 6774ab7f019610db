//! What happens, told to everyone who listens: Docker's `events`.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::time::Sleep;

use crate::error::{Error, Result};

/// How many past events `since` can reach.
const REMEMBERED: usize = 1024;

/// How far a listener may fall behind before its stream ends with an error.
const BACKLOG: usize = 4096;

/// Docker's filters for events; the engine has no event for some of them yet.
const FILTERS: [&str; 15] = [
    "builder",
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Actions that carry an argument after a colon; a filter names them by their beginning.
const WITH_ARGUMENT: [&str; 3] = ["exec_create", "exec_start", "health_status"];

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Container,
    Image,
    Volume,
    Network,
    Daemon,
}

impl Subject {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Container => "container",
            Subject::Image => "image",
            Subject::Volume => "volume",
            Subject::Network => "network",
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
    /// alternatives, keys must all match; every `label` must.
    pub filters: BTreeMap<String, Vec<String>>,
}

impl EventQuery {
    fn check(&self) -> Result<()> {
        if let Some(key) = self
            .filters
            .keys()
            .find(|key| !FILTERS.contains(&key.as_str()))
        {
            return Err(Error::invalid(format!("invalid filter '{key}'")));
        }
        match (self.since, self.until) {
            (Some(since), Some(until)) if since > until => Err(Error::invalid(format!(
                "`since` time ({}) cannot be after `until` time ({})",
                since.as_second(),
                until.as_second()
            ))),
            _ => Ok(()),
        }
    }

    fn matches(&self, event: &Event) -> bool {
        self.filters
            .iter()
            .all(|(key, values)| matches(key, values, event))
    }

    fn remembers(&self, event: &Event) -> bool {
        (self.since.is_some() || self.until.is_some())
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
    }
}

fn matches(key: &str, values: &[String], event: &Event) -> bool {
    let exact = |text: &str| values.iter().any(|v| v == text);
    let attribute = |name: &str| event.attributes.get(name).map_or("", String::as_str);
    match key {
        "event" => values
            .iter()
            .any(|value| action_matches(value, &event.action)),
        "type" => exact(event.subject.as_str()),
        "scope" => exact("local"),
        "label" => values
            .iter()
            .all(|label| has_label(&event.attributes, label)),
        "image" => {
            let name = match event.subject {
                Subject::Image => attribute("name"),
                _ => attribute("image"),
            };
            [&event.actor, name, untagged(&event.actor), untagged(name)]
                .into_iter()
                .any(exact)
        }
        // The rest name an actor by the beginning of its id or name.
        kind => {
            event.subject.as_str() == kind
                && values
                    .iter()
                    .any(|v| event.actor.starts_with(v) || attribute("name").starts_with(v))
        }
    }
}

fn action_matches(wanted: &str, action: &str) -> bool {
    wanted == action || (WITH_ARGUMENT.contains(&wanted) && action.starts_with(wanted))
}

/// `KEY` or `KEY=VALUE`.
pub(crate) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
        None => labels.contains_key(wanted),
    }
}

/// A name without its tag; the colon of a registry's port is not a tag's.
fn untagged(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((front, tag)) if !tag.contains('/') => front,
        _ => name,
    }
}

/// Where events are told and heard.
#[derive(Debug)]
pub(crate) struct Bus {
    past: Mutex<VecDeque<Arc<Event>>>,
    live: broadcast::Sender<Arc<Event>>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            past: Mutex::default(),
            live: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Tells everyone who listens, and remembers.
    pub(crate) fn publish(&self, event: Event) {
        let event = Arc::new(event);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(Arc::clone(&event));
        // Nobody listening is no error.
        let _ = self.live.send(event);
    }

    /// Listens: first what is remembered of the time asked for, then what comes, nothing missed or twice in between.
    pub(crate) fn subscribe(&self, query: EventQuery) -> Result<EventStream> {
        query.check()?;
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let remembered = past
            .iter()
            .filter(|e| query.remembers(e) && query.matches(e))
            .cloned()
            .collect();
        Ok(EventStream {
            past: remembered,
            live,
            end: query.until.map(|until| Box::pin(sleep_until(until))),
            query,
        })
    }
}

fn sleep_until(until: Timestamp) -> Sleep {
    let left = until.duration_since(Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default())
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    past: VecDeque<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
    end: Option<Pin<Box<Sleep>>>,
    query: EventQuery,
}

impl EventStream {
    /// The next event; `None` once `until` has passed or the engine closes. A listener that fell too far behind gets an
    /// error, never a silent hole.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        if let Some(event) = self.past.pop_front() {
            return Some(Ok(Event::clone(&event)));
        }
        loop {
            let received = match &mut self.end {
                Some(end) => tokio::select! {
                    biased;
                    received = self.live.recv() => received,
                    () = end => return None,
                },
                None => self.live.recv().await,
            };
            match received {
                Ok(event) if self.query.until.is_some_and(|until| event.time > until) => {
                    return None;
                }
                Ok(event) if self.query.matches(&event) => return Some(Ok(Event::clone(&event))),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    return Some(Err(Error::system(format!(
                        "this listener was too slow: {lost} events are lost to it"
                    ))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
