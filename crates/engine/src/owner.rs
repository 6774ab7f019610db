//! The task that owns a container: the only one that moves its state.
//!
//! It takes orders from its mailbox and listens to the shim, one thing at a time; [`step`](lifecycle::step) says what each
//! means. Orders that only pass through (signals, execs, sizes) are answered when the shim has answered, and nobody waits
//! for them here.

mod exits;
mod networks;
mod ports;
mod removal;

pub(crate) use exits::{
    attributes as exit_attributes, exit_record, kill_rest, killed, no_such_exec,
};
pub(crate) use networks::{announce, first_places, leave_all};
pub use ports::PortChange;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use shim::protocol::{self, INIT, Op, Value};
use tokio::sync::mpsc;

use removal::Asked;

use crate::attach::WaitingAttach;
use crate::blocking;
use crate::container::{Answer, Container, Order};
use crate::error::{Error, ErrorKind, Result};
use crate::launch;
use crate::lifecycle::{self, Effect, Event, Notice, Phase, Refusal};
use crate::link::{self, Heard, Link};
use crate::shared::Shared;
use crate::state::PhaseRecord;

/// How many orders may lie in a mailbox.
pub(crate) const MAILBOX: usize = 64;

/// The owner of one container.
pub(crate) struct Owner {
    shared: Weak<Shared>,
    me: Arc<Container>,
    orders: mpsc::Receiver<Order>,
    link: Option<Link>,
    /// Clients that attached before the start.
    waiting: Vec<WaitingAttach>,
    /// Who waits for which reply of the shim.
    pending: HashMap<u64, Answer<Value>>,
    hold_auto_remove: bool,
}

impl Owner {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        me: Arc<Container>,
        orders: mpsc::Receiver<Order>,
        link: Option<Link>,
    ) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            me,
            orders,
            link,
            waiting: Vec::new(),
            pending: HashMap::new(),
            hold_auto_remove: false,
        }
    }

    /// Works until the container is removed or the engine is gone.
    pub(crate) async fn run(mut self) {
        while self.me.phase() != Phase::Gone {
            tokio::select! {
                order = self.orders.recv() => {
                    let (Some(order), Some(shared)) = (order, self.shared.upgrade()) else { return };
                    self.obey(&shared, order).await;
                }
                heard = hear(&mut self.link) => {
                    let Some(shared) = self.shared.upgrade() else { return };
                    self.heard(&shared, heard).await;
                }
            }
        }
    }

    async fn obey(&mut self, shared: &Arc<Shared>, order: Order) {
        match order {
            Order::Start(answer) => reply(answer, self.start(shared).await),
            Order::Pause(answer) => {
                reply(answer, self.freeze(shared, Op::Pause, Event::Paused).await);
            }
            Order::Unpause(answer) => reply(
                answer,
                self.freeze(shared, Op::Resume, Event::Unpaused).await,
            ),
            Order::Signal { signal, answer } => self.signal(shared, signal, answer).await,
            Order::Ask { op, answer } => self.ask(op, answer).await,
            Order::Attach(client) => self.attach(shared, client),
            Order::Rename { new, answer } => reply(answer, self.rename(shared, new).await),
            Order::Remove { volumes, answer } => {
                reply(answer, self.remove(shared, Asked::ByUser { volumes }).await);
            }
            Order::Connect {
                network,
                wish,
                answer,
            } => reply(answer, self.connect(shared, network, *wish).await),
            Order::Republish { change, answer } => {
                reply(answer, self.republish(shared, *change).await);
            }
            Order::Disconnect { network, answer } => {
                reply(answer, self.disconnect(shared, network).await);
            }
            Order::Unlink { alias, answer } => reply(answer, self.unlink(shared, alias).await),
            Order::HoldAutoRemove(hold) => self.hold_auto_remove = hold,
        }
    }

    /// Moves the state and does what follows from it.
    async fn apply(&mut self, shared: &Arc<Shared>, event: Event) -> Result<(), Refusal> {
        let effects = {
            let mut live = self.me.live();
            let (next, effects) = lifecycle::step(&live.life, event)?;
            live.life = next;
            effects
        };
        for effect in effects {
            self.perform(shared, effect).await;
        }
        Ok(())
    }

    async fn perform(&mut self, shared: &Arc<Shared>, effect: Effect) {
        match effect {
            // Done by those who ask for it, as it can fail.
            Effect::Launch | Effect::Dismantle => {}
            Effect::Save => self.save(shared).await,
            Effect::TidyRun => self.tidy_run(shared).await,
            Effect::Tell(notice) => self.announce(shared, notice),
            Effect::WakeWaiters => self.wake_waiters(),
            Effect::AutoRemove if self.hold_auto_remove => {
                self.tidy_run(shared).await;
                self.save(shared).await;
            }
            Effect::AutoRemove => {
                if let Err(error) = Box::pin(self.remove(shared, Asked::Before)).await {
                    tracing::error!(id = %self.me.birth.id, error = error.chain(), "cannot remove a container");
                }
            }
            Effect::Forget => self.forget(shared),
        }
    }

    /// Writes the record; a failure is logged, since what it says can be learnt again from the shim.
    async fn save(&self, shared: &Arc<Shared>) {
        let (record, path) = (self.me.record(), shared.paths.record(&self.me.birth.id));
        if let Err(error) = blocking(move || record.save(&path)).await {
            tracing::error!(id = %self.me.birth.id, error = error.chain(), "cannot save a container's record");
        }
    }

    async fn tidy_run(&self, shared: &Arc<Shared>) {
        let bundle = shared.paths.bundle(&self.me.birth.id);
        if let Err(error) = blocking(move || launch::remove_folder(&bundle)).await {
            tracing::error!(id = %self.me.birth.id, error = error.chain(), "cannot remove a bundle");
        }
    }

    fn announce(&self, shared: &Shared, notice: Notice) {
        let extra = match notice {
            Notice::Die => exits::attributes(&self.me.live().life),
            _ => Vec::new(),
        };
        let action = match notice {
            Notice::Start => "start",
            Notice::Die => "die",
            Notice::OutOfMemory => "oom",
            Notice::Pause => "pause",
            Notice::Unpause => "unpause",
            Notice::Destroy => "destroy",
        };
        shared.announce(&self.me, action, &extra);
    }

    /// A start that failed counts as an end. Who waits learns its code; the error is for who asked for the start.
    fn wake_waiters(&self) {
        let code = self.me.live().life.exit_code;
        self.me.tell(|news| {
            news.ends += 1;
            news.active = false;
            news.code = code;
        });
    }

    async fn start(&mut self, shared: &Arc<Shared>) -> Result<()> {
        self.apply(shared, Event::Start)
            .await
            .map_err(|refusal| self.refused(refusal))?;
        self.me.tell(|news| news.active = true);
        match self.launch(shared).await {
            Ok((pid, at)) => {
                self.apply(shared, Event::Started { pid, at })
                    .await
                    .map_err(|refusal| self.refused(refusal))?;
                Ok(())
            }
            Err((code, error)) => {
                self.link = None;
                self.leave_volumes(shared).await;
                self.leave_networks(shared).await;
                let failed = Event::StartFailed {
                    code,
                    error: error.chain(),
                };
                self.apply(shared, failed)
                    .await
                    .map_err(|refusal| self.refused(refusal))?;
                Err(error)
            }
        }
    }

    /// Launches the shim and waits until the program runs; the error comes with the exit code it counts as.
    async fn launch(
        &mut self,
        shared: &Arc<Shared>,
    ) -> Result<(u32, jiff::Timestamp), (i32, Error)> {
        let internal = |error: Error| (128, error.not_about_the_executable());
        let company = launch::company(shared, &self.me).map_err(internal)?;
        let (work, me, waiting) = (
            Arc::clone(shared),
            Arc::clone(&self.me),
            std::mem::take(&mut self.waiting),
        );
        let launched = blocking(move || launch::launch(&work, &me, &company, waiting))
            .await
            .map_err(internal)?;
        for (client, stream) in launched.attached {
            client.connect(stream).map_err(internal)?;
        }
        let mut link = Link::new(launched.control, launch::START).map_err(internal)?;
        let replied = link.reply_to(launch::START).await;
        if let Err(error) = launched.network {
            return Err(internal(network_failed(&error)));
        }
        let result = match replied {
            Ok(result) => result,
            Err(error) => {
                let said = launch::last_words(&shared.paths.bundle(&self.me.birth.id));
                // Killed in the middle of the start, it has left cgroups, and may be processes.
                let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
                blocking(move || kill_rest(&work, &me)).await;
                return Err(internal(if said.is_empty() {
                    error
                } else {
                    error.caused_by(said)
                }));
            }
        };
        match result {
            Ok(Value::Started { pid, at }) => {
                shared.stock_up_later();
                self.me.live().model = Some(Arc::new(launched.model));
                self.link = Some(link);
                Ok((pid, timestamp(at)))
            }
            Ok(other) => Err(internal(Error::system(format!(
                "the shim answered a start with {other:?}"
            )))),
            Err(error) => Err((link::start_code(error.kind), start_error(&error))),
        }
    }

    /// Pauses or resumes: first whether it may be, then the shim, then the state.
    async fn freeze(&mut self, shared: &Arc<Shared>, op: Op, event: Event) -> Result<()> {
        // In a statement of its own: the words of a refusal need the lock again.
        let allowed = lifecycle::step(&self.me.live().life, event.clone());
        allowed.map_err(|refusal| self.refused(refusal))?;
        let link = self.link.as_mut().ok_or_else(|| self.me.not_running())?;
        link.call(op).await?.map_err(link::failed)?;
        self.apply(shared, event)
            .await
            .map_err(|refusal| self.refused(refusal))
    }

    /// Passes a signal on. One that ends a paused container thaws it, or it would never be delivered.
    async fn signal(&mut self, shared: &Arc<Shared>, signal: i32, answer: Answer<()>) {
        let result = self.try_signal(shared, signal).await;
        reply(answer, result);
    }

    async fn try_signal(&mut self, shared: &Arc<Shared>, signal: i32) -> Result<()> {
        let link = self
            .link
            .as_mut()
            .filter(|_| self.me.phase().pid().is_some());
        let link = link.ok_or_else(|| self.me.not_running())?;
        let op = Op::Signal {
            process: INIT.to_owned(),
            signal,
            all: false,
        };
        let answered = match link.call(op).await {
            Ok(answered) => answered,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                return match signal {
                    9 => self.kill_shim(shared, error).await,
                    _ => Err(error),
                };
            }
            // A shim that is ending at this moment has closed: the container does not run any more.
            Err(_) => return Err(self.me.not_running()),
        };
        answered.map_err(|error| match error.kind {
            protocol::ErrorKind::NoSuchProcess | protocol::ErrorKind::Conflict => {
                self.me.not_running()
            }
            _ => link::failed(error),
        })?;
        // Told here, so that it comes before the end that it may bring.
        shared.announce(&self.me, "kill", &[("signal", signal.to_string())]);
        let ends = signal == 9 || signal == stop_signal(&self.me)?;
        if ends && matches!(self.me.phase(), Phase::Paused { .. }) {
            let thawed = self.freeze(shared, Op::Resume, Event::Unpaused).await;
            // The signal may have ended it already, and its shim with it.
            if let Err(error) = thawed {
                tracing::debug!(id = %self.me.birth.id, error = error.chain(), "not thawed");
            }
        }
        Ok(())
    }

    async fn ask(&mut self, op: Op, answer: Answer<Value>) {
        let Some(link) = self
            .link
            .as_mut()
            .filter(|_| self.me.phase().pid().is_some())
        else {
            return reply(answer, Err(self.me.not_running()));
        };
        match link.ask(op).await {
            Ok(seq) => {
                self.pending.insert(seq, answer);
            }
            Err(error) => reply(answer, Err(error)),
        }
    }

    /// Connects a client at once if there is a shim, else at the start.
    fn attach(&mut self, shared: &Shared, client: WaitingAttach) {
        if self.link.is_none() {
            self.waiting.retain(|client| !client.is_abandoned());
            self.waiting.push(client);
            return;
        }
        let bundle = shared.paths.bundle(&self.me.birth.id);
        let connected = launch::greet_shim(&bundle, &client.hello());
        let result = connected.map_err(|e| Error::system("connect to the shim").caused_by(e));
        if let Err(error) = result.and_then(|stream| client.connect(stream)) {
            // The client sees the end of its stream.
            tracing::warn!(id = %self.me.birth.id, error = error.chain(), "cannot attach");
        }
    }

    async fn unlink(&mut self, shared: &Arc<Shared>, alias: String) -> Result<()> {
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || crate::links::remove(&work, &me, &alias)).await
    }

    async fn rename(&mut self, shared: &Arc<Shared>, new: String) -> Result<()> {
        let old = std::mem::replace(&mut self.me.live().name, new.clone());
        let (record, path) = (self.me.record(), shared.paths.record(&self.me.birth.id));
        if let Err(error) = blocking(move || record.commit(&path)).await {
            self.me.live().name = old;
            return Err(error);
        }
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        blocking(move || crate::naming::renamed(&work, &me)).await;
        shared.announce(&self.me, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Docker's words for what cannot be done now.
    fn refused(&self, refusal: Refusal) -> Error {
        let id = &self.me.birth.id;
        let name = self.me.name();
        match refusal {
            Refusal::AlreadyRunning => Error::not_modified(),
            Refusal::StartPaused => {
                Error::conflict("cannot start a paused container, try unpause instead")
            }
            Refusal::Removing => {
                Error::conflict(format!("removal of container {id} is already in progress"))
            }
            Refusal::NotRunning => self.me.not_running(),
            Refusal::AlreadyPaused => Error::conflict(format!("Container {id} is already paused")),
            Refusal::NotPaused => Error::conflict(format!("Container {id} is not paused")),
            Refusal::StillRunning => Error::conflict(format!(
                "cannot remove container \"{name}\": container is running: stop the container before removing or \
                 force remove"
            )),
            Refusal::StillPaused => Error::conflict(format!(
                "cannot remove container \"{name}\": container is paused and must be unpaused first"
            )),
            Refusal::OutOfPlace => {
                Error::system(format!("container {id} is not in a state for that"))
            }
        }
    }
}

/// Waits for the shim, for ever when there is none.
async fn hear(link: &mut Option<Link>) -> Heard {
    match link {
        Some(link) => link.hear().await,
        None => std::future::pending().await,
    }
}

/// Answers; who asked may be gone.
fn reply<T>(answer: Answer<T>, result: Result<T>) {
    let _gone = answer.send(result);
}

/// The signal that `stop` sends.
pub(crate) fn stop_signal(container: &Container) -> Result<i32> {
    match container.birth.options.stop_signal.as_str() {
        "" => Ok(15),
        name => crate::signal::number(name),
    }
}

pub(crate) fn timestamp(at: shim::time::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or_default()
}

/// Docker's words around what the runtime says; its clients make exit codes of them.
fn start_error(error: &protocol::OpError) -> Error {
    let kind = match error.kind {
        protocol::ErrorKind::ExecutableNotFound
        | protocol::ErrorKind::PermissionDenied
        | protocol::ErrorKind::Invalid => ErrorKind::InvalidParameter,
        _ => ErrorKind::System,
    };
    let told = Error::new(
        kind,
        format!(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: {}",
            error.message
        ),
    );
    match error.kind {
        protocol::ErrorKind::ExecutableNotFound | protocol::ErrorKind::PermissionDenied => told,
        _ => told.not_about_the_executable(),
    }
}

/// Docker's words around what went wrong with networks.
pub(crate) fn network_failed(error: &Error) -> Error {
    Error::new(error.kind(), "failed to set up container networking").caused_by(error.chain())
}

/// Whether a record says that the container was running.
pub(crate) fn was_running(phase: PhaseRecord) -> bool {
    matches!(phase, PhaseRecord::Running | PhaseRecord::Paused)
}
