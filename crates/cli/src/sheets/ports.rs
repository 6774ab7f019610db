//! A container's ports on one line: neighbours as a range, what is published after what is not.

use api::types::container::Port;

/// As `0.0.0.0:80-82->80-82/tcp, 53/udp`.
pub(super) fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by(|a, b| {
        (a.private_port, &a.ip, a.public_port, &a.r#type).cmp(&(
            b.private_port,
            &b.ip,
            b.public_port,
            &b.r#type,
        ))
    });
    let mut groups: Vec<Group<'_>> = Vec::new();
    let (mut done, mut moved) = (Vec::new(), Vec::new());
    for port in sorted {
        if !port.ip.is_empty() && port.public_port != port.private_port {
            let address = host_and_port(&port.ip, &port.public_port.to_string());
            moved.push(format!("{address}->{}/{}", port.private_port, port.r#type));
            continue;
        }
        match groups
            .iter_mut()
            .find(|group| group.ip == port.ip && group.kind == port.r#type)
        {
            Some(group) if u32::from(port.private_port) == u32::from(group.last) + 1 => {
                group.last = port.private_port;
            }
            Some(group) => {
                done.push(group.text());
                *group = Group::of(port);
            }
            None => groups.push(Group::of(port)),
        }
    }
    done.extend(groups.iter().map(Group::text));
    done.extend(moved);
    done.join(", ")
}

struct Group<'a> {
    ip: &'a str,
    kind: &'a str,
    first: u16,
    last: u16,
}

impl<'a> Group<'a> {
    fn of(port: &'a Port) -> Self {
        Self {
            ip: &port.ip,
            kind: &port.r#type,
            first: port.private_port,
            last: port.private_port,
        }
    }

    fn text(&self) -> String {
        let range = if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        };
        if self.ip.is_empty() {
            return format!("{range}/{}", self.kind);
        }
        format!("{}->{range}/{}", host_and_port(self.ip, &range), self.kind)
    }
}

fn host_and_port(host: &str, port: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: u16, kind: &str) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port: private,
            public_port: public,
            r#type: kind.to_owned(),
        }
    }

    #[test]
    fn neighbours_are_a_range() {
        let check = |list: &[Port], expected: &str| assert_eq!(ports(list), expected);
        check(&[], "");
        check(&[port("", 80, 0, "tcp")], "80/tcp");
        check(
            &[
                port("", 81, 0, "tcp"),
                port("", 80, 0, "tcp"),
                port("", 90, 0, "tcp"),
            ],
            "80-81/tcp, 90/tcp",
        );
        check(
            &[
                port("0.0.0.0", 80, 8080, "tcp"),
                port("::", 80, 8080, "tcp"),
            ],
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
        );
        check(
            &[
                port("0.0.0.0", 80, 80, "tcp"),
                port("0.0.0.0", 81, 81, "tcp"),
            ],
            "0.0.0.0:80-81->80-81/tcp",
        );
    }
}
