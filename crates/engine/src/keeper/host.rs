//! Names of containers for the host itself, answered by the keeper too, so that they are there while no daemon is.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd as _;

use shim::keeping::{HostNames, Op};

use super::link::{Failure, Link};
use super::{Keeper, lose};
use crate::error::{Context as _, Error, Result};

impl Keeper {
    /// Answers the host from now on, or no more. A keeper of an earlier daemon that does so already goes on.
    pub(crate) fn serve_host(&self, wanted: Option<HostNames>) -> Result<()> {
        let mut state = self.inner.state();
        let Some(names) = wanted else {
            state.given.host = None;
            // One that is too old to know of it serves nobody.
            return match state
                .link
                .as_mut()
                .map(|link| link.call(Op::UnserveHost, &[]))
            {
                None | Some(Ok(_) | Err(Failure::Said(_))) => Ok(()),
                Some(Err(Failure::Gone(error))) => Err(error),
            };
        };
        // There is a keeper from now on: a name that nobody has is to have an answer, too.
        match serve(self.inner.link(&mut state)?, &names) {
            Ok(()) => {
                state.given.host = Some(names);
                Ok(())
            }
            Err(Failure::Said(text)) => Err(Error::system(text)),
            Err(Failure::Gone(error)) => {
                lose(&mut state);
                Err(error)
            }
        }
    }
}

/// Has a keeper answer, at sockets that it has already or gets now.
pub(super) fn serve(link: &mut Link, names: &HostNames) -> Result<(), Failure> {
    match link.call(Op::ServeHost(names.clone()), &[]) {
        Ok(_) => return Ok(()),
        Err(Failure::Said(_)) => {}
        Err(gone) => return Err(gone),
    }
    // What it answers at now may be the same port of every address.
    link.call(Op::UnserveHost, &[])?;
    let (udp, tcp) = bind(names).map_err(|error| Failure::from_ours(&error))?;
    let netns = File::open("/proc/self/ns/net")
        .context(|| "open the host's network namespace".to_owned())
        .map_err(|error| Failure::from_ours(&error))?;
    let fds = [udp.as_fd(), tcp.as_fd(), netns.as_fd()];
    link.call(Op::ServeHost(names.clone()), &fds)?;
    Ok(())
}

fn bind(names: &HostNames) -> Result<(UdpSocket, TcpListener)> {
    let binding = || format!("listen at {} for the host's questions for names", names.at);
    let udp = UdpSocket::bind(names.at).context(binding)?;
    let tcp = TcpListener::bind(names.at).context(binding)?;
    Ok((udp, tcp))
}
