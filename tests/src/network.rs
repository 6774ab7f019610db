//! A network namespace for a daemon: a host of its own as far as devices, addresses and firewalls go.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Held open for as long as the daemon may be started again. It ends with its last process.
pub struct OwnNetwork {
    file: File,
}

impl OwnNetwork {
    pub(crate) fn new() -> OwnNetwork {
        // The shell tells when it is in its new namespace, and stays until it has been opened.
        let mut shell = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo in; read done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run unshare");
        let mut said = [0; 3];
        let stdout = shell.stdout.as_mut().expect("its output");
        stdout.read_exact(&mut said).expect("hear from unshare");
        let file = File::open(format!("/proc/{}/ns/net", shell.id())).expect("open the namespace");
        drop(shell.stdin.take());
        shell.wait().expect("wait for the shell");
        OwnNetwork { file }
    }

    /// That of a process, a container's for instance.
    pub fn of(pid: i64) -> OwnNetwork {
        let file = File::open(format!("/proc/{pid}/ns/net")).expect("open the namespace");
        OwnNetwork { file }
    }

    /// A command that will run in it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        let file = format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd());
        command.arg(format!("--net={file}")).arg(program.as_ref());
        command
    }

    /// Does something in it, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.file.as_fd(), kind).expect("enter the namespace");
                work()
            });
            thread.join().expect("work in the namespace")
        })
    }

    /// Brings its loopback device up.
    pub fn bring_loopback_up(&self) {
        let mut command = self.command(Path::new("busybox"));
        let done = command.args(["ip", "link", "set", "lo", "up"]).status();
        assert!(done.is_ok_and(|status| status.success()), "bring lo up");
    }

    /// Another machine, 198.51.100.2, on a cable of this host's, which is 198.51.100.1 there.
    pub fn outside(&self) -> Outside<'_> {
        Outside::new(self)
    }

    /// The names of its nftables tables.
    pub fn tables(&self) -> Vec<String> {
        self.inside(nftables).expect("list the tables")
    }

    /// Hears of tables from now on.
    pub fn watch_tables(&self) -> TableWatch {
        let open = || {
            let socket = netfilter()?;
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, CHANGES))?;
            Ok::<_, std::io::Error>(TableWatch(socket))
        };
        self.inside(open).expect("listen for changes of the tables")
    }

    /// The names of its devices.
    pub fn devices(&self) -> Vec<String> {
        let table = self.inside(|| fs::read_to_string("/proc/thread-self/net/dev"));
        let table = table.expect("read the devices");
        let lines = table.lines().skip(2);
        let names = lines.filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// A machine outside of a host.
pub struct Outside<'a> {
    host: &'a OwnNetwork,
    machine: OwnNetwork,
    wiring: network::Host,
}

impl<'a> Outside<'a> {
    fn new(host: &'a OwnNetwork) -> Self {
        let machine = OwnNetwork::new();
        // The cable is a bridge of somebody else's, of which the host knows nothing.
        let wiring = host.inside(|| wire(machine.file.as_fd()).expect("wire the outside"));
        Outside {
            host,
            machine,
            wiring,
        }
    }

    /// Does something on that machine, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.machine.inside(work)
    }
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        let removed = self.host.inside(|| self.wiring.remove_all());
        if !std::thread::panicking() {
            removed.expect("remove the cable");
        }
    }
}

fn wire(machine: std::os::fd::BorrowedFd<'_>) -> network::Result<network::Host> {
    let id = |digit: &str| digit.repeat(64).parse::<network::Identity>();
    let mut bridge = network::Bridge::new("cable".parse()?);
    bridge.masquerade = false;
    bridge.gateway_mode_v4 = network::GatewayMode::NatUnprotected;
    bridge.gateway_mode_v6 = network::GatewayMode::NatUnprotected;
    let cable = network::Network {
        id: id("0")?,
        driver: network::Driver::Bridge(bridge),
        v4: Some(network::Subnet::new("198.51.100.0/24".parse()?)),
        v6: Some(network::Subnet::new("2001:db8::/64".parse()?)),
        more: Vec::new(),
        internal: false,
        mtu: None,
    };
    let end = network::Endpoint {
        id: id("1")?,
        device: "eth0".parse()?,
        mac: network::Mac::of([198, 51, 100, 2].into()),
        v4: Some("198.51.100.2/24".parse()?),
        v6: Some("2001:db8::2/64".parse()?),
        extra: Vec::new(),
        gateway_v4: Some([198, 51, 100, 1].into()),
        gateway_v6: None,
        routes: Vec::new(),
        sysctls: Vec::new(),
        names: false,
        any_source: true,
        ports: Vec::new(),
        carried: false,
    };
    let host = network::Host::open(network::Owner::of("outside"))?;
    host.create(&cable)?;
    host.connect(&cable, &end, machine)?;
    Ok(host)
}

/// `NFNLGRP_NFTABLES`, as a bit.
const CHANGES: u32 = 1 << 6;

/// What is told of changed tables.
pub struct TableWatch(OwnedFd);

impl TableWatch {
    /// Until a transaction is over in which a table was made whose name begins so.
    pub fn wait_for(&self, begin: &str) {
        let mut buffer = vec![0; 64 << 10];
        let (mut is_made, mut is_over) = (false, false);
        while !is_over {
            let received = recv(&self.0, &mut buffer[..], RecvFlags::empty());
            let (_, length) = received.expect("hear of changes of the tables");
            for (kind, message) in messages(&buffer[..length]) {
                is_made |= kind == 0x0a00 && table_name(message).starts_with(begin);
                is_over |= is_made && kind == 0x0a0f;
            }
        }
    }
}

fn netfilter() -> std::io::Result<OwnedFd> {
    let kind = Some(netlink::NETFILTER);
    let flags = SocketFlags::CLOEXEC;
    Ok(socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        kind,
    )?)
}

/// The messages of a datagram, each with its kind.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<16>()?;
        let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let message = rest.get(..size.max(16)).unwrap_or(rest);
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message))
    })
}

/// Asks the kernel for all tables (linux/netfilter/nf_tables.h).
fn nftables() -> std::io::Result<Vec<String>> {
    let socket = netfilter()?;
    // NFT_MSG_GETTABLE of the subsystem nftables, as a dump; behind it the header of netfilter, for all families.
    let mut request = 20u32.to_ne_bytes().to_vec();
    request.extend(0x0a01u16.to_ne_bytes());
    request.extend(0x0301u16.to_ne_bytes());
    request.extend([0; 12]);
    sendto(
        &socket,
        &request,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut tables = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (_, length) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        for (kind, message) in messages(&buffer[..length]) {
            match kind {
                0x0a00 => tables.push(table_name(message)),
                // Done, or an error: a kernel without nftables has no tables.
                _ => return Ok(tables),
            }
        }
    }
}

/// The first attribute is the name.
fn table_name(message: &[u8]) -> String {
    let length = message
        .get(20..22)
        .map_or(0, |b| usize::from(u16::from_ne_bytes([b[0], b[1]])));
    let name = message.get(24..20 + length).unwrap_or_default();
    String::from_utf8_lossy(name)
        .trim_end_matches('\0')
        .to_owned()
}
