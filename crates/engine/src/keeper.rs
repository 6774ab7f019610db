//! The keeper, as the engine sees it: started when it is first needed, found again by the next daemon, started anew when it has died.
//!
//! What it was given is kept here too (tables, namespaces, copies of sockets), so that another keeper can be given all of it. Calls block:
//! for the keeper's answer, which takes some 50 us.

mod host;
mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use linux::spawn::Command;
use network::{Identity, NameSockets};
use shim::keeping::{self, HostNames, Kept, MAX_FDS, Op, Server, Use, Value, Zone};

use crate::error::{Context as _, Error, Result};
use link::{Failure, Link};

/// How long a keeper that was told to end may take.
const END: Duration = Duration::from_secs(2);

/// One engine's keeper, whether there is one at the moment or not.
#[derive(Debug)]
pub(crate) struct Keeper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    folder: PathBuf,
    /// Held while the keeper is spoken with: what is told about a network is told in the order in which it came about.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Link>,
    given: Given,
    closed: bool,
}

/// What the keeper has.
#[derive(Debug, Default)]
struct Given {
    zones: BTreeMap<Identity, Zone>,
    /// With the containers' namespaces.
    servers: BTreeMap<String, (Server, OwnedFd)>,
    held: BTreeMap<String, Vec<(Use, OwnedFd)>>,
    host: Option<HostNames>,
}

impl Given {
    /// Names that nobody asks for need no keeper.
    fn is_empty(&self) -> bool {
        let by_host = self.host.is_some() && !self.zones.is_empty();
        self.servers.is_empty() && self.held.is_empty() && !by_host
    }
}

impl Keeper {
    pub(crate) fn new(config: &crate::Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                program: config.shim_path.clone(),
                folder: config.exec_root.join(keeping::FOLDER),
                state: Mutex::default(),
            }),
        }
    }

    /// Meets the keeper of an earlier daemon, if there is one; what it keeps. Sockets that it holds are held here too from now on.
    pub(crate) fn find(&self) -> Kept {
        let mut state = self.inner.state();
        let found = self.inner.meet().and_then(|mut link| {
            let (kept, held) = taken_over(&mut link)?;
            Ok((link, kept, held))
        });
        let Ok((link, kept, held)) = found else {
            // Nobody listens there. Or somebody does whom we do not understand: then the next one gets what it is given anew.
            return Kept::default();
        };
        state.link = Some(link);
        state.given.held = held;
        kept
    }

    /// Replaces the names of a network. `make` is called when it is its turn, so that a later table is never replaced by an earlier one; with
    /// `None` the network has no names any more.
    pub(crate) fn names(
        &self,
        network: &Identity,
        make: impl FnOnce() -> Option<Zone>,
    ) -> Result<()> {
        let mut state = self.inner.state();
        match make() {
            Some(zone) if state.given.zones.get(network) == Some(&zone) => Ok(()),
            Some(zone) => {
                self.inner.tell(&mut state, &Op::Names(zone.clone()), &[])?;
                state.given.zones.insert(network.clone(), zone);
                Ok(())
            }
            None => {
                state.given.zones.remove(network);
                let network = network.clone();
                self.inner
                    .tell_if_there(&mut state, &Op::Forget { network })
            }
        }
    }

    /// Answers a container's questions. `netns` is its namespace, in which the sockets are; without sockets the container is served already, or
    /// they are bound now.
    pub(crate) fn serve(
        &self,
        server: Server,
        sockets: Option<NameSockets>,
        netns: BorrowedFd<'_>,
    ) -> Result<()> {
        let mut state = self.inner.state();
        let netns = linux::fd::duplicate(netns).context(|| "keep a namespace".to_owned())?;
        let sockets = match sockets {
            Some(sockets) => sockets,
            None => network::listen_for_names(netns.as_fd())?,
        };
        let fds = [sockets.udp.as_fd(), sockets.tcp.as_fd(), netns.as_fd()];
        self.inner
            .tell(&mut state, &Op::Serve(server.clone()), &fds)?;
        state
            .given
            .servers
            .insert(server.id.clone(), (server, netns));
        Ok(())
    }

    /// The same for a container that the keeper of an earlier daemon serves already.
    pub(crate) fn take_over(&self, server: Server, netns: OwnedFd) -> Result<()> {
        let mut state = self.inner.state();
        let id = server.id.clone();
        let op = Op::Serve(server.clone());
        state.given.servers.insert(id, (server, netns));
        self.inner.tell(&mut state, &op, &[])
    }

    /// Answers a container's questions out of other networks, or asks others, as `make` says when it is its turn; nothing for one that is
    /// not served.
    pub(crate) fn serve_otherwise(&self, id: &str, make: impl FnOnce() -> Server) -> Result<()> {
        let mut state = self.inner.state();
        let Some((said, _)) = state.given.servers.get_mut(id) else {
            return Ok(());
        };
        let server = make();
        if *said == server {
            return Ok(());
        }
        said.clone_from(&server);
        self.inner.tell(&mut state, &Op::Serve(server), &[])
    }

    pub(crate) fn unserve(&self, id: &str) -> Result<()> {
        let mut state = self.inner.state();
        if state.given.servers.remove(id).is_none() {
            return Ok(());
        }
        let id = id.to_owned();
        self.inner.tell_if_there(&mut state, &Op::Unserve { id })
    }

    /// Has bound sockets held under a key, beside those that are held under it already; as long as that is so, their ports are nobody
    /// else's, whether a daemon runs or not.
    pub(crate) fn hold(&self, key: &str, sockets: Vec<(Use, OwnedFd)>) -> Result<()> {
        let mut state = self.inner.state();
        for op in holding(key, &sockets) {
            self.inner.tell(&mut state, &op.0, &op.1)?;
        }
        let held = state.given.held.entry(key.to_owned()).or_default();
        held.extend(sockets);
        Ok(())
    }

    /// Does other things with what is held under a key. It stays bound meanwhile, since copies are here.
    pub(crate) fn use_otherwise(
        &self,
        key: &str,
        change: impl Fn(Use, BorrowedFd<'_>) -> Use,
    ) -> Result<()> {
        let mut state = self.inner.state();
        let Some(mut held) = state.given.held.remove(key) else {
            return Ok(());
        };
        let mut is_other = false;
        for (of, socket) in &mut held {
            let new = change(*of, socket.as_fd());
            is_other |= new != *of;
            *of = new;
        }
        let told = if is_other {
            self.hold_anew(&mut state, key, &held)
        } else {
            Ok(())
        };
        state.given.held.insert(key.to_owned(), held);
        told
    }

    /// Lets go of some of what is held under a key. What the proxy carries on for the others goes on.
    pub(crate) fn hold_only(
        &self,
        key: &str,
        is_wanted: impl Fn(BorrowedFd<'_>) -> bool,
    ) -> Result<()> {
        let mut state = self.inner.state();
        if !state.given.held.contains_key(key) {
            return Ok(());
        }
        let is_understood = self.inner.link(&mut state)?.version() >= keeping::PARTS;
        let held = state.given.held.remove(key).unwrap_or_default();
        let (held, parted): (Vec<_>, Vec<_>) = held
            .into_iter()
            .partition(|(_, socket)| is_wanted(socket.as_fd()));
        if parted.is_empty() {
            state.given.held.insert(key.to_owned(), held);
            return Ok(());
        }
        if is_understood {
            // Before it is told: a keeper that takes its place now is given the rest only.
            let key = key.to_owned();
            if !held.is_empty() {
                state.given.held.insert(key.clone(), held);
            }
            let part = Op::Part { key };
            parted.chunks(MAX_FDS).try_for_each(|piece| {
                let fds: Vec<_> = piece.iter().map(|(_, fd)| fd.as_fd()).collect();
                self.inner.tell(&mut state, &part, &fds)
            })
        } else {
            let told = self.hold_anew(&mut state, key, &held);
            if !held.is_empty() {
                state.given.held.insert(key.to_owned(), held);
            }
            told
        }
    }

    /// Has these held in place of what is held under the key; what goes through them is cut.
    fn hold_anew(&self, state: &mut State, key: &str, held: &[(Use, OwnedFd)]) -> Result<()> {
        let release = Op::Release {
            key: key.to_owned(),
        };
        self.inner.tell(state, &release, &[])?;
        holding(key, held)
            .iter()
            .try_for_each(|op| self.inner.tell(state, &op.0, &op.1))
    }

    /// Lets go of what is held under a key.
    pub(crate) fn release(&self, key: &str) -> Result<()> {
        let mut state = self.inner.state();
        if state.given.held.remove(key).is_none() {
            return Ok(());
        }
        let key = key.to_owned();
        self.inner.tell_if_there(&mut state, &Op::Release { key })
    }

    /// The keys under which sockets are held.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        self.inner.state().given.held.keys().cloned().collect()
    }

    /// The daemon ends: so does a keeper that has nothing to keep. Another lives on.
    pub(crate) fn close(&self) {
        let mut state = self.inner.state();
        state.closed = true;
        let Some(mut link) = state.link.take().filter(|_| state.given.is_empty()) else {
            return;
        };
        let _told = link.call(Op::End, &[]);
        if link.end(END) {
            let _gone = fs::remove_dir_all(&self.inner.folder);
        }
    }
}

/// What to say to have sockets held, in pieces of as many as a frame takes.
fn holding<'a>(key: &str, sockets: &'a [(Use, OwnedFd)]) -> Vec<(Op, Vec<BorrowedFd<'a>>)> {
    let piece = |piece: &'a [(Use, OwnedFd)]| {
        let hold = Op::Hold {
            key: key.to_owned(),
            sockets: piece.iter().map(|(of, _)| *of).collect(),
        };
        (hold, piece.iter().map(|(_, fd)| fd.as_fd()).collect())
    };
    sockets.chunks(MAX_FDS).map(piece).collect()
}

type HeldSockets = BTreeMap<String, Vec<(Use, OwnedFd)>>;

/// Asks a keeper what it has, and for copies of the sockets.
fn taken_over(link: &mut Link) -> Result<(Kept, HeldSockets), Failure> {
    let (Value::Kept(kept), _) = link.call(Op::Kept, &[])? else {
        return Err(Failure::Said(
            "the keeper does not say what it keeps".to_owned(),
        ));
    };
    let mut held = HeldSockets::new();
    for key in &kept.keys {
        let all = held.entry(key.clone()).or_default();
        loop {
            let lend = Op::Lend {
                key: key.clone(),
                skip: all.len(),
            };
            let (Value::Held { sockets }, fds) = link.call(lend, &[])? else {
                break;
            };
            if sockets.is_empty() {
                break;
            }
            all.extend(sockets.into_iter().zip(fds));
        }
    }
    Ok((kept, held))
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the keeper, which is started if there is none. One that has died, or does not answer, is replaced by another, once.
    fn tell(self: &Arc<Self>, state: &mut State, op: &Op, fds: &[BorrowedFd<'_>]) -> Result<()> {
        for attempt in 0..2 {
            let link = self.link(state)?;
            match link.call(op.clone(), fds) {
                Ok(_) => return Ok(()),
                Err(Failure::Said(text)) => return Err(Error::system(text)),
                Err(Failure::Gone(error)) => {
                    tracing::warn!(error = error.chain(), attempt, "the keeper is lost");
                    lose(state);
                }
            }
        }
        Err(Error::system("the keeper does not stay"))
    }

    /// Tells the keeper if there is one: what is not there need not be taken away.
    fn tell_if_there(self: &Arc<Self>, state: &mut State, op: &Op) -> Result<()> {
        match &state.link {
            Some(_) => self.tell(state, op, &[]),
            None => Ok(()),
        }
    }

    fn link<'a>(self: &Arc<Self>, state: &'a mut State) -> Result<&'a mut Link> {
        let link = match state.link.take() {
            Some(link) => link,
            None => {
                let mut link = self.start()?;
                give_all(&mut link, &state.given)?;
                link
            }
        };
        Ok(state.link.insert(link))
    }

    fn start(self: &Arc<Self>) -> Result<Link> {
        let starting = || format!("start the keeper ({})", self.program.display());
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.folder).context(starting)?;
        let folder = fs::File::open(&self.folder).context(starting)?;
        crate::launch::remove_file(&self.folder.join(keeping::SOCKET_FILE))?;
        let path = linux::fd::proc_path(&folder).join(keeping::SOCKET_FILE);
        let listener = UnixListener::bind(path).context(starting)?;
        let errors = fs::File::create(self.folder.join(keeping::ERRORS_FILE));
        let (control, theirs) = UnixStream::pair().context(starting)?;
        let child = Command::new(&self.program)
            .executable(linux::exe::sealed(&self.program).context(starting)?)
            .arg0(keeping::PROGRAM)
            .arg(&self.folder)
            .new_session()
            .fd(errors.context(starting)?.into(), 2)
            .fd(listener.into(), keeping::LISTENER_FD)
            .fd(theirs.into(), keeping::CONTROL_FD)
            .spawn()
            .context(starting)?;
        let mut link = Link::new(control).map_err(Error::from)?;
        tracing::info!(pid = child.pid, "the keeper has started");
        link.watch(child.pidfd, self.mourner())?;
        Ok(link)
    }

    fn meet(self: &Arc<Self>) -> Result<Link, Failure> {
        let folder =
            fs::File::open(&self.folder).context(|| "open the keeper's folder".to_owned())?;
        let path = linux::fd::proc_path(&folder).join(keeping::SOCKET_FILE);
        let stream = UnixStream::connect(path).context(|| "meet the keeper".to_owned())?;
        let mut link = Link::new(stream)?;
        let process = linux::pidfd::PidFd::open(link.pid());
        let process = process.context(|| "find the keeper's process".to_owned())?;
        link.watch(process, self.mourner())?;
        Ok(link)
    }

    /// What is to be done when the keeper's process, of that pid, has ended.
    fn mourner(self: &Arc<Self>) -> impl FnOnce(u32) + Send + 'static {
        let weak: Weak<Self> = Arc::downgrade(self);
        move |pid| {
            if let Some(inner) = weak.upgrade() {
                inner.replace(pid);
            }
        }
    }

    /// Starts another keeper in place of one that has died, if anything needs one.
    fn replace(self: &Arc<Self>, pid: u32) {
        let mut state = self.state();
        if state.closed || state.link.as_ref().is_none_or(|link| link.pid() != pid) {
            return;
        }
        tracing::warn!(pid, words = self.last_words(), "the keeper has died");
        lose(&mut state);
        if state.given.is_empty() && state.given.host.is_none() {
            return;
        }
        if let Err(error) = self.link(&mut state) {
            tracing::error!(error = error.chain(), "there is no keeper");
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.join(keeping::ERRORS_FILE)).unwrap_or_default();
        text.trim().chars().take(2000).collect()
    }
}

/// Gives up a keeper; it may be there and silent.
fn lose(state: &mut State) {
    if let Some(mut link) = state.link.take() {
        link.kill();
    }
}

/// Gives a keeper all there is. What cannot be given does not keep the rest from it.
fn give_all(link: &mut Link, given: &Given) -> Result<()> {
    for zone in given.zones.values() {
        link.call(Op::Names(zone.clone()), &[])?;
    }
    for (server, netns) in given.servers.values() {
        let bound = network::listen_for_names(netns.as_fd()).map_err(Error::from);
        let served = bound.and_then(|sockets| {
            let fds = [sockets.udp.as_fd(), sockets.tcp.as_fd(), netns.as_fd()];
            Ok(link.call(Op::Serve(server.clone()), &fds)?)
        });
        if let Err(error) = served {
            tracing::error!(
                id = server.id,
                error = error.chain(),
                "a container has no names"
            );
        }
    }
    if let Some(names) = &given.host
        && let Err(error) = host::serve(link, names)
    {
        let error = Error::from(error);
        tracing::error!(error = error.chain(), "the host has no names");
    }
    for (key, sockets) in &given.held {
        for (op, fds) in holding(key, sockets) {
            link.call(op, &fds)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
