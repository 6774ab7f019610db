//! Keeps disk space free, if daemon.json wants it: looks whenever the image store has grown, and at the start.

use std::sync::Arc;
use std::thread;

use crate::app::App;
use crate::http::failure::chain;
use crate::routes::publish_removed;

/// Starts the thread that looks; nothing without `gc` in daemon.json.
pub(crate) fn start(app: &Arc<App>) -> std::io::Result<()> {
    let Some(policy) = app.config().gc else {
        return Ok(());
    };
    let engine = app.engine.clone();
    let watch = move || {
        let mut seen = 0;
        loop {
            match engine.collect_images(&policy) {
                Ok(pruned) if pruned.removed.is_empty() && pruned.reclaimed == 0 => {}
                Ok(pruned) => {
                    publish_removed(&engine, &pruned.removed);
                    tracing::info!(bytes = pruned.reclaimed, "gc freed space");
                }
                Err(error) => tracing::warn!(message = %chain(&error), "gc failed"),
            }
            seen = engine.images().wait_for_growth(seen);
        }
    };
    thread::Builder::new()
        .name("gc".to_owned())
        .spawn(watch)
        .map(drop)
}
