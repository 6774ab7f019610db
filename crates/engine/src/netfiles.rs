//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container.

mod resolv;

use std::fs::{self, File};
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use network::Endpoint;
use shim::keeping::Upstream;

use crate::config::Config;
use crate::container::Container;
use crate::error::{Context as _, Error, Result};
use crate::options::ContainerOptions;
use crate::shared::Shared;
use resolv::{HostFile, Overrides, Resolver};

/// The host's, and what systemd's stub on loopback knows when that is all the first one names.
const HOST_FILE: &str = "/etc/resolv.conf";
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                     ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// How much is read of a file that the container can write.
const MOST: u64 = 1 << 20;

/// Where IPv6 is off.
const HOSTS_V4: &str = "127.0.0.1\tlocalhost\n";

/// Writes all three, with the lines of `linked` containers in the second. A resolv.conf that the user has changed stays.
pub(crate) fn write(
    folder: &Path,
    (hostname, linked): (&str, &str),
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
    text.push_str(linked);
    for endpoint in &endpoints {
        text.push_str(&lines(endpoint, hostname, &options.domainname));
    }
    put("hosts", text)?;
    let resolver = resolver(shared, container, &endpoints);
    write_resolv_conf(folder, shared, container, resolver)
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
        (domain, first) => {
            let first = first.map_or(hostname, |(first, _)| first);
            format!("{hostname}.{domain} {first}")
        }
    };
    let addresses = endpoint.addresses();
    addresses
        .map(|address| format!("{}\t{names}\n", address.ip))
        .collect()
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
    let options = &container.birth.options;
    let hostname = crate::launch::hostname(container, None, &shared.host);
    // What the user has said of the same address stays.
    let own = lines(endpoint, &hostname, &options.domainname);
    change(shared, container, |text| {
        without(&text, |line| own.lines().any(|one| one == line))
    })
}

/// Puts the container that these words mean at the addresses of an endpoint, in place of where it was.
pub(crate) fn relocate(
    shared: &Shared,
    container: &Container,
    words: &str,
    endpoint: &Endpoint,
) -> Result<()> {
    let is_its = |line: &&str| {
        line.split_once('\t')
            .is_some_and(|(_, names)| names == words)
    };
    change(shared, container, |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = lines.iter().position(|line| is_its(&line.as_str()));
        lines.retain(|line| !is_its(&line.as_str()));
        let at = at.unwrap_or(lines.len());
        let new = endpoint
            .addresses()
            .map(|address| format!("{}\t{words}", address.ip));
        lines.splice(at..at, new);
        lines.iter().map(|line| format!("{line}\n")).collect()
    })
}

/// Takes out the lines of the container that these words mean.
pub(crate) fn forget(shared: &Shared, container: &Container, words: &str) -> Result<()> {
    let is_its = |line: &str| {
        line.split_once('\t')
            .is_some_and(|(_, names)| names == words)
    };
    change(shared, container, |text| without(&text, is_its))
}

fn without(text: &str, is_out: impl Fn(&str) -> bool) -> String {
    let left = text.lines().filter(|line| !is_out(line));
    left.map(|line| format!("{line}\n")).collect()
}

fn change(
    shared: &Shared,
    container: &Container,
    change: impl FnOnce(String) -> String,
) -> Result<()> {
    let path = shared.paths.container(&container.birth.id).join("hosts");
    let bytes = read_bounded(&path)?.ok_or_else(|| {
        Error::invalid(format!(
            "{} has become larger than {MOST} bytes: it is left alone",
            path.display()
        ))
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    fs::write(&path, change(text)).context(|| format!("write {}", path.display()))
}

/// A file that the container can write as it likes; `None` if it is larger than any that is of use.
fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .context(|| format!("read {}", path.display()))?;
    Ok((bytes.len() as u64 <= MOST).then_some(bytes))
}

/// The host's with the host's network, else loopback; then what `--add-host` says.
fn hosts(options: &ContainerOptions, gateway: Option<IpAddr>) -> String {
    let mut text = match options.host.network_mode.as_str() {
        "host" => fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.to_owned()),
        _ if has_ipv6(options) => HOSTS.to_owned(),
        _ => HOSTS_V4.to_owned(),
    };
    for entry in &options.host.extra_hosts {
        if let Some((name, address)) = entry.split_once(':') {
            let address = match (address, gateway) {
                ("host-gateway", Some(gateway)) => gateway.to_string(),
                _ => address.trim_matches(['[', ']']).to_owned(),
            };
            if has_ipv6(options) || address.parse::<std::net::Ipv6Addr>().is_err() {
                text.push_str(&format!("{address}\t{name}\n"));
            }
        }
    }
    text
}

/// Whether the container has IPv6 on loopback: names with addresses of a family that it has not are no help to it, as with Docker.
fn has_ipv6(options: &ContainerOptions) -> bool {
    let off = |name: &str| {
        let name = format!("net.ipv6.conf.{name}.disable_ipv6");
        options
            .host
            .sysctls
            .get(&name)
            .is_some_and(|value| value == "1")
    };
    !off("all") && !off("lo")
}

/// What the container, else the daemon, says of resolvers.
fn overrides<'a>(options: &'a ContainerOptions, config: &'a Config) -> Overrides<'a> {
    let chosen = |own: &'a [String], default: &'a [String]| match own {
        [] => default,
        own => own,
    };
    let host = &options.host;
    Overrides {
        servers: chosen(&host.dns, &config.dns),
        search: chosen(&host.dns_search, &config.dns_search),
        options: chosen(&host.dns_options, &config.dns_options),
    }
}

/// The name servers that ours asks for this container.
pub(crate) fn upstreams(shared: &Shared, container: &Container) -> Vec<Upstream> {
    let host = HostFile::read(&of_host());
    resolv::upstreams(&host, overrides(&container.birth.options, &shared.config))
}

fn of_host() -> String {
    fs::read_to_string(HOST_FILE).unwrap_or_default()
}

fn resolver(shared: &Shared, container: &Container, endpoints: &[Endpoint]) -> Resolver {
    let mode = container.birth.options.host.network_mode.as_str();
    let live = container.live();
    let mut places = live.places.iter().filter(|place| place.endpoint.is_some());
    if mode == "host" {
        Resolver::Host
    } else if places.any(|place| {
        place
            .network
            .as_ref()
            .is_some_and(|id| shared.networks.has_names(id))
    }) {
        Resolver::Internal
    } else {
        Resolver::Legacy {
            ipv6: endpoints.iter().any(|endpoint| endpoint.v6.is_some()),
        }
    }
}

/// Writes resolv.conf, unless somebody has changed it since we wrote it.
fn write_resolv_conf(
    folder: &Path,
    shared: &Shared,
    container: &Container,
    resolver: Resolver,
) -> Result<()> {
    let (path, note) = (folder.join("resolv.conf"), folder.join("resolv.conf.hash"));
    let hash = |text: &[u8]| oci::Digest::sha256(text).to_string();
    let is_changed = match read_bounded(&path) {
        Ok(Some(there)) => fs::read_to_string(&note).ok() != Some(hash(&there)),
        Ok(None) => true,
        Err(_) => false,
    };
    if is_changed {
        return Ok(());
    }
    let mut host = HostFile::read(&of_host());
    if matches!(resolver, Resolver::Legacy { .. }) && host.is_stub_of_systemd() {
        let behind = fs::read_to_string(BEHIND_STUB);
        host = behind.map_or(host, |text| HostFile::read(&text));
    }
    let text = resolv::render(
        &host,
        overrides(&container.birth.options, &shared.config),
        resolver,
    );
    fs::write(&path, &text).context(|| format!("write {}", path.display()))?;
    fs::write(&note, hash(text.as_bytes())).context(|| format!("write {}", note.display()))
}

/// A running container has got a name server of its own.
pub(crate) fn use_own_server(shared: &Shared, container: &Container) -> Result<()> {
    let folder = shared.paths.container(&container.birth.id);
    write_resolv_conf(&folder, shared, container, Resolver::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_hosts_follow() {
        let mut options = ContainerOptions::default();
        options.host.extra_hosts = vec!["db:10.0.0.1".into(), "six:[::2]".into()];
        assert!(hosts(&options, None).ends_with("ip6-allrouters\n10.0.0.1\tdb\n::2\tsix\n"));
        let off = "net.ipv6.conf.all.disable_ipv6".to_owned();
        options.host.sysctls.insert(off, "1".to_owned());
        assert_eq!(
            hosts(&options, None),
            "127.0.0.1\tlocalhost\n10.0.0.1\tdb\n"
        );
    }

    /// A container that fills its hosts file is not to fill the daemon's memory.
    #[test]
    fn only_so_much_is_read_of_a_file_that_a_container_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, b"\xff\n").unwrap();
        assert_eq!(read_bounded(file.path()).unwrap().unwrap(), b"\xff\n");
        file.as_file().set_len(MOST).unwrap();
        assert_eq!(read_bounded(file.path()).unwrap().unwrap().len(), 1 << 20);
        file.as_file().set_len(1 << 40).unwrap();
        assert!(read_bounded(file.path()).unwrap().is_none());
    }
}
