//! Keeps disk space free, if daemon.json wants it: looks whenever the image store has grown, and at the start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use image::GcPolicy;

use crate::app::App;
use crate::http::failure::chain;
use crate::routes::publish_removed;

/// Starts the thread that looks, if daemon.json has `gc` and it is not there yet.
pub(crate) fn start(app: &Arc<App>) -> std::io::Result<()> {
    if app.config().gc.is_none() || app.gc_watches.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let app = Arc::clone(app);
    thread::Builder::new()
        .name("gc".to_owned())
        .spawn(move || watch(&app))
        .map(drop)
}

fn watch(app: &App) {
    let mut seen = 0;
    loop {
        // A reload may have brought another policy, or none.
        if let Some(policy) = app.config().gc {
            collect(app, &policy);
        }
        seen = app.engine.images().wait_for_growth(seen);
    }
}

fn collect(app: &App, policy: &GcPolicy) {
    match app.engine.collect_images(policy) {
        Ok(pruned) if pruned.removed.is_empty() && pruned.reclaimed == 0 => {}
        Ok(pruned) => {
            publish_removed(&app.engine, &pruned.removed);
            tracing::info!(bytes = pruned.reclaimed, "gc freed space");
        }
        Err(error) => tracing::warn!(message = %chain(&error), "gc failed"),
    }
}
