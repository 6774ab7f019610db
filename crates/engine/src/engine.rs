//! The engine's front: every call the daemon makes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use oci::ContainerId;

use crate::archive::{Change, PathStat, PutOptions};
use crate::attach::{AttachOptions, Attached};
use crate::config::Config;
use crate::error::Result;
use crate::events::{EventQuery, EventStream};
use crate::exec::{ExecOptions, ExecStart, ExecView};
use crate::list::ListQuery;
use crate::logs::{LogQuery, LogStream};
use crate::options::{ContainerOptions, Echo};
use crate::stream::ByteReceiver;
use crate::view::ContainerView;

/// Containers as users know them. Cheap to clone; every clone is the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
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
    /// Set when the container could not be started or removed.
    pub error: Option<String>,
}

/// A wait that has been registered: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Wait {}

impl Wait {
    /// Waits for it.
    pub async fn outcome(self) -> WaitOutcome {
        todo!()
    }
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
    pub async fn open(_config: Config) -> Result<Self> {
        todo!()
    }

    /// What it was opened with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The images. Its calls block; whoever changes something through it tells the others with [`Engine::publish`].
    pub fn images(&self) -> &image::Store {
        todo!()
    }

    /// Tells everyone who listens.
    pub fn publish(&self, _event: crate::events::Event) {
        todo!()
    }

    /// Whether containers use the image, for its removal: ids and whether they run.
    pub fn users_of_image(&self, _image: &oci::Digest) -> Vec<(ContainerId, bool)> {
        todo!()
    }

    pub async fn create(&self, _request: CreateRequest) -> Result<Created> {
        todo!()
    }

    /// Starts it. `NotModified` when it runs already.
    pub async fn start(&self, _name: &str) -> Result<()> {
        todo!()
    }

    /// Stops it: its signal, then after the timeout SIGKILL. `NotModified` when it does not run.
    pub async fn stop(&self, _name: &str, _options: StopOptions) -> Result<()> {
        todo!()
    }

    pub async fn restart(&self, _name: &str, _options: StopOptions) -> Result<()> {
        todo!()
    }

    /// `signal`: a name with or without SIG, or a number; `None` is SIGKILL.
    pub async fn kill(&self, _name: &str, _signal: Option<&str>) -> Result<()> {
        todo!()
    }

    pub async fn pause(&self, _name: &str) -> Result<()> {
        todo!()
    }

    pub async fn unpause(&self, _name: &str) -> Result<()> {
        todo!()
    }

    pub async fn rename(&self, _name: &str, _new: &str) -> Result<()> {
        todo!()
    }

    pub async fn remove(&self, _name: &str, _options: RemoveOptions) -> Result<()> {
        todo!()
    }

    /// Registers a wait and returns at once.
    pub async fn wait(&self, _name: &str, _condition: WaitCondition) -> Result<Wait> {
        todo!()
    }

    /// A container by name, id or unambiguous prefix of an id; with sizes if asked.
    pub async fn inspect(&self, _name: &str, _size: bool) -> Result<ContainerView> {
        todo!()
    }

    /// Newest first.
    pub async fn list(&self, _query: ListQuery) -> Result<Vec<ContainerView>> {
        todo!()
    }

    pub async fn attach(&self, _name: &str, _options: AttachOptions) -> Result<Attached> {
        todo!()
    }

    /// Sets the size of the first process's terminal.
    pub async fn resize(&self, _name: &str, _height: u16, _width: u16) -> Result<()> {
        todo!()
    }

    /// Returns the exec's id.
    pub async fn exec_create(&self, _name: &str, _options: ExecOptions) -> Result<String> {
        todo!()
    }

    /// Returns once it runs; `None` when detached.
    pub async fn exec_start(&self, _id: &str, _start: ExecStart) -> Result<Option<Attached>> {
        todo!()
    }

    pub fn exec_inspect(&self, _id: &str) -> Result<ExecView> {
        todo!()
    }

    pub async fn exec_resize(&self, _id: &str, _height: u16, _width: u16) -> Result<()> {
        todo!()
    }

    pub async fn logs(&self, _name: &str, _query: LogQuery) -> Result<LogStream> {
        todo!()
    }

    /// The processes, as `ps` with these arguments shows them; `None`: `-ef`.
    pub async fn top(&self, _name: &str, _ps_args: Option<&str>) -> Result<TopTable> {
        todo!()
    }

    /// What the container changed in its image.
    pub async fn changes(&self, _name: &str) -> Result<Vec<Change>> {
        todo!()
    }

    /// The whole file system as a tar.
    pub async fn export(&self, _name: &str) -> Result<ByteReceiver> {
        todo!()
    }

    pub async fn archive_stat(&self, _name: &str, _path: &str) -> Result<PathStat> {
        todo!()
    }

    /// A file or folder as a tar, its last component at the top.
    pub async fn archive_get(&self, _name: &str, _path: &str) -> Result<(PathStat, ByteReceiver)> {
        todo!()
    }

    /// Unpacks a tar (plain, gzip, zstd) into a folder of the container.
    pub async fn archive_put(
        &self,
        _name: &str,
        _path: &str,
        _options: PutOptions,
        _tar: ByteReceiver,
    ) -> Result<()> {
        todo!()
    }

    /// Removes containers that do not run. Filters: `until`, `label`, `label!`.
    pub async fn prune_containers(
        &self,
        _filters: &BTreeMap<String, Vec<String>>,
    ) -> Result<Pruned> {
        todo!()
    }

    /// Subscribes; what happens after the return is in the stream.
    pub fn events(&self, _query: EventQuery) -> Result<EventStream> {
        todo!()
    }

    pub fn counts(&self) -> Counts {
        todo!()
    }

    /// Containers with sizes and volumes; images are the image store's.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        todo!()
    }
}
