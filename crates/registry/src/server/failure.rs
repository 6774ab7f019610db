//! What a request is answered with when it fails: the error codes of distribution-spec 1.1 and their statuses, in one
//! place.

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::auth::Denied;
use super::store;
use super::target::Unknown;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// `code`, `message`, `detail`.
    errors: Vec<(&'static str, String, Value)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        Failure {
            status,
            errors: vec![(code, message.into(), Value::Null)],
            headers: Vec::new(),
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Failure {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The body that the specification asks for.
    pub(crate) fn body(&self) -> Vec<u8> {
        let one = |(code, message, detail): &(&str, String, Value)| match detail {
            Value::Null => json!({"code": code, "message": message}),
            detail => json!({"code": code, "message": message, "detail": detail}),
        };
        let errors: Vec<Value> = self.errors.iter().map(one).collect();
        json!({ "errors": errors }).to_string().into_bytes()
    }

    pub(crate) fn digest_invalid(message: &str) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn upload_invalid(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn unsupported(message: &str) -> Failure {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(crate) fn denied(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub(crate) fn too_slow() -> Failure {
        let text = "nothing came for too long";
        Failure::new(StatusCode::REQUEST_TIMEOUT, "UNKNOWN", text)
    }

    pub(crate) fn internal() -> Failure {
        let text = "the registry could not do it; its log says why";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", text)
    }

    /// A path that means nothing here.
    pub(crate) fn of_path(unknown: Unknown, method: &Method) -> Failure {
        let reading = *method == Method::GET || *method == Method::HEAD;
        match unknown {
            Unknown::Path => Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such resource"),
            Unknown::Name => Failure::new(
                StatusCode::BAD_REQUEST,
                "NAME_INVALID",
                "invalid repository name",
            ),
            // What cannot be a tag is no tag of any repository.
            Unknown::Tag if reading => Failure::new(
                StatusCode::NOT_FOUND,
                "MANIFEST_UNKNOWN",
                "manifest unknown",
            ),
            Unknown::Tag => Failure::new(StatusCode::BAD_REQUEST, "TAG_INVALID", "invalid tag"),
            Unknown::Digest => Failure::digest_invalid("invalid digest"),
            Unknown::Upload => Failure::new(
                StatusCode::NOT_FOUND,
                "BLOB_UPLOAD_UNKNOWN",
                "no such upload",
            ),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        use store::Error as E;
        let of = |status, code| Failure::new(status, code, error.to_string());
        match &error {
            E::BlobUnknown(digest) => {
                let mut failure = of(StatusCode::NOT_FOUND, "BLOB_UNKNOWN");
                failure.errors[0].2 = json!({ "digest": digest });
                failure
            }
            E::ManifestUnknown(_) => of(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            E::NameUnknown(_) => of(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            E::UploadUnknown => of(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            E::InvalidManifest(_) => of(StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            E::MissingParts(missing) => Failure {
                status: StatusCode::BAD_REQUEST,
                errors: missing
                    .iter()
                    .take(100)
                    .map(|digest| {
                        let text = format!("{digest} is unknown to the repository: push it first");
                        ("MANIFEST_BLOB_UNKNOWN", text, json!({ "digest": digest }))
                    })
                    .collect(),
                headers: Vec::new(),
            },
            E::Size { .. } => of(StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            E::Digest { .. } => of(StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            E::Used { .. } => of(StatusCode::METHOD_NOT_ALLOWED, "DENIED"),
            E::TooManyUploads(_) => of(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS")
                .with_header(http::header::RETRY_AFTER, "10"),
            E::UploadsFull(_) => of(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS")
                .with_header(http::header::RETRY_AFTER, "60"),
            E::TooLong(_) => of(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            E::Io { .. } | E::Database { .. } | E::Damaged(_) | E::InUse(_) => {
                tracing::error!("{}", chain(&error));
                if error.is_full() {
                    let text = "the registry has no space left";
                    return Failure::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", text);
                }
                Failure::internal()
            }
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        match denied {
            Denied::Challenge(challenge) => {
                let text = "authentication required";
                Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text)
                    .with_header(http::header::WWW_AUTHENTICATE, &challenge)
            }
            Denied::Never(why) => Failure::denied(why),
        }
    }
}

/// An error with all that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_form_of_the_specification() {
        let digest = oci::Digest::sha256(b"x");
        let failure = Failure::from(store::Error::MissingParts(vec![digest.clone()]));
        let body: Value = serde_json::from_slice(&failure.body()).unwrap();
        assert_eq!(body["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(body["errors"][0]["detail"]["digest"], digest.as_str());
        assert_eq!(failure.status, StatusCode::BAD_REQUEST);
    }
}
