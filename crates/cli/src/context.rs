//! What every command is given: how the program was called, the global flags, and the way to the daemon.

use std::future::Future;

use crate::failure::Failure;
use crate::globals::Globals;
use crate::host::Host;

/// The surroundings of a command. Reads nothing until it is asked.
#[derive(Debug)]
pub struct Context {
    /// How texts name the program: `tare`, or `docker` when called as that.
    pub program: &'static str,
    /// The global flags.
    pub globals: Globals,
}

impl Context {
    pub(crate) fn new(program: &'static str, globals: Globals) -> Context {
        Context { program, globals }
    }

    /// Which daemon to talk to.
    pub fn host(&self) -> Result<Host, Failure> {
        let refused =
            |error: crate::host::HostError| Failure::new(format!("Failed to initialize: {error}"));
        if let Some(address) = &self.globals.host {
            return Host::named(address).map_err(refused);
        }
        match std::env::var("DOCKER_HOST") {
            Ok(address) if !address.is_empty() && self.globals.context.is_none() => {
                Host::named(&address).map_err(refused)
            }
            _ => Ok(Host::default_host()),
        }
    }

    /// Runs what talks to the daemon, on one thread. Commands that do not talk never start the machinery.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(future))
    }
}
