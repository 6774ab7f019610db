//! The variables of a link: `DB_PORT_5432_TCP_ADDR` and so on.

use std::net::IpAddr;

/// A port with its protocol, `tcp` before all others, as Docker sorts them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Port<'a> {
    not_tcp: bool,
    number: u16,
    protocol: &'a str,
}

impl<'a> Port<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Some(Self {
            not_tcp: protocol != "tcp",
            number: number.parse().ok()?,
            protocol,
        })
    }
}

/// What is known of the container at `address` to one that links to it. `path` is `/SELF/ALIAS`.
pub(super) fn of<'a>(
    path: &str,
    address: IpAddr,
    ports: impl Iterator<Item = &'a String>,
    environment: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let alias = path.rsplit('/').next().unwrap_or_default();
    let alias = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<Port<'_>> = ports.filter_map(|text| Port::read(text)).collect();
    ports.sort();
    let mut all = Vec::new();
    let mut put = |name: &str, value: String| all.push(format!("{alias}_{name}={value}"));
    let url = |port: &Port<'_>| format!("{}://{address}:{}", port.protocol, port.number);
    if let Some(first) = ports.first() {
        put("PORT", url(first));
    }
    for (first, last) in ranges(&ports) {
        let upper = first.protocol.to_uppercase();
        let at = format!("PORT_{}_{upper}", first.number);
        put(&format!("{at}_START"), url(first));
        put(&format!("{at}_PORT_START"), first.number.to_string());
        put(&format!("{at}_END"), url(last));
        put(&format!("{at}_PORT_END"), last.number.to_string());
    }
    for port in &ports {
        let at = format!("PORT_{}_{}", port.number, port.protocol.to_uppercase());
        put(&at, url(port));
        put(&format!("{at}_ADDR"), address.to_string());
        put(&format!("{at}_PORT"), port.number.to_string());
        put(&format!("{at}_PROTO"), port.protocol.to_owned());
    }
    put("NAME", path.to_owned());
    for variable in environment {
        if let Some((name, value)) = variable.split_once('=')
            && !matches!(name, "HOME" | "PATH")
        {
            put(&format!("ENV_{name}"), value.to_owned());
        }
    }
    all
}

/// The first and the last of ports that follow each other, where these are several.
fn ranges<'a, 'b>(ports: &'a [Port<'b>]) -> Vec<(&'a Port<'b>, &'a Port<'b>)> {
    let follows = |a: &Port<'_>, b: &Port<'_>| {
        a.protocol == b.protocol && a.number.checked_add(1) == Some(b.number)
    };
    let runs = ports.chunk_by(follows).filter(|run| run.len() > 1);
    runs.filter_map(|run| Some((run.first()?, run.last()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ports: &[&str], environment: &[&str], expect: &[&str]) {
        let own = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let (ports, environment) = (own(ports), own(environment));
        let address = "172.17.0.2".parse().unwrap();
        assert_eq!(
            of("/web/my-db", address, ports.iter(), environment.iter()),
            expect
        );
    }

    #[test]
    fn as_the_real_docker_has_them() {
        check(
            &["53/udp", "5432/tcp"],
            &["FOO=bar", "PATH=/bin", "bare"],
            &[
                "MY_DB_PORT=tcp://172.17.0.2:5432",
                "MY_DB_PORT_5432_TCP=tcp://172.17.0.2:5432",
                "MY_DB_PORT_5432_TCP_ADDR=172.17.0.2",
                "MY_DB_PORT_5432_TCP_PORT=5432",
                "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_FOO=bar",
            ],
        );
        check(&[], &[], &["MY_DB_NAME=/web/my-db"]);
    }

    #[test]
    fn ports_in_a_row_are_a_range_too() {
        let ports: Vec<_> = ["80/tcp", "81/tcp", "82/tcp", "82/udp"]
            .map(|text| Port::read(text).unwrap())
            .into();
        let found: Vec<_> = ranges(&ports)
            .iter()
            .map(|(a, b)| (a.number, b.number))
            .collect();
        assert_eq!(found, [(80, 82)]);
    }
}
