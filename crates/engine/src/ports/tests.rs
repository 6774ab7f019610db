use proptest::prelude::*;

use network::Protocol;

use shim::keeping::Use;

use super::proxy::Target;
use super::*;
use crate::options::{ContainerOptions, PortBinding};

fn of(options: &ContainerOptions) -> Result<Vec<Wish>> {
    wishes(options, &options.host.published)
}

fn binding(port: &str, host_ip: &str, host_port: &str) -> PortBinding {
    PortBinding {
        port: port.into(),
        host_ip: host_ip.into(),
        host_port: host_port.into(),
    }
}

fn options(published: Vec<PortBinding>, exposed: &[&str], all: bool) -> ContainerOptions {
    let mut options = ContainerOptions::default();
    options.host.published = published;
    options.host.publish_all_ports = all;
    options.exposed_ports = exposed.iter().map(|port| (*port).to_owned()).collect();
    options
}

#[test]
fn what_is_wrong_is_said_in_docker_s_words() {
    let check = |published: PortBinding, text: &str| {
        let error = of(&options(vec![published], &[], false)).unwrap_err();
        assert_eq!(error.to_string(), text);
    };
    check(
        binding("x/tcp", "", ""),
        "invalid port specification: \"x\"",
    );
    check(
        binding("80/tcp", "", "x"),
        "invalid port specification: \"x\"",
    );
    check(
        binding("80-81/tcp", "", ""),
        "invalid port specification: \"80-81\"",
    );
    check(
        binding("80/tcp", "", "9-8"),
        "invalid port specification: \"9-8\"",
    );
    check(
        binding("80/tcp", "", "70000"),
        "invalid port specification: \"70000\"",
    );
    check(
        binding("80/tcp", "foo", "80"),
        "invalid host address in a published port: \"foo\"",
    );
    assert!(of(&options(Vec::new(), &["x/tcp"], false)).is_err());
}

#[test]
fn all_that_is_exposed_and_not_published_otherwise() {
    let wishes = of(&options(
        vec![
            binding("80/tcp", "127.0.0.1", "8080"),
            binding("53/udp", "", "0"),
        ],
        &["80/tcp", "80/udp", "90-91"],
        true,
    ))
    .unwrap();
    let shown: Vec<_> = wishes
        .iter()
        .map(|wish| (wish.container, wish.protocol, wish.host))
        .collect();
    assert_eq!(
        shown,
        [
            (80, Protocol::Tcp, Some((8080, 8080))),
            (53, Protocol::Udp, None),
            (80, Protocol::Udp, None),
            (90, Protocol::Tcp, None),
            (91, Protocol::Tcp, None),
        ]
    );
}

fn network(mode: GatewayMode, internal: bool) -> network::Network {
    let mut bridge = network::Bridge::new("br0".parse().unwrap());
    bridge.gateway_mode_v4 = mode;
    network::Network {
        id: "ab".repeat(32).parse().unwrap(),
        driver: network::Driver::Bridge(bridge),
        v4: Some(network::Subnet::new("10.0.0.0/24".parse().unwrap())),
        v6: None,
        more: Vec::new(),
        internal,
        mtu: None,
    }
}

fn connection(mode: GatewayMode, v4: bool, v6: bool) -> Connection {
    Connection {
        network: network(mode, false),
        endpoint: Endpoint {
            id: "cd".repeat(32).parse().unwrap(),
            device: "eth0".parse().unwrap(),
            mac: network::Mac::from_seed(1),
            v4: Some("10.0.0.2/24".parse().unwrap()),
            v6: v6.then(|| "fd00::2/64".parse().unwrap()),
            extra: Vec::new(),
            gateway_v4: v4.then(|| [10, 0, 0, 1].into()),
            gateway_v6: v6.then(|| "fd00::1".parse().unwrap()),
            routes: Vec::new(),
            sysctls: Vec::new(),
            names: false,
            any_source: false,
            ports: Vec::new(),
            carried: false,
        },
    }
}

const PROXY: Proxy = Proxy {
    carries: false,
    is_there: true,
};
const ANY4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
const ANY6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

#[test]
fn a_port_belongs_to_the_endpoint_of_its_family_s_default_route() {
    let nat = GatewayMode::Nat;
    let ways = Ways::of(&[connection(nat, false, true), connection(nat, true, false)]);
    assert_eq!((ways.at(ANY4), ways.at(ANY6)), (Some(1), Some(0)));
    let ways = Ways::of(&[connection(nat, false, false), connection(nat, true, false)]);
    assert_eq!((ways.at(ANY4), ways.at(ANY6)), (Some(1), Some(1)));
    let ways = Ways::of(&[connection(nat, false, false)]);
    assert_eq!((ways.at(ANY4), ways.at(ANY6)), (None, None));
}

#[test]
fn what_gateway_modes_make_of_a_port() {
    let check = |mode, expect: [Done; 2]| {
        let joined = [connection(mode, true, false)];
        let ways = Ways::of(&joined);
        assert_eq!(
            [ANY4, ANY6].map(|address| done(ways, &joined, address, PROXY)),
            expect,
            "{mode:?}"
        );
    };
    check(GatewayMode::Nat, [Done::Translated, Done::Translated]);
    check(
        GatewayMode::NatUnprotected,
        [Done::Translated, Done::Translated],
    );
    check(GatewayMode::Routed, [Done::Opened, Done::Nothing]);
    check(GatewayMode::Isolated, [Done::Nothing, Done::Nothing]);
}

#[test]
fn the_network_s_choice_of_address() {
    let joined = [connection(GatewayMode::Nat, true, false)];
    let wish = wish(&binding("80/tcp", "", "8080")).unwrap();
    let of = |default: &str| {
        let wanted = wanted(
            (&[wish], default.parse().unwrap()),
            (Ways::of(&joined), &joined),
            PROXY,
        );
        wanted[0].addresses.clone()
    };
    assert_eq!(of("127.0.0.1"), [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(of("0.0.0.0")[0], ANY4);
}

#[test]
fn what_the_proxy_is_for() {
    let alike = |is_alike| {
        Some(Target {
            address: "10.0.0.2:80".parse().unwrap(),
            is_alike,
        })
    };
    let carried = |proxy: Proxy, at: &str, target| {
        proxy.use_of(at.parse().unwrap(), Protocol::Tcp, target) != Use::Reserve
    };
    for (at, is_alike, is_carried) in [
        ("0.0.0.0:80", true, false),
        ("127.0.0.1:80", true, false),
        ("[::]:80", true, true),
        ("[::1]:80", true, true),
        ("[2001:db8::1]:80", true, false),
        ("[2001:db8::1]:80", false, true),
        ("[::]:80", false, true),
    ] {
        assert_eq!(carried(PROXY, at, alike(is_alike)), is_carried, "{at}");
        assert!(
            carried(
                Proxy {
                    carries: true,
                    ..PROXY
                },
                at,
                alike(is_alike)
            ),
            "{at}"
        );
        assert!(
            !carried(
                Proxy {
                    carries: false,
                    is_there: false
                },
                at,
                alike(is_alike)
            ),
            "{at}"
        );
    }
    let sctp = PROXY.use_of("[::]:80".parse().unwrap(), Protocol::Sctp, alike(false));
    assert_eq!(sctp, Use::Reserve);
    // Without a proxy a container without IPv6 has no port on IPv6 addresses.
    let joined = [connection(GatewayMode::Nat, true, false)];
    let none = Proxy {
        carries: false,
        is_there: false,
    };
    assert_eq!(done(Ways::of(&joined), &joined, ANY6, none), Done::Nothing);
}

#[test]
fn ranges_that_are_carried_are_held_in_pieces() {
    let range = Wanted {
        protocol: Protocol::Tcp,
        addresses: vec![ANY4],
        host: Some((20000, 20129)),
        container: 30000,
        count: 130,
    };
    let got = pieces(
        range.clone(),
        Proxy {
            carries: true,
            ..PROXY
        },
    );
    let shown: Vec<_> = got
        .iter()
        .map(|one| (one.host.unwrap(), one.container, one.count))
        .collect();
    assert_eq!(
        shown,
        [
            ((20000, 20063), 30000, 64),
            ((20064, 20127), 30064, 64),
            ((20128, 20129), 30128, 2)
        ]
    );
    assert_eq!(pieces(range.clone(), PROXY), [range]);
}

#[test]
fn moves_are_what_differs() {
    let port = |host| Published {
        protocol: Protocol::Tcp,
        address: ANY4,
        host,
        container: 80,
        count: 1,
    };
    let mut joined = [
        connection(GatewayMode::Nat, true, false),
        connection(GatewayMode::Nat, false, false),
    ];
    joined[0].endpoint.ports = vec![port(1), port(3)];
    let moves = Moves::between(&[vec![port(1), port(2)], Vec::new()], &joined);
    assert_eq!(moves.lost, [(0, vec![port(2)])]);
    assert_eq!(moves.gained, [(0, vec![port(3)])]);
}

#[test]
fn what_is_shown() {
    let mut endpoint = connection(GatewayMode::Nat, true, false).endpoint;
    endpoint.ports = vec![
        Published {
            protocol: Protocol::Tcp,
            address: ANY6,
            host: 8000,
            container: 80,
            count: 2,
        },
        Published {
            protocol: Protocol::Tcp,
            address: ANY4,
            host: 8000,
            container: 80,
            count: 2,
        },
    ];
    let place = Place {
        name: "bridge".into(),
        network: None,
        wish: crate::options::EndpointOptions::default(),
        endpoint: Some(endpoint),
    };
    let options = options(
        vec![binding("80/tcp", "", "8000")],
        &["80/tcp", "443/tcp"],
        false,
    );
    let shown = view(
        &options,
        &options.host.published,
        std::slice::from_ref(&place),
    );
    let shown: Vec<_> = shown
        .iter()
        .map(|one| (one.port.as_str(), one.bindings.clone()))
        .collect();
    assert_eq!(
        shown,
        [
            ("80/tcp", vec![(ANY4, Some(8000)), (ANY6, Some(8000))]),
            ("81/tcp", vec![(ANY4, Some(8001)), (ANY6, Some(8001))]),
            ("443/tcp", Vec::new()),
        ]
    );
    assert!(
        view(
            &options,
            &options.host.published,
            &[Place {
                endpoint: None,
                ..place
            }]
        )
        .is_empty()
    );
}

#[test]
fn a_range_without_some_of_its_ports() {
    let range = Published {
        protocol: Protocol::Tcp,
        address: ANY4,
        host: 9000,
        container: 80,
        count: 5,
    };
    let check = |bindings: &[PortBinding], expect: &[(u16, u16, u16)]| {
        let wishes: Vec<_> = bindings.iter().map(|one| wish(one).unwrap()).collect();
        let left = live::left_of(&range, &wishes);
        let left: Vec<_> = left
            .iter()
            .map(|port| (port.host, port.container, port.count))
            .collect();
        assert_eq!(left, expect);
    };
    check(&[], &[(9000, 80, 5)]);
    check(
        &[binding("82/tcp", "", "")],
        &[(9000, 80, 2), (9003, 83, 2)],
    );
    check(
        &[
            binding("80/tcp", "", "9000"),
            binding("84/tcp", "0.0.0.0", ""),
        ],
        &[(9001, 81, 3)],
    );
    check(
        &[
            binding("82/udp", "", ""),
            binding("82/tcp", "", "9001"),
            binding("82/tcp", "::", ""),
        ],
        &[(9000, 80, 5)],
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,20}") {
        if let Some(ports) = Ports::read(&text) {
            prop_assert!(ports.first <= ports.last);
        }
    }

    #[test]
    fn what_is_written_is_read(first: u16, more in 0u16..100, protocol in "(tcp|udp|sctp)") {
        let last = first.saturating_add(more);
        let ports = Ports::read(&format!("{first}-{last}/{protocol}")).unwrap();
        prop_assert_eq!((ports.first, ports.last), (first, last));
        prop_assert_eq!(ports.protocol.to_string(), protocol);
    }
}
