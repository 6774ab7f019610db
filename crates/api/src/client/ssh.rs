//! A daemon on another machine, reached as Docker's client reaches it: `ssh HOST ... system dial-stdio`, which passes bytes
//! between its standard streams and the daemon's socket there. Who may do that is ssh's business.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::str::FromStr;

use tokio::net::UnixStream;

use super::error::{Error, Result};

/// `[user@]host[:port][/path/of/the/socket]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The daemon's socket there; its usual one if none is named.
    socket: Option<String>,
}

impl FromStr for Ssh {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check(text).map_err(Error::Ssh)?;
        let invalid = || Error::Host(format!("ssh://{text}"));
        let (authority, path) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !place.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| invalid())?))
            }
            _ => (place, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let socket = Some(path).filter(|path| path.len() > 1);
        let usable = is_word(host)
            && user.is_none_or(is_word)
            && socket.is_none_or(|path| path.split('/').skip(1).all(is_word));
        if !usable {
            return Err(invalid());
        }
        Ok(Ssh {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket: socket.map(str::to_owned),
        })
    }
}

/// Refuses what a URL may have and an address of ssh may not, in Docker's words; above all a password, which everybody who lists
/// processes or contexts could read. `text` is without its scheme.
pub fn check(text: &str) -> std::result::Result<(), &'static str> {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, rest) = text.split_at(end);
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return Err("plain-text password is not supported");
    }
    if place.is_empty() || place.starts_with(':') {
        return Err("hostname is empty");
    }
    if rest.contains('?') {
        return Err("query parameters are not allowed");
    }
    if rest.contains('#') {
        return Err("fragments are not allowed");
    }
    Ok(())
}

/// Nothing that ssh would take for an option, or the shell on the other side for more than a word.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.socket.as_deref().unwrap_or_default())
    }
}

impl Ssh {
    /// Starts ssh. It ends when the connection does; what it has to say goes to standard error.
    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let output = OwnedFd::from(theirs.try_clone()?);
        let mut command = Command::new("ssh");
        command
            .args(self.arguments())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::from(output));
        let mut child = command.spawn()?;
        // Our copies of its ends must go, or its end would not be seen.
        drop(command);
        std::thread::spawn(move || child.wait());
        UnixStream::from_std(ours)
    }

    fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> = vec!["-T".into(), "-o".into(), "ConnectTimeout=30".into()];
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["--".to_owned(), self.host.clone(), self.remote()]);
        words
    }

    /// What runs there: our own client, or Docker's where that is what there is.
    fn remote(&self) -> String {
        let host = match &self.socket {
            Some(path) => format!(" --host unix://{path}"),
            None => String::new(),
        };
        format!(
            "sh -c 'command -v tare >/dev/null && exec tare{host} system dial-stdio; exec docker{host} system dial-stdio'"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_words_of_ssh() {
        let check = |text: &str, expect: &[&str]| {
            let ssh: Ssh = text.parse().expect("an address");
            assert_eq!(ssh.to_string(), text);
            let words = ssh.arguments();
            assert_eq!(words[3..words.len() - 1], *expect, "{text}");
        };
        check("host", &["--", "host"]);
        check("joe@host:22", &["-l", "joe", "-p", "22", "--", "host"]);
        check("[::1]:22", &["-p", "22", "--", "::1"]);
        check("[fe80::1%eth0]", &["--", "fe80::1%eth0"]);
        check("host/run/x.sock", &["--", "host"]);
        let ssh: Ssh = "host/run/x.sock".parse().expect("an address");
        assert!(
            ssh.remote()
                .contains("tare --host unix:///run/x.sock system dial-stdio")
        );
    }

    #[test]
    fn nothing_becomes_an_option_or_a_command() {
        for bad in [
            "",
            "-oProxyCommand=x",
            "joe@-x",
            "-l@host",
            "host:ssh",
            "a b",
            "host;x",
            "host/a;b",
            "host/$(x)",
            "host/a//b",
            "joe@",
            "a'b",
            "joe:secret@host",
        ] {
            let error = bad.parse::<Ssh>().expect_err(bad).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
