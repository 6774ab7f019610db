//! On hosts that are throw-away network namespaces, with real traffic. The traffic itself is below; what it proves is in the
//! modules.

mod isolation;
mod killing;
mod linked;
mod published;
mod reconciling;
mod world;

use std::net::IpAddr;

use world::{Container, World, endpoint, network};

use super::*;
use crate::{Address, Error, Kind};

#[test]
fn containers_of_a_bridge_reach_each_other_and_their_gateway() {
    World::run(|world| {
        let network = network(1, "10.9.0.0/16", Some("fd09::/64"));
        world.host.create(&network).unwrap();
        let (one, two) = (Container::new(), Container::new());
        one.connect(
            world,
            &network,
            &endpoint(1, "10.9.0.2/16", Some("fd09::2/64")),
        );
        two.connect(
            world,
            &network,
            &endpoint(2, "10.9.0.3/16", Some("fd09::3/64")),
        );
        for address in ["10.9.0.3", "fd09::3"] {
            let server = two.serve(address, 80);
            assert_eq!(one.ask(address, 80).unwrap(), server.name());
            assert_eq!(world.ask(address, 80).unwrap(), server.name());
        }
        for gateway in ["10.9.0.1", "fd09::1"] {
            let server = world.serve(gateway, 80);
            assert_eq!(one.ask(gateway, 80).unwrap(), server.name());
        }
    });
}

#[test]
fn what_connecting_makes_disconnecting_takes_away() {
    World::run(|world| {
        let network = network(1, "10.9.0.0/16", None);
        world.host.create(&network).unwrap();
        let before = world.look();
        let container = Container::new();
        let endpoint = endpoint(1, "10.9.0.2/16", None);
        container.connect(world, &network, &endpoint);
        let port = DeviceName::of_port(world.owner, &endpoint.id);
        assert!(world.devices().contains(&port.to_string()));
        assert_eq!(container.devices(), ["eth0", "lo"]);
        let netns = Some(container.netns());
        world.host.disconnect(&network, &endpoint, netns).unwrap();
        assert_eq!(container.devices(), ["lo"]);
        assert_eq!(world.look(), before);
        world.host.disconnect(&network, &endpoint, netns).unwrap();
        // Its container has ended: the kernel takes the devices, but not the rules.
        let ended = Container::new();
        ended.connect(world, &network, &endpoint);
        world.host.disconnect(&network, &endpoint, None).unwrap();
        world.delete(port.as_str());
        assert_eq!(world.look(), before);
        world.host.remove(&network).unwrap();
        world.host.remove(&network).unwrap();
        assert_eq!(world.devices(), ["eth0", "lo"]);
        world.host.remove_all().unwrap();
        assert_eq!(world.tables(), Vec::<String>::new());
    });
}

/// On a busy machine, frames were lost for the seconds that the kernel's work queue took, and with them the first connections.
#[test]
fn frames_pass_when_connecting_returns() {
    World::run(|world| {
        for number in 1..20 {
            let network = network(number, &format!("10.9.{number}.0/24"), None);
            world.host.create(&network).unwrap();
            let container = Container::new();
            let endpoint = endpoint(number, &format!("10.9.{number}.2/24"), None);
            container.connect(world, &network, &endpoint);
            let port = DeviceName::of_port(world.owner, &endpoint.id);
            assert!(world.is_running(port.as_str()));
            assert!(world.is_running(&format!("br-{number}")));
        }
    });
}

#[test]
fn a_connection_that_fails_leaves_nothing() {
    World::run(|world| {
        let network = network(1, "10.9.0.0/16", None);
        world.host.create(&network).unwrap();
        let before = world.look();
        let container = Container::new();
        let mut wrong = endpoint(1, "10.9.0.2/16", None);
        wrong.sysctls = vec![("net.ipv4.conf.IFNAME.nosuch".into(), "1".into())];
        let error = world
            .host
            .connect(&network, &wrong, container.netns())
            .unwrap_err();
        assert!(error.to_string().contains("setting"), "{error}");
        assert_eq!(world.look(), before);
        assert_eq!(container.devices(), ["lo"]);
        let right = endpoint(1, "10.9.0.2/16", None);
        container.connect(world, &network, &right);
        // The name is taken now.
        let second = endpoint(2, "10.9.0.3/16", None);
        let before = world.look();
        let error = world
            .host
            .connect(&network, &second, container.netns())
            .unwrap_err();
        assert_eq!(error.errno(), Some(linux::Errno::EXIST));
        assert_eq!(world.look(), before);
    });
}

#[test]
fn the_settings_of_an_endpoint_are_the_container_s() {
    World::run(|world| {
        let mut network = network(1, "10.9.0.0/16", None);
        network.mtu = Some(1400);
        world.host.create(&network).unwrap();
        let container = Container::new();
        let mut endpoint = endpoint(1, "10.9.0.2/16", None);
        endpoint.device = "web0".parse().unwrap();
        endpoint.mac = "02:00:00:00:00:07".parse().unwrap();
        endpoint.sysctls = vec![("net.ipv4.conf.IFNAME.log_martians".into(), "1".into())];
        container.connect(world, &network, &endpoint);
        assert_eq!(container.device_file("web0", "mtu"), "1400");
        assert_eq!(
            container.device_file("web0", "address"),
            "02:00:00:00:00:07"
        );
        assert_eq!(
            container.read("/proc/sys/net/ipv4/conf/web0/log_martians"),
            "1"
        );
        assert_eq!(
            container.read("/proc/sys/net/ipv6/conf/web0/disable_ipv6"),
            "1"
        );
        let prefixes = world.host.prefixes().unwrap();
        assert!(
            !prefixes.iter().any(|p| p.to_string() == "10.9.0.0/16"),
            "{prefixes:?}"
        );
        assert!(
            prefixes.iter().any(|p| p.to_string() == "198.51.100.0/24"),
            "{prefixes:?}"
        );
    });
}

#[test]
fn macvlan_containers_are_on_the_host_s_link() {
    World::run(|world| {
        let mut network = network(1, "198.51.100.0/24", None);
        let parent = crate::Parent::Device("eth0".parse().unwrap());
        network.driver = Driver::Macvlan(crate::Macvlan {
            parent: parent.clone(),
            mode: crate::MacvlanMode::Bridge,
        });
        world.host.create(&network).unwrap();
        let container = Container::new();
        let mut endpoint = endpoint(1, "198.51.100.7/24", None);
        endpoint.gateway_v4 = None;
        container.connect(world, &network, &endpoint);
        let server = world.outside.serve("198.51.100.2", 80);
        assert_eq!(container.ask("198.51.100.2", 80).unwrap(), server.name());
        let netns = Some(container.netns());
        world.host.disconnect(&network, &endpoint, netns).unwrap();
        assert_eq!(container.devices(), ["lo"]);
        network.driver = Driver::Ipvlan(crate::Ipvlan {
            parent,
            mode: crate::IpvlanMode::L2,
        });
        match world.host.connect(&network, &endpoint, container.netns()) {
            Ok(_) => assert_eq!(container.devices(), ["eth0", "lo"]),
            Err(error) => assert!(
                error.kind() == Kind::Unsupported && error.to_string().contains("ipvlan"),
                "{error}"
            ),
        }
    });
}

#[test]
fn a_bridge_of_somebody_else_is_used_and_left() {
    World::run(|world| {
        world.make_bridge("br-mine");
        let mut network = network(1, "10.9.0.0/16", None);
        network.driver = Driver::Bridge(crate::Bridge::new("br-mine".parse().unwrap()));
        world.host.create(&network).unwrap();
        let container = Container::new();
        let endpoint = endpoint(1, "10.9.0.2/16", None);
        container.connect(world, &network, &endpoint);
        let server = container.serve("10.9.0.2", 80);
        assert_eq!(world.ask("10.9.0.2", 80).unwrap(), server.name());
        let addresses = || {
            let found = world.host.bridge_addresses(&"br-mine".parse().unwrap());
            let all = found.unwrap().unwrap();
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses(), ["10.9.0.1/16"]);
        world.host.remove(&network).unwrap();
        assert!(world.devices().contains(&"br-mine".to_owned()));
        assert_eq!(addresses(), Vec::<String>::new());
        // One that it had before is not ours to take.
        world.give("br-mine", &["10.9.0.1/16"]);
        world.host.create(&network).unwrap();
        world.host.remove(&network).unwrap();
        assert_eq!(addresses(), ["10.9.0.1/16"]);
        network.driver = Driver::Bridge(crate::Bridge::new("eth0".parse().unwrap()));
        assert!(matches!(
            world.host.create(&network),
            Err(Error::Conflict(_))
        ));
        assert_eq!(world.elements("bridges"), 0);
    });
}

#[test]
fn default_routes_can_be_moved() {
    World::run(|world| {
        let (a, b) = (
            network(1, "10.9.0.0/16", None),
            network(2, "10.8.0.0/16", None),
        );
        world.host.create(&a).unwrap();
        world.host.create(&b).unwrap();
        let container = Container::new();
        container.connect(world, &a, &endpoint(1, "10.9.0.2/16", None));
        let mut second = endpoint(2, "10.8.0.2/16", None);
        second.device = "eth1".parse().unwrap();
        second.gateway_v4 = None;
        container.connect(world, &b, &second);
        let seen = || {
            let server = world.outside.serve("198.51.100.2", 80);
            container
                .ask("198.51.100.2", 80)
                .map(|name| name == server.name())
        };
        assert!(seen().unwrap());
        second.gateway_v4 = Some("10.8.0.1".parse().unwrap());
        world
            .host
            .set_default_routes(&second, container.netns())
            .unwrap();
        let routes = container.read("/proc/net/route");
        let default = routes
            .lines()
            .find(|line| line.contains("\t00000000\t0100080A"));
        assert!(
            default.is_some_and(|line| line.starts_with("eth1")),
            "{routes}"
        );
        assert!(seen().unwrap());
    });
}

#[test]
fn names_lead_to_our_sockets_and_the_container_keeps_port_53() {
    World::run(|world| {
        let network = network(1, "10.9.0.0/16", None);
        world.host.create(&network).unwrap();
        let container = Container::new();
        let mut endpoint = endpoint(1, "10.9.0.2/16", None);
        endpoint.names = true;
        let connected = container.connect(world, &network, &endpoint);
        drop(connected);
        // Again, as after a restart of who answers.
        let sockets = crate::listen_for_names(container.netns()).unwrap();
        let udp = std::net::UdpSocket::from(sockets.udp);
        udp.set_nonblocking(false).unwrap();
        container.inside(|| {
            let own = std::net::UdpSocket::bind("0.0.0.0:53").unwrap();
            let asker = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            asker.connect("127.0.0.11:53").unwrap();
            asker.send(b"who?").unwrap();
            let mut buffer = [0; 16];
            let (length, from) = udp.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"who?");
            udp.send_to(b"me", from).unwrap();
            assert_eq!(asker.recv(&mut buffer).unwrap(), 2);
            drop(own);
        });
    });
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}
