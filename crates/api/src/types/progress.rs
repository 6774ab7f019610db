//! The JSON messages that load, import, pull, push and build send while they work.

use super::wire::{is_default, wire};

wire! {
    /// One message; which members it has tells what it is.
    pub struct Progress {
        /// Text to print as it is.
        #[serde(rename = "stream", skip_serializing_if = "is_default")]
        pub stream: String,
        /// What is being done.
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: String,
        /// How far it is.
        #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
        pub progress_detail: Option<ProgressDetail>,
        /// What it is done to, as a short layer id.
        #[serde(rename = "id", skip_serializing_if = "is_default")]
        pub id: String,
        /// The bar as text; no longer sent by Docker 29.
        #[serde(rename = "progress", skip_serializing_if = "is_default")]
        pub progress: String,
        /// Why it failed.
        #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
        pub error_detail: Option<ErrorDetail>,
        /// The same as text.
        #[serde(rename = "error", skip_serializing_if = "is_default")]
        pub error: String,
        /// Results that have their own form.
        #[serde(rename = "aux", skip_serializing_if = "Option::is_none")]
        pub aux: Option<serde_json::Value>,
    }

    /// A position on the way to a total.
    pub struct ProgressDetail {
        /// How much is done.
        #[serde(rename = "current", skip_serializing_if = "is_default")]
        pub current: i64,
        /// How much there is; 0 if that is not known.
        #[serde(rename = "total", skip_serializing_if = "is_default")]
        pub total: i64,
        /// Whether only the bar is to be shown.
        #[serde(rename = "hidecounts", skip_serializing_if = "is_default")]
        pub hide_counts: bool,
        /// What is counted; bytes if it is empty.
        #[serde(rename = "units", skip_serializing_if = "is_default")]
        pub units: String,
    }

    /// Why the work failed.
    pub struct ErrorDetail {
        /// An exit code, if a process failed.
        #[serde(rename = "code", skip_serializing_if = "is_default")]
        pub code: i64,
        /// In words.
        #[serde(rename = "message", skip_serializing_if = "is_default")]
        pub message: String,
    }
}

impl Progress {
    /// Text to print as it is.
    pub fn stream(text: impl Into<String>) -> Self {
        Self {
            stream: text.into(),
            ..Self::default()
        }
    }

    /// A line about what is being done.
    pub fn status(text: impl Into<String>) -> Self {
        Self {
            status: text.into(),
            ..Self::default()
        }
    }

    /// The message that ends a stream whose status 200 is already sent.
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        let error_detail = Some(ErrorDetail {
            code: 0,
            message: message.clone(),
        });
        Self {
            error_detail,
            error: message,
            ..Self::default()
        }
    }
}
