//! The engine's front: every call the daemon makes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use oci::{ContainerId, Digest};
use tokio::sync::mpsc;

use crate::attach::{self, AttachOptions, Attached};
use crate::config::Config;
use crate::container::{Container, Handle, Order};
use crate::error::{Error, Result};
use crate::events::{Event, EventQuery, EventStream};
use crate::lifecycle::Phase;
use crate::link::Link;
use crate::logs::{LogQuery, LogSource, LogStream};
use crate::options::{ContainerOptions, Echo};
use crate::owner::{MAILBOX, Owner};
use crate::shared::Shared;
use crate::view::ContainerView;
use crate::{blocking, logging, naming, reaper, recover};

/// Containers as users know them. Cheap to clone; every clone is the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// A create request.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// `None`: a random name.
    pub name: Option<String>,
    pub options: ContainerOptions,
    pub echo: Echo,
}

/// A container that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub id: ContainerId,
    pub warnings: Vec<String>,
}

/// How to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// `None`: the container's.
    pub signal: Option<String>,
    /// Seconds; `None`: the container's. Negative: wait for ever.
    pub timeout: Option<i64>,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a legacy link instead; refused.
    pub link: bool,
}

/// What a waiter waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Returns at once when it does not run.
    #[default]
    NotRunning,
    NextExit,
    Removed,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitOutcome {
    pub code: i32,
    /// Set when the wait itself failed, which it does not so far; a failed start is told to who asked for it.
    pub error: Option<String>,
}

/// `top`: the titles and a row for each process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopTable {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

/// What a prune removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids of containers or images, names of volumes.
    pub deleted: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}

/// For `info`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
}

/// For `system df`: containers with sizes, and volumes.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    pub containers: Vec<ContainerView>,
    pub volumes: Vec<VolumeView>,
}

/// A volume to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Empty: an anonymous one.
    pub name: String,
    /// Empty or `local`.
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    /// `type`, `o`, `device`.
    pub options: BTreeMap<String, String>,
}

/// A volume under the data root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeView {
    pub name: String,
    pub mountpoint: PathBuf,
    pub created: jiff::Timestamp,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    /// Made without a name.
    pub anonymous: bool,
    /// Bytes, when asked for.
    pub size: Option<u64>,
    /// How many containers mention it.
    pub references: usize,
}

impl Engine {
    /// Opens the engine over its folders: reads records, meets living shims, reads exit records, collects garbage.
    /// Wants a tokio runtime with several threads.
    pub async fn open(config: Config) -> Result<Self> {
        let found = blocking(move || recover::look(config)).await?;
        let engine = Self {
            shared: found.shared,
        };
        reaper::start()?;
        // All at once: one whose shim does not answer keeps nobody waiting.
        let containers = found.containers.into_iter();
        join_all(containers.map(|one| recover::take_in(&engine, one))).await;
        let shared = Arc::clone(&engine.shared);
        blocking(move || naming::adopt(&shared, &found.kept)).await;
        let shared = Arc::clone(&engine.shared);
        tokio::task::spawn_blocking(move || shared.shims.stock_up());
        Ok(engine)
    }

    /// What it was opened with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The images. Calls block: use [`blocking`]. Events for what is changed there are the caller's to publish, with
    /// [`Engine::publish`].
    pub fn images(&self) -> &image::Store {
        &self.shared.images
    }

    /// Tells everyone who listens.
    pub fn publish(&self, event: Event) {
        self.shared.bus.publish(event);
    }

    /// Whether containers use the image, for its removal: ids and whether they run.
    pub fn users_of_image(&self, image: &Digest) -> Vec<(ContainerId, bool)> {
        let users = self
            .shared
            .containers()
            .into_iter()
            .filter(|c| c.birth.image.as_ref() == Some(image));
        users
            .map(|c| (c.birth.id.clone(), c.phase().is_active()))
            .collect()
    }

    /// Attaches a client. To a container that does not run it is attached at its start.
    pub async fn attach(&self, name: &str, options: AttachOptions) -> Result<Attached> {
        let handle = self.shared.find(name)?;
        if let Phase::Paused { .. } = handle.phase() {
            return Err(Error::conflict(format!(
                "container {name} is paused, unpause the container before attach"
            )));
        }
        let birth = &handle.birth;
        let tty = birth.options.tty;
        let mut attached = if options.stream {
            let wanted = shim::protocol::Attach {
                process: shim::protocol::INIT.to_owned(),
                stdin: options.stdin && birth.options.open_stdin,
                stdout: options.stdout,
                stderr: options.stderr,
            };
            let (attached, client) = attach::waiting(wanted, tty, options.detach_keys.clone());
            handle.tell_owner(Order::Attach(client)).await?;
            attached
        } else {
            attach::closed(tty)
        };
        if options.logs {
            let query = LogQuery {
                stdout: options.stdout,
                stderr: options.stderr,
                ..LogQuery::default()
            };
            attached.output.history = Some(self.logs(birth.id.as_str(), query).await?);
        }
        self.shared.announce(&handle, "attach", &[]);
        Ok(attached)
    }

    /// What the container wrote.
    pub async fn logs(&self, name: &str, query: LogQuery) -> Result<LogStream> {
        let handle = self.shared.find(name)?;
        let birth = &handle.birth;
        if birth.log.driver == "none" {
            return Err(Error::new(
                crate::ErrorKind::NotImplemented,
                "configured logging driver does not support reading",
            ));
        }
        let mut news = handle.news();
        let source = LogSource {
            driver: logging::driver(&birth.log.driver),
            path: self.shared.paths.log(&birth.id, &birth.log.driver),
            tty: birth.options.tty,
            stopped: Box::pin(async move {
                // An error means that the container is gone.
                let _ended = news.wait_for(|news| !news.active || news.removed).await;
            }),
        };
        blocking(move || LogStream::open(source, query)).await
    }

    /// Finishes what was begun, and takes away what need not outlive the engine: the shim that has no container, and the
    /// cgroup above its containers', if it made that one and none is left in it.
    pub async fn close(&self) {
        self.shared.finish_chores().await;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.shims.close();
            shared.keeper.close();
            shared.networks.close();
            let parent = shared.config.cgroup_parent.as_str();
            let note = shared.paths.cgroup_parent();
            if std::fs::read_to_string(&note).is_ok_and(|made| made == parent) {
                shared.cgroups.remove_parent(parent);
                if !shared.cgroups.has_parent(parent) {
                    let _gone = std::fs::remove_file(&note);
                }
            }
        })
        .await;
    }

    /// Subscribes; what happens after the return is in the stream.
    pub fn events(&self, query: EventQuery) -> Result<EventStream> {
        self.shared.bus.subscribe(query)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Gives a container its owner and makes it known.
    pub(crate) fn take_in(&self, container: Container, link: Option<Link>) -> Arc<Handle> {
        let (sender, orders) = mpsc::channel(MAILBOX);
        let container = Arc::new(container);
        let owner = Owner::new(&self.shared, Arc::clone(&container), orders, link);
        let handle = Arc::new(Handle::new(container, sender));
        self.shared
            .registry()
            .insert(handle.birth.id.clone(), Arc::clone(&handle));
        tokio::spawn(owner.run());
        handle
    }
}
