//! What the shim says unasked: most of all, that the container has ended.

use std::path::Path;
use std::sync::Arc;

use linux::signal::Signal;
use shim::protocol::{self, ExitRecord, INIT, Value};

use super::{Owner, reply, timestamp};
use crate::blocking;
use crate::error::{Context as _, Error, Result};
use crate::exec;
use crate::lifecycle::{Event, Life};
use crate::link::{self, Heard};
use crate::recover;
use crate::shared::Shared;
use crate::spec;

impl Owner {
    pub(super) async fn heard(&mut self, shared: &Arc<Shared>, heard: Heard) {
        match heard {
            Heard::Reply(answered) => {
                if let Some(answer) = self.pending.remove(&answered.seq) {
                    reply(answer, answered.result.map_err(link::failed));
                } else if let Ok(Value::State(state)) = answered.result {
                    // Of a shim that had not answered when the engine was opened.
                    recover::adopt(shared, &self.me, &state);
                }
            }
            Heard::Event(event) => self.shim_tells(shared, event).await,
            Heard::Closed => self.shim_died(shared).await,
        }
    }

    async fn shim_tells(&mut self, shared: &Arc<Shared>, event: protocol::Event) {
        match event {
            protocol::Event::Exited {
                process,
                code,
                at,
                oom_killed,
            } if process == INIT => {
                self.ended(
                    shared,
                    Event::Ended {
                        code,
                        at: timestamp(at),
                        oom_killed,
                    },
                )
                .await;
            }
            protocol::Event::Exited { process, code, .. } => {
                exec::ended(shared, &self.me, &process, code);
            }
            protocol::Event::OutOfMemory => {
                // Refused when the container has ended meanwhile: then its end says so, too.
                let _refused = self.apply(shared, Event::OutOfMemory).await;
            }
            protocol::Event::Warning { message } => {
                tracing::warn!(id = %self.me.birth.id, message, "a shim warns");
            }
            // Started, paused and resumed are known from the replies.
            _ => {}
        }
    }

    /// The run is over: nobody gets an answer from this shim any more.
    async fn ended(&mut self, shared: &Arc<Shared>, event: Event) {
        let link = self.link.take();
        if let Some(mut link) = link.filter(|_| self.hold_auto_remove) {
            // A restart of a container with `--rm`: its shim tells the end before it removes the cgroup.
            while !matches!(link.hear().await, Heard::Closed) {}
        }
        for (_, answer) in self.pending.drain() {
            reply(answer, Err(self.me.not_running()));
        }
        exec::all_ended(shared, &self.me);
        self.leave_volumes(shared).await;
        self.leave_networks(shared).await;
        if self.apply(shared, event).await.is_err() {
            tracing::error!(id = %self.me.birth.id, "an exit came out of place");
        }
    }

    /// A shim that does not answer is ended itself, for it cannot end its container; the end of the connection brings all
    /// else. Without one, `silent` stands.
    pub(super) async fn kill_shim(&self, shared: &Arc<Shared>, silent: Error) -> Result<()> {
        let path = spec::cgroup_path(&self.me.birth, &shared.config);
        let (work, id) = (Arc::clone(shared), self.me.birth.id.clone());
        let found =
            blocking(move || work.cgroups.parent(&path.to_string_lossy(), id.as_str())).await;
        let Some(shim) = found else {
            return Err(silent);
        };
        tracing::error!(id = %self.me.birth.id, "a shim does not answer and is killed with its container");
        shim.signal(Signal::KILL)
            .context(|| "kill the shim".to_owned())
    }

    /// The connection has closed and no end was told: the shim was killed, be it after it had left an exit record. What
    /// it watched over has to go too.
    async fn shim_died(&mut self, shared: &Arc<Shared>) {
        let (work, me) = (Arc::clone(shared), Arc::clone(&self.me));
        let event = blocking(move || {
            let id = &me.birth.id;
            kill_rest(&work, &me);
            exit_record(&work.paths.exit_record(id)).unwrap_or_else(|| {
                tracing::warn!(%id, "a shim was killed; its container is ended");
                killed()
            })
        })
        .await;
        self.ended(shared, event).await;
    }
}

/// The end of the last run, if its shim recorded it.
pub(crate) fn exit_record(path: &Path) -> Option<Event> {
    let bytes = std::fs::read(path).ok()?;
    let record: ExitRecord = serde_json::from_slice(&bytes)
        .inspect_err(|error| tracing::error!(path = %path.display(), %error, "an exit record cannot be read"))
        .ok()?;
    Some(Event::Ended {
        code: record.code,
        at: timestamp(record.at),
        oom_killed: record.oom_killed,
    })
}

/// The end of a container whose shim was killed.
pub(crate) fn killed() -> Event {
    Event::Ended {
        code: 137,
        at: jiff::Timestamp::now(),
        oom_killed: false,
    }
}

/// Kills what a dead shim leaves.
pub(crate) fn kill_rest(shared: &Shared, container: &crate::container::Container) {
    let path = spec::cgroup_path(&container.birth, &shared.config);
    if let Err(error) = shared.cgroups.destroy(&path.to_string_lossy()) {
        tracing::error!(id = %container.birth.id, error = error.chain(), "cannot end what a dead shim has left");
    }
}

/// What the event `die` says besides.
pub(crate) fn attributes(life: &Life) -> Vec<(&'static str, String)> {
    let seconds = match (life.started_at, life.finished_at) {
        (Some(start), Some(end)) => (end.as_second() - start.as_second()).max(0),
        _ => 0,
    };
    vec![
        ("execDuration", seconds.to_string()),
        ("exitCode", life.exit_code.to_string()),
    ]
}

/// Why an exec cannot be reached any more.
pub(crate) fn no_such_exec(id: &str) -> Error {
    Error::not_found(format!("No such exec instance: {id}"))
}
