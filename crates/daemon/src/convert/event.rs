//! Events on the wire.

use api::types::event::{Actor, Event as Wire};
use engine::{Event, Subject};

use super::compat;
use crate::http::version::ApiVersion;

/// One event in the words of `version`.
pub(crate) fn event(event: Event, version: ApiVersion) -> Wire {
    let mut wire = Wire {
        r#type: event.subject.as_str().to_owned(),
        scope: "local".to_owned(),
        time: event.time.as_second(),
        time_nano: i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX),
        ..Default::default()
    };
    if compat::has_legacy_event_fields(version)
        && matches!(event.subject, Subject::Container | Subject::Image)
    {
        wire.status.clone_from(&event.action);
        wire.id.clone_from(&event.actor);
        if event.subject == Subject::Container {
            wire.from = event.attributes.get("image").cloned().unwrap_or_default();
        }
    }
    wire.action = event.action;
    wire.actor = Actor {
        id: event.actor,
        attributes: event.attributes,
    };
    wire
}

/// How a stream of documents is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A document a line.
    Lines(&'static str),
    /// RFC 7464: a record separator before each.
    Sequence,
}

impl Framing {
    /// The first that the client accepts; JSON, as the real one has it, for clients that do not say.
    pub(crate) fn accepted(accept: &str) -> Self {
        let wanted = accept
            .split(',')
            .map(|part| part.split(';').next().unwrap_or_default().trim());
        for media_type in wanted {
            match media_type {
                "application/json" => return Framing::Lines("application/json"),
                "application/jsonl" => return Framing::Lines("application/jsonl"),
                "application/x-ndjson" => return Framing::Lines("application/x-ndjson"),
                "application/json-seq" => return Framing::Sequence,
                _ => {}
            }
        }
        Framing::Lines("application/json")
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Framing::Lines(media_type) => media_type,
            Framing::Sequence => "application/json-seq",
        }
    }

    pub(crate) fn frame(self, document: &impl serde::Serialize) -> Vec<u8> {
        let mut bytes = match self {
            Framing::Lines(_) => Vec::new(),
            Framing::Sequence => vec![0x1e],
        };
        // Documents of ours have string keys only, which is all that can go wrong.
        drop(serde_json::to_writer(&mut bytes, document));
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Event {
        Event {
            subject: Subject::Container,
            action: "start".into(),
            actor: "abc".into(),
            attributes: [("image".to_owned(), "busybox".to_owned())].into(),
            time: jiff::Timestamp::new(5, 7).unwrap(),
        }
    }

    #[test]
    fn the_subject_is_told_twice_to_old_clients() {
        let json =
            |minor| serde_json::to_string(&event(started(), ApiVersion::new(1, minor))).unwrap();
        assert_eq!(
            json(51),
            r#"{"status":"start","id":"abc","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"image":"busybox"}},"scope":"local","time":5,"timeNano":5000000007}"#
        );
        assert_eq!(
            json(52),
            r#"{"Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"image":"busybox"}},"scope":"local","time":5,"timeNano":5000000007}"#
        );
    }

    #[test]
    fn framings() {
        assert_eq!(Framing::accepted(""), Framing::Lines("application/json"));
        assert_eq!(
            Framing::accepted("application/json-seq, application/x-ndjson;q=1"),
            Framing::Sequence
        );
        assert_eq!(
            Framing::accepted("text/html, application/x-ndjson").media_type(),
            "application/x-ndjson"
        );
        assert_eq!(Framing::Sequence.frame(&1), b"\x1e1\n");
    }
}
