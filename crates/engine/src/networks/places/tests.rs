use std::collections::BTreeSet;

use network::{Bridge, DeviceName, Mac, Published, Subnet};
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::record::{NetworkRequest, Record};
use super::*;
use crate::config::Config;

/// Networks whose kernel part is never opened, and the folder of their records.
struct World {
    networks: Networks,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path(), folder.path().join("run"), "/nowhere");
        Self {
            networks: Networks::open(&config).unwrap(),
            _folder: folder,
        }
    }

    /// A bridge network of these subnets that a user has chosen.
    fn with(self, name: &str, subnets: &[&str], change: impl FnOnce(&mut Record)) -> Self {
        let id: Identity = ContainerId::random().as_str().parse().unwrap();
        let request = NetworkRequest {
            name: name.into(),
            pools: subnets
                .iter()
                .map(|subnet| super::super::AddressPool {
                    subnet: (*subnet).into(),
                    ..Default::default()
                })
                .collect(),
            ..NetworkRequest::default()
        };
        let subnet = |v4: bool| {
            let mut all = subnets
                .iter()
                .map(|text| Subnet::new(text.parse().unwrap()));
            all.find(|subnet| subnet.prefix.is_ipv4() == v4)
        };
        let mut record = Record::new(id.clone(), request);
        record.made = Some(Network {
            driver: Driver::Bridge(Bridge::new(DeviceName::of_bridge(&id))),
            id,
            v4: subnet(true),
            v6: subnet(false),
            more: Vec::new(),
            internal: false,
            mtu: None,
        });
        change(&mut record);
        self.networks.take_in(record).unwrap();
        self
    }

    fn plain(self, name: &str, subnets: &[&str]) -> Self {
        self.with(name, subnets, |_| {})
    }

    fn place(&self, name: &str, wish: &EndpointOptions) -> Place {
        self.networks.place(name, wish).unwrap()
    }

    fn join(&self, container: &ContainerId, places: &mut [Place]) -> Result<Vec<String>> {
        let joined = self.networks.join(container, places)?;
        Ok(joined.iter().map(|one| ip(&one.endpoint)).collect())
    }

    /// How many endpoints and how many addresses are taken, over all networks.
    fn taken(&self) -> (usize, u128) {
        let members = self.networks.members();
        let endpoints = members.networks.values().map(|m| m.endpoints.len()).sum();
        let pools = members.networks.values().flat_map(|m| &m.pools);
        (endpoints, pools.map(network::ipam::Pool::used).sum())
    }
}

fn ip(endpoint: &Endpoint) -> String {
    endpoint
        .v4
        .map(|address| address.to_string())
        .unwrap_or_default()
}

fn wish(ipv4: &str, ipv6: &str) -> EndpointOptions {
    EndpointOptions {
        ipv4: ipv4.into(),
        ipv6: ipv6.into(),
        ..EndpointOptions::default()
    }
}

fn any() -> EndpointOptions {
    EndpointOptions::default()
}

#[test]
fn each_container_gets_an_address_of_its_own() {
    let world = World::new().plain("one", &["10.0.0.0/24"]);
    let (a, b) = (ContainerId::random(), ContainerId::random());
    let mut places = [world.place("one", &any())];
    assert_eq!(world.join(&a, &mut places).unwrap(), ["10.0.0.2/24"]);
    let mut other = [world.place("one", &any())];
    assert_eq!(world.join(&b, &mut other).unwrap(), ["10.0.0.3/24"]);
    let endpoint = places[0].endpoint.clone().unwrap();
    assert_eq!(endpoint.device.as_str(), "eth0");
    assert_eq!(endpoint.mac, Mac::of([10, 0, 0, 2].into()));
    // Left, the address is free; leaving again, or with the endpoint of an earlier run, changes nothing.
    let network = places[0].network.clone().unwrap();
    world.networks.release(&a, &network, &endpoint);
    let mut again = [world.place("one", &any())];
    assert_eq!(world.join(&a, &mut again).unwrap(), ["10.0.0.2/24"]);
    world.networks.release(&a, &network, &endpoint);
    assert_eq!(world.taken().0, 2);
}

#[test]
fn one_network_that_cannot_be_joined_takes_all_back() {
    let world = World::new()
        .plain("one", &["10.0.0.0/24", "fd00::/64"])
        .plain("two", &["10.1.0.0/24"])
        .with("settings", &[], |record| record.made = None);
    let before = world.taken();
    let (a, b) = (ContainerId::random(), ContainerId::random());
    let mut places = ["one", "two", "settings"].map(|name| world.place(name, &any()));
    let error = world.join(&a, &mut places).unwrap_err().to_string();
    assert!(error.contains("on configuration-only network"), "{error}");
    assert_eq!(world.taken(), before);
    assert!(places.iter().all(|place| place.endpoint.is_none()));
    // An IPv6 address that is taken gives the IPv4 one back.
    let mut places = [world.place("one", &wish("", "fd00::7"))];
    world.join(&b, &mut places).unwrap();
    let with_one = world.taken();
    let mut places = [world.place("one", &wish("10.0.0.9", "fd00::7"))];
    let error = world.join(&a, &mut places).unwrap_err().to_string();
    assert_eq!(error, "Address already in use");
    assert_eq!(world.taken(), with_one);
}

fn with_more(name: &'static str, more: &'static [&str]) -> World {
    World::new().with(name, &["10.0.0.0/29", "fd00::/64"], |record| {
        for text in more {
            let subnet = Subnet::new(text.parse().unwrap());
            record.made.as_mut().unwrap().more.push(subnet);
            record.request.pools.push(super::super::AddressPool {
                subnet: (*text).into(),
                ..Default::default()
            });
        }
    })
}

#[test]
fn a_subnet_that_is_full_has_another_behind_it() {
    let world = with_more("link", &["10.1.0.0/30", "fd01::/64"]);
    let empty = world.taken();
    let mut joined = Vec::new();
    let mut join = |wish: &EndpointOptions| {
        let container = ContainerId::random();
        let mut places = [world.place("link", wish)];
        let result = world.join(&container, &mut places).map(|_| ());
        let endpoint = places[0].endpoint.clone();
        joined.extend(endpoint.clone().map(|endpoint| (container, endpoint)));
        result.map(|()| endpoint.unwrap())
    };
    let (v4, gateway) = (ip, |endpoint: &Endpoint| {
        endpoint.gateway_v4.unwrap().to_string()
    });
    for host in 2..=6 {
        let endpoint = join(&any()).unwrap();
        assert_eq!(v4(&endpoint), format!("10.0.0.{host}/29"));
        assert_eq!(gateway(&endpoint), "10.0.0.1");
    }
    let endpoint = join(&wish("", "fd01::9")).unwrap();
    assert_eq!(v4(&endpoint), "10.1.0.2/30");
    assert_eq!(gateway(&endpoint), "10.1.0.1");
    assert_eq!(endpoint.gateway_v6.unwrap().to_string(), "fd01::1");
    let error = join(&any()).unwrap_err().to_string();
    let text = "no available IPv4 addresses on this network's address pools: link (";
    assert!(error.starts_with(text), "{error}");
    let error = join(&wish("10.1.0.2", "")).unwrap_err().to_string();
    assert_eq!(error, "Address already in use");
    let network = world.networks.find("link").unwrap();
    for (container, endpoint) in &joined {
        world.networks.release(container, &network, endpoint);
    }
    assert_eq!(world.taken(), empty);
}

#[test]
fn devices_are_numbered_through_all_networks() {
    let world = World::new()
        .plain("one", &["10.0.0.0/24"])
        .plain("two", &["10.1.0.0/24"])
        .with("named", &["10.2.0.0/24"], |record| {
            let option = "com.docker.network.container_iface_prefix".to_owned();
            record.request.options.insert(option, "lan".into());
        });
    let mut places = ["one", "named", "two"].map(|name| world.place(name, &any()));
    world.join(&ContainerId::random(), &mut places).unwrap();
    let names: Vec<_> = places
        .iter()
        .map(|place| place.endpoint.as_ref().unwrap().device.to_string())
        .collect();
    assert_eq!(names, ["eth0", "lan0", "eth1"]);
    let twice = EndpointOptions {
        driver_options: [(wish::DEVICE.to_owned(), "eth0".to_owned())].into(),
        ..any()
    };
    let mut places = [world.place("one", &any()), world.place("two", &twice)];
    let error = world
        .join(&ContainerId::random(), &mut places)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the container has a device eth0 already");
}

#[test]
fn where_the_default_routes_lead() {
    let world = World::new()
        .plain("bb", &["10.0.0.0/24"])
        .plain("aa", &["10.1.0.0/24", "fd01::/64"])
        .with("inner", &["10.2.0.0/24"], |record| {
            record.made.as_mut().unwrap().internal = true;
        })
        .with("routers", &["10.3.0.0/24"], |record| {
            let subnet = record.made.as_mut().unwrap().v4.as_mut().unwrap();
            subnet
                .reserved
                .insert("DefaultGatewayIPv4".into(), [10, 3, 0, 77].into());
        });
    let gateways = |places: &mut [Place]| {
        let container = ContainerId::random();
        world.networks.join(&container, places).unwrap();
        let of = |place: &Place| {
            let endpoint = place.endpoint.as_ref().unwrap();
            let all = endpoint.gateway_v4.iter().chain(&endpoint.gateway_v6);
            all.map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        places.iter().map(of).collect::<Vec<_>>()
    };
    let mut places = ["bb", "aa", "inner"].map(|name| world.place(name, &any()));
    // By name, without a priority.
    assert_eq!(gateways(&mut places), ["", "10.1.0.1 fd01::1", ""]);
    let mut places = ["bb", "aa", "inner"].map(|name| world.place(name, &any()));
    places[0].wish.gateway_priority = 1;
    assert_eq!(gateways(&mut places), ["10.0.0.1", "fd01::1", ""]);
    // A priority makes no way out of a network that has none.
    let mut places = ["inner", "aa"].map(|name| world.place(name, &any()));
    places[0].wish.gateway_priority = 9;
    assert_eq!(gateways(&mut places), ["", "10.1.0.1 fd01::1"]);
    assert_eq!(
        gateways(&mut [world.place("routers", &any())]),
        ["10.3.0.77"]
    );
}

#[test]
fn wishes_that_make_no_sense() {
    let world = World::new().plain("one", &["10.0.0.0/24"]);
    let check = |network: &str, wish: &EndpointOptions, text: &str| {
        let error = world.networks.place(network, wish).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    check(
        "one",
        &wish("10.9.0.1", ""),
        "no configured subnet or ip-range contain the IP address 10.9.0.1",
    );
    check("one", &wish("fd00::1", ""), "invalid IPv4 address: fd00::1");
    check(
        "bridge",
        &wish("10.0.0.9", ""),
        "user specified IP address is supported on user defined networks only",
    );
    let alias = EndpointOptions {
        aliases: vec!["x".into()],
        ..any()
    };
    check(
        "bridge",
        &alias,
        "network-scoped alias is supported only for containers in user defined networks",
    );
    let unknown = EndpointOptions {
        driver_options: [("foo".to_owned(), "bar".to_owned())].into(),
        ..any()
    };
    check("one", &unknown, "\"foo\"");
    // Of a network that is not there yet nothing is known.
    assert!(world.networks.place("nope", &wish("10.9.0.1", "")).is_ok());
}

#[test]
fn ports_of_all_endpoints() {
    let world = World::new().with("one", &["10.0.0.0/24"], |record| {
        let option = drivers::BINDING.to_owned();
        record.request.options.insert(option, "127.0.0.1".into());
    });
    let container = ContainerId::random();
    let mut places = [world.place("one", &any())];
    let mut joined = world.networks.join(&container, &mut places).unwrap();
    assert!(world.networks.published().is_empty());
    let port = Published {
        protocol: network::Protocol::Tcp,
        address: [127, 0, 0, 1].into(),
        host: 80,
        container: 80,
        count: 1,
    };
    joined[0].endpoint.ports.push(port);
    world.networks.note(&container, &joined);
    assert_eq!(world.networks.published(), [port]);
    assert_eq!(
        world.networks.binding_of(&joined[0].network.id),
        IpAddr::from([127, 0, 0, 1])
    );
    assert_eq!(world.networks.joined(&places).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and goes, no address belongs to two, and all that is taken is somebody's.
    #[test]
    fn addresses_belong_to_one(steps in prop::collection::vec((0usize..6, 0u8..20), 1..60)) {
        let world = with_more("two", &["10.1.0.0/30", "10.2.0.0/28"]).plain("one", &["10.3.0.0/28"]);
        let empty = world.taken();
        let containers: Vec<_> = (0..6).map(|_| ContainerId::random()).collect();
        let mut places: Vec<Option<Vec<Place>>> = vec![None; 6];
        for (who, host) in steps {
            match places[who].take() {
                Some(mut left) => {
                    for place in &mut left {
                        let endpoint = place.endpoint.take().unwrap();
                        world.networks.release(&containers[who], place.network.as_ref().unwrap(), &endpoint);
                    }
                }
                None => {
                    let fixed = if host < 14 { format!("10.3.0.{host}") } else { String::new() };
                    let mut wanted = vec![world.place("two", &any())];
                    if let Ok(place) = world.networks.place("one", &wish(&fixed, "")) {
                        wanted.push(place);
                    }
                    if world.networks.join(&containers[who], &mut wanted).is_ok() {
                        places[who] = Some(wanted);
                    }
                }
            }
            let held: Vec<String> = places.iter().flatten().flatten().map(|place| ip(place.endpoint.as_ref().unwrap())).collect();
            prop_assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
            let (endpoints, addresses) = world.taken();
            prop_assert_eq!(endpoints, held.len());
            let endpoints = places.iter().flatten().flatten().flat_map(|place| &place.endpoint);
            let of_all: usize = endpoints.map(|endpoint| endpoint.addresses().count()).sum();
            prop_assert_eq!(addresses - empty.1, of_all as u128);
        }
    }
}

/// Who asks for a container's name takes its lock, and who holds that asks for networks: with both at once everything stood still.
#[test]
fn nobody_asks_for_a_container_s_name_while_networks_are_locked() {
    let world = World::new().plain("net", &["10.9.0.0/24"]);
    let wish = EndpointOptions::default();
    let container = ContainerId::random();
    world
        .join(&container, &mut [world.place("net", &wish)])
        .unwrap();
    let id = world.networks.find("net").unwrap();
    let name_of = |of: &ContainerId| {
        assert_eq!(*of, container);
        assert!(world.networks.members.try_lock().is_ok());
        "web".to_owned()
    };
    let view = world.networks.view(&id, &name_of).unwrap();
    assert_eq!(view.endpoints[0].name, "web");
    let refused = world.networks.remove(&id, &name_of).unwrap_err();
    assert!(refused.to_string().contains("name:\"web\""));
}

#[test]
fn a_network_that_was_made_again_is_found_by_its_name() {
    let world = World::new().plain("one", &["10.0.0.0/24"]);
    let mut places = [world.place("one", &any())];
    let old = places[0].network.clone().unwrap();
    let record = world.networks.members().networks.remove(&old).unwrap();
    world.networks.give_back(&record.record.made.unwrap());
    let container = ContainerId::random();
    let error = world.join(&container, &mut places).unwrap_err();
    assert_eq!(error.to_string(), "network one not found");
    let world = world.plain("one", &["10.7.0.0/24"]);
    assert_eq!(
        world.join(&container, &mut places).unwrap(),
        ["10.7.0.2/24"]
    );
    assert_ne!(places[0].network, Some(old));
}

#[test]
fn a_shared_link_gets_a_new_hardware_address_each_time() {
    let macvlan = |record: &mut Record| {
        let made = record.made.as_mut().unwrap();
        made.driver = Driver::Macvlan(network::Macvlan {
            parent: network::Parent::Device("eth0".parse().unwrap()),
            mode: network::MacvlanMode::Bridge,
        });
    };
    let world = World::new()
        .with("shared", &["10.0.0.0/24"], macvlan)
        .plain("own", &["10.1.0.0/24"]);
    let macs = |name: &str| {
        [(); 2].map(|()| {
            let container = ContainerId::random();
            let mut places = [world.place(name, &any())];
            world.join(&container, &mut places).unwrap();
            let (id, endpoint) = (places[0].network.clone(), places[0].endpoint.clone());
            let endpoint = endpoint.unwrap();
            world.networks.release(&container, &id.unwrap(), &endpoint);
            (ip(&endpoint), endpoint.mac)
        })
    };
    let [one, two] = macs("shared");
    assert_eq!(one.0, two.0);
    assert_ne!(one.1, two.1);
    let [one, two] = macs("own");
    assert_eq!(one, two);
}

#[test]
fn no_two_containers_of_a_network_have_one_hardware_address() {
    let world = World::new().plain("net", &["10.9.0.0/24"]);
    let mac = |text: &str| EndpointOptions {
        mac_address: text.into(),
        ..EndpointOptions::default()
    };
    let (first, second, third) = (
        ContainerId::random(),
        ContainerId::random(),
        ContainerId::random(),
    );
    // What the address 10.9.0.3 would give.
    let chosen = mac("02:42:0a:09:00:03");
    world
        .join(&first, &mut [world.place("net", &chosen)])
        .unwrap();
    let refused = world
        .join(&second, &mut [world.place("net", &chosen)])
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the MAC address 02:42:0a:09:00:03 is in use in the network net"
    );
    let mut places = [world.place("net", &mac(""))];
    world.join(&third, &mut places).unwrap();
    let given = places[0].endpoint.as_ref().unwrap();
    assert_eq!(ip(given), "10.9.0.3/24");
    assert_ne!(given.mac.to_string(), "02:42:0a:09:00:03");
    assert_eq!(world.taken().0, 2);
}
