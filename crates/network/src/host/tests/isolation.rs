//! Who must not reach whom.

use super::world::{Container, World, bridge, endpoint, id, network};
use crate::{GatewayMode, Network, Protocol, Published};

/// Two networks, of which containers are known by their addresses' third part.
fn both(world: &World) -> (Network, Network) {
    let a = network(1, "10.9.0.0/24", Some("fd09::/64"));
    let b = network(2, "10.9.1.0/24", Some("fd09:0:0:1::/64"));
    world.host.create(&a).unwrap();
    world.host.create(&b).unwrap();
    (a, b)
}

#[test]
fn bridges_are_apart_unless_a_container_is_in_both() {
    World::run(|world| {
        let (a, b) = both(world);
        let (one, two) = (Container::new(), Container::new());
        one.connect(world, &a, &endpoint(1, "10.9.0.2/24", Some("fd09::2/64")));
        two.connect(
            world,
            &b,
            &endpoint(2, "10.9.1.2/24", Some("fd09:0:0:1::2/64")),
        );
        for address in ["10.9.1.2", "fd09:0:0:1::2"] {
            let server = two.serve(address, 80);
            assert!(one.is_silent(address, 80));
            assert!(world.outside.is_silent("10.9.1.2", 80));
            assert_eq!(world.ask(address, 80).unwrap(), server.name());
        }
        let mut second = endpoint(3, "10.9.1.3/24", Some("fd09:0:0:1::3/64"));
        second.device = "eth1".parse().unwrap();
        (second.gateway_v4, second.gateway_v6) = (None, None);
        one.connect(world, &b, &second);
        for address in ["10.9.1.2", "fd09:0:0:1::2"] {
            let server = two.serve(address, 80);
            assert_eq!(one.ask(address, 80).unwrap(), server.name());
        }
    });
}

#[test]
fn the_world_sees_the_host_s_address_and_does_not_come_in() {
    World::run(|world| {
        let (a, _) = both(world);
        let one = Container::new();
        one.connect(world, &a, &endpoint(1, "10.9.0.2/24", Some("fd09::2/64")));
        for (there, host) in [
            ("198.51.100.2", "198.51.100.1"),
            ("2001:db8::2", "2001:db8::1"),
        ] {
            let _server = world.outside.serve(there, 80);
            assert_eq!(one.seen_as(there, 80).to_string(), host);
        }
        for address in ["10.9.0.2", "fd09::2"] {
            let _server = one.serve(address, 80);
            assert!(world.outside.is_silent(address, 80));
        }
    });
}

#[test]
fn an_internal_network_reaches_nothing_outside_and_its_host() {
    World::run(|world| {
        let mut inner = network(1, "10.9.0.0/24", None);
        inner.internal = true;
        let other = network(2, "10.9.1.0/24", None);
        world.host.create(&inner).unwrap();
        world.host.create(&other).unwrap();
        let (one, two, third) = (Container::new(), Container::new(), Container::new());
        // With a default route all the same, as somebody in the container can make it.
        one.connect(world, &inner, &endpoint(1, "10.9.0.2/24", None));
        two.connect(world, &inner, &endpoint(2, "10.9.0.3/24", None));
        third.connect(world, &other, &endpoint(3, "10.9.1.2/24", None));
        let _outside = world.outside.serve("198.51.100.2", 80);
        assert!(one.is_silent("198.51.100.2", 80));
        let _third = third.serve("10.9.1.2", 80);
        assert!(one.is_silent("10.9.1.2", 80));
        let server = two.serve("10.9.0.3", 80);
        assert!(third.is_silent("10.9.0.3", 80));
        assert_eq!(one.ask("10.9.0.3", 80).unwrap(), server.name());
        assert_eq!(world.ask("10.9.0.3", 80).unwrap(), server.name());
    });
}

#[test]
fn without_inter_container_communication_only_the_host_is_reached() {
    World::run(|world| {
        World::filter_bridged("0");
        let mut apart = network(1, "10.9.0.0/24", Some("fd09::/64"));
        bridge(&mut apart).inter_container = false;
        world.host.create(&apart).unwrap();
        let (one, two) = (Container::new(), Container::new());
        one.connect(
            world,
            &apart,
            &endpoint(1, "10.9.0.2/24", Some("fd09::2/64")),
        );
        let mut public = endpoint(2, "10.9.0.3/24", Some("fd09::3/64"));
        public.ports = vec![published("0.0.0.0", 8080, 80)];
        two.connect(world, &apart, &public);
        for address in ["10.9.0.3", "fd09::3"] {
            let server = two.serve(address, 80);
            assert!(one.is_silent(address, 80));
            assert_eq!(world.ask(address, 80).unwrap(), server.name());
        }
        let server = two.serve("10.9.0.3", 80);
        assert_eq!(one.ask("198.51.100.1", 8080).unwrap(), server.name());
        // With br_netfilter, what is translated to the same bridge is bridged: that is the proxy's then.
        World::filter_bridged("1");
        assert!(one.is_silent("10.9.0.3", 80));
        let _outside = world.outside.serve("198.51.100.2", 80);
        assert_eq!(one.seen_as("198.51.100.2", 80).to_string(), "198.51.100.1");
    });
}

#[test]
fn a_container_has_no_addresses_but_its_own() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&net).unwrap();
        let (honest, liar) = (Container::new(), Container::new());
        honest.connect(world, &net, &endpoint(1, "10.9.0.2/24", Some("fd09::2/64")));
        let mut second = endpoint(2, "10.9.0.3/24", Some("fd09::3/64"));
        liar.connect(world, &net, &second);
        liar.give("eth0", &["10.9.0.66/24", "fd09::66/64"]);
        for (own, false_one, gateway) in [
            ("10.9.0.3", "10.9.0.66", "10.9.0.1"),
            ("fd09::3", "fd09::66", "fd09::1"),
        ] {
            let (_a, _b) = (liar.serve(own, 80), liar.serve(false_one, 80));
            // Nobody learns where the false address is, and nothing comes from it.
            assert!(honest.is_silent(false_one, 80));
            assert!(honest.ask(own, 80).is_ok());
            let heard = world.hear(gateway, 99);
            liar.send(own, gateway, 99, b"first").unwrap();
            assert_eq!(heard.next(), b"first");
            let _ = liar.send(false_one, gateway, 99, b"false");
            liar.send(own, gateway, 99, b"second").unwrap();
            assert_eq!(heard.next(), b"second");
        }
        // Whoever is to be a router may.
        world
            .host
            .disconnect(&net, &second, Some(liar.netns()))
            .unwrap();
        second.id = id(0x99);
        second.any_source = true;
        liar.connect(world, &net, &second);
        // Another one: somebody may still be looked for in vain at the first, and the kernel gives up on all who wait for that.
        liar.give("eth0", &["10.9.0.77/24"]);
        let server = liar.serve("10.9.0.77", 80);
        assert_eq!(honest.ask("10.9.0.77", 80).unwrap(), server.name());
    });
}

/// With the address of the bridge on the link, it could take what others send to the host.
#[test]
fn a_container_has_no_address_on_the_link_but_its_own() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&net).unwrap();
        let liar = Container::new();
        liar.connect(world, &net, &endpoint(2, "10.9.0.3/24", Some("fd09::3/64")));
        liar.give("eth0", &["fe80::66/64"]);
        let heard = world.hear("fd09::1", 99);
        liar.send("fd09::3", "fd09::1", 99, b"first").unwrap();
        assert_eq!(heard.next(), b"first");
        let _ = liar.send("fe80::66%eth0", "fd09::1", 99, b"false");
        liar.send("fd09::3", "fd09::1", 99, b"second").unwrap();
        assert_eq!(heard.next(), b"second");
    });
}

#[test]
fn the_host_s_loopback_is_no_container_s() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        let container = Container::new();
        container.connect(world, &net, &endpoint(1, "10.9.0.2/24", None));
        let heard = world.hear("127.0.0.1", 99);
        container.route("127.0.0.1/32", "10.9.0.1");
        container.without_own_loopback();
        let _ = container.send("10.9.0.2", "127.0.0.1", 99, b"from inside");
        world.send("127.0.0.1", "127.0.0.1", 99, b"own").unwrap();
        assert_eq!(heard.next(), b"own");
    });
}

/// As with a Docker on the same machine that has turned forwarding on, and br_netfilter.
#[test]
fn neighbours_are_not_cut_off_by_somebody_else_s_policy() {
    World::run(|world| {
        World::filter_bridged("1");
        for table in ["filter", "filter6"] {
            world.add_dropping_chain(table, "FORWARD");
        }
        let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&net).unwrap();
        let (one, two) = (Container::new(), Container::new());
        one.connect(world, &net, &endpoint(1, "10.9.0.2/24", Some("fd09::2/64")));
        let mut router = endpoint(2, "10.9.0.3/24", Some("fd09::3/64"));
        router.any_source = true;
        two.connect(world, &net, &router);
        for address in ["10.9.0.3", "fd09::3"] {
            let server = two.serve(address, 80);
            assert_eq!(one.ask(address, 80).unwrap(), server.name());
        }
        for address in ["10.9.0.2", "fd09::2"] {
            let server = one.serve(address, 80);
            assert_eq!(two.ask(address, 80).unwrap(), server.name());
            assert_eq!(world.ask(address, 80).unwrap(), server.name());
        }
    });
}

#[test]
fn gateway_modes() {
    World::run(|world| {
        let mut net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        bridge(&mut net).gateway_mode_v4 = GatewayMode::NatUnprotected;
        bridge(&mut net).gateway_mode_v6 = GatewayMode::Routed;
        world.host.create(&net).unwrap();
        let container = Container::new();
        let mut one = endpoint(1, "10.9.0.2/24", Some("fd09::2/64"));
        one.ports = vec![published("::", 8080, 80), published("0.0.0.0", 8080, 80)];
        container.connect(world, &net, &one);
        let (v4, v6) = (
            container.serve("10.9.0.2", 81),
            container.serve("fd09::2", 80),
        );
        let _closed = container.serve("fd09::2", 81);
        assert_eq!(world.outside.ask("10.9.0.2", 81).unwrap(), v4.name());
        assert_eq!(world.outside.ask("fd09::2", 80).unwrap(), v6.name());
        assert!(world.outside.is_silent("fd09::2", 81));
        // Not translated: the world sees the container's own address, and the host's port leads nowhere.
        let _outside = world.outside.serve("2001:db8::2", 80);
        assert_eq!(container.seen_as("2001:db8::2", 80).to_string(), "fd09::2");
        assert!(world.outside.is_silent("2001:db8::1", 8080));
        // A change of a network is a change of its rules.
        bridge(&mut net).gateway_mode_v4 = GatewayMode::Nat;
        world.host.create(&net).unwrap();
        assert!(world.outside.is_silent("10.9.0.2", 81));
        // What is trusted reaches what is published, and so does everybody where direct routing is allowed.
        let published = container.serve("10.9.0.2", 80);
        let reaches = || world.outside.ask("10.9.0.2", 80).unwrap() == published.name();
        assert!(world.outside.is_silent("10.9.0.2", 80));
        bridge(&mut net).trusted = vec!["eth0".parse().unwrap()];
        world.host.create(&net).unwrap();
        assert!(reaches() && world.outside.is_silent("10.9.0.2", 81));
        bridge(&mut net).trusted = vec!["eth7".parse().unwrap()];
        world.host.create(&net).unwrap();
        assert!(world.outside.is_silent("10.9.0.2", 80));
        bridge(&mut net).direct = true;
        world.host.create(&net).unwrap();
        assert!(reaches() && world.outside.is_silent("10.9.0.2", 81));
        // Two ports of the host that lead to one of the container; it stays open for the second.
        let more = Published {
            host: 8081,
            ..super::isolation::published("0.0.0.0", 8080, 80)
        };
        world.host.publish(&net, &one.id, &[more]).unwrap();
        assert!(reaches());
        world.host.unpublish(&net, &one.id, &[more]).unwrap();
        assert!(reaches());
    });
}

#[test]
fn what_leaves_may_have_a_chosen_address() {
    World::run(|world| {
        world.give("eth0", &["198.51.100.77/24"]);
        let mut net = network(1, "10.9.0.0/24", None);
        bridge(&mut net).source = vec!["198.51.100.77".parse().unwrap()];
        world.host.create(&net).unwrap();
        let container = Container::new();
        container.connect(world, &net, &endpoint(1, "10.9.0.2/24", None));
        let _outside = world.outside.serve("198.51.100.2", 80);
        assert_eq!(
            container.seen_as("198.51.100.2", 80).to_string(),
            "198.51.100.77"
        );
        bridge(&mut net).masquerade = false;
        world.host.create(&net).unwrap();
        assert_eq!(
            container.seen_as("198.51.100.2", 80).to_string(),
            "10.9.0.2"
        );
    });
}

#[test]
fn a_host_that_becomes_a_router_for_us_is_none_for_others() {
    World::run(|world| {
        let neighbour = Container::new();
        world.cable(&neighbour, "eth1", ["203.0.113.1/24", "203.0.113.2/24"]);
        neighbour.route("198.51.100.0/24", "203.0.113.1");
        world.outside.route("203.0.113.0/24", "198.51.100.1");
        let server = world.outside.serve("198.51.100.2", 80);
        assert_eq!(World::forwarding(), "0");
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        assert_eq!(World::forwarding(), "1");
        assert!(neighbour.is_silent("198.51.100.2", 80));
        // What came later is not ours to judge.
        let later = Container::new();
        world.cable(&later, "eth2", ["192.0.2.1/24", "192.0.2.2/24"]);
        later.route("198.51.100.0/24", "192.0.2.1");
        world.outside.route("192.0.2.0/24", "198.51.100.1");
        assert_eq!(later.ask("198.51.100.2", 80).unwrap(), server.name());
        // The guard is kept, whoever starts after us.
        let host = crate::Host::open(world.owner).unwrap();
        host.reconcile(&[]).unwrap();
        assert!(neighbour.is_silent("198.51.100.2", 80));
    });
}

/// What was forwarded before goes on: IPv4, though it is us who turn IPv6 on.
#[test]
fn a_router_goes_on_being_one() {
    World::run(|world| {
        let neighbour = Container::new();
        world.cable(&neighbour, "eth1", ["203.0.113.1/24", "203.0.113.2/24"]);
        neighbour.route("198.51.100.0/24", "203.0.113.1");
        world.outside.route("203.0.113.0/24", "198.51.100.1");
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let server = world.outside.serve("198.51.100.2", 80);
        assert_eq!(neighbour.ask("198.51.100.2", 80).unwrap(), server.name());
        let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&net).unwrap();
        assert_eq!(neighbour.ask("198.51.100.2", 80).unwrap(), server.name());
        assert_eq!(world.elements("guarded"), 2);
    });
}

fn published(address: &str, host: u16, container: u16) -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: address.parse().unwrap(),
        host,
        container,
        count: 1,
    }
}
