//! `-p` and `--expose`: the forms that Docker's client takes, and its words for others.

use std::net::IpAddr;

use api::types::Set;
use api::types::network::{PortBinding, PortMap};

/// One port of a container and where it is to be.
#[derive(Debug, PartialEq)]
pub(crate) struct Publication {
    /// `80/tcp`.
    pub(crate) port: String,
    pub(crate) binding: PortBinding,
}

/// All of them, by the container's port.
pub(crate) fn publish<'a>(specs: impl Iterator<Item = &'a str>) -> Result<PortMap, String> {
    let mut map = PortMap::new();
    for spec in specs {
        for one in parse(spec)? {
            let bindings = map.entry(one.port).or_default();
            bindings.get_or_insert_default().push(one.binding);
        }
    }
    Ok(map)
}

/// What is exposed without being published.
pub(crate) fn expose<'a>(specs: impl Iterator<Item = &'a str>) -> Result<Set, String> {
    let mut all = Set::new();
    for spec in specs {
        if spec.contains(':') {
            return Err(format!("invalid port format for --expose: {spec}"));
        }
        let (numbers, protocol) = split_protocol(spec);
        let (first, last) = range(numbers)
            .map_err(|why| format!("invalid range format for --expose: {spec}, error: {why}"))?;
        for number in first..=last {
            all.insert(format!("{number}/{protocol}"), Default::default());
        }
    }
    Ok(all)
}

/// `[[ip:][host]:]container[/protocol]`, with ranges; or `published=80,target=8080,protocol=tcp`.
pub(crate) fn parse(text: &str) -> Result<Vec<Publication>, String> {
    if text.contains('=') {
        return parse(&plain(text)?);
    }
    let (ip, host, container) = split(text);
    let (container, protocol) = split_protocol(container);
    let ip = address(ip)?;
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let (first, last) =
        range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let on_host = match host {
        "" => None,
        host => Some(range(host).map_err(|_| format!("invalid hostPort: {host}"))?),
    };
    if let Some((start, end)) = on_host
        && last - first != end - start
        && first != last
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    let one = |number: u16| {
        let host_port = match on_host {
            None => String::new(),
            // Of a range for a single port the daemon chooses one.
            Some((start, end)) if first == last && start != end => format!("{start}-{end}"),
            Some((start, _)) => (start + (number - first)).to_string(),
        };
        Publication {
            port: format!("{number}/{protocol}"),
            binding: PortBinding {
                host_ip: ip.clone(),
                host_port,
            },
        }
    };
    Ok((first..=last).map(one).collect())
}

/// The long form in the short one.
fn plain(text: &str) -> Result<String, String> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            // All ports are of the host here; as with Docker, a swarm's word for the other kind changes nothing.
            Some(("mode", "host" | "ingress")) => {}
            Some(("mode", mode)) => return Err(format!("invalid publish mode value ({mode})")),
            Some((key, _)) if !key.is_empty() => return Err(format!("invalid field key {key}")),
            _ => {
                return Err(format!(
                    "invalid publish opts format (should be name=value but got '{field}')"
                ));
            }
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn split(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    match rest.rsplit_once(':') {
        Some((ip, host)) => (ip, host, container),
        None => ("", rest, container),
    }
}

fn split_protocol(text: &str) -> (&str, String) {
    match text.split_once('/') {
        Some((number, "")) => (number, "tcp".to_owned()),
        Some((number, protocol)) => (number, protocol.to_lowercase()),
        None => (text, "tcp".to_owned()),
    }
}

/// An address as the daemon takes it: without the brackets that keep its colons apart from others.
fn address(text: &str) -> Result<String, String> {
    let inner = match text.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .ok_or_else(|| format!("invalid IP address {text}: missing ']' in address"))?,
        None => text,
    };
    if inner.is_empty() || inner.parse::<IpAddr>().is_ok() {
        Ok(inner.to_owned())
    } else {
        Err(format!("invalid IP address: {inner}"))
    }
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((first, last))
}

fn number(text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        let why = if is_number {
            "value out of range"
        } else {
            "invalid syntax"
        };
        format!("strconv.ParseUint: parsing {text:?}: {why}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: &[(&str, &str, &str)]) {
        let all = parse(text).unwrap();
        let got: Vec<_> = all
            .iter()
            .map(|one| {
                (
                    one.port.as_str(),
                    one.binding.host_ip.as_str(),
                    one.binding.host_port.as_str(),
                )
            })
            .collect();
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn every_form() {
        check("80", &[("80/tcp", "", "")]);
        check("8080:80/UDP", &[("80/udp", "", "8080")]);
        check("127.0.0.1::80", &[("80/tcp", "127.0.0.1", "")]);
        check("[::1]:8080:80/sctp", &[("80/sctp", "::1", "8080")]);
        check("::1:8080:80", &[("80/tcp", "::1", "8080")]);
        check(
            "8000-8001:80-81",
            &[("80/tcp", "", "8000"), ("81/tcp", "", "8001")],
        );
        check("8000-8005:80", &[("80/tcp", "", "8000-8005")]);
        check("80-81", &[("80/tcp", "", ""), ("81/tcp", "", "")]);
        check(
            "published=8080,target=80,protocol=udp,mode=host",
            &[("80/udp", "", "8080")],
        );
    }

    #[test]
    fn docker_s_words() {
        let check = |text: &str, expect: &str| assert_eq!(parse(text).unwrap_err(), expect);
        check("x:80", "invalid hostPort: x");
        check("80:x", "invalid containerPort: x");
        check(
            "1-3:1-2",
            "invalid ranges specified for container and host Ports: 1-2 and 1-3",
        );
        check("80:80/foo", "invalid proto: foo");
        check("70000", "invalid containerPort: 70000");
        check("1.2:80:80", "invalid IP address: 1.2");
        check(":", "no port specified: :<empty>");
        check("80:", "no port specified: 80:<empty>");
        check(
            "published=80,target",
            "invalid publish opts format (should be name=value but got 'target')",
        );
        let check = |text: &str, expect: &str| {
            assert_eq!(expose(std::iter::once(text)).unwrap_err(), expect);
        };
        check("80:80", "invalid port format for --expose: 80:80");
        check(
            "9-8",
            "invalid range format for --expose: 9-8, error: invalid range specified for port: 9-8",
        );
        check(
            "70000",
            "invalid range format for --expose: 70000, error: strconv.ParseUint: parsing \"70000\": value out of range",
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,30}") {
            let _ = parse(&text);
        }
    }
}
