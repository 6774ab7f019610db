//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container.

use std::fs;
use std::path::Path;

use crate::config::Config;
use crate::error::{Context as _, Result};
use crate::options::ContainerOptions;
use crate::shared::Shared;

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                     ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// Writes all three. A resolv.conf that is there stays: the user may have changed it from inside.
pub(crate) fn write(
    folder: &Path,
    hostname: &str,
    options: &ContainerOptions,
    shared: &Shared,
) -> Result<()> {
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).context(|| format!("write {}", path.display()))
    };
    put("hostname", format!("{hostname}\n"))?;
    put("hosts", hosts(options))?;
    if !folder.join("resolv.conf").exists() {
        let of_host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        put(
            "resolv.conf",
            resolv_conf(&of_host, options, &shared.config),
        )?;
    }
    Ok(())
}

/// The host's with the host's network, else loopback; then what `--add-host` says.
fn hosts(options: &ContainerOptions) -> String {
    let mut text = match options.host.network_mode.as_str() {
        "host" => fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.to_owned()),
        _ => HOSTS.to_owned(),
    };
    for entry in &options.host.extra_hosts {
        if let Some((name, address)) = entry.split_once(':') {
            text.push_str(&format!("{}\t{name}\n", address.trim_matches(['[', ']'])));
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
        assert!(hosts(&options).ends_with("ip6-allrouters\n10.0.0.1\tdb\n::2\tsix\n"));
    }
}
