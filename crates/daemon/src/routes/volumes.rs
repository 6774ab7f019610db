//! `/volumes`.

use std::collections::BTreeMap;

use api::types::prune::VolumesPruned;
use api::types::volume::{Volume, VolumeCreateRequest, VolumeList, VolumeUsage};
use engine::{VolumeRequest, VolumeView};
use http::StatusCode;

use super::{Call, Reply};
use crate::convert::inspect::signed;
use crate::convert::time;
use crate::http::failure::Failure;
use crate::http::filters::Filters;
use crate::http::{body, read};

pub(super) async fn list(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    let views = call.app.engine.volumes(filters.into_map()).await?;
    body::json(&VolumeList {
        volumes: Some(views.iter().map(volume).collect()),
        warnings: None,
    })
}

pub(super) async fn create(call: Call) -> Reply {
    let wire: VolumeCreateRequest = read::json_or_default(&call.headers, call.body).await?;
    if wire.cluster_volume_spec.is_some() {
        return Err(Failure::no_swarm());
    }
    let request = VolumeRequest {
        name: wire.name,
        driver: wire.driver,
        labels: wire.labels.unwrap_or_default(),
        options: wire.driver_opts.unwrap_or_default(),
    };
    let view = call.app.engine.create_volume(request).await?;
    body::json_with(StatusCode::CREATED, &volume(&view))
}

pub(super) async fn inspect(call: Call) -> Reply {
    body::json(&volume(&call.app.engine.volume(call.name()).await?))
}

pub(super) async fn remove(call: Call) -> Reply {
    let force = call.query.on("force");
    call.app.engine.remove_volume(call.name(), force).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// Only cluster volumes can be changed, and there is no cluster.
pub(super) async fn update(_call: Call) -> Reply {
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "volume update only valid for cluster volumes, but swarm is unavailable",
    ))
}

/// Until 1.41 a prune took the volumes with a name too; since then `all` asks for that.
pub(super) async fn prune(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    let all = !call.version.at_least(42);
    let engine = &call.app.engine;
    let pruned = engine.prune_volumes(filters.into_map(), all).await?;
    body::json(&VolumesPruned {
        volumes_deleted: Some(pruned.deleted),
        space_reclaimed: pruned.reclaimed,
    })
}

fn volume(view: &VolumeView) -> Volume {
    let map = |map: &BTreeMap<String, String>| Some(map.clone()).filter(|m| !m.is_empty());
    Volume {
        created_at: time::to_the_second(view.created),
        driver: "local".to_owned(),
        labels: map(&view.labels),
        mountpoint: view.mountpoint.to_string_lossy().into_owned(),
        name: view.name.clone(),
        options: map(&view.options),
        scope: "local".to_owned(),
        status: None,
        usage_data: None,
    }
}

/// The same with what `system df` knows besides.
pub(super) fn used(view: &VolumeView) -> Volume {
    Volume {
        usage_data: Some(VolumeUsage {
            ref_count: i64::try_from(view.references).unwrap_or(i64::MAX),
            size: view.size.map_or(-1, signed),
        }),
        ..volume(view)
    }
}
