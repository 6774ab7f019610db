//! Networks, and containers' places in them, between the wire and the engine.

use std::collections::BTreeMap;

use api::types::network::{
    ConfigReference, EndpointIpam, EndpointSettings, Ipam, IpamPool, Network, NetworkContainer,
    NetworkCreateRequest,
};
use engine::options::EndpointOptions;
use engine::{AddressPool, EndpointView, NetworkRequest, NetworkView, PlaceView};

use super::time;

/// A create request.
pub(crate) fn request(wire: NetworkCreateRequest) -> NetworkRequest {
    let ipam = wire.ipam.unwrap_or_default();
    NetworkRequest {
        name: wire.name,
        driver: wire.driver,
        internal: wire.internal,
        attachable: wire.attachable,
        ingress: wire.ingress,
        scope: wire.scope,
        enable_ipv4: wire.enable_ipv4,
        enable_ipv6: wire.enable_ipv6,
        ipam_driver: ipam.driver,
        ipam_options: ipam.options.unwrap_or_default(),
        pools: ipam
            .config
            .unwrap_or_default()
            .into_iter()
            .map(address_pool)
            .collect(),
        options: wire.options.unwrap_or_default(),
        labels: wire.labels.unwrap_or_default(),
        config_only: wire.config_only,
        config_from: wire.config_from.unwrap_or_default().network,
    }
}

fn address_pool(wire: IpamPool) -> AddressPool {
    AddressPool {
        subnet: wire.subnet,
        range: wire.ip_range,
        gateway: wire.gateway,
        auxiliary: wire.auxiliary_addresses,
    }
}

/// One network; lists leave its containers out, as Docker does.
pub(crate) fn network(view: &NetworkView, containers: Containers) -> Network {
    let endpoints = match containers {
        Containers::Shown => view.endpoints.as_slice(),
        Containers::LeftOut => &[],
    };
    Network {
        name: view.name.clone(),
        id: view.id.clone(),
        created: time::text(Some(view.created)),
        scope: "local".to_owned(),
        driver: view.driver.clone(),
        enable_ipv4: view.enable_ipv4,
        enable_ipv6: view.enable_ipv6,
        ipam: Ipam {
            driver: view.ipam_driver.clone(),
            options: Some(view.ipam_options.clone()).filter(|options| !options.is_empty()),
            config: view
                .pools
                .as_ref()
                .map(|pools| pools.iter().map(pool).collect()),
        },
        internal: view.internal,
        attachable: view.attachable,
        ingress: false,
        config_from: ConfigReference {
            network: view.config_from.clone(),
        },
        config_only: view.config_only,
        containers: endpoints
            .iter()
            .map(|endpoint| (endpoint.container.to_string(), container(endpoint)))
            .collect(),
        options: view.options.clone(),
        labels: view.labels.clone(),
    }
}

/// Whether the containers of a network are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Containers {
    Shown,
    LeftOut,
}

fn pool(pool: &AddressPool) -> IpamPool {
    IpamPool {
        subnet: pool.subnet.clone(),
        ip_range: pool.range.clone(),
        gateway: pool.gateway.clone(),
        auxiliary_addresses: pool.auxiliary.clone(),
    }
}

fn container(view: &EndpointView) -> NetworkContainer {
    let endpoint = &view.endpoint;
    NetworkContainer {
        name: view.name.clone(),
        endpoint_id: endpoint.id.to_string(),
        mac_address: endpoint.mac.to_string(),
        ipv4_address: endpoint.v4.map_or_else(String::new, |a| a.to_string()),
        ipv6_address: endpoint.v6.map_or_else(String::new, |a| a.to_string()),
    }
}

/// The networks that a container is in, by name.
pub(crate) fn places(places: &[PlaceView]) -> BTreeMap<String, EndpointSettings> {
    let named = places
        .iter()
        .map(|place| (place.network.clone(), settings(place)));
    named.collect()
}

fn settings(place: &PlaceView) -> EndpointSettings {
    let wish = &place.wish;
    let list = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    let ip = |ip: Option<std::net::IpAddr>| ip.map_or_else(String::new, |ip| ip.to_string());
    let made = place.endpoint.as_ref();
    let (v4, v6) = made.map_or((None, None), |made| (made.v4, made.v6));
    EndpointSettings {
        ipam_config: ipam(wish),
        links: list(&wish.links),
        aliases: list(&wish.aliases),
        mac_address: made.map_or_else(|| wish.mac_address.clone(), |made| made.mac.to_string()),
        driver_opts: Some(wish.driver_options.clone()).filter(|options| !options.is_empty()),
        gw_priority: wish.gateway_priority,
        network_id: place.network_id.clone(),
        endpoint_id: made.map_or_else(String::new, |made| made.id.to_string()),
        gateway: ip(place.gateway_v4),
        ip_address: ip(v4.map(|address| address.ip)),
        ip_prefix_len: v4.map_or(0, |address| address.length().into()),
        ipv6_gateway: ip(place.gateway_v6),
        global_ipv6_address: ip(v6.map(|address| address.ip)),
        global_ipv6_prefix_len: v6.map_or(0, |address| address.length().into()),
        dns_names: list(&place.names),
    }
}

fn ipam(wish: &EndpointOptions) -> Option<EndpointIpam> {
    let ipam = EndpointIpam {
        ipv4_address: wish.ipv4.clone(),
        ipv6_address: wish.ipv6.clone(),
        link_local_ips: wish.link_local.clone(),
    };
    (ipam != EndpointIpam::default()).then_some(ipam)
}

/// What a container is to be like in a network.
pub(crate) fn wish(wire: EndpointSettings) -> EndpointOptions {
    let ipam = wire.ipam_config.unwrap_or_default();
    EndpointOptions {
        aliases: wire.aliases.unwrap_or_default(),
        links: wire.links.unwrap_or_default(),
        mac_address: wire.mac_address,
        driver_options: wire.driver_opts.unwrap_or_default(),
        gateway_priority: wire.gw_priority,
        ipv4: ipam.ipv4_address,
        ipv6: ipam.ipv6_address,
        link_local: ipam.link_local_ips,
    }
}
