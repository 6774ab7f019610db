//! Where clients reach the daemon: unix sockets, and tcp on the machine itself.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};

use crate::config::Group;

/// How long a daemon that was killed may seem to listen: a shim that it was just starting has its descriptors until it
/// executes its program.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("invalid bind address ({0}): use unix://PATH or tcp://ADDRESS:PORT")]
    Address(String),
    #[error(
        "{0} is not supported by this daemon: fd:// (socket activation) is not built yet; use unix://PATH"
    )]
    Activation(String),
    #[error(
        "{0} is not supported by this daemon: TLS is not built yet, and without it whoever reaches the port is root \
         on this machine; listen on a loopback address such as tcp://127.0.0.1:2375"
    )]
    NotLoopback(String),
    #[error("{} is in use by another daemon", .0.display())]
    InUse(PathBuf),
    #[error("{} exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    #[error("can't find the group {0} for the socket")]
    NoGroup(String),
    #[error("listening on {address}")]
    Io {
        address: String,
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    fn is_in_use(&self) -> bool {
        match self {
            Self::InUse(_) => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            _ => false,
        }
    }
}

/// A place to listen, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A place that is being listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

/// Reads what `-H` was given.
pub(crate) fn parse(text: &str) -> Result<Address, ListenError> {
    let invalid = || ListenError::Address(text.to_owned());
    match text.split_once("://") {
        Some(("unix", path)) if !path.is_empty() => std::path::absolute(path)
            .map(Address::Unix)
            .map_err(|_| invalid()),
        Some(("tcp", rest)) => tcp(rest, text),
        Some(("fd", _)) => Err(ListenError::Activation(text.to_owned())),
        None if text.starts_with('/') => Ok(Address::Unix(PathBuf::from(text))),
        _ => Err(invalid()),
    }
}

/// Of names only `localhost` is taken: what another name means depends on who is asked.
fn tcp(rest: &str, text: &str) -> Result<Address, ListenError> {
    let rest = rest.trim_end_matches('/');
    let numeric = rest
        .strip_prefix("localhost:")
        .map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = numeric
        .parse()
        .map_err(|_| ListenError::Address(text.to_owned()))?;
    if address.ip().is_loopback() {
        Ok(Address::Tcp(address))
    } else {
        Err(ListenError::NotLoopback(text.to_owned()))
    }
}

/// Fails as [`bind`] would on what the configuration says, whatever else listens on this machine.
pub(crate) fn check(address: &Address, group: &Group) -> Result<(), ListenError> {
    match address {
        Address::Unix(_) => gid_of(group).map(drop),
        Address::Tcp(_) => Ok(()),
    }
}

/// Begins to listen. A socket that a dead daemon left behind is replaced; one that answers is not.
pub(crate) async fn bind(address: &Address, group: &Group) -> Result<Listener, ListenError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match bind_now(address, group).await {
            Err(error) if error.is_in_use() && Instant::now() < deadline => {
                tokio::time::sleep(PATIENCE / 50).await;
            }
            result => return result,
        }
    }
}

async fn bind_now(address: &Address, group: &Group) -> Result<Listener, ListenError> {
    match address {
        Address::Unix(path) => {
            let shown = format!("unix://{}", path.display());
            clear_stale(path)?;
            let failed = |source| ListenError::Io {
                address: shown.clone(),
                source,
            };
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            let listener = UnixListener::bind(path).map_err(failed)?;
            if let Some(gid) = gid_of(group)? {
                std::os::unix::fs::chown(path, Some(0), Some(gid)).map_err(failed)?;
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
            Ok(Listener::Unix(listener, path.clone()))
        }
        Address::Tcp(address) => {
            let failed = |source| ListenError::Io {
                address: format!("tcp://{address}"),
                source,
            };
            TcpListener::bind(address)
                .await
                .map(Listener::Tcp)
                .map_err(failed)
        }
    }
}

fn clear_stale(path: &Path) -> Result<(), ListenError> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(ListenError::NoSocket(path.to_owned()));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ListenError::InUse(path.to_owned()));
    }
    let failed = |source| ListenError::Io {
        address: format!("unix://{}", path.display()),
        source,
    };
    fs::remove_file(path).map_err(failed)
}

/// The group's number. As in Docker the usual group may be missing, and a number may stand for a name.
fn gid_of(group: &Group) -> Result<Option<u32>, ListenError> {
    let (name, needed) = match group {
        Group::Usual(name) => (*name, false),
        Group::Named(name) if name.is_empty() => return Ok(None),
        Group::Named(name) => (name.as_str(), true),
    };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let gid = gid_in(&groups, name).or_else(|| name.parse().ok());
    if gid.is_none() && needed {
        Err(ListenError::NoGroup(name.to_owned()))
    } else {
        Ok(gid)
    }
}

fn gid_in(groups: &str, name: &str) -> Option<u32> {
    groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find_map(|fields| match fields.as_slice() {
            [first, _, gid, ..] if *first == name => gid.parse().ok(),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let ok = |text: &str| parse(text).unwrap();
        assert_eq!(
            ok("unix:///run/x.sock"),
            Address::Unix("/run/x.sock".into())
        );
        assert_eq!(ok("/run/x.sock"), Address::Unix("/run/x.sock".into()));
        assert_eq!(
            ok("tcp://127.0.0.1:2375"),
            Address::Tcp("127.0.0.1:2375".parse().unwrap())
        );
        assert_eq!(
            ok("tcp://localhost:2375/"),
            Address::Tcp("127.0.0.1:2375".parse().unwrap())
        );
        assert_eq!(
            ok("tcp://[::1]:2375"),
            Address::Tcp("[::1]:2375".parse().unwrap())
        );
    }

    #[test]
    fn refused_addresses_say_why() {
        let check = |text: &str, part: &str| {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(part) && said.contains(text), "{said}");
        };
        check("tcp://0.0.0.0:2375", "TLS is not built yet");
        check("tcp://10.0.0.1:2375", "loopback");
        check("tcp://example.org:1", "invalid bind address");
        check("fd://", "fd://");
        check("npipe:////./pipe", "invalid bind address");
        check("unix://", "invalid bind address");
        check("foo", "invalid bind address");
    }

    #[test]
    fn groups() {
        let file = "root:x:0:\ndocker:x:998:a,b\nbad\n";
        assert_eq!(gid_in(file, "docker"), Some(998));
        assert_eq!(gid_in(file, "dock"), None);
    }

    #[tokio::test]
    async fn stale_sockets_are_replaced_and_living_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("deep/x.sock"));
        let Address::Unix(path) = &address else {
            unreachable!()
        };
        let group = Group::Usual("no-such-group-here");
        let first = bind(&address, &group).await.unwrap();
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        assert!(matches!(
            bind(&address, &group).await,
            Err(ListenError::InUse(_))
        ));
        drop(first);
        assert!(bind(&address, &group).await.is_ok());
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(
            bind(&Address::Unix(file), &group).await,
            Err(ListenError::NoSocket(_))
        ));
    }
}
