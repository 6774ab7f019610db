//! Settings about registries. The proxies of the environment count where no setting names one, as with dockerd.

use std::path::PathBuf;

use engine::{Insecure, InvalidRegistrySetting, Mirror, Proxies, Registries};

use super::ConfigError;
use super::flags::{Given, Settings};

/// Where certificates and `hosts.toml` are looked for.
const FOLDERS: [&str; 2] = ["/etc/tare/certs.d", "/etc/docker/certs.d"];

/// Where systems keep the CAs that they trust; the first that is there counts.
const TRUSTED: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn read(settings: &Settings) -> Result<Registries, ConfigError> {
    let mut registries = Registries::default();
    registries.downloads = number(settings, "max-concurrent-downloads", registries.downloads)?;
    registries.uploads = number(settings, "max-concurrent-uploads", registries.uploads)?;
    let attempts = number(settings, "max-download-attempts", 5)?;
    let client = &mut registries.client;
    client.attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    client.mirrors = each::<Mirror>(settings, "registry-mirror")?;
    client.insecure = each::<Insecure>(settings, "insecure-registry")?;
    client.folders = match settings.get("certs-dir") {
        Some(Given::Text(folder)) => vec![PathBuf::from(folder)],
        _ => FOLDERS.map(PathBuf::from).to_vec(),
    };
    client.trusted = TRUSTED.map(PathBuf::from).to_vec();
    client.proxies = proxies(settings)?;
    unqualified(settings, &mut registries)?;
    Ok(registries)
}

/// Where names without a registry are looked for: at the default registry, then at those that are searched.
fn unqualified(settings: &Settings, registries: &mut Registries) -> Result<(), ConfigError> {
    if let Some(Given::Text(domain)) = settings.get("default-registry") {
        check_domain("default-registry", domain)?;
        registries.unqualified = vec![domain.clone()];
    }
    registries.search.clone_from(&registries.unqualified);
    if let Some(Given::List(hosts)) = settings.get("search-registry") {
        for host in hosts {
            check_domain("search-registry", host)?;
            if !registries.unqualified.contains(host) {
                registries.unqualified.push(host.clone());
            }
        }
        registries.search.clone_from(hosts);
    }
    Ok(())
}

/// A registry as it stands before a name.
fn check_domain(option: &'static str, domain: &str) -> Result<(), ConfigError> {
    let named = oci::Reference::parse(&format!("{domain}/x"));
    if named.is_ok_and(|name| name.domain() == domain && !domain.contains('/')) {
        return Ok(());
    }
    Err(ConfigError::Value {
        option,
        value: domain.to_owned(),
        why: "wanted is a registry as in image names: HOST.DOMAIN, HOST:PORT or localhost"
            .to_owned(),
    })
}

fn number(settings: &Settings, name: &'static str, usual: usize) -> Result<usize, ConfigError> {
    let Some(Given::Number(number)) = settings.get(name) else {
        return Ok(usual);
    };
    match usize::try_from(*number) {
        // 0 is the usual number, as in dockerd.
        Ok(0) => Ok(usual),
        Ok(number) => Ok(number),
        Err(_) => Err(ConfigError::Value {
            option: name,
            value: number.to_string(),
            why: "not a number from 0 up".to_owned(),
        }),
    }
}

fn each<T>(settings: &Settings, name: &'static str) -> Result<Vec<T>, ConfigError>
where
    T: std::str::FromStr<Err = InvalidRegistrySetting>,
{
    let Some(Given::List(texts)) = settings.get(name) else {
        return Ok(Vec::new());
    };
    let read = |text: &String| {
        text.parse()
            .map_err(|e: InvalidRegistrySetting| invalid(name, text, &e))
    };
    texts.iter().map(read).collect()
}

fn invalid(option: &'static str, value: &str, why: &InvalidRegistrySetting) -> ConfigError {
    ConfigError::Value {
        option,
        value: value.to_owned(),
        why: why.to_string(),
    }
}

fn proxies(settings: &Settings) -> Result<Proxies, ConfigError> {
    let proxies = Proxies {
        http: proxy(settings, "http-proxy", "HTTP_PROXY")?,
        https: proxy(settings, "https-proxy", "HTTPS_PROXY")?,
        none: proxy(settings, "no-proxy", "NO_PROXY")?.unwrap_or_default(),
    };
    proxies.check().map_err(|e| invalid("proxies", "", &e))?;
    Ok(proxies)
}

/// From the flag or key of its own, from the table `proxies`, or from the environment.
fn proxy(
    settings: &Settings,
    name: &'static str,
    variable: &str,
) -> Result<Option<String>, ConfigError> {
    if let Some(Given::Text(text)) = settings.get(name) {
        return Ok(Some(text.clone()).filter(|text| !text.is_empty()));
    }
    if let Some(Given::Table(table)) = settings.get("proxies") {
        let known =
            |key: &&String| matches!(key.as_str(), "http-proxy" | "https-proxy" | "no-proxy");
        if let Some(strange) = table.keys().find(|key| !known(key)) {
            return Err(ConfigError::UnknownKeys(format!("proxies.{strange}")));
        }
        match table.get(name) {
            Some(serde_json::Value::String(text)) => return Ok(Some(text.clone())),
            Some(_) => {
                return Err(ConfigError::WrongType {
                    key: format!("proxies.{name}"),
                    got: "something else",
                    want: "string",
                });
            }
            None => {}
        }
    }
    let variables = [variable.to_owned(), variable.to_lowercase()];
    let found = variables.iter().find_map(|name| std::env::var(name).ok());
    Ok(found.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, given: Given) -> Result<Registries, ConfigError> {
        read(&Settings::from([(name, given)]))
    }

    #[test]
    fn numbers_and_lists() {
        let two = with("max-concurrent-downloads", Given::Number(2)).unwrap();
        assert_eq!(two.downloads, 2);
        assert_eq!(
            with("max-concurrent-uploads", Given::Number(0))
                .unwrap()
                .uploads,
            5
        );
        assert!(with("max-download-attempts", Given::Number(-1)).is_err());
        let mirror = Given::List(vec!["https://m".into()]);
        assert_eq!(
            with("registry-mirror", mirror)
                .unwrap()
                .client
                .mirrors
                .len(),
            1
        );
        let bad = Given::List(vec!["https://m".into()]);
        let error = with("insecure-registry", bad).unwrap_err().to_string();
        assert!(error.contains("should not contain '://'"), "{error}");
    }

    #[test]
    fn where_names_without_a_registry_are_looked_for() {
        let text = |text: &str| Given::Text(text.to_owned());
        let usual = read(&Settings::new()).unwrap();
        assert_eq!(usual.unqualified, ["docker.io"]);
        let list = || Given::List(vec!["quay.io".into(), "reg:5000".into()]);
        let both = Settings::from([
            ("default-registry", text("reg:5000")),
            ("search-registry", list()),
        ]);
        let both = read(&both).unwrap();
        assert_eq!(both.unqualified, ["reg:5000", "quay.io"]);
        assert_eq!(both.search, ["quay.io", "reg:5000"]);
        let listed = with("search-registry", list()).unwrap();
        assert_eq!(listed.unqualified, ["docker.io", "quay.io", "reg:5000"]);
        let default = with("default-registry", text("localhost")).unwrap();
        assert_eq!(
            (default.unqualified, default.search.len()),
            (vec!["localhost".to_owned()], 1)
        );
        for bad in [
            "",
            "plain",
            "https://reg:5000",
            "reg:5000/x",
            "Reg_1:5000",
            "a b.c",
        ] {
            assert!(with("default-registry", text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies_of_the_file() {
        let table = |key: &str| {
            let mut table = serde_json::Map::new();
            table.insert(key.to_owned(), "http://p:3128".into());
            Given::Table(table)
        };
        let read = with("proxies", table("https-proxy")).unwrap();
        assert_eq!(read.client.proxies.https.as_deref(), Some("http://p:3128"));
        assert!(with("proxies", table("ftp-proxy")).is_err());
        assert!(with("http-proxy", Given::Text("socks4://x".into())).is_err());
        assert!(with("http-proxy", Given::Text("socks5://x".into())).is_ok());
    }
}
