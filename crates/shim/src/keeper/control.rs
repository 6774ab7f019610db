//! What the daemon says.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use linux::Errno;
use linux::epoll::EventFlags;
use shim::keeping::{self, Decoder, FrameError, Kept, Op, Reply, Request, Use, Value};

use super::numbered::Numbered;
use super::watch::{Kind, Token, Watch};
use super::{Error, Keeper};

/// One daemon is connected, and for a moment perhaps the one before.
const MAX_DAEMONS: usize = 8;

/// The connections of daemons.
#[derive(Default)]
pub(super) struct Daemons {
    all: Numbered<Daemon>,
}

struct Daemon {
    stream: UnixStream,
    decoder: Decoder,
}

impl Daemons {
    pub(super) fn adopt(&mut self, watch: &mut Watch, stream: UnixStream) -> Result<(), Error> {
        if self.all.len() >= MAX_DAEMONS {
            return Err(Error::Refused("too many daemons".to_owned()));
        }
        let nonblocking = |error| Error::Socket("set up a connection", error);
        stream.set_nonblocking(true).map_err(nonblocking)?;
        let number = watch.number();
        watch.add(&stream, Token::new(Kind::Daemon, number), EventFlags::IN)?;
        let decoder = Decoder::default();
        self.all.insert(number, Daemon { stream, decoder });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Keeper {
    /// Does what a daemon asks for. One that has gone, or breaks the protocol, is forgotten.
    pub(super) fn hear(&mut self, number: u32) {
        let Some(mut daemon) = self.daemons.all.remove(number) else {
            return;
        };
        if self.serve_daemon(&mut daemon).unwrap_or(false) {
            self.daemons.all.insert(number, daemon);
        }
    }

    /// Whether the daemon is still there.
    fn serve_daemon(&mut self, daemon: &mut Daemon) -> Result<bool, FrameError> {
        loop {
            match keeping::receive(&daemon.stream, &mut daemon.decoder) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(FrameError::Linux(error)) if error.errno() == Errno::AGAIN => return Ok(true),
                Err(error) => return Err(error),
            }
            while let Some((request, fds)) = daemon.decoder.next_frame::<Request>()? {
                let (result, lent) = match self.carry_out(request.op, fds) {
                    Ok((value, lent)) => (Ok(value), lent),
                    Err(error) => (Err(super::chain(&error)), Vec::new()),
                };
                let lent: Vec<_> = lent.iter().map(OwnedFd::as_fd).collect();
                let seq = request.seq;
                keeping::send(&daemon.stream, &Reply { seq, result }, &lent)?;
            }
        }
    }

    fn carry_out(&mut self, op: Op, fds: Vec<OwnedFd>) -> Result<(Value, Vec<OwnedFd>), Error> {
        let watch = &mut self.watch;
        match op {
            Op::Hello { .. } => {
                let (version, pid) = (keeping::VERSION, std::process::id());
                return Ok((Value::Welcome { version, pid }, Vec::new()));
            }
            Op::Kept => {
                let kept = Kept {
                    networks: self.names.networks(),
                    servers: self.names.servers(),
                    keys: self.held.keys(),
                };
                return Ok((Value::Kept(kept), Vec::new()));
            }
            Op::Lend { key, skip } => {
                let lent = self.held.lend(&key, skip)?;
                let (sockets, fds): (Vec<Use>, _) = lent.into_iter().unzip();
                return Ok((Value::Held { sockets }, fds));
            }
            Op::Names(zone) => self.names.set(zone),
            Op::Forget { network } => self.names.forget(&network),
            Op::Serve(server) => self.names.serve(watch, server, fds)?,
            Op::Unserve { id } => self.names.unserve(watch, &id),
            Op::Hold { key, sockets } => self.held.hold(watch, key, sockets, fds)?,
            Op::Release { key } => self.held.release(watch, &key),
            Op::ServeHost(names) => self.names.serve_host(watch, names, fds)?,
            Op::UnserveHost => self.names.unserve_host(watch),
            Op::Part { key } => self.held.part(watch, &key, &fds)?,
            Op::End => self.done = true,
            Op::Unknown => return Err(Error::Refused("unknown operation".to_owned())),
        }
        Ok((Value::Done, Vec::new()))
    }
}
