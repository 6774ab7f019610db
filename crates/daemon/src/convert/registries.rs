//! What `info` says about registries.

use std::collections::BTreeMap;

use api::types::system::{IndexConfig, RegistryConfig};
use engine::{Insecure, Mirror, Registries};

const HUB: &str = "docker.io";
/// What is insecure without a word about it.
const LOOPBACK: [&str; 2] = ["::1/128", "127.0.0.0/8"];

pub(crate) fn config(registries: &Registries) -> RegistryConfig {
    let settings = &registries.client;
    let mirrors: Vec<String> = settings.mirrors.iter().map(super::reload::mirror).collect();
    let mirrors_of = |domain: &str| -> Vec<String> {
        let fits = |mirror: &&Mirror| mirror.registry.as_deref().is_none_or(|of| of == domain);
        let fitting = settings.mirrors.iter().filter(fits);
        fitting.map(|mirror| mirror.url.to_string()).collect()
    };
    let hub = IndexConfig {
        mirrors: mirrors_of(HUB),
        name: HUB.to_owned(),
        official: true,
        secure: true,
    };
    let mut index_configs = BTreeMap::from([(HUB.to_owned(), hub)]);
    let mut networks: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
    for insecure in &settings.insecure {
        match insecure {
            Insecure::Network { address, prefix } => networks.push(format!("{address}/{prefix}")),
            Insecure::Host(host) => {
                let index = IndexConfig {
                    name: host.clone(),
                    mirrors: mirrors_of(host),
                    ..IndexConfig::default()
                };
                index_configs.insert(host.clone(), index);
            }
        }
    }
    let mirrored = settings.mirrors.iter().filter_map(|m| m.registry.as_ref());
    for domain in registries.unqualified.iter().chain(mirrored) {
        let insecure = Insecure::Host(domain.clone());
        let secure = !settings.insecure.contains(&insecure);
        let index = || IndexConfig {
            name: domain.clone(),
            mirrors: mirrors_of(domain),
            secure,
            ..IndexConfig::default()
        };
        index_configs.entry(domain.clone()).or_insert_with(index);
    }
    RegistryConfig {
        index_configs,
        insecure_registry_cidrs: networks,
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
    }
}

/// Where names without a registry are looked for first; Docker Hub by the address of its old index, as clients know it.
pub(crate) fn index_server(registries: &Registries) -> String {
    match registries.unqualified.first().map(String::as_str) {
        None | Some(HUB) => "https://index.docker.io/v1/".to_owned(),
        Some(domain) => format!("https://{domain}/v1/"),
    }
}

/// A proxy without the password in it, as Docker shows it.
pub(crate) fn shown_proxy(proxy: Option<&str>) -> String {
    let text = proxy.unwrap_or_default();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}xxxxx:xxxxx@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_info_says() {
        let mut registries = Registries::default();
        registries
            .client
            .mirrors
            .push("https://m.example".parse().unwrap());
        for insecure in ["10.0.0.0/8", "h:5000"] {
            registries.client.insecure.push(insecure.parse().unwrap());
        }
        let shown = config(&registries);
        assert_eq!(
            shown.insecure_registry_cidrs,
            ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]
        );
        assert_eq!(shown.mirrors, Some(vec!["https://m.example/".to_owned()]));
        assert!(!shown.index_configs["h:5000"].secure);
        assert!(shown.index_configs[HUB].official);
        assert_eq!(index_server(&registries), "https://index.docker.io/v1/");
        registries.unqualified = vec!["q.io".to_owned(), "h:5000".to_owned()];
        let shown = config(&registries).index_configs;
        assert!(shown["q.io"].secure && !shown["h:5000"].secure);
        assert_eq!(index_server(&registries), "https://q.io/v1/");
    }

    #[test]
    fn mirrors_of_other_registries_are_told_too() {
        let mut registries = Registries::default();
        for mirror in ["https://hub", "ghcr.io=https://g", "*=https://all"] {
            registries.client.mirrors.push(mirror.parse().unwrap());
        }
        let shown = config(&registries);
        let all = ["https://hub/", "ghcr.io=https://g/", "*=https://all/"];
        assert_eq!(shown.mirrors.unwrap(), all);
        let of = |domain: &str| shown.index_configs[domain].mirrors.clone();
        assert_eq!(of(HUB), ["https://hub/", "https://all/"]);
        assert_eq!(of("ghcr.io"), ["https://g/", "https://all/"]);
    }

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        assert_eq!(
            shown_proxy(Some("http://u:p@h:1")),
            "http://xxxxx:xxxxx@h:1"
        );
        assert_eq!(shown_proxy(Some("http://h:1")), "http://h:1");
        assert_eq!(shown_proxy(None), "");
    }
}
