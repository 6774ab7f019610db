//! `/containers`: their life. What moves bytes is in `streams` and `files`.

use api::types::container::{
    ContainerSummary, CreateRequest, CreateResponse, TopResponse, WaitError, WaitResponse,
};
use api::types::network::PortsChange;
use api::types::prune::ContainersPruned;
use engine::{
    CreateRequest as Create, ListQuery, RemoveOptions, StopOptions, WaitCondition, WaitOutcome,
};
use http::StatusCode;
use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::execs::size;
use super::{Call, Reply};
use crate::app::App;
use crate::convert::{self, compat, list::ImageNames};
use crate::http::failure::Failure;
use crate::http::filters::Filters;
use crate::http::version::ApiVersion;
use crate::http::{body, read};

const LIST_FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "id",
    "isolation",
    "label",
    "name",
    "status",
    "health",
    "since",
    "volume",
    "network",
    "is-task",
    "publish",
    "expose",
];

/// Of our own: ports of a container that may be running.
pub(super) async fn republish(call: Call) -> Reply {
    let name = call.name().to_owned();
    let wire: PortsChange = read::decode(&read::document(&call.headers, call.body).await?)?;
    let change = convert::create::port_change(wire);
    call.app.engine.republish(&name, change).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn list(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    filters.only(LIST_FILTERS)?;
    let limit = call
        .query
        .int("limit")?
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0);
    let query = ListQuery {
        all: call.query.on("all"),
        limit,
        size: call.query.on("size"),
        filters: filters.into_map(),
    };
    let views = call.app.engine.list(query).await?;
    body::json(&summaries(&call.app, call.version, views).await)
}

/// The list's entries, with the names of images as they are today.
pub(super) async fn summaries(
    app: &std::sync::Arc<App>,
    version: ApiVersion,
    views: Vec<engine::ContainerView>,
) -> Vec<ContainerSummary> {
    let mut said: Vec<String> = views.iter().map(|v| v.options.image.clone()).collect();
    said.sort_unstable();
    said.dedup();
    let store = app.engine.images().clone();
    let names = engine::blocking(move || -> ImageNames {
        let resolved = said.into_iter().map(|name| (store.variants(&name), name));
        let ids = |images: Vec<image::Image>| images.into_iter().map(|image| image.id).collect();
        resolved
            .filter_map(|(images, name)| Some((name, ids(images.ok()?))))
            .collect()
    })
    .await;
    let now = Timestamp::now();
    let summary = |view| {
        let mut summary = convert::list::summary(view, now, &names);
        compat::summary(version, &mut summary);
        summary
    };
    views.iter().map(summary).collect()
}

pub(super) async fn create(call: Call) -> Reply {
    let bytes = read::document(&call.headers, call.body).await?;
    let members: std::collections::BTreeMap<String, IgnoredAny> = read::decode(&bytes)?;
    if !members
        .keys()
        .any(|key| key != "HostConfig" && key != "NetworkingConfig")
    {
        return Err(Failure::bad_request(
            "config cannot be empty in order to create a container",
        ));
    }
    let mut wire: CreateRequest = read::decode(&bytes)?;
    compat::create_request(call.version, &mut wire);
    let config = call.app.config();
    let host = &mut wire.host_config;
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&config.default_ipc_mode);
    }
    if let Some(mode) = config
        .default_cgroupns_mode
        .as_ref()
        .filter(|_| host.cgroupns_mode.is_empty())
    {
        host.cgroupns_mode.clone_from(mode);
    }
    // Before 1.41 there was no choice of platform.
    let platform =
        Some(call.query.text("platform")).filter(|p| !p.is_empty() && call.version.at_least(41));
    let (options, echo) = convert::create::request(wire, platform.map(str::to_owned))?;
    let name = Some(call.query.text("name"))
        .filter(|n| !n.is_empty())
        .map(str::to_owned);
    let made = call
        .app
        .engine
        .create(Create {
            name,
            options,
            echo,
        })
        .await?;
    let response = CreateResponse {
        id: made.id.to_string(),
        warnings: made.warnings,
    };
    body::json_with(StatusCode::CREATED, &response)
}

pub(super) async fn inspect(call: Call) -> Reply {
    let view = call
        .app
        .engine
        .inspect(call.name(), call.query.on("size"))
        .await?;
    let mut document = convert::inspect::container(&view)?;
    compat::inspect(call.version, &mut document);
    body::json(&document)
}

pub(super) async fn start(call: Call) -> Reply {
    if read::has_body(&call.body) {
        let message = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
        return Err(Failure::bad_request(message));
    }
    refuse_checkpoint(&call)?;
    convert::exec::detach_keys(call.query.text("detachKeys"))?;
    call.app.engine.start(call.name()).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

fn refuse_checkpoint(call: &Call) -> Result<(), Failure> {
    match call.query.text("checkpoint") {
        "" => Ok(()),
        _ => Err(Failure::not_built(
            "starting from a checkpoint (checkpoint)",
        )),
    }
}

pub(super) async fn stop(call: Call) -> Reply {
    let options = stop_options(&call)?;
    call.app.engine.stop(call.name(), options).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn restart(call: Call) -> Reply {
    let options = stop_options(&call)?;
    call.app.engine.restart(call.name(), options).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// Before 1.42 a signal was not taken.
fn stop_options(call: &Call) -> Result<StopOptions, Failure> {
    let signal =
        Some(call.query.text("signal")).filter(|s| !s.is_empty() && call.version.at_least(42));
    Ok(StopOptions {
        signal: signal.map(str::to_owned),
        timeout: call.query.int("t")?,
    })
}

pub(super) async fn kill(call: Call) -> Reply {
    let signal = Some(call.query.text("signal")).filter(|s| !s.is_empty());
    call.app.engine.kill(call.name(), signal).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn pause(call: Call) -> Reply {
    call.app.engine.pause(call.name()).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn unpause(call: Call) -> Reply {
    call.app.engine.unpause(call.name()).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn rename(call: Call) -> Reply {
    call.app
        .engine
        .rename(call.name(), call.query.text("name"))
        .await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn resize(call: Call) -> Reply {
    let (height, width) = size(&call)?;
    call.app.engine.resize(call.name(), height, width).await?;
    Ok(body::empty(StatusCode::OK))
}

pub(super) async fn remove(call: Call) -> Reply {
    let options = RemoveOptions {
        force: call.query.on("force"),
        volumes: call.query.on("v"),
        link: call.query.on("link"),
    };
    call.app.engine.remove(call.name(), options).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn top(call: Call) -> Reply {
    let args = Some(call.query.text("ps_args")).filter(|a| !a.is_empty());
    let table = call.app.engine.top(call.name(), args).await?;
    body::json(&TopResponse {
        processes: table.processes,
        titles: table.titles,
    })
}

pub(super) async fn prune(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    filters.only(&["label", "label!", "until"])?;
    let pruned = call
        .app
        .engine
        .prune_containers(&filters.into_map())
        .await?;
    let deleted = Some(pruned.deleted).filter(|ids| !ids.is_empty());
    body::json(&ContainersPruned {
        containers_deleted: deleted,
        space_reclaimed: pruned.reclaimed,
    })
}

/// Answers at once and tells the outcome later: the client starts the container once it has our headers, so the
/// wait must be registered before they go out.
pub(super) async fn wait(call: Call) -> Reply {
    let condition = match call.query.text("condition") {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => {
            return Err(Failure::bad_request(format!(
                "invalid condition: {other:?}"
            )));
        }
    };
    let wait = call.app.engine.wait(call.name(), condition).await?;
    let answer = body::produced(body::JSON, |sender| async move {
        let response = wait_response(wait.outcome().await);
        let mut bytes = serde_json::to_vec(&response).unwrap_or_default();
        bytes.push(b'\n');
        // A client that has left is not told.
        drop(sender.send(Ok(bytes.into())).await);
    });
    Ok(answer)
}

fn wait_response(outcome: WaitOutcome) -> WaitResponse {
    WaitResponse {
        error: outcome.error.map(|message| WaitError { message }),
        status_code: i64::from(outcome.code),
    }
}
