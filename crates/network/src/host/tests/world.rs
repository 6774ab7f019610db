//! A host, a machine outside of it, and containers: each a network namespace that ends with the test.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use linux::netlink::Protocol;
use linux::ns::{self, Kinds};

use super::super::{Connected, Host, Owner};
use super::{address, ip};
use crate::netlink::{Batch, Connection};
use crate::{Bridge, DeviceName, Driver, Endpoint, Identity, Mac, Network, Prefix, Subnet, link};

/// Nothing answers where packets are dropped, so somebody has to end the waiting. Where an answer comes, it comes in a millisecond.
const PATIENCE: Duration = Duration::from_millis(400);
/// For answers that have to come: a busy machine is no failure.
const LONG: Duration = Duration::from_secs(20);

/// The calling thread of the tests is on the host.
pub(super) struct World {
    pub(super) host: Host,
    pub(super) owner: Owner,
    /// 198.51.100.2 and 2001:db8::2 on the host's eth0, which has .1 and ::1; knows the way to 10.9.0.0/16 and fd09::/64.
    pub(super) outside: Container,
}

impl World {
    pub(super) fn run(test: impl FnOnce(&Self) + Send) {
        ns::on_thread(|| -> linux::Result<()> {
            ns::unshare(Kinds::NETWORK)?;
            ns::bring_loopback_up()?;
            // A namespace may have what the machine has.
            for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(Path::new("/proc/sys/net").join(path), "0").unwrap();
            }
            test(&Self::new());
            Ok(())
        })
        .unwrap();
    }

    fn new() -> Self {
        let owner = Owner::of("an engine");
        let outside = Container::new();
        let eth0: DeviceName = "eth0".parse().unwrap();
        let netns = outside.netns().as_raw_fd().cast_unsigned();
        make(&eth0, "veth", |data| {
            data.nest(link::ifla::VETH_PEER, |peer| {
                peer.raw(&link::ifinfo(0, 0, 0))
                    .text(link::ifla::IFNAME, "eth0")
                    .u32(link::ifla::NET_NS_FD, netns);
            });
        });
        give(&eth0, &["198.51.100.1/24", "2001:db8::1/64"], &[]);
        outside.inside(|| {
            give(
                &eth0,
                &["198.51.100.2/24", "2001:db8::2/64"],
                &[
                    ("10.9.0.0/16", "198.51.100.1"),
                    ("fd09::/64", "2001:db8::1"),
                ],
            );
        });
        settle(&eth0);
        Self {
            host: Host::open(owner).unwrap(),
            owner,
            outside,
        }
    }

    pub(super) fn make_bridge(&self, name: &str) {
        make(&name.parse().unwrap(), "bridge", |_| {});
    }

    pub(super) fn delete(&self, device: &str) {
        let mut batch = Batch::new();
        link::delete(&mut batch, device);
        here().run(batch).unwrap();
    }

    pub(super) fn devices(&self) -> Vec<String> {
        devices()
    }

    pub(super) fn is_running(&self, device: &str) -> bool {
        running().iter().any(|name| name == device)
    }

    /// Everything that can be left behind, as text.
    pub(super) fn look(&self) -> String {
        let sets = crate::firewall::dump(&self.owner.table());
        format!("{:?}\n{sets:?}", self.devices())
    }

    pub(super) fn tables(&self) -> Vec<String> {
        crate::firewall::tables().unwrap()
    }

    /// How many elements one of our sets has.
    pub(super) fn elements(&self, set: &str) -> usize {
        let dump = crate::firewall::dump(&self.owner.table());
        dump.iter().filter(|(name, _)| name == set).count()
    }

    pub(super) fn serve(&self, address: &str, port: u16) -> Server {
        Server::start((ip(address), port).into())
    }

    pub(super) fn ask(&self, address: &str, port: u16) -> io::Result<String> {
        ask(address, port)
    }
}

/// What a neighbour of ours does.
impl World {
    pub(super) fn hear(&self, address: &str, port: u16) -> Heard {
        Heard::at(address, port)
    }

    pub(super) fn send(&self, from: &str, to: &str, port: u16, bytes: &[u8]) -> io::Result<()> {
        send(from, to, port, bytes)
    }

    pub(super) fn give(&self, device: &str, addresses: &[&str]) {
        give(&device.parse().unwrap(), addresses, &[]);
    }

    /// Another cable from the host: its device's name and address, and the other's address.
    pub(super) fn cable(&self, to: &Container, device: &str, addresses: [&str; 2]) {
        let netns = to.netns().as_raw_fd().cast_unsigned();
        let here: DeviceName = device.parse().unwrap();
        make(&here, "veth", |data| {
            data.nest(link::ifla::VETH_PEER, |peer| {
                peer.raw(&link::ifinfo(0, 0, 0))
                    .text(link::ifla::IFNAME, "eth0")
                    .u32(link::ifla::NET_NS_FD, netns);
            });
        });
        give(&here, &addresses[..1], &[]);
        to.give("eth0", &addresses[1..]);
        settle(&here);
    }

    /// Whether frames between ports of a bridge pass the rules of IP as well (br_netfilter), if this kernel can do that.
    pub(super) fn filter_bridged(value: &str) {
        for family in ["ip", "ip6"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables");
            if Path::new(&path).exists() {
                std::fs::write(path, value).unwrap();
            }
        }
    }

    pub(super) fn forwarding() -> String {
        let value = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        value.trim().to_owned()
    }

    pub(super) fn accept_loopback_from(&self, device: &str) {
        for (setting, value) in [("route_localnet", "1"), ("rp_filter", "0")] {
            for device in [device, "all"] {
                let path = format!("/proc/sys/net/ipv4/conf/{device}/{setting}");
                std::fs::write(path, value).unwrap();
            }
        }
    }

    /// As `nft flush ruleset`.
    pub(super) fn flush_rules(&self) {
        crate::firewall::flush();
    }

    /// As `iptables -P FORWARD DROP`.
    pub(super) fn add_dropping_chain(&self, table: &str, chain: &str) {
        crate::firewall::add_dropping_chain(table, chain);
    }

    pub(super) fn changes(&self) -> Changes {
        let connection = Connection::open(Protocol::Netfilter).unwrap();
        connection.join(7).unwrap();
        Changes(connection)
    }
}

/// What is told of changed rules.
pub(super) struct Changes(Connection);

impl Changes {
    /// Until a transaction has ended in which this table was made.
    pub(super) fn wait_for_table(&mut self, table: &str) {
        const NEWTABLE: u16 = 10 << 8;
        const NEWGEN: u16 = NEWTABLE | 15;
        let (mut made, mut ended) = (false, false);
        while !ended {
            assert!(
                linux::fd::wait_readable(&self.0, Some(LONG)).unwrap(),
                "nobody made {table}"
            );
            let complete = self.0.read_changes(|message| {
                made |= message.kind == NEWTABLE && message.attributes(4).text(1) == Some(table);
                ended |= made && message.kind == NEWGEN;
            });
            assert!(complete.unwrap());
        }
    }
}

fn send(from: &str, to: &str, port: u16, bytes: &[u8]) -> io::Result<()> {
    let from = match from.split_once('%') {
        None => SocketAddr::from((ip(from), 0)),
        Some((from, device)) => {
            let device = link::find(&mut here(), &device.parse().unwrap());
            let index = device.unwrap().unwrap().index;
            SocketAddrV6::new(from.parse().unwrap(), 0, 0, index).into()
        }
    };
    UdpSocket::bind(from)?
        .send_to(bytes, (ip(to), port))
        .map(drop)
}

/// Datagrams that arrive.
pub(super) struct Heard(UdpSocket);

impl Heard {
    fn at(address: &str, port: u16) -> Self {
        let socket = UdpSocket::bind((ip(address), port)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self(socket)
    }

    pub(super) fn next(&self) -> Vec<u8> {
        let mut buffer = [0; 100];
        let length = self.0.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }
}

/// A connection that stays open, seen from both ends.
pub(super) struct Conversation(TcpStream, TcpStream);

impl Conversation {
    pub(super) fn say(&mut self, words: &[u8]) {
        for (from, to) in [(&self.0, &self.1), (&self.1, &self.0)] {
            let (mut from, mut to) = (from, to);
            from.write_all(words).unwrap();
            let mut heard = vec![0; words.len()];
            to.read_exact(&mut heard).unwrap();
            assert_eq!(heard, words);
        }
    }
}

fn here() -> Connection {
    Connection::open(Protocol::Route).unwrap()
}

fn make(name: &DeviceName, kind: &str, data: impl FnOnce(&mut crate::netlink::MessageWriter<'_>)) {
    let mut batch = Batch::new();
    link::create(&mut batch, name, "create").nest(link::ifla::LINKINFO, |info| {
        info.text(link::ifla::INFO_KIND, kind)
            .nest(link::ifla::INFO_DATA, data);
    });
    here().run(batch).unwrap();
}

fn give(device: &DeviceName, addresses: &[&str], routes: &[(&str, &str)]) {
    let mut connection = here();
    let index = link::find(&mut connection, device).unwrap().unwrap().index;
    let mut batch = Batch::new();
    for text in addresses {
        link::add_unmarked(&mut batch, index, address(text), "address".into());
    }
    link::set_up(&mut batch, device);
    for (to, via) in routes {
        let hop = link::Hop {
            device: index,
            via: Some(ip(via)),
            on_link: false,
        };
        link::set_route(&mut batch, to.parse().unwrap(), hop, "route".into());
    }
    connection.run(batch).unwrap();
}

/// The device has its carrier from now on, whatever else the kernel has to do ([`crate::devices::settle_plug`]).
fn settle(device: &DeviceName) {
    link::find(&mut here(), device).unwrap();
}

/// The devices that are known to have a carrier. A dump takes them as they are.
fn running() -> Vec<String> {
    const RUNNING: u32 = 0x40;
    let mut batch = Batch::new();
    let fixed = link::ifinfo(0, 0, 0);
    batch.message(18, crate::netlink::flag::DUMP, &fixed, "list");
    let mut names = Vec::new();
    let each = |message: &crate::netlink::Message<'_>| {
        let flags = crate::netlink::u32_at(message.payload, 8).unwrap_or(0);
        let name = message.attributes(16).text(link::ifla::IFNAME);
        names.extend(name.filter(|_| flags & RUNNING != 0).map(str::to_owned));
    };
    here().ask(&batch, each).unwrap();
    names
}

fn devices() -> Vec<String> {
    let links = link::list(&mut here()).unwrap();
    let mut names: Vec<_> = links
        .into_iter()
        .map(|link| link.name)
        .filter(|name| {
            ["lo", "eth", "web", "br", "tv"]
                .iter()
                .any(|p| name.starts_with(p))
        })
        .collect();
    names.sort();
    names
}

/// A network namespace with loopback up.
pub(super) struct Container {
    netns: OwnedFd,
}

impl Container {
    pub(super) fn new() -> Self {
        let netns = ns::on_thread(|| -> linux::Result<OwnedFd> {
            ns::unshare(Kinds::NETWORK)?;
            ns::bring_loopback_up()?;
            let file = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
            Ok(file.into())
        });
        Self {
            netns: netns.unwrap(),
        }
    }

    pub(super) fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let work = || -> linux::Result<T> { Ok(work()) };
        ns::in_namespace(&self.netns, Kinds::NETWORK, work).unwrap()
    }

    pub(super) fn connect(
        &self,
        world: &World,
        network: &Network,
        endpoint: &Endpoint,
    ) -> Connected {
        world.host.connect(network, endpoint, self.netns()).unwrap()
    }

    pub(super) fn devices(&self) -> Vec<String> {
        self.inside(devices)
    }

    /// A file below /proc, as a process in the container reads it.
    pub(super) fn read(&self, path: &str) -> String {
        let path = path.replace("/proc/net", "/proc/thread-self/net");
        self.inside(|| std::fs::read_to_string(path).unwrap().trim().to_owned())
    }

    /// A file of a device in /sys, which shows the namespace that it was mounted in.
    pub(super) fn device_file(&self, device: &str, name: &str) -> String {
        self.inside(|| {
            ns::in_private_mounts(|| -> linux::Result<String> {
                let sysfs = linux::mount::FsContext::new("sysfs")?
                    .create()?
                    .mount(linux::mount::Attributes::empty())?;
                linux::mount::attach(sysfs, linux::file::open_path(Path::new("/sys"))?)?;
                let path = format!("/sys/class/net/{device}/{name}");
                Ok(std::fs::read_to_string(path).unwrap().trim().to_owned())
            })
            .unwrap()
        })
    }

    pub(super) fn serve(&self, address: &str, port: u16) -> Server {
        self.inside(|| Server::start((ip(address), port).into()))
    }

    pub(super) fn ask(&self, address: &str, port: u16) -> io::Result<String> {
        self.inside(|| ask(address, port))
    }

    /// Where no answer is expected.
    pub(super) fn is_silent(&self, address: &str, port: u16) -> bool {
        self.inside(|| TcpStream::connect_timeout(&(ip(address), port).into(), PATIENCE).is_err())
    }

    /// Which address a server says it is asked from.
    pub(super) fn seen_as(&self, address: &str, port: u16) -> IpAddr {
        let text = self.inside(|| converse(address, port).unwrap());
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn hear(&self, address: &str, port: u16) -> Heard {
        self.inside(|| Heard::at(address, port))
    }

    /// A socket that sends there, always from the same port.
    pub(super) fn client(&self, address: &str, port: u16) -> UdpSocket {
        self.inside(|| {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
            socket.connect((ip(address), port)).unwrap();
            socket
        })
    }

    /// Sends a datagram from an address of its own.
    pub(super) fn send(&self, from: &str, to: &str, port: u16, bytes: &[u8]) -> io::Result<()> {
        self.inside(|| send(from, to, port, bytes))
    }

    pub(super) fn route(&self, to: &str, via: &str) {
        self.inside(|| give(&"eth0".parse().unwrap(), &[], &[(to, via)]));
    }

    /// 127.0.0.1 is somebody else's address from now on, as far as this namespace is concerned.
    pub(super) fn without_own_loopback(&self) {
        self.inside(|| {
            // The table of local addresses is asked after that of routes.
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
            link::forget_address(&mut here(), "lo", address("127.0.0.1/8"));
        });
    }

    /// Connects to a listener that is `server`'s, at `at`, by the address `by`.
    pub(super) fn converse_with(
        &self,
        server: &Self,
        at: (&str, u16),
        by: (&str, u16),
    ) -> Conversation {
        let listener = server.inside(|| TcpListener::bind((ip(at.0), at.1)).unwrap());
        let by = (ip(by.0), by.1).into();
        let client = self.inside(|| TcpStream::connect_timeout(&by, LONG).unwrap());
        let accepted = listener.accept().unwrap().0;
        for stream in [&client, &accepted] {
            stream.set_read_timeout(Some(LONG)).unwrap();
        }
        Conversation(client, accepted)
    }

    /// Gives a device of its another address, as somebody in it with the right to do so can.
    pub(super) fn give(&self, device: &str, addresses: &[&str]) {
        self.inside(|| give(&device.parse().unwrap(), addresses, &[]));
    }
}

fn converse(address: &str, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&(ip(address), port).into(), LONG)?;
    stream.set_read_timeout(Some(LONG))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The name of the server that answers.
fn ask(address: &str, port: u16) -> io::Result<String> {
    let text = converse(address, port)?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// Answers each connection with its name and the address it comes from, until it is dropped.
pub(super) struct Server {
    name: String,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// In the network namespace of the calling thread.
    fn start(address: SocketAddr) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let listener = TcpListener::bind(address).unwrap();
        let name = format!("server{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (stopped, stop) = linux::fd::pipe().unwrap();
        let answer = name.clone();
        let thread = std::thread::spawn(move || {
            while linux::fd::wait_either(&listener, &stopped).unwrap() == linux::fd::Ready::First {
                let (mut stream, from) = listener.accept().unwrap();
                let _ = stream.write_all(format!("{answer} {}", from.ip()).as_bytes());
            }
        });
        Self {
            name,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn id(number: u8) -> Identity {
    format!("{number:02x}").repeat(32).parse().unwrap()
}

/// A bridge network, `br-` and its number.
pub(super) fn network(number: u8, v4: &str, v6: Option<&str>) -> Network {
    let subnet = |text: &str| Subnet::new(text.parse().unwrap());
    Network {
        id: id(number),
        driver: Driver::Bridge(Bridge::new(format!("br-{number}").parse().unwrap())),
        v4: Some(subnet(v4)),
        v6: v6.map(subnet),
        more: Vec::new(),
        internal: false,
        mtu: None,
    }
}

pub(super) fn bridge(network: &mut Network) -> &mut Bridge {
    match &mut network.driver {
        Driver::Bridge(bridge) => bridge,
        other => panic!("{other:?}"),
    }
}

/// An endpoint with the gateway that the first address of its prefix is.
pub(super) fn endpoint(number: u8, v4: &str, v6: Option<&str>) -> Endpoint {
    let gateway =
        |a: crate::Address| crate::ipam::first_host(Prefix::of(a.ip, a.length()).unwrap());
    let (v4, v6) = (address(v4), v6.map(address));
    Endpoint {
        id: id(number | 0x80),
        device: "eth0".parse().unwrap(),
        mac: Mac::from_seed(u64::from(number) << 40),
        v4: Some(v4),
        v6,
        extra: Vec::new(),
        gateway_v4: gateway(v4),
        gateway_v6: v6.and_then(gateway),
        routes: Vec::new(),
        sysctls: Vec::new(),
        names: false,
        any_source: false,
        ports: Vec::new(),
        carried: false,
    }
}
