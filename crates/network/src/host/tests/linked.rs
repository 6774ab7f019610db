//! Links, where containers of a bridge do not reach each other.

use std::net::UdpSocket;
use std::time::Duration;

use super::world::{Container, World, bridge, endpoint, network};
use crate::{Endpoint, Expected, Host, Linked, LinkedPorts, Links, Network, Protocol};

fn link(to: &Endpoint, ports: &[(Protocol, u16, u16)]) -> Linked {
    let ports = ports.iter().map(|&(protocol, first, last)| LinkedPorts {
        protocol,
        first,
        last,
    });
    Linked::new(to.id.clone(), ports.collect())
}

fn apart() -> Network {
    let mut apart = network(1, "10.9.0.0/24", Some("fd09::/64"));
    bridge(&mut apart).inter_container = false;
    apart
}

#[test]
fn a_link_opens_the_ports_of_one_to_the_other_and_nothing_else() {
    World::run(|world| {
        let apart = apart();
        world.host.create(&apart).unwrap();
        let (web, db, third) = (Container::new(), Container::new(), Container::new());
        let own = endpoint(1, "10.9.0.2/24", Some("fd09::2/64"));
        let other = endpoint(2, "10.9.0.3/24", Some("fd09::3/64"));
        web.connect(world, &apart, &own);
        db.connect(world, &apart, &other);
        third.connect(
            world,
            &apart,
            &endpoint(3, "10.9.0.4/24", Some("fd09::4/64")),
        );
        let opened = [(Protocol::Tcp, 80, 81), (Protocol::Udp, 53, 53)];
        let links = vec![link(&other, &opened)];
        world
            .host
            .set_links(&apart, &own.id, links.clone())
            .unwrap();
        for (own, other) in [("10.9.0.2", "10.9.0.3"), ("fd09::2", "fd09::3")] {
            let (server, _closed) = (db.serve(other, 80), db.serve(other, 82));
            let _own = web.serve(own, 80);
            assert_eq!(web.ask(other, 80).unwrap(), server.name());
            assert!(web.is_silent(other, 82));
            // Neither the other way round nor for others.
            assert!(db.is_silent(own, 80));
            assert!(third.is_silent(other, 80));
        }
        // Datagrams, larger than a frame too, and their answers.
        let server = db.inside(|| UdpSocket::bind("10.9.0.3:53").unwrap());
        let asker = web.client("10.9.0.3", 53);
        let patience = Some(Duration::from_secs(20));
        asker.set_read_timeout(patience).unwrap();
        server.set_read_timeout(patience).unwrap();
        asker.send(&[7; 4000]).unwrap();
        let mut buffer = [0; 5000];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(length, 4000);
        server.send_to(b"me", from).unwrap();
        assert_eq!(asker.recv(&mut buffer).unwrap(), 2);
        // The next daemon finds it so; no connection ends.
        let mut conversation = web.converse_with(&db, ("10.9.0.3", 81), ("10.9.0.3", 81));
        let of_all = Links::from([(own.id.clone(), links)]);
        let endpoints = [own.clone(), other.clone()];
        for _ in 0..3 {
            let daemon = Host::open(world.owner).unwrap();
            let expected = [Expected {
                network: &apart,
                endpoints: &endpoints,
                links: &of_all,
            }];
            daemon.reconcile(&expected).unwrap();
            conversation.say(b"still here");
        }
    });
}

#[test]
fn links_end_with_either_side_and_by_themselves() {
    World::run(|world| {
        let apart = apart();
        world.host.create(&apart).unwrap();
        let (web, db) = (Container::new(), Container::new());
        let own = endpoint(1, "10.9.0.2/24", None);
        let other = endpoint(2, "10.9.0.3/24", None);
        web.connect(world, &apart, &own);
        db.connect(world, &apart, &other);
        let all = [(Protocol::Tcp, 1, 65535)];
        let (here, there) = (vec![link(&other, &all)], vec![link(&own, &all)]);
        // Both link to each other: the ways are the same, but are not taken twice.
        world.host.set_links(&apart, &own.id, here.clone()).unwrap();
        world
            .host
            .set_links(&apart, &other.id, there.clone())
            .unwrap();
        let server = db.serve("10.9.0.3", 80);
        let back = web.serve("10.9.0.2", 80);
        assert_eq!(web.ask("10.9.0.3", 80).unwrap(), server.name());
        assert_eq!(db.ask("10.9.0.2", 80).unwrap(), back.name());
        world.host.set_links(&apart, &other.id, vec![]).unwrap();
        assert_eq!(web.ask("10.9.0.3", 80).unwrap(), server.name());
        assert!(db.is_silent("10.9.0.2", 80));
        // The one that is linked to comes back as another endpoint.
        world.host.disconnect(&apart, &other, None).unwrap();
        assert_eq!(world.elements("links4"), 0);
        assert_eq!(world.elements("partners4"), 0);
        let db = Container::new();
        let again = endpoint(4, "10.9.0.5/24", None);
        db.connect(world, &apart, &again);
        let here = vec![link(&again, &all)];
        world.host.set_links(&apart, &own.id, here).unwrap();
        let server = db.serve("10.9.0.5", 80);
        assert_eq!(web.ask("10.9.0.5", 80).unwrap(), server.name());
        // What is flushed comes back with all the rest.
        let of_all = Links::from([(own.id.clone(), vec![link(&again, &all)])]);
        let endpoints = [own.clone(), again.clone()];
        let expected = [Expected {
            network: &apart,
            endpoints: &endpoints,
            links: &of_all,
        }];
        let elements = || {
            let sets = ["links4", "replies4", "partners4"];
            sets.map(|set| world.elements(set))
        };
        assert_eq!(elements(), [1, 1, 2]);
        world.flush_rules();
        world.host.reconcile(&expected).unwrap();
        assert_eq!(elements(), [1, 1, 2]);
        world.host.set_links(&apart, &own.id, vec![]).unwrap();
        assert!(web.is_silent("10.9.0.5", 80));
    });
}
