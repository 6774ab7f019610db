//! A container that runs out of memory, told when it happens.

use linux::epoll::EventFlags;
use oci::runtime::Spec;
use runtime::OomWatch;
use shim::protocol::Event;

use super::container::Container;
use super::{Supervisor, Token};

impl Supervisor {
    /// Begins to listen for the container running out of memory. Without a limit of its own it does so only with the
    /// whole machine, and is not asked about.
    pub(super) fn watch_oom(&mut self, spec: &Spec) {
        let resources = spec
            .linux
            .as_ref()
            .and_then(|linux| linux.resources.as_ref());
        let memory = resources.and_then(|resources| resources.memory.as_ref());
        if memory
            .and_then(|memory| memory.limit)
            .is_none_or(|limit| limit <= 0)
        {
            return;
        }
        let watch = self.container.as_ref().map(Container::watch_oom);
        match watch.transpose().map(Option::flatten) {
            Ok(Some(watch)) => {
                self.watch_fd(&watch, Token::OutOfMemory, EventFlags::IN);
                self.oom = Some(watch);
            }
            Ok(None) => {}
            // The end of the container tells it, too.
            Err(message) => self.tell(&Event::Warning { message }),
        }
    }

    /// A process of the container is being killed for want of memory, or has been.
    pub(super) fn out_of_memory(&mut self) {
        if self.oom.as_mut().is_some_and(OomWatch::take) {
            self.oom_killed = true;
            self.tell(&Event::OutOfMemory);
        }
    }

    /// Stops listening, before the cgroup goes; whether it was told that the container ran out of memory.
    pub(super) fn end_oom_watch(&mut self) -> bool {
        self.out_of_memory();
        if let Some(watch) = self.oom.take() {
            // It is in the set, so it can be taken out.
            let _ = self.epoll.delete(&watch);
        }
        self.oom_killed
    }
}
