//! Names for the host: one more server, which knows all networks and asks nobody else.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use network::dns::Table;
use shim::keeping::{self, HostNames};

use super::super::Error;
use super::super::watch::Watch;
use super::{Names, Server, Sockets};

impl Server {
    /// The host's own processes alone are told all names, also where somebody has made loopback addresses reachable from elsewhere.
    pub(super) fn hears(&self, from: SocketAddr) -> bool {
        self.host.is_none() || from.ip().is_loopback()
    }
}

impl Names {
    pub(in super::super) fn serve_host(
        &mut self,
        watch: &mut Watch,
        names: HostNames,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        let known = self.number_of_host();
        if fds.is_empty() {
            let server = known.and_then(|number| self.servers.get_mut(number));
            let said = server.and_then(|server| server.host.as_mut());
            return match said.filter(|said| said.at == names.at) {
                Some(said) => {
                    *said = names;
                    Ok(())
                }
                None => Err(Error::Refused(format!("nobody answers at {}", names.at))),
            };
        }
        let Some(sockets) = Sockets::new(fds)? else {
            let text = "two sockets and a namespace belong to a server".to_owned();
            return Err(Error::Refused(text));
        };
        self.unserve_host(watch);
        let said = keeping::Server {
            id: String::new(),
            networks: Vec::new(),
            private: Vec::new(),
            upstreams: Vec::new(),
        };
        let server = Server {
            said,
            private: Table::new(""),
            sockets,
            host: Some(names),
        };
        self.insert(watch, server)
    }

    pub(in super::super) fn unserve_host(&mut self, watch: &Watch) {
        if let Some(number) = self.number_of_host() {
            self.remove(watch, number);
        }
    }

    fn number_of_host(&self) -> Option<u32> {
        let mut servers = self.servers.iter();
        let found = servers.find(|(_, server)| server.host.is_some());
        found.map(|(number, _)| number)
    }
}
