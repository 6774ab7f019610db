//! What older versions of the API meant by the same words: every difference between versions is in this file.

use api::types::container::{ContainerInspect, ContainerSummary, CreateRequest};
use api::types::image::{ImageInspect, ImageSummary};
use std::collections::BTreeMap;

use api::types::network::{EndpointSettings, LegacyNetworkSettings};
use api::types::system::Info;

use crate::http::version::ApiVersion;

/// Raw bytes of a terminal, and before API 1.42 of everything.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";
/// Frames of stdout and stderr.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// The media type of a container's output. Since 1.42 a client can see from it whether the stream has frames.
pub(crate) fn stream_type(version: ApiVersion, tty: bool) -> &'static str {
    if version.at_least(42) && !tty {
        MULTIPLEXED
    } else {
        RAW
    }
}

/// A create request of an old client, in the words of today.
pub(crate) fn create_request(version: ApiVersion, request: &mut CreateRequest) {
    let host = &mut request.host_config;
    if !version.at_least(40) && host.ipc_mode.is_empty() {
        "shareable".clone_into(&mut host.ipc_mode);
    }
    if !version.at_least(41) && host.cgroupns_mode.is_empty() {
        // Before there was a choice, containers saw the host's hierarchy.
        "host".clone_into(&mut host.cgroupns_mode);
    }
    if !version.at_least(42) {
        host.console_size = [0, 0];
    }
    for mount in &mut host.mounts {
        let Some(bind) = &mut mount.bind_options else {
            continue;
        };
        if !version.at_least(40) {
            bind.non_recursive = false;
        }
        if !version.at_least(42) {
            bind.create_mountpoint = false;
        }
        if !version.at_least(44) {
            bind.read_only_non_recursive = false;
            bind.read_only_force_recursive = false;
        }
    }
    if !version.at_least(44)
        && let Some(health) = &mut request.config.healthcheck
    {
        health.start_interval = 0;
    }
}

/// Addresses of the first network, beside the networks themselves, were dropped with 1.52.
pub(crate) fn inspect(version: ApiVersion, view: &mut ContainerInspect) {
    if version.at_least(52) {
        return;
    }
    if let Some(network) = &mut view.network_settings {
        network.bridge = Some(String::new());
        network.legacy = Some(legacy(network.networks.as_ref()));
    }
}

/// The list told of health from 1.52 on.
pub(crate) fn summary(version: ApiVersion, summary: &mut ContainerSummary) {
    if version.at_least(52) {
        let none = api::types::container::HealthSummary {
            status: "none".to_owned(),
            failing_streak: 0,
        };
        summary.health = Some(none);
    }
}

/// `VirtualSize` went with 1.44, the configuration of the building container with 1.45, the legacy fields with 1.50.
pub(crate) fn image(version: ApiVersion, image: &mut ImageInspect) {
    if !version.at_least(44) {
        image.virtual_size = Some(image.size);
    }
    if version.at_least(50)
        && let Some(config) = &mut image.config
    {
        config.legacy = api::types::image::LegacyImageConfig::default();
    }
}

/// `VirtualSize` of the list went with 1.44; before 1.44 an image without digests had an empty list of them.
pub(crate) fn image_summary(version: ApiVersion, image: &mut ImageSummary) {
    if !version.at_least(44) {
        image.virtual_size = Some(image.size);
    }
}

/// Fields of `info` that came and went.
pub(crate) fn info(version: ApiVersion, info: &mut Info) {
    if !version.at_least(42) {
        info.kernel_memory = true;
    }
    if !version.at_least(49) {
        info.firewall_backend = None;
        info.runc_commit.expected.clone_from(&info.runc_commit.id);
        info.containerd_commit
            .expected
            .clone_from(&info.containerd_commit.id);
        info.init_commit.expected.clone_from(&info.init_commit.id);
    }
    if !version.at_least(50) {
        info.bridge_nf_iptables = Some(false);
        info.bridge_nf_ip6tables = Some(false);
    }
}

/// Events carried their subject twice until 1.52.
pub(crate) fn has_legacy_event_fields(version: ApiVersion) -> bool {
    !version.at_least(52)
}

/// The default bridge's endpoint once more, where old clients look for it.
fn legacy(places: Option<&BTreeMap<String, EndpointSettings>>) -> LegacyNetworkSettings {
    let Some(place) = places.and_then(|places| places.get("bridge")).cloned() else {
        return LegacyNetworkSettings::default();
    };
    LegacyNetworkSettings {
        endpoint_id: place.endpoint_id,
        gateway: place.gateway,
        global_ipv6_address: place.global_ipv6_address,
        global_ipv6_prefix_len: place.global_ipv6_prefix_len,
        ip_address: place.ip_address,
        ip_prefix_len: place.ip_prefix_len,
        ipv6_gateway: place.ipv6_gateway,
        mac_address: place.mac_address,
        ..LegacyNetworkSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: fn(u16) -> ApiVersion = |minor| ApiVersion::new(1, minor);

    #[test]
    fn streams_tell_their_form_since_1_42() {
        assert_eq!(stream_type(V(41), false), RAW);
        assert_eq!(stream_type(V(42), false), MULTIPLEXED);
        assert_eq!(stream_type(V(55), true), RAW);
    }

    #[test]
    fn old_clients_get_the_namespaces_of_their_time() {
        let mut request = CreateRequest::default();
        create_request(V(39), &mut request);
        assert_eq!(request.host_config.ipc_mode, "shareable");
        assert_eq!(request.host_config.cgroupns_mode, "host");
        let mut request = CreateRequest::default();
        create_request(V(55), &mut request);
        assert_eq!(request, CreateRequest::default());
    }

    #[test]
    fn images_have_a_virtual_size_for_old_clients() {
        let mut image = ImageInspect {
            size: 7,
            ..Default::default()
        };
        super::image(V(43), &mut image);
        assert_eq!(image.virtual_size, Some(7));
    }
}
