//! A daemon that is killed in the middle of its work, again and again, and the next one that finds what it has left.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::world::{Container, World, endpoint, network};
use crate::{Expected, Host, Links, Owner, Protocol, Published};

/// Set for the process that is to be killed. Without it, its half of the test does nothing.
const VICTIM: &str = "TARE_TEST_VICTIM";
const ROUNDS: u64 = 100;

#[test]
fn whenever_a_daemon_is_killed_the_next_one_cleans_up() {
    World::run(|world| {
        let kept = network(1, "10.9.0.0/24", Some("fd09::/64"));
        world.host.create(&kept).unwrap();
        let container = Container::new();
        let mut first = endpoint(1, "10.9.0.2/24", Some("fd09::2/64"));
        first.ports = vec![port(8080)];
        container.connect(world, &kept, &first);
        let server = container.serve("10.9.0.2", 80);
        let endpoints = [first];
        let expected = [Expected {
            network: &kept,
            endpoints: &endpoints,
            links: &Links::new(),
        }];
        let before = world.look();
        for round in 0..ROUNDS {
            kill_one(Duration::from_micros(round * 397 % 40_000));
            let daemon = Host::open(world.owner).unwrap();
            let done = daemon.reconcile(&expected).unwrap();
            assert_eq!(done.missing, []);
            assert_eq!(world.look(), before, "round {round}: {done:?}");
        }
        assert_eq!(
            world.outside.ask("198.51.100.1", 8080).unwrap(),
            server.name()
        );
    });
}

/// Starts a daemon on this host and kills it a moment after it has begun to work.
fn kill_one(after: Duration) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("host::tests::killing::works_until_it_is_killed")
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap());
    let mut line = String::new();
    while line.trim() != "working" {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it did not begin");
    }
    // Nothing more is written, so this is a wait for the time.
    linux::fd::wait_readable(output.get_ref(), Some(after)).unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
#[ignore = "half of the test above, which starts it"]
fn works_until_it_is_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let host = Host::open(Owner::of("an engine")).unwrap();
    let kept = network(1, "10.9.0.0/24", Some("fd09::/64"));
    println!("\nworking");
    loop {
        let own = network(2, "10.8.0.0/24", Some("fd08::/64"));
        host.create(&kept).unwrap();
        host.create(&own).unwrap();
        let container = Container::new();
        for (network, mut one) in [
            (&own, endpoint(5, "10.8.0.2/24", Some("fd08::2/64"))),
            (&kept, endpoint(6, "10.9.0.6/24", None)),
        ] {
            one.device = if one.v6.is_some() { "eth0" } else { "eth1" }
                .parse()
                .unwrap();
            one.ports = vec![port(8081)];
            if one.v6.is_none() {
                one.ports.clear();
            }
            host.connect(network, &one, container.netns()).unwrap();
            host.publish(
                network,
                &one.id,
                &[port(u16::from(one.v6.is_some()) + 9000)],
            )
            .unwrap();
            host.disconnect(network, &one, Some(container.netns()))
                .unwrap();
        }
        host.remove(&own).unwrap();
    }
}

fn port(host: u16) -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: [0, 0, 0, 0].into(),
        host,
        container: 80,
        count: 1,
    }
}
