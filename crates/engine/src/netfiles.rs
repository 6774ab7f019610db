//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use network::Endpoint;

use crate::config::Config;
use crate::container::Container;
use crate::error::{Context as _, Result};
use crate::options::ContainerOptions;
use crate::shared::Shared;

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                     ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// Writes all three. A resolv.conf that is there stays: the user may have changed it from inside.
pub(crate) fn write(
    folder: &Path,
    hostname: &str,
    container: &Container,
    shared: &Shared,
) -> Result<()> {
    let options = &container.birth.options;
    let endpoints = endpoints(container);
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).context(|| format!("write {}", path.display()))
    };
    put("hostname", format!("{hostname}\n"))?;
    let mut text = hosts(options, gateway(options, shared)?);
    for endpoint in &endpoints {
        text.push_str(&lines(endpoint, hostname, &options.domainname));
    }
    put("hosts", text)?;
    if !folder.join("resolv.conf").exists() {
        let of_host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        put(
            "resolv.conf",
            resolv_conf(&reachable(of_host, &endpoints), options, &shared.config),
        )?;
    }
    Ok(())
}

/// Where containers reach the host, if one is to know that.
fn gateway(options: &ContainerOptions, shared: &Shared) -> Result<Option<IpAddr>> {
    let mut entries = options.host.extra_hosts.iter();
    let wanted = entries.any(|entry| entry.ends_with(":host-gateway"));
    wanted.then(|| shared.networks.host_gateway()).transpose()
}

fn endpoints(container: &Container) -> Vec<Endpoint> {
    let live = container.live();
    let places = live.places.iter();
    places.filter_map(|place| place.endpoint.clone()).collect()
}

/// The container's own names, at each of an endpoint's addresses.
fn lines(endpoint: &Endpoint, hostname: &str, domain: &str) -> String {
    let names = match (domain, hostname.split_once('.')) {
        ("", Some((first, _))) => format!("{hostname} {first}"),
        ("", None) => hostname.to_owned(),
        (domain, _) => format!("{hostname}.{domain} {hostname}"),
    };
    let addresses = endpoint.addresses();
    addresses
        .map(|address| format!("{}\t{names}\n", address.ip))
        .collect()
}

/// From a bridge no name server on the host's loopback is reached: without any other, Docker's choice.
fn reachable(of_host: String, endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return of_host;
    }
    let server = |line: &str| -> Option<String> {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next().unwrap_or_default().to_owned())
    };
    let is_near = |line: &&str| {
        let address = server(line).and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some_and(|ip| ip.is_loopback())
    };
    let mut text: String = of_host
        .lines()
        .filter(|line| !is_near(line))
        .map(|line| format!("{line}\n"))
        .collect();
    if !text.lines().any(|line| server(line).is_some()) {
        text.push_str("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
    }
    text
}

/// Adds the addresses of an endpoint that a running container has got. The file stays the same one, which is mounted.
pub(crate) fn add_addresses(
    shared: &Shared,
    container: &Container,
    endpoint: &Endpoint,
) -> Result<()> {
    let options = &container.birth.options;
    let hostname = crate::launch::hostname(container, None, &shared.host);
    change(shared, container, |mut text| {
        text.push_str(&lines(endpoint, &hostname, &options.domainname));
        text
    })
}

/// Takes them out again.
pub(crate) fn remove_addresses(
    shared: &Shared,
    container: &Container,
    endpoint: &Endpoint,
) -> Result<()> {
    let is_its = |line: &&str| {
        let address = line
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        endpoint.addresses().any(|own| Some(own.ip) == address)
    };
    change(shared, container, |text| {
        let left = text.lines().filter(|line| !is_its(line));
        left.map(|line| format!("{line}\n")).collect()
    })
}

fn change(
    shared: &Shared,
    container: &Container,
    change: impl FnOnce(String) -> String,
) -> Result<()> {
    let path = shared.paths.container(&container.birth.id).join("hosts");
    let text = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
    fs::write(&path, change(text)).context(|| format!("write {}", path.display()))
}

/// The host's with the host's network, else loopback; then what `--add-host` says.
fn hosts(options: &ContainerOptions, gateway: Option<IpAddr>) -> String {
    let mut text = match options.host.network_mode.as_str() {
        "host" => fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.to_owned()),
        _ => HOSTS.to_owned(),
    };
    for entry in &options.host.extra_hosts {
        if let Some((name, address)) = entry.split_once(':') {
            let address = match (address, gateway) {
                ("host-gateway", Some(gateway)) => gateway.to_string(),
                _ => address.trim_matches(['[', ']']).to_owned(),
            };
            text.push_str(&format!("{address}\t{name}\n"));
        }
    }
    text
}

/// The host's resolvers unless the container or the daemon name others.
fn resolv_conf(of_host: &str, options: &ContainerOptions, config: &Config) -> String {
    let chosen = |own: &[String], default: &[String]| {
        if own.is_empty() {
            default.to_vec()
        } else {
            own.to_vec()
        }
    };
    let servers = chosen(&options.host.dns, &config.dns);
    let search = chosen(&options.host.dns_search, &config.dns_search);
    let dns_options = chosen(&options.host.dns_options, &config.dns_options);
    if servers.is_empty() && search.is_empty() && dns_options.is_empty() {
        return of_host.to_owned();
    }
    let kept = |keyword: &str, replaced: bool| {
        let lines = of_host
            .lines()
            .filter(|line| !replaced && line.split_whitespace().next() == Some(keyword));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let mut text = kept("nameserver", !servers.is_empty());
    text.extend(
        servers
            .iter()
            .map(|server| format!("nameserver {server}\n")),
    );
    text.push_str(&kept("search", !search.is_empty()));
    // A single dot means: no search list at all.
    if !search.is_empty() && search != ["."] {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    text.push_str(&kept("options", !dns_options.is_empty()));
    if !dns_options.is_empty() {
        text.push_str(&format!("options {}\n", dns_options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_replaced_key_by_key() {
        let of_host = "# note\nnameserver 1.1.1.1\nsearch example.org\noptions ndots:1\n";
        let config = Config::new("/d", "/e", "/s");
        let mut options = ContainerOptions::default();
        assert_eq!(resolv_conf(of_host, &options, &config), of_host);
        options.host.dns = vec!["9.9.9.9".into()];
        assert_eq!(
            resolv_conf(of_host, &options, &config),
            "nameserver 9.9.9.9\nsearch example.org\noptions ndots:1\n"
        );
        options.host.dns_search = vec![".".into()];
        assert_eq!(
            resolv_conf(of_host, &options, &config),
            "nameserver 9.9.9.9\noptions ndots:1\n"
        );
    }

    #[test]
    fn added_hosts_follow() {
        let mut options = ContainerOptions::default();
        options.host.extra_hosts = vec!["db:10.0.0.1".into(), "six:[::2]".into()];
        assert!(hosts(&options, None).ends_with("ip6-allrouters\n10.0.0.1\tdb\n::2\tsix\n"));
    }
}
