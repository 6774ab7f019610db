//! What this crate keeps on disk. Every struct that reaches it is here (or, for the options, in [`crate::options`]).
//!
//! ```text
//! <data>/containers/<id>/container.json   Record: a container exists when, and only when, this file does
//! <data>/containers/<id>/exit.json        shim::protocol::ExitRecord of the last run, written by the shim
//! <data>/containers/<id>/execs.jsonl, exec-exits.jsonl   execs made and ended: the engine's lines and the shim's
//! <data>/containers/<id>/{hostname,hosts,resolv.conf}   bound into the container
//! <data>/containers/<id>/<id>-json.log    written by the shim
//! ```
//!
//! Files are replaced whole. The version only grows; a reader refuses versions later than its own, and fields are only
//! added, with defaults.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use oci::{ContainerId, Digest};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Result};
use crate::lifecycle::{Life, Phase};
use crate::mounts::MountPoint;
use crate::networks::Place;
use crate::options::{ContainerOptions, Echo, LogOptions, PortBinding};

/// The version of [`Record`] that this code writes.
pub(crate) const VERSION: u32 = 1;

/// A container's record. The first group never changes after creation, so it is shared and not cloned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) birth: Arc<Birth>,
    pub(crate) name: String,
    pub(crate) life: LifeRecord,
    /// The networks it is to be in, and is in while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) places: Vec<Place>,
    /// What is to be published, if that has changed since the container was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published: Option<Vec<PortBinding>>,
    /// The links of the default bridge that are left, if some were removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) links: Option<Vec<String>>,
}

/// What is settled at creation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Birth {
    pub(crate) id: ContainerId,
    pub(crate) created: Timestamp,
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    pub(crate) image: Option<Digest>,
    /// The image's name as the user wrote it.
    pub(crate) image_name: String,
    pub(crate) options: Arc<ContainerOptions>,
    pub(crate) echo: Arc<Echo>,
    pub(crate) log: LogOptions,
    pub(crate) runtime: String,
    pub(crate) mounts: Vec<MountPoint>,
}

/// A [`Life`] as it is kept. Whether a container that was running still does, its shim knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LifeRecord {
    pub(crate) phase: PhaseRecord,
    #[serde(default)]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) finished_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) exit_code: i32,
    #[serde(default)]
    pub(crate) oom_killed: bool,
    #[serde(default)]
    pub(crate) error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PhaseRecord {
    Created,
    Running,
    Paused,
    Exited,
}

impl From<&Life> for LifeRecord {
    fn from(life: &Life) -> Self {
        let phase = match life.phase {
            Phase::Running { .. } => PhaseRecord::Running,
            Phase::Paused { .. } => PhaseRecord::Paused,
            Phase::Created | Phase::Starting if life.started_at.is_none() => PhaseRecord::Created,
            _ => PhaseRecord::Exited,
        };
        Self {
            phase,
            started_at: life.started_at,
            finished_at: life.finished_at,
            exit_code: life.exit_code,
            oom_killed: life.oom_killed,
            error: life.error.clone(),
        }
    }
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) data: PathBuf,
    pub(crate) exec: PathBuf,
}

impl Paths {
    pub(crate) fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    pub(crate) fn record(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("container.json")
    }

    pub(crate) fn exit_record(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("exit.json")
    }

    /// See [`crate::exec`]'s records.
    pub(crate) fn execs(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("execs.jsonl")
    }

    pub(crate) fn exec_exits(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("exec-exits.jsonl")
    }

    pub(crate) fn log(&self, id: &ContainerId, driver: &str) -> PathBuf {
        let folder = self.container(id);
        match driver {
            "local" => folder.join("local-logs").join("container.log"),
            _ => folder.join(format!("{id}-json.log")),
        }
    }

    /// Names the cgroup that this engine has made for its containers.
    pub(crate) fn cgroup_parent(&self) -> PathBuf {
        self.exec.join("cgroup-parent")
    }

    /// Compiled seccomp filters of this daemon's default profile.
    pub(crate) fn filters(&self) -> PathBuf {
        self.exec.join("filters")
    }

    pub(crate) fn bundles(&self) -> PathBuf {
        self.exec.join("containers")
    }

    pub(crate) fn bundle(&self, id: &ContainerId) -> PathBuf {
        self.bundles().join(id.as_str())
    }
}

impl Record {
    /// Reads and checks a record.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).context(|| format!("read {}", path.display()))?;
        let record: Self =
            serde_json::from_slice(&bytes).context(|| format!("read {}", path.display()))?;
        check_version(record.version, path)?;
        Ok(record)
    }

    /// Replaces the record durably: when this returns, the container exists whatever happens. One that goes with its end
    /// does not outlive the machine's power anyway, so nobody waits for the disk on its account.
    pub(crate) fn commit(&self, path: &Path) -> Result<()> {
        if self.is_transient() {
            return self.save(path);
        }
        linux::durable::replace(path, &self.to_bytes())
            .context(|| format!("write {}", path.display()))
    }

    /// Replaces the record without waiting for the disk: what it adds can be learnt again from the shim or its exit record.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        replace_quickly(path, &self.to_bytes()).context(|| format!("write {}", path.display()))
    }

    /// Goes with the container's end (`--rm`).
    pub(crate) fn is_transient(&self) -> bool {
        self.birth.options.host.auto_remove
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has text keys only")
    }
}

fn check_version(version: u32, path: &Path) -> Result<()> {
    if version == 0 || version > VERSION {
        return Err(Error::system(format!(
            "{} has version {version}; this engine reads versions up to {VERSION}",
            path.display()
        )));
    }
    Ok(())
}

fn replace_quickly(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(&draft, path)
}
