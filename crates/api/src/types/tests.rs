//! Responses recorded from Docker 28.5 (API 1.51) must come out as they went in: same members, same order, same
//! `null` and `[]`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::container::{
    ContainerConfig, ContainerInspect, ContainerSummary, CreateRequest, TopResponse,
};
use super::filters::Filters;
use super::{container, event, exec, image, network, progress, system, usage, volume};

fn check<T: DeserializeOwned + Serialize>(recorded: &str) {
    let value: T = serde_json::from_str(recorded).expect("readable");
    assert_eq!(
        serde_json::to_string(&value).expect("writable"),
        recorded.trim_end()
    );
}

/// For documents that Docker sends in another order than its newest version does.
fn check_members<T: DeserializeOwned + Serialize>(recorded: &str) {
    let value: T = serde_json::from_str(recorded).expect("readable");
    let expected: serde_json::Value = serde_json::from_str(recorded).expect("JSON");
    assert_eq!(serde_json::to_value(&value).expect("writable"), expected);
}

#[test]
fn recorded_container_documents_round_trip() {
    check::<ContainerInspect>(include_str!("../../fixtures/inspect-running.json"));
    check::<ContainerInspect>(include_str!("../../fixtures/inspect-created.json"));
    check::<Vec<ContainerSummary>>(include_str!("../../fixtures/list.json"));
    check::<TopResponse>(include_str!("../../fixtures/top.json"));
    check::<Vec<container::Change>>(include_str!("../../fixtures/changes.json"));
    check::<exec::ExecInspect>(include_str!("../../fixtures/exec.json"));
}

#[test]
fn recorded_image_documents_round_trip() {
    check_members::<image::ImageInspect>(include_str!("../../fixtures/image.json"));
    check::<Vec<image::ImageSummary>>(include_str!("../../fixtures/images.json"));
    check::<Vec<image::HistoryItem>>(include_str!("../../fixtures/history.json"));
    check::<Vec<image::DeleteItem>>(include_str!("../../fixtures/delete.json"));
    check::<progress::Progress>(include_str!("../../fixtures/load.jsonl"));
}

#[test]
fn recorded_system_documents_round_trip() {
    check::<system::Version>(include_str!("../../fixtures/version.json"));
    check::<system::Info>(include_str!("../../fixtures/info.json"));
    check::<usage::DiskUsage>(include_str!("../../fixtures/df.json"));
    check::<volume::VolumeList>(include_str!("../../fixtures/volumes.json"));
    check::<Vec<network::Network>>(include_str!("../../fixtures/networks.json"));
    for line in include_str!("../../fixtures/events.jsonl").lines() {
        check::<event::Event>(line);
    }
}

#[test]
fn null_and_bare_strings_are_read_as_go_reads_them() {
    let body = r#"{"Hostname":null,"Tty":null,"Cmd":"echo hi","Labels":null,"HostConfig":null,"Unknown":1}"#;
    let request: CreateRequest = serde_json::from_str(body).expect("readable");
    assert_eq!(request.config.cmd, Some(vec!["echo hi".to_owned()].into()));
    assert_eq!(request.config.hostname, "");
    let body = r#"{"NetworkingConfig":{"EndpointsConfig":{"one":null,"two":{}}}}"#;
    let request: CreateRequest = serde_json::from_str(body).expect("readable");
    let networks = request.networking_config.endpoints_config;
    assert_eq!(networks.map(|all| all.len()), Some(2));
    let empty: ContainerConfig = serde_json::from_str("{}").expect("readable");
    assert_eq!(empty, ContainerConfig::default());
    assert!(
        serde_json::from_str::<CreateRequest>(r#"{"Tty":"yes"}"#).is_err(),
        "a wrong type is not swallowed"
    );
}

#[test]
fn a_newer_daemon_leaves_legacy_network_settings_out() {
    let settings = network::NetworkSettings::default();
    let json = serde_json::to_string(&settings).expect("writable");
    assert_eq!(
        json,
        r#"{"SandboxID":"","SandboxKey":"","Ports":null,"Networks":null}"#
    );
}

#[test]
fn filters_are_read_in_both_forms() {
    let new = Filters::parse(r#"{"label":{"a=b":true,"c":false}}"#).expect("readable");
    let old = Filters::parse(r#"{"label":["a=b"]}"#).expect("readable");
    assert_eq!(new, old);
    assert_eq!(new.to_query(), r#"{"label":{"a=b":true}}"#);
    assert_eq!(new.unknown(&["status"]), Some("label"));
    assert!(Filters::parse("").expect("readable").is_empty());
    assert!(Filters::parse("[]").is_err());
}
