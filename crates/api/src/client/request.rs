//! What is asked of the daemon.

use std::fmt::Write;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use super::body::{UploadBody, WireBody};
use crate::types::filters::Filters;

pub use http::Method;

/// A request under construction. Paths begin behind the version: `/containers/json`.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    upload: UploadBody,
    versioned: bool,
}

impl Request {
    /// A request with any method. `path` must be escaped already; see [`escape`](Self::escape).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            upload: UploadBody::default(),
            versioned: true,
        }
    }

    /// `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// `DELETE`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// `HEAD`.
    pub fn head(path: impl Into<String>) -> Self {
        Self::new(Method::HEAD, path)
    }

    /// A name as part of a path: everything but letters, digits, `-._~` and the slash, colon and at-sign of image names
    /// is percent-encoded.
    pub fn escape(name: &str) -> String {
        let mut out = String::with_capacity(name.len());
        escape_into(&mut out, name, b"/:@");
        out
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        escape_into(&mut self.query, name, b"");
        self.query.push('=');
        escape_into(&mut self.query, value.as_ref(), b"/:");
        self
    }

    /// Adds a query parameter if there is a value.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds `name=1` if the flag is set.
    #[must_use]
    pub fn query_flag(self, name: &str, on: bool) -> Self {
        if on { self.query(name, "1") } else { self }
    }

    /// Adds `filters` unless they filter nothing.
    #[must_use]
    pub fn filters(self, filters: &Filters) -> Self {
        if filters.is_empty() {
            self
        } else {
            self.query("filters", filters.to_query())
        }
    }

    /// Adds a header; one that cannot be sent is left out, so check what comes from outside.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends a document as JSON.
    #[must_use]
    pub fn body(mut self, document: &impl Serialize) -> Self {
        // Our documents have string keys and no failing serialisers.
        self.body = serde_json::to_vec(document).unwrap_or_default().into();
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Streams a body, as `application/x-tar`.
    #[must_use]
    pub fn upload(mut self, upload: UploadBody) -> Self {
        self.upload = upload;
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
        self
    }

    /// Leaves the version out of the path.
    #[must_use]
    pub fn unversioned(mut self) -> Self {
        self.versioned = false;
        self
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn is_versioned(&self) -> bool {
        self.versioned
    }

    /// Path and query.
    pub(super) fn target(&self) -> String {
        format!("{}{}", self.path, self.query)
    }

    pub(super) fn take_upload(&mut self) -> UploadBody {
        std::mem::take(&mut self.upload)
    }

    pub(super) fn wire_body(&self, upload: UploadBody) -> WireBody {
        WireBody::new(self.body.clone(), upload)
    }

    /// Some servers want a length from every POST.
    pub(super) fn is_empty_post(&self) -> bool {
        self.method == Method::POST
            && self.body.is_empty()
            && !self.headers.contains_key(CONTENT_TYPE)
    }
}

fn escape_into(out: &mut String, text: &str, allowed: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || allowed.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
