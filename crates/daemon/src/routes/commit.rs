//! `POST /commit`.

use api::types::image::ImageIdResponse;
use engine::CommitRequest;
use http::StatusCode;
use oci::ContainerConfig;

use super::images::{publish, reference};
use super::{Call, Reply};
use crate::http::{body, read};

pub(super) async fn commit(call: Call) -> Reply {
    let text = |name| call.query.text(name).to_owned();
    let name = text("container");
    let mut request = CommitRequest {
        reference: reference(call.query.text("repo"), call.query.text("tag"))?,
        author: text("author"),
        comment: text("comment"),
        pause: call.query.on_or("pause", true),
        changes: call
            .query
            .all("changes")
            .into_iter()
            .flat_map(|lines| lines.lines())
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect(),
        config: None,
    };
    // The command line sends null, for the container's own configuration.
    request.config =
        read::json_or_default::<Option<ContainerConfig>>(&call.headers, call.body).await?;
    let tag = request.reference.clone();
    let id = call.app.engine.commit(&name, request).await?;
    if let Some(tag) = tag {
        publish(&call.app.engine, "tag", &id, &tag.familiar());
    }
    body::json_with(StatusCode::CREATED, &ImageIdResponse { id: id.to_string() })
}
