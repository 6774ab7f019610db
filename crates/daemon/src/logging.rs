//! What the daemon tells its operator: one line on stderr for each thing that matters.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

use crate::config::{Config, LogLevel};

/// Lets a reload change how much is told.
pub(crate) struct Logging(Handle<LevelFilter, Registry>);

impl Logging {
    /// Begins. A second call in one process is refused by tracing and changes nothing.
    pub(crate) fn start(config: &Config) -> Self {
        let (filter, handle) = reload::Layer::new(level(config));
        let colours = !config.plain_logs && io::stderr().is_terminal();
        let registry = tracing_subscriber::registry().with(filter);
        let lines = fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(colours);
        let started = if config.json_logs {
            registry.with(lines.json().flatten_event(true)).try_init()
        } else {
            registry.with(lines).try_init()
        };
        drop(started);
        Self(handle)
    }

    pub(crate) fn change(&self, config: &Config) {
        // It fails only when the subscriber has gone, and then nobody listens.
        drop(self.0.reload(level(config)));
    }
}

/// Begins for a role without daemon.json.
pub(crate) fn start_plain(level: LogLevel) {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter(level));
    drop(registry.with(lines).try_init());
}

fn level(config: &Config) -> LevelFilter {
    if config.debug {
        return LevelFilter::DEBUG;
    }
    filter(config.log_level)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}
