//! A log that the disk refuses, as a rule because it is full.
//!
//! No line may be lost silently, and no container may hang for ever because of its log. So its output is not read for a
//! while: it waits in the pipe, and the container with it once that is full. When that has lasted for [`HOLD`], the output is read
//! again and given up, and the log says how much is missing once it can be written. Attached clients get everything.
//!
//! A container whose log has `mode=non-blocking` never waits: its output is read on, kept in memory as far as `max-buffer-size`
//! goes, and given up beyond that.

use std::time::{Duration, Instant};

use shim::log::Writer;
use shim::protocol::{Event, INIT};
use shim::time::Timestamp;

use super::Supervisor;

/// How long the container is held back.
const HOLD: Duration = Duration::from_secs(10);

/// How often the disk is asked while the container waits. Nothing tells when a filesystem has room again.
const TRY: Duration = Duration::from_millis(100);

/// The same, once it does not.
const TRY_LATER: Duration = Duration::from_secs(1);

/// A disk that refuses the log.
#[derive(Debug)]
pub(super) struct Stall {
    next_try: Instant,
    /// When output is given up; nothing once it is, or if the container never waits.
    until: Option<Instant>,
}

impl Stall {
    /// Whether output is read, and skipped once its buffer is full.
    pub(super) fn gives_up(&self) -> bool {
        self.until.is_none()
    }

    pub(super) fn next_try(&self) -> Instant {
        self.next_try
    }
}

impl Supervisor {
    /// The disk has refused output of the first process: it is not read for now.
    pub(super) fn begin_stall(&mut self) {
        let now = Instant::now();
        let is_blocking = self.log.as_ref().is_some_and(Writer::is_blocking);
        self.stall.get_or_insert(Stall {
            next_try: now + TRY,
            until: is_blocking.then(|| now + HOLD),
        });
        if !is_blocking {
            return;
        }
        if let Some(number) = self.find(INIT) {
            let ended = self.processes[&number].exit.is_some();
            self.pause_outputs(number);
            if ended {
                self.give_up_holding_back();
            }
        }
    }

    /// Asks the disk again, if it is time.
    pub(super) fn try_stalled_log(&mut self, now: Instant) {
        let Some(stall) = &mut self.stall else { return };
        if stall.next_try > now {
            return;
        }
        let expired = stall.until.is_some_and(|until| until <= now);
        stall.next_try = now + if stall.gives_up() { TRY_LATER } else { TRY };
        let Some(log) = &mut self.log else { return };
        let skipped = log.skipped();
        match log.retry(Timestamp::now()) {
            Ok(()) => {
                self.stall = None;
                if skipped > 0 {
                    self.tell_missing(skipped);
                }
                self.log_failed = false;
                self.resume_outputs();
            }
            Err(_) if expired => self.give_up_holding_back(),
            Err(_) => {}
        }
    }

    /// The container goes on, or ends, and its output with it.
    pub(super) fn give_up_holding_back(&mut self) {
        if let Some(stall) = &mut self.stall {
            stall.until = None;
            self.resume_outputs();
        }
    }

    pub(super) fn tell_missing(&mut self, bytes: u64) {
        let message = format!("{bytes} bytes of output are missing in the log");
        self.tell(&Event::Warning { message });
    }
}
