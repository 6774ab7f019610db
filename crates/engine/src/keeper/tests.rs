use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Instant;

use linux::ns::{self, Kinds};
use network::Protocol;
use network::dns::Named;
use network::port::Wanted;

use super::*;

/// The binary beside the tests' own.
fn shim() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(std::path::Path::parent).unwrap();
    let path = folder.join("tare-shim");
    assert!(path.exists(), "cargo build -p shim");
    path
}

struct World {
    folder: tempfile::TempDir,
    keeper: Keeper,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper_in(&folder);
        Self { folder, keeper }
    }

    /// Another daemon in the place of the one before, which has been killed.
    fn next_daemon(&mut self) -> Kept {
        self.keeper = keeper_in(&self.folder);
        self.keeper.find()
    }

    fn pid(&self) -> u32 {
        let state = self.keeper.inner.state();
        state.link.as_ref().map(Link::pid).unwrap_or_default()
    }

    fn kill(&self) {
        lose(&mut self.keeper.inner.state());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mut state = self.keeper.inner.state();
        state.given = Given::default();
        drop(state);
        self.keeper.close();
    }
}

fn keeper_in(folder: &tempfile::TempDir) -> Keeper {
    let path = folder.path();
    Keeper::new(&crate::Config::new(
        path.join("data"),
        path.join("run"),
        shim(),
    ))
}

/// In a namespace of its own, where no other test takes ports.
fn alone(test: impl FnOnce() + Send) {
    let run = || -> linux::Result<()> {
        ns::unshare(Kinds::NETWORK)?;
        ns::bring_loopback_up()?;
        test();
        Ok(())
    };
    ns::on_thread(run).unwrap();
}

/// Waits for a socket to be gone: a process that another test is just starting has a copy of it until it executes.
fn soon(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it is still there"
        );
        std::thread::yield_now();
    }
}

fn id(number: u8) -> Identity {
    format!("{number:02x}").repeat(32).parse().unwrap()
}

fn zone(address: &str) -> Zone {
    Zone {
        network: id(1),
        name: "net".into(),
        entries: vec![Named {
            endpoint: id(2),
            names: vec!["web".into()],
            addresses: vec![address.parse().unwrap()],
        }],
    }
}

fn server() -> Server {
    Server {
        id: "container".into(),
        networks: vec![id(1)],
        private: Vec::new(),
        upstreams: Vec::new(),
    }
}

/// Asks in a namespace; the last byte of the answer, which is that of the address.
fn ask(netns: &OwnedFd) -> u8 {
    let asked = ns::in_namespace(netns, Kinds::NETWORK, || -> linux::Result<_> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";
        socket.send_to(query, "127.0.0.11:53").unwrap();
        let mut reply = [0; 512];
        let length = socket.recv(&mut reply).unwrap();
        assert_eq!(
            (reply[..2].to_vec(), reply[3] & 15, reply[7]),
            (vec![0x12, 0x34], 0, 1)
        );
        Ok(reply[length - 1])
    });
    asked.unwrap()
}

fn reserved() -> (Use, OwnedFd, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (Use::Reserve, listener.into(), port)
}

#[test]
fn names_are_answered_while_no_daemon_is_there_and_by_the_keeper_s_successor() {
    let mut world = World::new();
    let netns = ns::new_network().unwrap();
    world
        .keeper
        .names(&id(1), || Some(zone("10.0.0.7")))
        .unwrap();
    world.keeper.serve(server(), None, netns.as_fd()).unwrap();
    assert_eq!(ask(&netns), 7);
    let pid = world.pid();
    // The daemon is gone, and another comes.
    let kept = world.next_daemon();
    assert_eq!(world.pid(), pid);
    assert_eq!(kept.servers, ["container"]);
    assert_eq!(kept.networks, [id(1)]);
    assert_eq!(ask(&netns), 7);
    let copy = linux::fd::duplicate(&netns).unwrap();
    world
        .keeper
        .names(&id(1), || Some(zone("10.0.0.8")))
        .unwrap();
    world.keeper.take_over(server(), copy).unwrap();
    assert_eq!(ask(&netns), 8);
    // The keeper is killed; whoever asks next has to wait for its successor, no more.
    world.kill();
    world
        .keeper
        .names(&id(1), || Some(zone("10.0.0.9")))
        .unwrap();
    assert_ne!(world.pid(), pid);
    assert_eq!(ask(&netns), 9);
    world.keeper.unserve("container").unwrap();
}

#[test]
fn a_keeper_that_is_killed_is_replaced_unasked() {
    let world = World::new();
    let netns = ns::new_network().unwrap();
    world
        .keeper
        .names(&id(1), || Some(zone("10.0.0.7")))
        .unwrap();
    world.keeper.serve(server(), None, netns.as_fd()).unwrap();
    let first = world.pid();
    let process = linux::pidfd::PidFd::open(first).unwrap();
    process.signal(linux::signal::Signal::KILL).unwrap();
    process.wait_readable(None).unwrap();
    let begun = Instant::now();
    while world.pid() == first {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nobody has noticed"
        );
        std::thread::yield_now();
    }
    assert_eq!(ask(&netns), 7);
}

#[test]
fn ports_stay_held_whoever_dies() {
    alone(holding_through_deaths);
}

fn holding_through_deaths() {
    let mut world = World::new();
    let mut sockets = Vec::new();
    let mut ports = Vec::new();
    // More than fit into a frame.
    for _ in 0..MAX_FDS + 3 {
        let (of, socket, port) = reserved();
        sockets.push((of, socket));
        ports.push(port);
    }
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    world.keeper.hold("c", sockets).unwrap();
    assert_eq!(world.next_daemon().keys, ["c"]);
    assert!(!ports.iter().any(is_free));
    assert_eq!(world.keeper.keys(), BTreeSet::from(["c".to_owned()]));
    // The successor gets all of them out of this daemon's hands.
    world.kill();
    let (of, socket, port) = reserved();
    world.keeper.hold("d", vec![(of, socket)]).unwrap();
    ports.push(port);
    world.next_daemon();
    assert!(!ports.iter().any(is_free));
    world.keeper.release("c").unwrap();
    world.keeper.release("d").unwrap();
    soon(|| ports.iter().all(is_free));
}

#[test]
fn a_keeper_with_nothing_to_keep_ends_with_its_daemon() {
    let world = World::new();
    let netns = ns::new_network().unwrap();
    world.keeper.serve(server(), None, netns.as_fd()).unwrap();
    let process = linux::pidfd::PidFd::open(world.pid()).unwrap();
    world.keeper.unserve("container").unwrap();
    world.keeper.close();
    assert!(process.wait_readable(Some(Duration::ZERO)).unwrap());
    assert!(!world.keeper.inner.folder.exists());
}

/// A port of loopback that leads to `to`, and its number.
fn door(protocol: Protocol, to: SocketAddr) -> (Vec<(Use, OwnedFd)>, SocketAddr) {
    let wanted = Wanted {
        protocol,
        addresses: vec![[127, 0, 0, 1].into()],
        host: None,
        container: 1,
        count: 1,
    };
    let reserved = network::port::reserve(&wanted, &[]).unwrap();
    let of = match protocol {
        Protocol::Udp => Use::ProxyUdp { to },
        _ => Use::ProxyTcp { to },
    };
    let sockets = reserved.sockets.into_iter().map(|(_, socket)| (of, socket));
    let port = reserved.published[0].host;
    (sockets.collect(), ([127, 0, 0, 1], port).into())
}

#[test]
fn a_connection_is_carried_on_with_its_half_closes() {
    alone(carrying_on);
}

fn carrying_on() {
    let world = World::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let (sockets, at) = door(Protocol::Tcp, target.local_addr().unwrap());
    world.keeper.hold("c", sockets).unwrap();
    let sent: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    std::thread::scope(|scope| {
        // Says nothing before it has heard everything.
        scope.spawn(|| {
            let (mut stream, _) = target.accept().unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            stream.write_all(&heard).unwrap();
        });
        let mut client = TcpStream::connect(at).unwrap();
        client.write_all(&sent).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        assert!(heard == sent, "{} bytes", heard.len());
    });
    // With the door its connections end, too; nobody listens behind the next one.
    let mut client = TcpStream::connect(at).unwrap();
    let (mut stream, _) = target.accept().unwrap();
    world.keeper.release("c").unwrap();
    assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
    soon(|| TcpStream::connect(at).is_err());
    let nobody = target.local_addr().unwrap();
    drop(target);
    let (sockets, at) = door(Protocol::Tcp, nobody);
    world.keeper.hold("c", sockets).unwrap();
    let mut client = TcpStream::connect(at).unwrap();
    assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    world.keeper.release("c").unwrap();
}

#[test]
fn each_sender_of_datagrams_gets_its_own_answers() {
    alone(answering_each);
}

fn answering_each() {
    let mut world = World::new();
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (sockets, at) = door(Protocol::Udp, target.local_addr().unwrap());
    world.keeper.hold("c", sockets).unwrap();
    let clients: Vec<_> = (0..3)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for socket in clients.iter().chain([&target]) {
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
    }
    // A daemon more or less does not matter.
    world.next_daemon();
    let mut buffer = [0; 64];
    for round in 0..3 {
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&[number as u8], at).unwrap();
        }
        for _ in &clients {
            let (length, from) = target.recv_from(&mut buffer).unwrap();
            target
                .send_to(&[buffer[0], round, length as u8], from)
                .unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(
                (&buffer[..length], from),
                (&[number as u8, round, 1][..], at)
            );
        }
    }
    world.keeper.release("c").unwrap();
}

#[test]
fn many_questions_come_over_one_connection() {
    let world = World::new();
    let netns = ns::new_network().unwrap();
    world
        .keeper
        .names(&id(1), || Some(zone("10.0.0.7")))
        .unwrap();
    world.keeper.serve(server(), None, netns.as_fd()).unwrap();
    let asked = ns::in_namespace(&netns, Kinds::NETWORK, || -> linux::Result<_> {
        let mut stream = TcpStream::connect("127.0.0.11:53").unwrap();
        let query = b"\0\x15\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";
        // The second is for nobody we know, and there is nobody to ask.
        let other = b"\0\x15\x12\x35\x01\0\0\x01\0\0\0\0\0\0\x03xyz\0\0\x01\0\x01";
        for _ in 0..100 {
            stream.write_all(query).unwrap();
            stream.write_all(other).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        Ok(heard)
    });
    let mut rest = asked.unwrap();
    let mut codes = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        codes.push((rest[3], rest[5] & 15));
        rest.drain(..2 + length);
    }
    let wanted: Vec<_> = (0..100).flat_map(|_| [(0x34, 0), (0x35, 2)]).collect();
    assert_eq!(codes, wanted);
}
