//! Which daemon to talk to: `-H`, then `--context`, then `DOCKER_HOST`, then `DOCKER_CONTEXT` and the configured context, then our own socket.

use api::client::check_ssh;

/// The socket of a daemon started without flags.
pub const DEFAULT_SOCKET: &str = "/run/tare/tare.sock";

/// An address as Docker writes it: `unix:///run/tare/tare.sock`, `tcp://127.0.0.1:2375`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The address with its scheme.
    pub address: String,
    /// Whether nobody asked for another: then the client may start the daemon.
    pub is_default: bool,
}

impl Host {
    /// The daemon's own default.
    pub fn default_host() -> Host {
        Host {
            address: format!("unix://{DEFAULT_SOCKET}"),
            is_default: true,
        }
    }

    /// An address that somebody named.
    pub fn named(address: &str) -> Result<Host, HostError> {
        let address = address.trim();
        let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
        match scheme {
            "unix" if rest.is_empty() => Ok(Host::default_host()),
            "unix" => Ok(Host {
                address: format!("unix://{rest}"),
                is_default: rest == DEFAULT_SOCKET,
            }),
            "tcp" => Ok(Host {
                address: format!("tcp://{}", tcp_address(rest)),
                is_default: false,
            }),
            "ssh" => {
                check_ssh(rest).map_err(HostError::Ssh)?;
                Ok(Host {
                    address: format!("ssh://{rest}"),
                    is_default: false,
                })
            }
            "npipe" | "fd" | "http" | "https" => Err(HostError::NotBuilt(scheme.to_owned())),
            _ => Err(HostError::Format(address.to_owned())),
        }
    }
}

/// `HOST:PORT` with Docker's defaults for what is missing.
fn tcp_address(rest: &str) -> String {
    let rest = rest.trim_end_matches('/');
    let host_end = rest.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match rest[host_end..].rfind(':') {
        Some(colon) => rest.split_at(host_end + colon),
        None => (rest, ":2375"),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    format!("{host}{port}")
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not an address.
    #[error("unable to resolve docker endpoint: invalid bind address format: {0}")]
    Format(String),
    /// An address of ssh that is none.
    #[error("ssh host connection is not valid: invalid SSH URL: {0}")]
    Ssh(&'static str),
    /// A way of talking that this version does not have.
    #[error("not built yet: {0}:// addresses; unix://, tcp:// and ssh:// work")]
    NotBuilt(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        let check = |given: &str, expected: &str| {
            assert_eq!(Host::named(given).unwrap().address, expected, "{given}");
        };
        check("unix:///run/x.sock", "unix:///run/x.sock");
        check("unix://", "unix:///run/tare/tare.sock");
        check("tcp://127.0.0.1:1", "tcp://127.0.0.1:1");
        check("tcp://example", "tcp://example:2375");
        check("example", "tcp://example:2375");
        check("tcp://:4000", "tcp://localhost:4000");
        check("tcp://[::1]:4000", "tcp://[::1]:4000");
        check("tcp://[::1]", "tcp://[::1]:2375");
        check("ssh://joe@host", "ssh://joe@host");
        assert_eq!(
            Host::named("foo://x"),
            Err(HostError::Format("foo://x".into()))
        );
        let ssh = |text: &str| Host::named(text).unwrap_err().to_string();
        for bad in ["ssh://joe:secret@host", "ssh://joe:@host/x"] {
            assert_eq!(
                ssh(bad),
                "ssh host connection is not valid: invalid SSH URL: plain-text password is not supported"
            );
        }
        assert!(ssh("ssh://").ends_with("hostname is empty"));
        assert!(ssh("ssh://h/x?y").ends_with("query parameters are not allowed"));
        assert!(ssh("ssh://h/x#y").ends_with("fragments are not allowed"));
        assert_eq!(
            Host::named("npipe://x"),
            Err(HostError::NotBuilt("npipe".into()))
        );
    }
}
