//! `/networks`.

use api::types::network::{
    NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
};
use api::types::prune::NetworksPruned;
use http::StatusCode;

use super::{Call, Reply};
use crate::convert::network::{self, Containers};
use crate::http::failure::Failure;
use crate::http::filters::Filters;
use crate::http::{body, read};

pub(super) async fn list(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    // Since 1.28 a list has no containers.
    let containers = if call.version.at_least(28) {
        Containers::LeftOut
    } else {
        Containers::Shown
    };
    let views = call.app.engine.networks(filters.into_map()).await?;
    let all: Vec<_> = views
        .iter()
        .map(|view| network::network(view, containers))
        .collect();
    body::json(&all)
}

pub(super) async fn create(call: Call) -> Reply {
    let mut wire: NetworkCreateRequest =
        read::decode(&read::document(&call.headers, call.body).await?)?;
    if !call.version.at_least(48) {
        wire.enable_ipv4 = None;
    }
    let id = call
        .app
        .engine
        .create_network(network::request(wire))
        .await?;
    let made = NetworkCreateResponse {
        id,
        warning: String::new(),
    };
    body::json_with(StatusCode::CREATED, &made)
}

pub(super) async fn inspect(call: Call) -> Reply {
    let view = call.app.engine.network(call.name()).await?;
    // Only swarm networks have another scope.
    match call.query.text("scope") {
        "" | "local" => body::json(&network::network(&view, Containers::Shown)),
        _ => Err(Failure::not_found(format!(
            "network {} not found",
            call.name()
        ))),
    }
}

pub(super) async fn remove(call: Call) -> Reply {
    call.app.engine.remove_network(call.name()).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn connect(call: Call) -> Reply {
    let network = call.name().to_owned();
    let wire: NetworkConnectRequest =
        read::decode(&read::document(&call.headers, call.body).await?)?;
    let wish = network::wish(wire.endpoint_config.unwrap_or_default());
    let engine = &call.app.engine;
    engine.connect(&network, &wire.container, wish).await?;
    Ok(body::empty(StatusCode::OK))
}

/// `Force` is for containers that are not there any more, and these leave nothing behind here.
pub(super) async fn disconnect(call: Call) -> Reply {
    let network = call.name().to_owned();
    let wire: NetworkDisconnectRequest =
        read::decode(&read::document(&call.headers, call.body).await?)?;
    let engine = &call.app.engine;
    match engine.disconnect(&network, &wire.container).await {
        Err(error) if wire.force && error.kind() == engine::ErrorKind::NotFound => {
            engine.network(&network).await?;
        }
        done => done?,
    }
    Ok(body::empty(StatusCode::OK))
}

pub(super) async fn prune(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    let names = call.app.engine.prune_networks(filters.into_map()).await?;
    body::json(&NetworksPruned {
        networks_deleted: Some(names).filter(|names| !names.is_empty()),
    })
}
