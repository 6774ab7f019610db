//! After somebody was killed, or has flushed the rules.

use std::os::fd::AsFd as _;

use super::world::{Container, World, endpoint, network};
use crate::{DeviceName, Expected, Host, Links, Owner, Protocol, Published};

fn port() -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: [0, 0, 0, 0].into(),
        host: 8080,
        container: 80,
        count: 1,
    }
}

#[test]
fn what_nobody_owns_is_removed_and_the_rest_goes_on() {
    World::run(|world| {
        let (kept, lost) = (
            network(1, "10.9.0.0/24", None),
            network(2, "10.8.0.0/24", None),
        );
        world.host.create(&kept).unwrap();
        world.host.create(&lost).unwrap();
        let (one, two, three) = (Container::new(), Container::new(), Container::new());
        let mut first = endpoint(1, "10.9.0.2/24", None);
        first.ports = vec![port()];
        one.connect(world, &kept, &first);
        let second = endpoint(2, "10.9.0.3/24", None);
        two.connect(world, &kept, &second);
        three.connect(world, &lost, &endpoint(3, "10.8.0.2/24", None));
        let server = one.serve("10.9.0.2", 80);
        // Another engine's things are not ours.
        let other = Host::open(Owner::of("another engine")).unwrap();
        let others = network(4, "10.7.0.0/24", None);
        other.create(&others).unwrap();

        // Another daemon, which knows of one network and one endpoint, and of one that has vanished.
        let daemon = Host::open(world.owner).unwrap();
        let gone = endpoint(7, "10.9.0.7/24", None);
        let done = daemon
            .reconcile(&[Expected {
                network: &kept,
                endpoints: &[first.clone(), gone.clone()],
                links: &Links::new(),
            }])
            .unwrap();
        let of = |e: &crate::Endpoint| DeviceName::of_port(world.owner, &e.id).to_string();
        assert_eq!(done.removed.len(), 3, "{done:?}");
        assert!(done.removed.contains(&of(&second)) && done.removed.contains(&"br-2".to_owned()));
        assert_eq!(done.missing, [gone.id]);
        assert_eq!(world.devices(), ["br-1", "br-4", "eth0", "lo", &of(&first)]);
        assert_eq!(
            world.outside.ask("198.51.100.1", 8080).unwrap(),
            server.name()
        );
        daemon.disconnect(&kept, &first, None).unwrap();
        assert!(world.outside.is_silent("198.51.100.1", 8080));
        daemon.remove_all().unwrap();
        other.remove_all().unwrap();
        assert_eq!(world.tables(), Vec::<String>::new());
    });
}

#[test]
fn a_bridge_that_is_missing_is_made_again() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        world.delete("br-1");
        let expected = [Expected {
            network: &net,
            endpoints: &[],
            links: &Links::new(),
        }];
        assert_eq!(
            world.host.reconcile(&expected).unwrap().removed,
            Vec::<String>::new()
        );
        let container = Container::new();
        container.connect(world, &net, &endpoint(1, "10.9.0.2/24", None));
        let server = container.serve("10.9.0.2", 80);
        assert_eq!(world.ask("10.9.0.2", 80).unwrap(), server.name());
    });
}

#[test]
fn a_bridge_that_somebody_removed_comes_back_with_its_ports() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&net).unwrap();
        let (one, two) = (Container::new(), Container::new());
        let mut first = endpoint(1, "10.9.0.2/24", Some("fd09::2/64"));
        first.ports = vec![port()];
        one.connect(world, &net, &first);
        world.delete("br-1");
        two.connect(world, &net, &endpoint(2, "10.9.0.3/24", Some("fd09::3/64")));
        for address in ["10.9.0.2", "fd09::2"] {
            let server = one.serve(address, 80);
            assert_eq!(two.ask(address, 80).unwrap(), server.name());
            assert_eq!(world.ask(address, 80).unwrap(), server.name());
        }
        // The same by a daemon that starts.
        world.delete("br-1");
        let expected = [Expected {
            network: &net,
            endpoints: std::slice::from_ref(&first),
            links: &Links::new(),
        }];
        let daemon = Host::open(world.owner).unwrap();
        daemon.reconcile(&expected).unwrap();
        let server = one.serve("10.9.0.2", 80);
        assert_eq!(
            world.outside.ask("198.51.100.1", 8080).unwrap(),
            server.name()
        );
    });
}

/// A connection that is open while the tables are replaced goes on.
#[test]
fn open_connections_go_on() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        let container = Container::new();
        let mut one = endpoint(1, "10.9.0.2/24", None);
        one.ports = vec![port()];
        container.connect(world, &net, &one);
        let mut conversation =
            world
                .outside
                .converse_with(&container, ("10.9.0.2", 80), ("198.51.100.1", 8080));
        conversation.say(b"before");
        let endpoints = [one];
        for _ in 0..5 {
            let daemon = Host::open(world.owner).unwrap();
            let expected = [Expected {
                network: &net,
                endpoints: &endpoints,
                links: &Links::new(),
            }];
            daemon.reconcile(&expected).unwrap();
            conversation.say(b"after");
        }
    });
}

#[test]
fn flushed_rules_come_back() {
    World::run(|world| {
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        let container = Container::new();
        let mut one = endpoint(1, "10.9.0.2/24", None);
        one.ports = vec![port()];
        container.connect(world, &net, &one);
        let server = container.serve("10.9.0.2", 80);
        let before = world.look();
        let (stopped, stop) = linux::fd::pipe().unwrap();
        std::thread::scope(|scope| {
            let (watching, watcher) = linux::fd::pipe().unwrap();
            let host = &world.host;
            let guard =
                scope.spawn(move || host.guard_rules_from(stopped.as_fd(), || drop(watcher)));
            // Closed when it listens.
            linux::fd::wait_readable(&watching, None).unwrap();
            let mut changes = world.changes();
            world.flush_rules();
            changes.wait_for_table(&world.owner.table());
            assert_eq!(world.look(), before);
            assert_eq!(
                world.outside.ask("198.51.100.1", 8080).unwrap(),
                server.name()
            );
            drop(stop);
            guard.join().unwrap().unwrap();
        });
        // Without anybody watching, the next change makes all of it anew.
        world.flush_rules();
        assert_eq!(world.tables(), Vec::<String>::new());
        let more = Published {
            host: 8081,
            ..port()
        };
        world.host.publish(&net, &id_of(1), &[more]).unwrap();
        assert_eq!(
            world.outside.ask("198.51.100.1", 8080).unwrap(),
            server.name()
        );
        assert_eq!(
            world.outside.ask("198.51.100.1", 8081).unwrap(),
            server.name()
        );
    });
}

fn id_of(number: u8) -> crate::Identity {
    endpoint(number, "10.9.0.2/24", None).id
}

#[test]
fn chains_that_drop_what_is_forwarded_are_named() {
    World::run(|world| {
        assert_eq!(
            world.host.forwarding_obstacles().unwrap(),
            Vec::<String>::new()
        );
        let net = network(1, "10.9.0.0/24", None);
        world.host.create(&net).unwrap();
        assert_eq!(
            world.host.forwarding_obstacles().unwrap(),
            Vec::<String>::new()
        );
        world.add_dropping_chain("filter", "FORWARD");
        let found = world.host.forwarding_obstacles().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("FORWARD") && found[0].contains("ip filter"),
            "{found:?}"
        );
        world.host.remove_all().unwrap();
        assert_eq!(world.tables(), ["filter"]);
    });
}
