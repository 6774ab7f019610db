//! What changes containers: start, stop, kill and so on. Each is an order to the owner, or a few with waiting between.

use std::sync::Arc;
use std::time::Duration;

use shim::protocol::{INIT, Op};
use tokio::sync::watch;

use crate::container::{Handle, News, Order};
use crate::engine::{Engine, RemoveOptions, StopOptions, WaitCondition, WaitOutcome};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Phase;
use crate::{links, names, owner, signal};

/// How long a killed container may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Starts it. `NotModified` when it runs already.
    pub async fn start(&self, name: &str) -> Result<()> {
        self.shared().find(name)?.order(Order::Start).await
    }

    /// Stops it: its signal, then after the timeout SIGKILL. `NotModified` when it does not run.
    pub async fn stop(&self, name: &str, options: StopOptions) -> Result<()> {
        let handle = self.shared().find(name)?;
        if !handle.phase().is_active() {
            return Err(Error::not_modified());
        }
        self.stop_running(&handle, &options).await?;
        self.shared().announce(&handle, "stop", &[]);
        Ok(())
    }

    pub async fn restart(&self, name: &str, options: StopOptions) -> Result<()> {
        let handle = self.shared().find(name)?;
        if handle.phase().is_active() {
            // `--rm` must not remove it on the way.
            handle.tell_owner(Order::HoldAutoRemove(true)).await?;
            let stopped = self.stop_running(&handle, &options).await;
            handle.tell_owner(Order::HoldAutoRemove(false)).await?;
            stopped?;
            self.shared().announce(&handle, "stop", &[]);
        }
        handle.order(Order::Start).await?;
        self.shared().announce(&handle, "restart", &[]);
        Ok(())
    }

    /// `signal`: a name with or without SIG, or a number; `None` is SIGKILL.
    pub async fn kill(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let cannot = |error: Error| {
            Error::new(error.kind(), format!("cannot kill container: {name}")).caused_by(error)
        };
        let number = match signal.filter(|text| !text.is_empty()) {
            Some(text) => signal::number(text).map_err(cannot)?,
            None => 9,
        };
        let handle = self.shared().find(name).map_err(cannot)?;
        let mut news = handle.news();
        self.signal(&handle, number).await.map_err(cannot)?;
        if number == 9 {
            // As in Docker, a kill is answered when it has worked.
            let _gone =
                tokio::time::timeout(KILL_PATIENCE, news.wait_for(|n| !n.active || n.removed))
                    .await;
        }
        Ok(())
    }

    pub async fn pause(&self, name: &str) -> Result<()> {
        self.shared().find(name)?.order(Order::Pause).await
    }

    pub async fn unpause(&self, name: &str) -> Result<()> {
        self.shared().find(name)?.order(Order::Unpause).await
    }

    pub async fn rename(&self, name: &str, new: &str) -> Result<()> {
        let allocating =
            |e: Error| Error::new(e.kind(), "Error when allocating new name").caused_by(e);
        let handle = self.shared().find(name)?;
        if new.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let slashed = format!("/{}", new.strip_prefix('/').unwrap_or(new));
        let new = names::checked(&slashed).map_err(allocating)?.to_owned();
        let old = handle.name();
        if new == old {
            return Err(Error::invalid(
                "Renaming a container with the same name as its current name",
            ));
        }
        let id = handle.birth.id.clone();
        self.shared()
            .registry()
            .reserve(&new, &id)
            .map_err(allocating)?;
        let renamed = handle
            .order(|answer| Order::Rename {
                new: new.clone(),
                answer,
            })
            .await;
        let free = if renamed.is_ok() { &old } else { &new };
        self.shared().registry().release(free, &id);
        renamed
    }

    pub async fn remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        let handle = self.shared().find(name)?;
        if options.link {
            return self.remove_link(name).await;
        }
        if options.force && handle.phase().is_active() {
            self.end(&handle).await?;
        }
        let removed = handle
            .order(|answer| Order::Remove {
                volumes: options.volumes,
                answer,
            })
            .await;
        match removed {
            // Killed with `--rm`, it has removed itself.
            Err(error) if options.force && error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Ends the link that a name like `web/db` means.
    async fn remove_link(&self, name: &str) -> Result<()> {
        let Some((from, alias)) = links::path(name) else {
            return Err(Error::system(
                "Conflict, cannot remove the default link name of the container",
            ));
        };
        let alias = alias.to_owned();
        let handle = self.shared().find(from)?;
        handle.order(|answer| Order::Unlink { alias, answer }).await
    }

    /// Registers a wait and returns at once.
    pub async fn wait(&self, name: &str, condition: WaitCondition) -> Result<Wait> {
        let news = self.shared().find(name)?.news();
        let ends = news.borrow().ends;
        Ok(Wait {
            news,
            condition,
            ends,
        })
    }

    /// Sets the size of the first process's terminal.
    pub async fn resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        let handle = self.shared().find(name)?;
        let op = Op::Resize {
            process: INIT.to_owned(),
            columns: width,
            rows: height,
        };
        handle.ask(op).await?;
        let size = [("height", height.to_string()), ("width", width.to_string())];
        self.shared().announce(&handle, "resize", &size);
        Ok(())
    }

    async fn signal(&self, handle: &Arc<Handle>, number: i32) -> Result<()> {
        handle
            .order(|answer| Order::Signal {
                signal: number,
                answer,
            })
            .await
    }

    /// The signal, the wait, SIGKILL, the wait. That it ended by itself meanwhile is fine.
    async fn stop_running(&self, handle: &Arc<Handle>, options: &StopOptions) -> Result<()> {
        let birth = &handle.birth;
        let number = match options.signal.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => signal::number(text)?,
            None => owner::stop_signal(handle)?,
        };
        let default = i64::from(self.config().stop_timeout);
        let seconds = options
            .timeout
            .or(birth.options.stop_timeout)
            .unwrap_or(default);
        let mut news = handle.news();
        if self.signal(handle, number).await.is_err() && !handle.phase().is_active() {
            return Ok(());
        }
        let ended = news.wait_for(|news| !news.active || news.removed);
        match u64::try_from(seconds) {
            Ok(seconds) => {
                if tokio::time::timeout(Duration::from_secs(seconds), ended)
                    .await
                    .is_ok()
                {
                    return Ok(());
                }
            }
            // Negative: for as long as it takes.
            Err(_) => {
                let _gone = ended.await;
                return Ok(());
            }
        }
        self.end(handle).await
    }

    /// SIGKILL, and the wait for the end.
    async fn end(&self, handle: &Arc<Handle>) -> Result<()> {
        let mut news = handle.news();
        match self.signal(handle, 9).await {
            Err(_) if !handle.phase().is_active() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // Its process has ended by itself, and its owner has yet to hear of it.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            result => result?,
        }
        let ended = news.wait_for(|news| !news.active || news.removed);
        match tokio::time::timeout(KILL_PATIENCE, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::system(format!(
                "container {} did not end within {} seconds of SIGKILL",
                handle.birth.id,
                KILL_PATIENCE.as_secs()
            ))),
        }
    }

    /// Whether it can be removed by a prune.
    pub(crate) fn is_prunable(phase: Phase) -> bool {
        matches!(phase, Phase::Created | Phase::Exited | Phase::Dead)
    }
}

/// A wait that has been registered: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Wait {
    news: watch::Receiver<News>,
    condition: WaitCondition,
    /// How many runs had ended when it was registered.
    ends: u64,
}

impl Wait {
    /// Waits for it.
    pub async fn outcome(mut self) -> WaitOutcome {
        let (condition, ends) = (self.condition, self.ends);
        let met = move |news: &News| match condition {
            WaitCondition::NotRunning => !news.active || news.removed,
            WaitCondition::NextExit => news.ends > ends || news.removed,
            WaitCondition::Removed => news.removed,
        };
        // When the engine closes, the last news has to do.
        let _closed = self.news.wait_for(met).await.is_err();
        let news = self.news.borrow();
        WaitOutcome {
            code: news.code,
            error: None,
        }
    }
}
