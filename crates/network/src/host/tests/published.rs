//! Published ports.

use super::world::{Container, World, endpoint, network};
use crate::{Network, Protocol, Published};

fn published(address: &str, host: u16, container: u16, count: u16) -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: address.parse().unwrap(),
        host,
        container,
        count,
    }
}

/// A network of both families with one container in it, 10.9.0.2 and fd09::2, and these ports.
fn publish(world: &World, ports: &[Published]) -> (Network, Container) {
    let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
    world.host.create(&net).unwrap();
    let container = Container::new();
    let mut one = endpoint(1, "10.9.0.2/24", Some("fd09::2/64"));
    one.ports = ports.to_vec();
    container.connect(world, &net, &one);
    (net, container)
}

#[test]
fn everybody_reaches_a_port_that_is_published_everywhere() {
    everybody_reaches("0");
}

#[test]
fn everybody_reaches_it_where_bridged_frames_are_filtered_too() {
    everybody_reaches("1");
}

fn everybody_reaches(bridged_are_filtered: &str) {
    World::run(|world| {
        World::filter_bridged(bridged_are_filtered);
        let ports = [
            published("0.0.0.0", 8080, 80, 1),
            published("::", 8080, 80, 1),
        ];
        let (net, container) = publish(world, &ports);
        let (v4, v6) = (
            container.serve("10.9.0.2", 80),
            container.serve("fd09::2", 80),
        );
        let neighbour = Container::new();
        neighbour.connect(world, &net, &endpoint(2, "10.9.0.3/24", Some("fd09::3/64")));
        let other_net = network(2, "10.8.0.0/24", None);
        world.host.create(&other_net).unwrap();
        let stranger = Container::new();
        stranger.connect(world, &other_net, &endpoint(3, "10.8.0.2/24", None));
        for (server, address) in [(&v4, "198.51.100.1"), (&v6, "2001:db8::1")] {
            assert_eq!(world.outside.ask(address, 8080).unwrap(), server.name());
            assert_eq!(world.ask(address, 8080).unwrap(), server.name());
            assert_eq!(neighbour.ask(address, 8080).unwrap(), server.name());
            assert_eq!(container.ask(address, 8080).unwrap(), server.name());
        }
        assert_eq!(stranger.ask("198.51.100.1", 8080).unwrap(), v4.name());
        assert_eq!(world.ask("127.0.0.1", 8080).unwrap(), v4.name());
        assert_eq!(container.ask("10.9.0.1", 8080).unwrap(), v4.name());
        // The client's address is kept, as long as it comes from outside.
        assert_eq!(
            world.outside.seen_as("198.51.100.1", 8080).to_string(),
            "198.51.100.2"
        );
        assert_eq!(
            world.outside.seen_as("2001:db8::1", 8080).to_string(),
            "2001:db8::2"
        );
    });
}

#[test]
fn one_address_is_one_address() {
    World::run(|world| {
        world.give("eth0", &["198.51.100.77/24"]);
        let ports = [
            published("198.51.100.77", 8080, 80, 1),
            published("127.0.0.1", 8081, 80, 1),
        ];
        let (_, container) = publish(world, &ports);
        let server = container.serve("10.9.0.2", 80);
        assert_eq!(
            world.outside.ask("198.51.100.77", 8080).unwrap(),
            server.name()
        );
        assert!(world.outside.is_silent("198.51.100.1", 8080));
        assert_eq!(world.ask("127.0.0.1", 8081).unwrap(), server.name());
        assert!(world.outside.is_silent("198.51.100.1", 8081));
    });
}

/// Somebody on the same link can send anything, so what is published on loopback addresses must not depend on the kernel's refusing
/// such packets (CVE-2020-8558), nor be reached by the container's own address.
#[test]
fn a_port_on_loopback_is_closed_to_the_link() {
    World::run(|world| {
        let (_, container) = publish(world, &[published("127.0.0.1", 8081, 80, 1)]);
        let _server = container.serve("10.9.0.2", 80);
        world.accept_loopback_from("eth0");
        world.outside.without_own_loopback();
        world.outside.route("127.0.0.1/32", "198.51.100.1");
        assert!(world.outside.is_silent("127.0.0.1", 8081));
        assert!(world.outside.is_silent("10.9.0.2", 80));
    });
}

#[test]
fn ranges() {
    World::run(|world| {
        let (_, container) = publish(
            world,
            &[
                published("0.0.0.0", 20000, 20000, 10_000),
                published("0.0.0.0", 8000, 9000, 100),
                published("::", 20000, 20000, 10_000),
            ],
        );
        // Ten thousand ports are one element, a hundred that are shifted a hundred.
        assert_eq!(world.elements("ranges4_any"), 1);
        assert_eq!(world.elements("ports4_any"), 100);
        for port in [20000, 23456, 29999] {
            for (address, of_host) in [("10.9.0.2", "198.51.100.1"), ("fd09::2", "2001:db8::1")] {
                let server = container.serve(address, port);
                assert_eq!(world.outside.ask(of_host, port).unwrap(), server.name());
            }
        }
        for n in [0, 99] {
            let server = container.serve("10.9.0.2", 9000 + n);
            assert_eq!(
                world.outside.ask("198.51.100.1", 8000 + n).unwrap(),
                server.name()
            );
        }
        assert!(world.outside.is_silent("198.51.100.1", 30000));
        assert!(world.outside.is_silent("198.51.100.1", 8100));
    });
}

#[test]
fn datagrams() {
    World::run(|world| {
        let mut port = published("0.0.0.0", 5353, 53, 1);
        port.protocol = Protocol::Udp;
        let (_, container) = publish(world, &[port]);
        let heard = container.hear("10.9.0.2", 53);
        world
            .outside
            .send("198.51.100.2", "198.51.100.1", 5353, b"question")
            .unwrap();
        assert_eq!(heard.next(), b"question");
    });
}

/// Datagrams of a client that goes on sending follow the port, wherever it leads.
#[test]
fn datagrams_follow_a_port_that_comes_and_goes() {
    World::run(|world| {
        let (net, container) = publish(world, &[]);
        let second = Container::new();
        second.connect(world, &net, &endpoint(2, "10.9.0.3/24", None));
        let mut port = published("0.0.0.0", 5353, 53, 1);
        port.protocol = Protocol::Udp;
        let client = world.outside.client("198.51.100.1", 5353);
        let (one, two) = (container.hear("10.9.0.2", 53), second.hear("10.9.0.3", 53));
        let (first_id, second_id) = (
            endpoint(1, "10.9.0.2/24", None).id,
            endpoint(2, "10.9.0.3/24", None).id,
        );
        // Nobody has the port yet, but the kernel remembers that somebody asked.
        let _ = client.send(b"0");
        world.host.publish(&net, &first_id, &[port]).unwrap();
        client.send(b"1").or_else(|_| client.send(b"1")).unwrap();
        assert_eq!(one.next(), b"1");
        world.host.unpublish(&net, &first_id, &[port]).unwrap();
        world.host.publish(&net, &second_id, &[port]).unwrap();
        client.send(b"2").unwrap();
        assert_eq!(two.next(), b"2");
        let gone = Some(second.netns());
        world
            .host
            .disconnect(&net, &endpoint(2, "10.9.0.3/24", None), gone)
            .unwrap();
        let host = world.hear("198.51.100.1", 5353);
        world.host.unpublish(&net, &first_id, &[port]).unwrap();
        client.send(b"3").unwrap();
        assert_eq!(host.next(), b"3");
    });
}

#[test]
fn ports_come_and_go_while_a_container_runs() {
    World::run(|world| {
        let (net, container) = publish(world, &[published("0.0.0.0", 8080, 80, 1)]);
        let server = container.serve("10.9.0.2", 80);
        let one = endpoint(1, "10.9.0.2/24", None);
        let more = [
            published("0.0.0.0", 8081, 80, 1),
            published("0.0.0.0", 8082, 80, 1),
        ];
        let before = world.look();
        world.host.publish(&net, &one.id, &more).unwrap();
        assert_eq!(
            world.outside.ask("198.51.100.1", 8082).unwrap(),
            server.name()
        );
        world.host.unpublish(&net, &one.id, &more).unwrap();
        assert!(world.outside.is_silent("198.51.100.1", 8082));
        assert_eq!(
            world.outside.ask("198.51.100.1", 8080).unwrap(),
            server.name()
        );
        assert_eq!(world.look(), before);
    });
}

/// A published port whose address family the container lacks is left to the proxy.
#[test]
fn a_port_of_the_other_family_is_no_rule() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        let container = Container::new();
        let mut one = endpoint(1, "10.9.0.2/24", None);
        one.ports = vec![published("::", 8080, 80, 1)];
        container.connect(world, &net, &one);
        assert_eq!(world.elements("ports6_any"), 0);
        assert_eq!(world.elements("ports4_any"), 0);
    });
}
