//! Entries of `GET /events`.

use std::collections::BTreeMap;

use super::wire::{is_default, wire};

wire! {
    /// Something that happened.
    pub struct Event {
        /// As `Action`, for containers and images; gone with API 1.52.
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: String,
        /// As `Actor.ID`; gone with API 1.52.
        #[serde(rename = "id", skip_serializing_if = "is_default")]
        pub id: String,
        /// The container's image; gone with API 1.52.
        #[serde(rename = "from", skip_serializing_if = "is_default")]
        pub from: String,
        /// `container`, `image`, `volume`, `network`, `daemon`, ...
        pub r#type: String,
        /// What was done, as `start` or `exec_start: sh`.
        pub action: String,
        /// To whom.
        pub actor: Actor,
        /// `local` or `swarm`.
        #[serde(rename = "scope", skip_serializing_if = "is_default")]
        pub scope: String,
        /// When, in Unix seconds.
        #[serde(rename = "time", skip_serializing_if = "is_default")]
        pub time: i64,
        /// When, in Unix nanoseconds.
        #[serde(rename = "timeNano", skip_serializing_if = "is_default")]
        pub time_nano: i64,
    }

    /// What an event happened to.
    pub struct Actor {
        /// Its id or name.
        #[serde(rename = "ID")]
        pub id: String,
        /// Its labels, and what the event has to say.
        pub attributes: BTreeMap<String, String>,
    }
}
