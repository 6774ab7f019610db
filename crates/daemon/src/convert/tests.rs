//! Documents recorded from Docker 28.5, made again by way of the engine's types.

use std::sync::Arc;

use api::types::container::{ContainerInspect, CreateRequest};
use engine::options::LogOptions;
use engine::{ContainerView, GraphView, MountKind, MountView, SizeView, StateView, Status};
use serde_json::Value;

use super::{compat, create, inspect};
use crate::http::version::ApiVersion;

const RECORDED: &str = include_str!("../../../api/fixtures/inspect-running.json");

/// The view of a container that was asked for with what Docker recorded of it.
fn view(recorded: &ContainerInspect) -> ContainerView {
    let host = recorded.host_config.clone().unwrap();
    let request = CreateRequest {
        config: recorded.config.clone().unwrap(),
        host_config: host,
        ..Default::default()
    };
    let (options, echo) = create::request(request, None).unwrap();
    let state = recorded.state.clone().unwrap();
    let data = recorded.graph_driver.clone().unwrap().data.unwrap();
    ContainerView {
        id: recorded.id.parse().unwrap(),
        name: recorded.name.trim_start_matches('/').to_owned(),
        created: recorded.created.parse().unwrap(),
        path: recorded.path.clone(),
        args: recorded.args.clone(),
        image: Some(recorded.image.parse().unwrap()),
        state: StateView {
            status: Status::Running,
            running: true,
            oom_killed: false,
            pid: u32::try_from(state.pid).unwrap(),
            exit_code: 0,
            error: String::new(),
            started_at: state.started_at.parse().ok(),
            finished_at: None,
        },
        log: LogOptions {
            driver: options.host.log.driver.clone(),
            options: options.host.log.options.clone(),
        },
        runtime: options.host.runtime.clone(),
        options: Arc::new(options),
        echo: Arc::new(echo),
        resolv_conf_path: recorded.resolv_conf_path.clone().into(),
        hostname_path: recorded.hostname_path.clone().into(),
        hosts_path: recorded.hosts_path.clone().into(),
        log_path: recorded.log_path.clone().into(),
        restart_count: 0,
        exec_ids: recorded.exec_ids.clone().unwrap_or_default(),
        graph: GraphView {
            driver: image::DriverKind::Overlay2,
            lower: data["LowerDir"].split(':').map(Into::into).collect(),
            upper: data["UpperDir"].clone().into(),
            work: data["WorkDir"].clone().into(),
            merged: data["MergedDir"].clone().into(),
        },
        mounts: recorded.mounts.iter().map(mount).collect(),
        ports: Vec::new(),
        links: Vec::new(),
        linked_as: Vec::new(),
        published: Vec::new(),
        networks: Vec::new(),
        size: Some(SizeView {
            rw: 0,
            root_fs: u64::try_from(recorded.size_root_fs.unwrap()).unwrap(),
        }),
    }
}

fn mount(recorded: &api::types::mount::MountPoint) -> MountView {
    MountView {
        kind: if recorded.r#type == "volume" {
            MountKind::Volume
        } else {
            MountKind::Bind
        },
        name: recorded.name.clone(),
        source: recorded.source.clone(),
        destination: recorded.destination.clone(),
        driver: recorded.driver.clone(),
        mode: recorded.mode.clone(),
        read_write: recorded.rw,
        propagation: recorded.propagation.clone(),
    }
}

#[test]
fn inspect_comes_out_as_docker_has_it() {
    let recorded: ContainerInspect = serde_json::from_str(RECORDED).unwrap();
    let mut made = inspect::container(&view(&recorded)).unwrap();
    compat::inspect(ApiVersion::new(1, 51), &mut made);
    let mut made = serde_json::to_value(&made).unwrap();
    let mut expect: Value = serde_json::from_str(RECORDED).unwrap();
    for document in [&mut made, &mut expect] {
        let settings = document["NetworkSettings"].as_object_mut().unwrap();
        // The sandbox and the endpoint are the engine's of that day.
        for own in ["SandboxID", "SandboxKey", "Networks"] {
            assert!(settings.remove(own).is_some(), "{own}");
        }
    }
    assert_eq!(made, expect);
}

#[test]
fn legacy_network_settings_are_gone_from_1_52_on() {
    let recorded: ContainerInspect = serde_json::from_str(RECORDED).unwrap();
    let mut made = inspect::container(&view(&recorded)).unwrap();
    compat::inspect(ApiVersion::new(1, 52), &mut made);
    let settings = serde_json::to_value(made.network_settings).unwrap();
    assert!(settings.get("IPAddress").is_none() && settings.get("SandboxKey").is_some());
}
