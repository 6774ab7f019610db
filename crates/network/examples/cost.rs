//! What connecting a container costs: `cargo run --release -p network --example cost [ROUNDS]`, as root. Everything happens in
//! throw-away network namespaces. With `strace -fc` it shows the system calls.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use linux::ns::{self, Kinds};
use network::{
    Bridge, Driver, Endpoint, Host, Identity, Mac, Network, Owner, Protocol, Published, Subnet,
    port,
};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let rounds = std::env::args().nth(1).map_or(Ok(100), |n| n.parse())?;
    let mut outcome = Ok(());
    ns::on_thread(|| -> linux::Result<()> {
        ns::unshare(Kinds::NETWORK)?;
        ns::bring_loopback_up()?;
        outcome = measure(rounds);
        Ok(())
    })?;
    outcome
}

fn namespace() -> Result<OwnedFd, Box<dyn Error + Send + Sync>> {
    let own = File::open("/proc/thread-self/ns/net")?;
    ns::unshare(Kinds::NETWORK)?;
    ns::bring_loopback_up()?;
    let made = File::open("/proc/thread-self/ns/net")?;
    ns::enter(&own, Kinds::NETWORK)?;
    Ok(made.into())
}

fn id(number: u32) -> Result<Identity, network::Error> {
    format!("{number:09x}{}", "0".repeat(55)).parse()
}

fn endpoint(number: u32) -> Result<Endpoint, network::Error> {
    let [_, _, high, low] = (number + 2).to_be_bytes();
    Ok(Endpoint {
        id: id(number)?,
        device: "eth0".parse()?,
        mac: Mac::of([172, 17, high, low].into()),
        v4: Some(format!("172.17.{high}.{low}/16").parse()?),
        v6: None,
        extra: Vec::new(),
        gateway_v4: Some([172, 17, 0, 1].into()),
        gateway_v6: None,
        routes: Vec::new(),
        sysctls: Vec::new(),
        names: false,
        any_source: false,
        ports: Vec::new(),
        carried: false,
    })
}

/// The times of a step.
struct Times(&'static str, Vec<Duration>);

impl Times {
    fn take<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.1.push(start.elapsed());
        result
    }
}

impl Drop for Times {
    fn drop(&mut self) {
        self.1.sort();
        let at = |part: usize| {
            self.1
                .get(self.1.len() * part / 100)
                .copied()
                .unwrap_or_default()
        };
        println!(
            "{:28} median {:>10.1?}   95 % {:>10.1?}",
            self.0,
            at(50),
            at(95)
        );
    }
}

fn measure(rounds: u32) -> Outcome {
    let host = Host::open(Owner::of("cost"))?;
    let network = Network {
        id: id(0xfffff)?,
        driver: Driver::Bridge(Bridge::new("tare0".parse()?)),
        v4: Some(Subnet::new("172.17.0.0/16".parse()?)),
        v6: None,
        more: Vec::new(),
        internal: false,
        mtu: None,
    };
    Times("create the network", Vec::new()).take(|| host.create(&network))?;
    one_by_one(&host, &network, rounds)?;
    many(&host, &network, rounds)?;
    Times("remove the network", Vec::new()).take(|| host.remove(&network))?;
    Ok(())
}

fn one_by_one(host: &Host, network: &Network, rounds: u32) -> Outcome {
    let mut connect = Times("connect", Vec::new());
    let mut named = Times("connect with names", Vec::new());
    let mut reserve = Times("reserve a port", Vec::new());
    let mut publish = Times("publish it", Vec::new());
    let mut end = Times("disconnect, container ended", Vec::new());
    let mut live = Times("disconnect, it runs", Vec::new());
    for number in 0..rounds {
        let netns = namespace()?;
        let mut one = endpoint(number)?;
        one.names = number % 2 == 1;
        let times = if one.names { &mut named } else { &mut connect };
        times.take(|| host.connect(network, &one, netns.as_fd()))?;
        let wanted = port::Wanted {
            protocol: Protocol::Tcp,
            addresses: vec![[0, 0, 0, 0].into()],
            host: Some((8080, 8080)),
            container: 80,
            count: 1,
        };
        let reserved = reserve.take(|| port::reserve(&wanted, &[]))?;
        publish.take(|| host.publish(network, &one.id, &reserved.published))?;
        if number % 4 < 2 {
            end.take(|| host.disconnect(network, &one, None))?;
        } else {
            live.take(|| host.disconnect(network, &one, Some(netns.as_fd())))?;
        }
    }
    Ok(())
}

fn many(host: &Host, network: &Network, rounds: u32) -> Outcome {
    let mut all = Vec::new();
    for number in 1000..1000 + rounds {
        let mut one = endpoint(number)?;
        one.ports = vec![Published {
            protocol: Protocol::Tcp,
            address: [0, 0, 0, 0].into(),
            host: u16::try_from(number)?,
            container: 80,
            count: 1,
        }];
        all.push((one, namespace()?));
    }
    Times("connect all with a port", Vec::new()).take(|| {
        all.iter()
            .try_for_each(|(one, netns)| host.connect(network, one, netns.as_fd()).map(drop))
    })?;
    let endpoints: Vec<_> = all.iter().map(|(one, _)| one.clone()).collect();
    let expected = [network::Expected {
        network,
        endpoints: &endpoints,
        links: &network::Links::new(),
    }];
    Times("reconcile all", Vec::new()).take(|| host.reconcile(&expected))?;
    Times("disconnect all, ended", Vec::new()).take(|| {
        all.iter()
            .try_for_each(|(one, _)| host.disconnect(network, one, None))
    })?;
    Ok(())
}
