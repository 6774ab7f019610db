//! Bodies of requests: bounded, and checked as Docker checks them.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// A JSON document in a request may not be longer than this.
const MAX_DOCUMENT: usize = 16 << 20;

/// Reads a document as most endpoints do: none at all is fine and gives the default.
pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Failure> {
    let bytes = collect(body).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    check_type(headers)?;
    decode(&bytes)
}

/// Reads the text of a document that must be there.
pub(crate) async fn document(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Failure> {
    let bytes = collect(body).await?;
    check_type(headers)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::bad_request(
            "invalid JSON: got EOF while reading request body",
        ));
    }
    Ok(bytes)
}

/// Understands one document with nothing behind it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    let value = match stream.next() {
        Some(Ok(value)) => value,
        Some(Err(e)) if e.is_eof() => {
            return Err(Failure::bad_request("invalid JSON: unexpected EOF"));
        }
        Some(Err(e)) => return Err(Failure::bad_request(format!("invalid JSON: {e}"))),
        None => {
            return Err(Failure::bad_request(
                "invalid JSON: got EOF while reading request body",
            ));
        }
    };
    if bytes[stream.byte_offset()..]
        .iter()
        .all(u8::is_ascii_whitespace)
    {
        Ok(value)
    } else {
        Err(Failure::bad_request("unexpected content after JSON"))
    }
}

/// Whether a body follows that is longer than the `{}` or `null` of a careless client, which Docker overlooks too.
pub(crate) fn has_body(body: &Incoming) -> bool {
    body.size_hint().exact().is_none_or(|length| length > 7)
}

async fn collect(mut body: Incoming) -> Result<Bytes, Failure> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::bad_request(format!("reading the request: {e}")))?;
        if let Ok(mut data) = frame.into_data() {
            if gathered.len() + data.remaining() > MAX_DOCUMENT {
                let message = format!("the request is longer than {MAX_DOCUMENT} bytes");
                return Err(Failure::new(http::StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            gathered.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
    }
    Ok(gathered.freeze())
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .map(|v| String::from_utf8_lossy(v.as_bytes()))
        .unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() {
        return Err(Failure::bad_request(format!(
            "malformed Content-Type header ({given}): mime: no media type"
        )));
    }
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message =
            format!("unsupported Content-Type header ({media_type}): must be 'application/json'");
        return Err(Failure::bad_request(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn dockers_texts_about_documents() {
        let check = |text: &str, expect: &str| {
            assert_eq!(
                decode::<Value>(text.as_bytes()).unwrap_err().message,
                expect,
                "{text}"
            );
        };
        check("{\"Image\":", "invalid JSON: unexpected EOF");
        check("{\"Image\":\"busybox\"} x", "unexpected content after JSON");
        check("  ", "invalid JSON: got EOF while reading request body");
        assert!(decode::<Value>(b"{} \n").is_ok());
    }

    #[test]
    fn content_types() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::CONTENT_TYPE,
                header::HeaderValue::from_static(value),
            );
            check_type(&headers).map_err(|f| f.message)
        };
        assert_eq!(check("application/json"), Ok(()));
        assert_eq!(check("Application/JSON; charset=utf-8"), Ok(()));
        assert_eq!(
            check("foo"),
            Err("unsupported Content-Type header (foo): must be 'application/json'".into())
        );
        assert_eq!(
            check_type(&HeaderMap::new()).unwrap_err().message,
            "malformed Content-Type header (): mime: no media type"
        );
    }
}
