//! What is asked about containers: `inspect`, `ps`, `top`, `diff`, `system df`, and `prune`, which asks first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use shim::protocol::{Op, Value};

use crate::archive::{Change, ChangeKind};
use crate::container::{Container, Handle, Live};
use crate::engine::{Counts, DiskUsage, Engine, Pruned, RemoveOptions, TopTable};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Subject, has_label};
use crate::lifecycle::{Life, Phase};
use crate::list::{self, ListQuery};
use crate::shared::Shared;
use crate::state::Birth;
use crate::view::{ContainerView, GraphView, PlaceView, SizeView, StateView, Status};
use crate::{blocking, top};

impl Engine {
    /// A container by name, id or unambiguous prefix of an id; with sizes if asked.
    pub async fn inspect(&self, name: &str, size: bool) -> Result<ContainerView> {
        let shared = self.shared();
        let handle = shared.find(name)?;
        let mut view = view(shared, &handle);
        if size {
            let (shared, container) = (Arc::clone(shared), Arc::clone(&handle.container));
            view.size = Some(blocking(move || size_of(&shared, &container)).await?);
        }
        Ok(view)
    }

    /// Newest first.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<ContainerView>> {
        let shared = Arc::clone(self.shared());
        let containers = shared.containers();
        let mut names = crate::links::names(&containers);
        let view = |handle: &Arc<Handle>| ContainerView {
            linked_as: names.remove(&handle.birth.id).unwrap_or_default(),
            ..view(&shared, handle)
        };
        let views = containers.iter().map(view).collect();
        let needs_images = query.filters.contains_key("ancestor");
        if !query.size && !needs_images {
            return list::select(views, &query, &|_| Vec::new());
        }
        blocking(move || {
            let mut selected = list::select(views, &query, &|name| descendants(&shared, name))?;
            for view in selected.iter_mut().filter(|_| query.size) {
                // One that was removed meanwhile has no size.
                let handle = shared.registry().get(&view.id).cloned();
                view.size = handle.and_then(|handle| size_of(&shared, &handle).ok());
            }
            Ok(selected)
        })
        .await
    }

    /// The processes, as `ps` with these arguments shows them; `None`: `-ef`.
    pub async fn top(&self, name: &str, ps_args: Option<&str>) -> Result<TopTable> {
        let handle = self.shared().find(name)?;
        let pids = match handle.ask(Op::Pids).await? {
            Value::Pids { pids } => pids,
            other => {
                return Err(Error::system(format!(
                    "the shim answered a question for pids with {other:?}"
                )));
            }
        };
        self.shared().announce(&handle, "top", &[]);
        let arguments = ps_args.unwrap_or_default().to_owned();
        blocking(move || {
            let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let host = top::Host {
                proc: Path::new("/proc"),
                passwd: &passwd,
                zone: jiff::tz::TimeZone::system(),
                now: Timestamp::now(),
            };
            crate::reaper::with_children(|| top::table(&pids, &arguments, &host))
        })
        .await
    }

    /// What the container changed in its image.
    pub async fn changes(&self, name: &str) -> Result<Vec<Change>> {
        let (shared, handle) = (Arc::clone(self.shared()), self.shared().find(name)?);
        let changes = blocking(move || shared.images.changes(&handle.birth.id)).await?;
        let own = |change: image::Change| Change {
            path: change.path,
            kind: match change.kind {
                image::ChangeKind::Modified => ChangeKind::Modified,
                image::ChangeKind::Added => ChangeKind::Added,
                image::ChangeKind::Deleted => ChangeKind::Deleted,
            },
        };
        Ok(changes.into_iter().map(own).collect())
    }

    /// Removes containers that do not run. Filters: `until`, `label`, `label!`.
    pub async fn prune_containers(
        &self,
        filters: &BTreeMap<String, Vec<String>>,
    ) -> Result<Pruned> {
        let filter = PruneFilter::read(filters)?;
        let mut pruned = Pruned::default();
        for handle in self.shared().containers() {
            if !Self::is_prunable(handle.phase()) || !filter.matches(&handle) {
                continue;
            }
            let (shared, container) = (Arc::clone(self.shared()), Arc::clone(&handle.container));
            let size = blocking(move || shared.images.usage(&container.birth.id))
                .await
                .unwrap_or(0);
            match self
                .remove(handle.birth.id.as_str(), RemoveOptions::default())
                .await
            {
                Ok(()) => {
                    pruned.deleted.push(handle.birth.id.to_string());
                    pruned.reclaimed += size;
                }
                // Started or removed meanwhile.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                }
                Err(error) => return Err(error),
            }
        }
        self.shared()
            .announce_prune(Subject::Container, pruned.reclaimed);
        Ok(pruned)
    }

    /// What of this machine keeps containers from other hosts, each as a sentence. Blocks.
    pub fn obstacles(&self) -> Vec<String> {
        self.shared().networks.obstacles()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for handle in self.shared().containers() {
            match handle.phase() {
                Phase::Running { .. } => counts.running += 1,
                Phase::Paused { .. } => counts.paused += 1,
                _ => counts.stopped += 1,
            }
        }
        counts
    }

    /// Containers with sizes and volumes; images are the image store's.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        let query = ListQuery {
            all: true,
            size: true,
            ..ListQuery::default()
        };
        let containers = self.list(query).await?;
        let volumes = self.sized_volumes().await;
        Ok(DiskUsage {
            containers,
            volumes,
        })
    }
}

/// The ids of the images that a filter `ancestor` means.
fn descendants(shared: &Shared, name: &str) -> Vec<oci::Digest> {
    let Ok(ancestor) = shared.images.resolve(name) else {
        return Vec::new();
    };
    let layers = &ancestor.config.rootfs.diff_ids;
    let every = image::ListQuery {
        all: true,
        ..Default::default()
    };
    let all = shared.images.list(&every).unwrap_or_default();
    let made_from = all.into_iter().filter(|image| {
        image.id != ancestor.id && image.config.rootfs.diff_ids.starts_with(layers)
    });
    std::iter::once(ancestor.id.clone())
        .chain(made_from.map(|image| image.id))
        .collect()
}

fn size_of(shared: &Shared, container: &Container) -> Result<SizeView> {
    let rw = shared.images.usage(&container.birth.id)?;
    let image = container
        .birth
        .image
        .as_ref()
        .and_then(|id| shared.images.image(id).ok());
    Ok(SizeView {
        rw,
        root_fs: rw + image.map_or(0, |image| image.size),
    })
}

/// A container at this moment.
pub(crate) fn view(shared: &Shared, container: &Container) -> ContainerView {
    let birth = &container.birth;
    let folder = shared.paths.container(&birth.id);
    let links = crate::links::view(shared, container);
    let live = container.live();
    ContainerView {
        id: birth.id.clone(),
        name: live.name.clone(),
        created: birth.created,
        path: birth.path.clone(),
        args: birth.args.clone(),
        image: birth.image.clone(),
        state: state(&live.life),
        options: Arc::clone(&birth.options),
        echo: Arc::clone(&birth.echo),
        log: birth.log.clone(),
        runtime: birth.runtime.clone(),
        resolv_conf_path: folder.join("resolv.conf"),
        hostname_path: folder.join("hostname"),
        hosts_path: folder.join("hosts"),
        log_path: if birth.log.driver == "json-file" {
            shared.paths.log(&birth.id, &birth.log.driver)
        } else {
            PathBuf::new()
        },
        restart_count: 0,
        exec_ids: live.execs.iter().cloned().collect(),
        graph: GraphView {
            driver: container.snapshot.driver,
            lower: container.snapshot.lower_dirs.clone(),
            upper: container.snapshot.upper.clone(),
            work: container.snapshot.work.clone(),
            merged: container.snapshot.merged.clone(),
        },
        mounts: birth
            .mounts
            .iter()
            .map(crate::mounts::MountPoint::view)
            .collect(),
        links,
        linked_as: Vec::new(),
        networks: places(shared, birth, &live),
        ports: crate::ports::view(&birth.options, live.published(birth), &live.places),
        published: live.published(birth).to_vec(),
        size: None,
    }
}

fn places(shared: &Shared, birth: &Birth, live: &Live) -> Vec<PlaceView> {
    let mode = birth.options.host.network_mode.as_str();
    if matches!(mode, "none" | "host") {
        return shared.networks.show_built_in(mode).into_iter().collect();
    }
    let hostname = &birth.options.hostname;
    let names = |aliases: &[String]| crate::naming::names(&live.name, &birth.id, hostname, aliases);
    let places = live.places.iter();
    places
        .map(|place| shared.networks.show(place, names))
        .collect()
}

fn state(life: &Life) -> StateView {
    let status = match life.phase {
        Phase::Created => Status::Created,
        Phase::Starting if life.started_at.is_none() => Status::Created,
        Phase::Starting | Phase::Exited => Status::Exited,
        Phase::Running { .. } => Status::Running,
        Phase::Paused { .. } => Status::Paused,
        Phase::Removing | Phase::Gone => Status::Removing,
        Phase::Dead => Status::Dead,
    };
    StateView {
        status,
        running: matches!(status, Status::Running | Status::Paused),
        oom_killed: life.oom_killed,
        pid: life.phase.pid().unwrap_or(0),
        exit_code: life.exit_code,
        error: life.error.clone(),
        started_at: life.started_at,
        finished_at: life.finished_at,
    }
}

/// What a prune is limited to.
struct PruneFilter {
    until: Option<Timestamp>,
    labels: Vec<String>,
    without: Vec<String>,
}

impl PruneFilter {
    fn read(filters: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut filter = Self {
            until: None,
            labels: Vec::new(),
            without: Vec::new(),
        };
        for (key, values) in filters {
            match key.as_str() {
                "until" => filter.until = Some(until(values)?),
                "label" => filter.labels.clone_from(values),
                "label!" => filter.without.clone_from(values),
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    fn matches(&self, container: &Container) -> bool {
        let labels = &container.birth.options.labels;
        self.until
            .is_none_or(|until| container.birth.created < until)
            && self.labels.iter().all(|label| has_label(labels, label))
            && !self.without.iter().any(|label| has_label(labels, label))
    }
}

/// `until`: seconds since the epoch, an RFC 3339 time, or a duration before now (`10m`, `1h30m`).
pub(crate) fn until(values: &[String]) -> Result<Timestamp> {
    let [text] = values else {
        return Err(Error::invalid("more than one until filter specified"));
    };
    let invalid = || Error::invalid(format!("failed to parse {text:?} as a time or a duration"));
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_millisecond((seconds * 1000.0) as i64).map_err(|_| invalid());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(day) = text.parse::<jiff::civil::DateTime>() {
        return day
            .to_zoned(jiff::tz::TimeZone::system())
            .map(|zoned| zoned.timestamp())
            .map_err(|_| invalid());
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| invalid())?;
    Timestamp::now().checked_sub(span).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_prune() {
        let read = |text: &str| until(&[text.to_owned()]);
        assert_eq!(read("10").unwrap().as_second(), 10);
        assert_eq!(
            read("2026-01-02T03:04:05Z").unwrap().to_string(),
            "2026-01-02T03:04:05Z"
        );
        assert!(read("1h30m").unwrap() < Timestamp::now());
        assert!(read("soon").is_err());
    }
}
