//! The life of a container as a pure function: [`step`] takes a [`Life`] and what happened, and answers with the next
//! life and what has to be done about it. It does no I/O and reads no clock, so it can be tested exhaustively.
//!
//! ```text
//!           Start              Started            Paused
//! Created ---------> Starting ---------> Running <-------> Paused
//!    |       ^           | StartFailed      |     Unpaused    |
//!    |       |           v                  | Ended           | Ended
//!    |       +------- Exited <--------------+-----------------+
//!    |  Remove           | Remove
//!    +------> Removing <-+        Removing -- Removed --> Gone
//!                                          \- RemoveFailed -> Dead -- Remove --> Removing
//! ```

use jiff::Timestamp;

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Created,
    Starting,
    Running {
        pid: u32,
    },
    Paused {
        pid: u32,
    },
    Exited,
    Removing,
    /// Its removal failed half-way; it can only be removed again.
    Dead,
    /// Removed: nothing of it is left.
    Gone,
}

impl Phase {
    /// Whether a process of it lives or is about to.
    pub(crate) fn is_active(self) -> bool {
        matches!(
            self,
            Phase::Starting | Phase::Running { .. } | Phase::Paused { .. }
        )
    }

    /// The first process, while there is one.
    pub(crate) fn pid(self) -> Option<u32> {
        match self {
            Phase::Running { pid } | Phase::Paused { pid } => Some(pid),
            _ => None,
        }
    }
}

/// The life of a container so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) phase: Phase,
    /// Remove it when it ends (`--rm`).
    pub(crate) auto_remove: bool,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) exit_code: i32,
    pub(crate) oom_killed: bool,
    /// Why the last start failed.
    pub(crate) error: String,
}

impl Life {
    pub(crate) fn new(auto_remove: bool) -> Self {
        Self {
            phase: Phase::Created,
            auto_remove,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
        }
    }
}

/// What happened, or what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Started {
        pid: u32,
        at: Timestamp,
    },
    StartFailed {
        code: i32,
        error: String,
    },
    /// A process of it was killed for want of memory.
    OutOfMemory,
    /// The processes have been frozen.
    Paused,
    /// The processes have been thawed.
    Unpaused,
    /// The first process has ended, its output is drained and its cgroup gone.
    Ended {
        code: i32,
        at: Timestamp,
        oom_killed: bool,
    },
    Remove,
    RemoveFailed,
    Removed,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Save the record as running, start a shim and tell it to start.
    Launch,
    /// Write the record; the exit record of the shim already is durable, so this need not be.
    Save,
    /// Remove the bundle and what belongs to this run.
    TidyRun,
    /// Tell the world.
    Tell(Notice),
    /// Wake those who wait for an exit.
    WakeWaiters,
    /// Remove the container and what belongs to this run, as `--rm` asked.
    AutoRemove,
    /// Remove everything.
    Dismantle,
    /// Wake those who wait for the removal, and forget it.
    Forget,
}

/// An event for the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    Start,
    Die,
    OutOfMemory,
    Pause,
    Unpause,
    Destroy,
}

/// Why something cannot be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Start of something that runs already.
    AlreadyRunning,
    /// Start of something paused.
    StartPaused,
    /// It is being removed, or its removal failed.
    Removing,
    /// It has to run for that.
    NotRunning,
    AlreadyPaused,
    NotPaused,
    /// Removal of something that runs.
    StillRunning,
    StillPaused,
    /// Not something that can happen in this phase.
    OutOfPlace,
}

/// The next life and what to do, or why not.
pub(crate) fn step(life: &Life, event: Event) -> Result<(Life, Vec<Effect>), Refusal> {
    match event {
        Event::Start => start(life),
        Event::Started { pid, at } => started(life, pid, at),
        Event::StartFailed { code, error } => start_failed(life, code, error),
        Event::OutOfMemory => out_of_memory(life),
        Event::Paused => pause(life),
        Event::Unpaused => unpause(life),
        Event::Ended {
            code,
            at,
            oom_killed,
        } => ended(life, code, at, oom_killed),
        Event::Remove => remove(life),
        Event::RemoveFailed => remove_failed(life),
        Event::Removed => removed(life),
    }
}

type Step = Result<(Life, Vec<Effect>), Refusal>;

fn moved(life: &Life, phase: Phase) -> Life {
    Life {
        phase,
        ..life.clone()
    }
}

fn start(life: &Life) -> Step {
    match life.phase {
        Phase::Created | Phase::Exited => Ok((
            Life {
                error: String::new(),
                ..moved(life, Phase::Starting)
            },
            vec![Effect::Launch],
        )),
        Phase::Starting | Phase::Running { .. } => Err(Refusal::AlreadyRunning),
        Phase::Paused { .. } => Err(Refusal::StartPaused),
        Phase::Removing | Phase::Dead | Phase::Gone => Err(Refusal::Removing),
    }
}

fn started(life: &Life, pid: u32, at: Timestamp) -> Step {
    if life.phase != Phase::Starting {
        return Err(Refusal::OutOfPlace);
    }
    let next = Life {
        started_at: Some(at),
        exit_code: 0,
        oom_killed: false,
        ..moved(life, Phase::Running { pid })
    };
    Ok((next, vec![Effect::Tell(Notice::Start)]))
}

fn start_failed(life: &Life, code: i32, error: String) -> Step {
    if life.phase != Phase::Starting {
        return Err(Refusal::OutOfPlace);
    }
    // A container that never ran stays `created`, as Docker has it.
    let phase = match life.started_at {
        None => Phase::Created,
        Some(_) => Phase::Exited,
    };
    let next = Life {
        exit_code: code,
        error,
        ..moved(life, phase)
    };
    let mut effects = vec![Effect::TidyRun, Effect::Save, Effect::WakeWaiters];
    if life.auto_remove {
        effects.push(Effect::AutoRemove);
    }
    Ok((next, effects))
}

/// It may well run on, as Docker shows it: killed is one of its processes.
fn out_of_memory(life: &Life) -> Step {
    if life.phase.pid().is_none() {
        return Err(Refusal::OutOfPlace);
    }
    let next = Life {
        oom_killed: true,
        ..life.clone()
    };
    Ok((next, vec![Effect::Save, Effect::Tell(Notice::OutOfMemory)]))
}

fn pause(life: &Life) -> Step {
    match life.phase {
        Phase::Running { pid } => Ok((
            moved(life, Phase::Paused { pid }),
            vec![Effect::Save, Effect::Tell(Notice::Pause)],
        )),
        Phase::Paused { .. } => Err(Refusal::AlreadyPaused),
        _ => Err(Refusal::NotRunning),
    }
}

fn unpause(life: &Life) -> Step {
    match life.phase {
        Phase::Paused { pid } => Ok((
            moved(life, Phase::Running { pid }),
            vec![Effect::Save, Effect::Tell(Notice::Unpause)],
        )),
        _ => Err(Refusal::NotPaused),
    }
}

fn ended(life: &Life, code: i32, at: Timestamp, oom_killed: bool) -> Step {
    if life.phase.pid().is_none() {
        return Err(Refusal::OutOfPlace);
    }
    let next = Life {
        finished_at: Some(at),
        exit_code: code,
        oom_killed,
        ..moved(life, Phase::Exited)
    };
    // Who waits need not wait for what only tidies up: the exit record is on disk.
    let mut effects = vec![Effect::Tell(Notice::Die), Effect::WakeWaiters];
    if life.auto_remove {
        effects.push(Effect::AutoRemove);
    } else {
        effects.extend([Effect::TidyRun, Effect::Save]);
    }
    Ok((next, effects))
}

fn remove(life: &Life) -> Step {
    match life.phase {
        Phase::Created | Phase::Exited | Phase::Dead => {
            Ok((moved(life, Phase::Removing), vec![Effect::Dismantle]))
        }
        Phase::Starting | Phase::Running { .. } => Err(Refusal::StillRunning),
        Phase::Paused { .. } => Err(Refusal::StillPaused),
        Phase::Removing | Phase::Gone => Err(Refusal::Removing),
    }
}

fn remove_failed(life: &Life) -> Step {
    match life.phase {
        Phase::Removing => Ok((moved(life, Phase::Dead), vec![])),
        _ => Err(Refusal::OutOfPlace),
    }
}

fn removed(life: &Life) -> Step {
    match life.phase {
        Phase::Removing => Ok((
            moved(life, Phase::Gone),
            vec![Effect::Tell(Notice::Destroy), Effect::Forget],
        )),
        _ => Err(Refusal::OutOfPlace),
    }
}

#[cfg(test)]
mod tests;
