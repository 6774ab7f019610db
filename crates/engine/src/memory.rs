//! The daemon's memory after work that took much of it.

use tokio::runtime::Handle;

/// To be held while images travel. When it goes, well or badly, the heap's free pages go back to the kernel: what
/// thirty threads have used for a second would otherwise stay with their arenas, as resident as if it were needed.
#[derive(Debug, Default)]
#[must_use]
pub struct GiveBack(());

impl Drop for GiveBack {
    fn drop(&mut self) {
        // It walks through the whole heap, so not on a thread that carries requests.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(linux::memory::trim)),
            Err(_) => linux::memory::trim(),
        }
    }
}
