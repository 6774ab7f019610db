//! `resolv.conf` of a container, in Docker's words: made of the host's and of what the container or the daemon says instead.

use std::net::{IpAddr, SocketAddr};

use shim::keeping::{Side, Upstream};

/// The host's file, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostFile {
    servers: Vec<Address>,
    search: Vec<String>,
    options: Vec<String>,
    other: Vec<String>,
    invalid: Vec<String>,
}

/// An address as it was written, which may name a device (`fe80::1%eth0`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    text: String,
    ip: IpAddr,
    is_scoped: bool,
}

/// What replaces the host's settings; empty: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overrides<'a> {
    pub(super) servers: &'a [String],
    pub(super) search: &'a [String],
    pub(super) options: &'a [String],
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    /// As on the host.
    Host,
    /// The host's name servers, as far as they are reached from a bridge.
    Legacy { ipv6: bool },
    /// Ours, at 127.0.0.11.
    Internal,
}

const DEFAULT_V4: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
const DEFAULT_V6: [&str; 2] = ["2001:4860:4860::8888", "2001:4860:4860::8844"];
const DNS_PORT: u16 = 53;

fn address(text: &str) -> Option<Address> {
    let (bare, scope) = text.split_once('%').unwrap_or((text, ""));
    Some(Address {
        text: text.to_owned(),
        ip: bare.parse().ok()?,
        is_scoped: !scope.is_empty(),
    })
}

impl HostFile {
    pub(super) fn read(text: &str) -> Self {
        let mut file = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(keyword) = words.next().filter(|word| !word.starts_with(['#', ';'])) else {
                continue;
            };
            let rest: Vec<String> = words.map(str::to_owned).collect();
            match (keyword, rest.first()) {
                ("nameserver", Some(server)) => match address(server) {
                    Some(address) => file.servers.push(address),
                    None => file.invalid.push(server.clone()),
                },
                // The last one counts; `domain` is its old name.
                ("search" | "domain", Some(_)) => file.search = rest,
                ("options", Some(_)) => file.options.extend(rest),
                ("nameserver" | "search" | "domain" | "options", None) => {}
                _ => file.other.push(line.to_owned()),
            }
        }
        file
    }

    /// Whether all that it names is systemd's stub, which is reached from nowhere but the host.
    pub(super) fn is_stub_of_systemd(&self) -> bool {
        let stub = IpAddr::from([127, 0, 0, 53]);
        matches!(self.servers.as_slice(), [only] if only.ip == stub)
    }
}

/// The name servers that ours asks: the host's from the host's side, others from the container's.
pub(super) fn upstreams(host: &HostFile, overrides: Overrides<'_>) -> Vec<Upstream> {
    let upstream = |address: &Address, from| {
        // A device's name means nothing on the other side.
        (!address.is_scoped).then(|| Upstream {
            address: SocketAddr::new(address.ip, DNS_PORT),
            from,
        })
    };
    if overrides.servers.is_empty() {
        let servers = host.servers.iter();
        return servers
            .filter_map(|one| upstream(one, Side::Host))
            .collect();
    }
    let servers = overrides.servers.iter().filter_map(|text| address(text));
    servers
        .filter_map(|one| upstream(&one, Side::Container))
        .collect()
}

/// The text.
pub(super) fn render(host: &HostFile, overrides: Overrides<'_>, resolver: Resolver) -> String {
    let mut notes = String::new();
    let servers = match resolver {
        Resolver::Internal => {
            notes.push_str(&external(host, overrides));
            vec![network::NAME_SERVER.to_string()]
        }
        _ if !overrides.servers.is_empty() => overrides.servers.to_vec(),
        Resolver::Host => host.servers.iter().map(|one| one.text.clone()).collect(),
        Resolver::Legacy { ipv6 } => match reachable(host, ipv6) {
            servers if servers.is_empty() => {
                notes.push_str("# Used default nameservers.\n");
                default_servers(ipv6)
            }
            servers => servers,
        },
    };
    if !host.invalid.is_empty() && overrides.servers.is_empty() {
        notes.push_str(&format!(
            "# Invalid nameservers: [{}]\n",
            host.invalid.join(" ")
        ));
    }
    let mut search = match overrides.search {
        [] => host.search.clone(),
        own => own.to_vec(),
    };
    // A single dot means: no search list at all.
    search.retain(|domain| domain != ".");
    let (options, ndots) = options(host, overrides, resolver);
    let transform = match resolver {
        Resolver::Host => "",
        Resolver::Legacy { .. } => " (legacy)",
        Resolver::Internal => " (internal resolver)",
    };
    let mut text = "# Generated by Docker Engine.\n\
                    # This file can be edited; Docker Engine will not make further changes once it\n\
                    # has been modified.\n\n"
        .to_owned();
    text.extend(
        servers
            .iter()
            .map(|server| format!("nameserver {server}\n")),
    );
    for (keyword, words) in [("search", &search), ("options", &options)] {
        if !words.is_empty() {
            text.push_str(&format!("{keyword} {}\n", words.join(" ")));
        }
    }
    text.extend(host.other.iter().map(|line| format!("{line}\n")));
    text.push_str(&format!(
        "\n# Based on host file: '/etc/resolv.conf'{transform}\n{notes}# Overrides: [{}]\n",
        overridden(overrides)
    ));
    if let Some(from) = ndots {
        text.push_str(&format!("# Option ndots from: {from}\n"));
    }
    text
}

fn external(host: &HostFile, overrides: Overrides<'_>) -> String {
    let servers: Vec<String> = match overrides.servers {
        [] => host
            .servers
            .iter()
            .map(|one| format!("host({})", one.text))
            .collect(),
        own => own.to_vec(),
    };
    match servers.is_empty() {
        true => String::new(),
        false => format!("# ExtServers: [{}]\n", servers.join(" ")),
    }
}

/// From a bridge no name server on the host's loopback is reached, and over IPv6 only with an address.
fn reachable(host: &HostFile, ipv6: bool) -> Vec<String> {
    let servers = host.servers.iter();
    let reached = servers.filter(|one| !one.ip.is_loopback() && (one.ip.is_ipv4() || ipv6));
    reached.map(|one| one.text.clone()).collect()
}

fn default_servers(ipv6: bool) -> Vec<String> {
    let of_v6 = DEFAULT_V6.iter().filter(|_| ipv6);
    let all = DEFAULT_V4.iter().chain(of_v6);
    all.map(|&server| server.to_owned()).collect()
}

/// With our own server single words are to be looked up as they are; who sets `ndots` wants it otherwise.
fn options(
    host: &HostFile,
    overrides: Overrides<'_>,
    resolver: Resolver,
) -> (Vec<String>, Option<&'static str>) {
    let (mut options, from) = match overrides.options {
        [] => (host.options.clone(), "host"),
        own => (own.to_vec(), "override"),
    };
    if options.iter().any(|option| option.starts_with("ndots:")) {
        return (options, Some(from));
    }
    if resolver != Resolver::Internal {
        return (options, None);
    }
    options.push("ndots:0".to_owned());
    (options, Some("internal"))
}

fn overridden(overrides: Overrides<'_>) -> String {
    let all = [
        (overrides.servers, "nameservers"),
        (overrides.search, "search"),
        (overrides.options, "options"),
    ];
    let set = all.iter().filter(|(own, _)| !own.is_empty());
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# note\nnameserver 10.255.255.53\nnameserver nonsense\n";

    /// What follows the heading, as the real Docker 28 writes it.
    fn check(host: &str, overrides: Overrides<'_>, resolver: Resolver, expect: &str) {
        let text = render(&HostFile::read(host), overrides, resolver);
        let (heading, rest) = text.split_once("\n\n").unwrap();
        assert_eq!(heading.lines().count(), 3);
        assert_eq!(rest, expect);
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn reads_as_docker_s() {
        let none = Overrides::default();
        let plain = "nameserver 10.255.255.53\n";
        check(
            plain,
            none,
            Resolver::Internal,
            "nameserver 127.0.0.11\noptions ndots:0\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n\
             # ExtServers: [host(10.255.255.53)]\n# Overrides: []\n# Option ndots from: internal\n",
        );
        check(
            plain,
            none,
            Resolver::Legacy { ipv6: false },
            "nameserver 10.255.255.53\n\n# Based on host file: '/etc/resolv.conf' (legacy)\n# Overrides: []\n",
        );
        check(
            plain,
            none,
            Resolver::Host,
            "nameserver 10.255.255.53\n\n# Based on host file: '/etc/resolv.conf'\n# Overrides: []\n",
        );
    }

    #[test]
    fn overrides_are_named() {
        let (servers, search) = (strings(&["8.8.8.8"]), strings(&["a.b", "c.d"]));
        let options = strings(&["timeout:3", "ndots:2"]);
        let all = Overrides {
            servers: &servers,
            search: &search,
            options: &options,
        };
        check(
            HOST,
            all,
            Resolver::Internal,
            "nameserver 127.0.0.11\nsearch a.b c.d\noptions timeout:3 ndots:2\n\n\
             # Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [8.8.8.8]\n\
             # Overrides: [nameservers search options]\n# Option ndots from: override\n",
        );
        let options = strings(&["timeout:3", "attempts:2"]);
        let some = Overrides {
            options: &options,
            ..Overrides::default()
        };
        check(
            "nameserver 10.0.0.1\nsearch old\nsearch x\nsortlist 1\n",
            some,
            Resolver::Internal,
            "nameserver 127.0.0.11\nsearch x\noptions timeout:3 attempts:2 ndots:0\nsortlist 1\n\n\
             # Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [host(10.0.0.1)]\n\
             # Overrides: [options]\n# Option ndots from: internal\n",
        );
        let dot = strings(&["."]);
        let no_search = Overrides {
            search: &dot,
            ..Overrides::default()
        };
        check(
            "nameserver 10.0.0.1\nsearch x\n",
            no_search,
            Resolver::Host,
            "nameserver 10.0.0.1\n\n# Based on host file: '/etc/resolv.conf'\n# Overrides: [search]\n",
        );
    }

    #[test]
    fn what_a_bridge_does_not_reach_is_replaced() {
        check(
            "nameserver 127.0.0.53\nnameserver 2001:db8::1\noptions ndots:1\n",
            Overrides::default(),
            Resolver::Legacy { ipv6: false },
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\noptions ndots:1\n\n\
             # Based on host file: '/etc/resolv.conf' (legacy)\n# Used default nameservers.\n# Overrides: []\n\
             # Option ndots from: host\n",
        );
        assert!(HostFile::read("nameserver 127.0.0.53\n").is_stub_of_systemd());
    }

    #[test]
    fn the_host_s_servers_are_asked_from_the_host() {
        let host = HostFile::read("nameserver 127.0.0.53\nnameserver fe80::1%eth0\n");
        let upstream = |address: &str, from| Upstream {
            address: address.parse().unwrap(),
            from,
        };
        assert_eq!(
            upstreams(&host, Overrides::default()),
            [upstream("127.0.0.53:53", Side::Host)]
        );
        let servers = strings(&["::1", "9.9.9.9"]);
        let own = Overrides {
            servers: &servers,
            ..Overrides::default()
        };
        assert_eq!(
            upstreams(&host, own),
            [
                upstream("[::1]:53", Side::Container),
                upstream("9.9.9.9:53", Side::Container)
            ]
        );
    }
}
