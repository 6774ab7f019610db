//! What every request can reach: the engine, the configuration in force, and who this engine is.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use engine::{Engine, Event, Subject};
use jiff::Timestamp;

use crate::config::Config;

/// Shared by all connections.
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Tells this engine from all others, for ever.
    pub(crate) id: String,
    config: RwLock<Arc<Config>>,
    event_listeners: AtomicUsize,
    /// The thread of gc is there.
    pub(crate) gc_watches: AtomicBool,
}

impl App {
    pub(crate) fn new(engine: Engine, config: Config, id: String) -> Self {
        Self {
            engine,
            id,
            config: RwLock::new(Arc::new(config)),
            event_listeners: AtomicUsize::new(0),
            gc_watches: AtomicBool::new(false),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what a running daemon can take over from a new configuration, and tells so by an event.
    pub(crate) fn reload(&self, new: &Config) {
        let config = {
            let mut held = self.config.write().unwrap_or_else(PoisonError::into_inner);
            let mut config = Config::clone(&held);
            config.debug = new.debug;
            config.labels.clone_from(&new.labels);
            config.shutdown_timeout = new.shutdown_timeout;
            config.registries.clone_from(&new.registries);
            config.gc = new.gc;
            *held = Arc::new(config);
            Arc::clone(&held)
        };
        // Certificates, and which CAs the system trusts, are read anew with the settings.
        self.engine.set_registries(&config.registries);
        self.engine.images().tell_growth();
        self.engine.publish(Event {
            subject: Subject::Daemon,
            action: "reload".to_owned(),
            actor: self.id.clone(),
            attributes: crate::convert::reload::attributes(&config),
            time: Timestamp::now(),
        });
    }

    /// Counts a listener to events for as long as the guard lives.
    pub(crate) fn listening(self: &Arc<Self>) -> Listening {
        self.event_listeners.fetch_add(1, Ordering::Relaxed);
        Listening(Arc::clone(self))
    }

    pub(crate) fn event_listeners(&self) -> usize {
        self.event_listeners.load(Ordering::Relaxed)
    }
}

/// One client of `events`.
pub(crate) struct Listening(Arc<App>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.event_listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The engine's id: a UUID that is made once and kept in `<data-root>/engine-id`, as Docker keeps its own.
pub(crate) fn engine_id(data_root: &Path) -> io::Result<String> {
    let path = data_root.join("engine-id");
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned();
    fs::write(&path, &id)?;
    Ok(id)
}
