//! Dead children. The daemon is the parent of its shims, and as a subreaper of whatever a killed shim leaves, so that
//! nothing stays a zombie. What it needs to know of their ends it learns elsewhere; here they are only buried.

use std::sync::{PoisonError, RwLock};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Context as _, Result};

/// Held for reading while someone waits for a child of their own.
static OWN_CHILDREN: RwLock<()> = RwLock::new(());

/// Runs what starts a child and waits for it itself, without its being reaped from under it.
pub(crate) fn with_children<T>(work: impl FnOnce() -> T) -> T {
    let _kept = OWN_CHILDREN.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Makes this process the reaper of its descendants, for as long as the runtime lives.
pub(crate) fn start() -> Result<()> {
    linux::process::set_child_subreaper().context(|| "become a subreaper".to_owned())?;
    let mut deaths = signal(SignalKind::child()).context(|| "watch for SIGCHLD".to_owned())?;
    tokio::spawn(async move {
        while deaths.recv().await.is_some() {
            crate::blocking(bury).await;
        }
    });
    Ok(())
}

fn bury() {
    let _alone = OWN_CHILDREN.write().unwrap_or_else(PoisonError::into_inner);
    while let Ok(Some((pid, status))) = linux::process::reap_any() {
        tracing::debug!(pid, ?status, "reaped");
    }
}
