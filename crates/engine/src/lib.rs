//! Containers as users know them: their life, their processes, their logs, their files.
//!
//! The daemon speaks to [`Engine`] in this crate's own types and turns wire types into them; nothing here knows HTTP or
//! the names of JSON fields. Each container has one owner task; its state moves only through a pure `step`.
#![forbid(unsafe_code)]

mod archive;
mod attach;
mod cgroups;
mod check;
mod commit;
mod config;
mod container;
mod control;
mod copy;
mod create;
mod detach;
mod engine;
mod error;
mod events;
mod exec;
mod keeper;
mod launch;
mod lifecycle;
mod link;
mod links;
mod list;
mod logging;
mod logs;
mod lookup;
mod memory;
mod mode;
mod mounts;
mod names;
mod naming;
mod netfiles;
mod networks;
pub mod options;
mod owner;
mod ports;
mod pull;
mod push;
mod queries;
mod reaper;
mod recover;
mod registry;
mod remote;
mod seccomp;
mod shared;
mod shims;
mod signal;
mod spec;
mod state;
mod storage;
mod stream;
mod top;
mod transfer;
mod users;
mod view;
mod volumes;

pub use archive::{Change, ChangeKind, PathStat, PutOptions};
pub use attach::{AttachOptions, Attached, Flow, Input, Output, Stream};
pub use commit::CommitRequest;
pub use config::{Config, ExternalRuntime};
pub use control::Wait;
pub use detach::DetachKeys;
pub use engine::{
    Counts, CreateRequest, Created, DiskUsage, Engine, Pruned, RemoveOptions, StopOptions,
    TopTable, VolumeRequest, VolumeView, WaitCondition, WaitOutcome,
};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventQuery, EventStream, Subject};
pub use exec::{ExecOptions, ExecStart, ExecView};
pub use list::ListQuery;
pub use logs::{LogQuery, LogStream};
pub use memory::GiveBack;
pub use networks::{
    AddressPool, EndpointView, NetworkRequest, NetworkView, Networking, PublishMode,
};
pub use owner::PortChange;
pub use ports::PortView;
pub use pull::PullRequest;
pub use push::PushRequest;
pub use remote::{
    Candidates, Credentials, Distribution, Download, Found, Insecure, InvalidRegistrySetting,
    LoggedIn, Mirror, Proxies, Registries, SearchRequest, without_login,
};
pub use shim::keeping::HostNames;
pub use stream::{ByteReceiver, ByteSender, pipe};
pub use transfer::{Report, Reporter};
pub use view::{
    ContainerView, GraphView, MountKind, MountView, PlaceView, SizeView, StateView, Status,
};

/// The name of our own runtime, as `--runtime` and `inspect` have it.
pub const RUNTIME: &str = "tare-runtime";

/// The names it has: those of Docker's own runtime too, which compose files ask for. A configured runtime of such a name
/// goes before.
pub const OWN_RUNTIMES: [&str; 3] = [RUNTIME, "runc", "io.containerd.runc.v2"];

/// Runs sync code that waits for the disk or the kernel on a thread made for that.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
