//! `/exec`, and the making of execs. Starting one is a stream.

use api::types::exec::{ExecCreateRequest, ExecCreateResponse};
use http::StatusCode;

use super::{Call, Reply};
use crate::convert;
use crate::http::failure::Failure;
use crate::http::{body, read};

pub(super) async fn create(call: Call) -> Reply {
    let name = call.name().to_owned();
    let request: ExecCreateRequest = read::json_or_default(&call.headers, call.body).await?;
    let options = convert::exec::options(request)?;
    if options.cmd.is_empty() {
        return Err(Failure::bad_request("No exec command specified"));
    }
    let id = call.app.engine.exec_create(&name, options).await?;
    body::json_with(StatusCode::CREATED, &ExecCreateResponse { id })
}

pub(super) async fn inspect(call: Call) -> Reply {
    let view = call.app.engine.exec_inspect(call.name())?;
    body::json(&convert::exec::inspect(&view))
}

pub(super) async fn resize(call: Call) -> Reply {
    let (height, width) = size(&call)?;
    call.app
        .engine
        .exec_resize(call.name(), height, width)
        .await?;
    Ok(body::empty(StatusCode::OK))
}

/// `h` and `w`, with Docker's texts where they are no numbers.
pub(super) fn size(call: &Call) -> Result<(u16, u16), Failure> {
    let cells = |key: &str, what: &str| {
        let text = call.query.text(key);
        let number: u32 = text.parse().map_err(|_| {
            Failure::bad_request(format!("invalid resize {what} {text:?}: invalid syntax"))
        })?;
        Ok::<_, Failure>(convert::create::cells(number))
    };
    Ok((cells("h", "height")?, cells("w", "width")?))
}
