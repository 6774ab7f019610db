//! `--network`: a name, or `name=...,alias=...` and what else the container is to be like there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::types::network::{EndpointIpam, EndpointSettings};

/// One `--network`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) settings: EndpointSettings,
}

/// Reads one.
pub(crate) fn parse(text: &str) -> Result<Attachment, String> {
    let mut attachment = Attachment::default();
    let has_keys = text.split(',').any(|field| field.contains('='));
    if !has_keys {
        text.clone_into(&mut attachment.name);
        return name_given(attachment, text);
    }
    let settings = &mut attachment.settings;
    for field in text.split(',') {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "name" => value.clone_into(&mut attachment.name),
            "alias" => settings
                .aliases
                .get_or_insert_default()
                .push(value.to_owned()),
            "driver-opt" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| "invalid key value pair format in driver options".to_owned())?;
                let options = settings.driver_opts.get_or_insert_default();
                options.insert(name.to_owned(), value.to_owned());
            }
            "ip" => value.clone_into(&mut ipam(settings).ipv4_address),
            "ip6" => value.clone_into(&mut ipam(settings).ipv6_address),
            "link-local-ip" => ipam(settings).link_local_ips.push(value.to_owned()),
            "mac-address" => settings.mac_address = mac(value)?,
            "gw-priority" => {
                settings.gw_priority = value
                    .parse()
                    .map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    name_given(attachment, text)
}

fn name_given(attachment: Attachment, text: &str) -> Result<Attachment, String> {
    let joins = attachment.name.strip_prefix("container:");
    if attachment.name.is_empty() || joins == Some("") {
        return Err(format!("invalid network name in {text:?}: it is empty"));
    }
    Ok(attachment)
}

/// Where the addresses that were asked for stand.
pub(crate) fn ipam(settings: &mut EndpointSettings) -> &mut EndpointIpam {
    settings.ipam_config.get_or_insert_default()
}

/// A hardware address; Docker's words if it is none.
pub(crate) fn mac(text: &str) -> Result<String, String> {
    let pairs: Vec<_> = text.split([':', '-']).collect();
    let good = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if pairs.len() == 6 && pairs.iter().all(good) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text} is not a valid mac address"))
    }
}

/// A line of /etc/hosts as the daemon wants it, `NAME:ADDRESS`; Docker's words if it is none.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let split = text.split_once([':', '=']);
    let Some((name, address)) =
        split.filter(|(name, address)| !name.is_empty() && !address.is_empty())
    else {
        return Err(format!("bad format for add-host: {text:?}"));
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(format!("{name}:{bare}"))
}

/// Whether it is a line of /etc/hosts.
pub(crate) fn check_host(text: &str) -> Result<(), String> {
    host(text).map(drop)
}

/// Whether it is a name server's address.
pub(crate) fn check_server(text: &str) -> Result<(), String> {
    match text.trim().parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// Whether names can be searched in it; `.` is for none.
pub(crate) fn check_domain(text: &str) -> Result<(), String> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let trimmed = text.trim();
    let name = trimmed.strip_suffix('.').unwrap_or(trimmed);
    if trimmed == "." || name.len() < 254 && name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(format!("{text} is not a valid domain"))
    }
}

/// Whether it is one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// What the flags for one network say; Docker takes them for the first one.
pub(crate) fn settings_by_name(
    attachments: Vec<Attachment>,
) -> Result<BTreeMap<String, EndpointSettings>, String> {
    let several = attachments.len() > 1;
    let mut all = BTreeMap::new();
    for Attachment { name, settings } in attachments {
        let is_own = matches!(name.as_str(), "host" | "none") || name.starts_with("container:");
        if several && is_own {
            return Err(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                    .to_owned(),
            );
        }
        if all.contains_key(&name) {
            return Err(format!("network {name:?} is specified multiple times"));
        }
        all.insert(name, settings);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_etc_hosts() {
        for (text, line) in [
            ("a:1.2.3.4", "a:1.2.3.4"),
            ("a=::1", "a:::1"),
            ("a:[::2]", "a:::2"),
            ("a:host-gateway", "a:host-gateway"),
        ] {
            assert_eq!(host(text).unwrap(), line);
        }
        assert_eq!(host("a").unwrap_err(), "bad format for add-host: \"a\"");
        assert_eq!(
            host("a:b").unwrap_err(),
            "invalid IP address in add-host: \"b\""
        );
    }

    #[test]
    fn servers_and_domains() {
        assert!(check_server("1.1.1.1").is_ok() && check_server("fd00::1").is_ok());
        let wrong = check_server("foo").unwrap_err();
        assert_eq!(wrong, "IP address is not correctly formatted: foo");
        for domain in [".", "a", "corp.example", "a_b.c.", "x-y.z"] {
            assert!(check_domain(domain).is_ok(), "{domain}");
        }
        for wrong in ["", "a b", "a..b", "a/b"] {
            assert!(check_domain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_fields() {
        assert_eq!(parse("none").unwrap().name, "none");
        assert_eq!(parse("container:x").unwrap().name, "container:x");
        let read =
            parse("name=web,alias=a,alias=b,ip=10.0.0.9,gw-priority=5,driver-opt=k=v").unwrap();
        assert_eq!(read.name, "web");
        let settings = read.settings;
        assert_eq!(settings.aliases.unwrap(), ["a", "b"]);
        assert_eq!(settings.ipam_config.unwrap().ipv4_address, "10.0.0.9");
        assert_eq!(
            (
                settings.gw_priority,
                settings.driver_opts.unwrap()["k"].as_str()
            ),
            (5, "v")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, error: &str| assert_eq!(parse(text).unwrap_err(), error);
        check("name=x,foo=y", "invalid field key foo");
        check("name=x,mac-address=foo", "foo is not a valid mac address");
        check(
            "container:",
            "invalid network name in \"container:\": it is empty",
        );
        assert!(parse("alias=x").is_err());
    }
}
