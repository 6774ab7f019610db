//! `ps`: which containers, in what order. Filters mean what they mean in Docker, and what they cannot mean is refused.

use std::collections::{BTreeMap, BTreeSet};

use oci::{ContainerId, Digest};
use regex_lite::Regex;

use crate::error::{Error, Result};
use crate::events::has_label;
use crate::ports::Ports;
use crate::view::{ContainerView, MountKind, Status};

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Those that do not run too.
    pub all: bool,
    /// The newest so many, running or not; `None`: all.
    pub limit: Option<usize>,
    /// Work out sizes.
    pub size: bool,
    /// Docker's filters: `id name label exited status ancestor before since volume network publish expose health
    /// is-task`.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Answers what only the image store knows: an image and all images made from it.
pub(crate) type Descendants<'a> = dyn Fn(&str) -> Vec<Digest> + 'a;

/// The containers of `views` that the query means, newest first.
pub(crate) fn select(
    mut views: Vec<ContainerView>,
    query: &ListQuery,
    descendants: &Descendants<'_>,
) -> Result<Vec<ContainerView>> {
    let criteria = Criteria::new(&views, query, descendants)?;
    views.retain(|view| criteria.matches(view));
    views.sort_by(|a, b| {
        b.created
            .cmp(&a.created)
            .then_with(|| a.id.as_str().cmp(b.id.as_str()))
    });
    if let Some(limit) = query.limit {
        views.truncate(limit);
    }
    Ok(views)
}

/// The filters, read. An empty list of alternatives means that the filter was not given.
#[derive(Default)]
struct Criteria {
    stopped_too: bool,
    ids: Option<BTreeSet<ContainerId>>,
    names: Vec<Regex>,
    labels: Vec<String>,
    exited: Vec<i32>,
    statuses: Vec<String>,
    images: Option<Vec<Digest>>,
    before: Option<jiff::Timestamp>,
    since: Option<jiff::Timestamp>,
    volumes: Vec<String>,
    networks: Vec<String>,
    ports: Vec<Ports>,
    published: Vec<Ports>,
    health: Vec<String>,
    tasks: Option<bool>,
}

impl Criteria {
    fn new(
        views: &[ContainerView],
        query: &ListQuery,
        descendants: &Descendants<'_>,
    ) -> Result<Self> {
        let mut criteria = Self {
            stopped_too: query.all || query.limit.is_some(),
            ..Self::default()
        };
        for (key, values) in &query.filters {
            criteria.read(key, values, views, descendants)?;
        }
        Ok(criteria)
    }

    fn read(
        &mut self,
        key: &str,
        values: &[String],
        views: &[ContainerView],
        descendants: &Descendants<'_>,
    ) -> Result<()> {
        match key {
            "id" => self.ids = Some(ids(values, views)),
            "name" => self.names = values.iter().filter_map(|v| Regex::new(v).ok()).collect(),
            "label" => self.labels = values.to_vec(),
            "exited" => self.exited = values.iter().map(|v| exit_code(v)).collect::<Result<_>>()?,
            "status" => {
                one_of(
                    key,
                    "state",
                    values,
                    &[
                        "created",
                        "running",
                        "paused",
                        "restarting",
                        "removing",
                        "exited",
                        "dead",
                    ],
                )?;
                self.statuses = values.to_vec();
                self.stopped_too = true;
            }
            "ancestor" => self.images = Some(values.iter().flat_map(|v| descendants(v)).collect()),
            "before" => self.before = created_of(values, views)?,
            "since" => self.since = created_of(values, views)?,
            "volume" => self.volumes = values.to_vec(),
            "network" => self.networks = values.to_vec(),
            "publish" => self.published = ports(key, values)?,
            "expose" => self.ports = ports(key, values)?,
            "health" => {
                one_of(
                    key,
                    "health",
                    values,
                    &["none", "starting", "healthy", "unhealthy"],
                )?;
                self.health = values.to_vec();
            }
            "is-task" => self.tasks = Some(boolean(key, values)?),
            // Windows only: nothing here has an isolation.
            "isolation" => {}
            _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
        }
        // A filter by name with no valid pattern matches nothing, rather than everything.
        if key == "name" && self.names.is_empty() {
            self.ids = Some(BTreeSet::new());
        }
        Ok(())
    }

    fn matches(&self, view: &ContainerView) -> bool {
        (self.stopped_too || view.state.running)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&view.id))
            && self.matches_name(&view.name)
            && self.labels.iter().all(|label| has_label(&view.options.labels, label))
            && (self.exited.is_empty() || self.matches_exit(view))
            && (self.statuses.is_empty() || self.statuses.iter().any(|s| s == view.state.status.as_str()))
            && self.images.as_ref().is_none_or(|images| view.image.as_ref().is_some_and(|i| images.contains(i)))
            && self.before.is_none_or(|moment| view.created < moment)
            && self.since.is_none_or(|moment| view.created > moment)
            && (self.volumes.is_empty() || self.volumes.iter().any(|v| has_volume(view, v)))
            && (self.networks.is_empty() || self.networks.iter().any(|n| is_in(view, n)))
            && self.matches_ports(view)
            // No container is checked for its health yet, and none is a swarm's task.
            && (self.health.is_empty() || self.health.iter().any(|h| h == "none"))
            && self.tasks != Some(true)
    }

    /// A pattern may be written with the slash that Docker keeps in front of names.
    fn matches_name(&self, name: &str) -> bool {
        let with_slash = format!("/{name}");
        self.names.is_empty()
            || self
                .names
                .iter()
                .any(|n| n.is_match(&with_slash) || n.is_match(name))
    }

    fn matches_exit(&self, view: &ContainerView) -> bool {
        let ended = !view.state.running && view.state.started_at.is_some();
        ended && view.state.status != Status::Created && self.exited.contains(&view.state.exit_code)
    }

    fn matches_ports(&self, view: &ContainerView) -> bool {
        let mut shown = view.ports.iter();
        let is_published = self.published.is_empty()
            || shown.any(|port| {
                let mut on_host = port.bindings.iter().filter_map(|(_, number)| *number);
                on_host.any(|number| covers(&self.published, number, &port.protocol))
            });
        let options = &view.options;
        let bound = view.published.iter().map(|binding| &binding.port);
        let mut exposed = options.exposed_ports.iter().chain(bound);
        is_published
            && (self.ports.is_empty()
                || exposed.any(|exposed| {
                    Ports::read(exposed).is_some_and(|exposed| {
                        let is_in = |p: &Ports| {
                            p.protocol == exposed.protocol
                                && exposed.first <= p.last
                                && exposed.last >= p.first
                        };
                        self.ports.iter().any(is_in)
                    })
                }))
    }
}

fn ids(values: &[String], views: &[ContainerView]) -> BTreeSet<ContainerId> {
    values
        .iter()
        .filter(|prefix| !prefix.is_empty())
        .filter_map(|prefix| by_prefix(prefix, views))
        .collect()
}

/// The only container whose id begins so.
fn by_prefix(prefix: &str, views: &[ContainerView]) -> Option<ContainerId> {
    let mut found = views.iter().filter(|v| v.id.as_str().starts_with(prefix));
    let first = found.next()?;
    found.next().is_none().then(|| first.id.clone())
}

fn created_of(values: &[String], views: &[ContainerView]) -> Result<Option<jiff::Timestamp>> {
    let mut created = None;
    for value in values {
        let name = value.trim_start_matches('/');
        let id = by_prefix(value, views);
        let found = views
            .iter()
            .find(|v| v.name == name)
            .or_else(|| views.iter().find(|v| Some(&v.id) == id.as_ref()))
            .ok_or_else(|| Error::no_such_container(value))?;
        created = Some(found.created);
    }
    Ok(created)
}

fn has_volume(view: &ContainerView, wanted: &str) -> bool {
    let named = |kind| matches!(kind, MountKind::Volume);
    view.mounts
        .iter()
        .any(|m| m.destination == wanted || (named(m.kind) && m.name == wanted))
}

/// By the network's name, or the beginning of its id.
fn is_in(view: &ContainerView, network: &str) -> bool {
    let mut places = view.networks.iter();
    places.any(|place| {
        place.network == network || (!network.is_empty() && place.network_id.starts_with(network))
    })
}

fn exit_code(value: &str) -> Result<i32> {
    value.parse().map_err(|_| {
        Error::invalid(format!(
            "invalid filter 'exited={value}': strconv.Atoi: parsing {value:?}: invalid syntax"
        ))
    })
}

fn one_of(key: &str, what: &str, values: &[String], allowed: &[&str]) -> Result<()> {
    match values.iter().find(|v| !allowed.contains(&v.as_str())) {
        None => Ok(()),
        Some(value) => Err(Error::invalid(format!(
            "invalid filter '{key}={value}': invalid value for {what} ({value}): must be one of {}",
            allowed.join(", ")
        ))),
    }
}

fn boolean(key: &str, values: &[String]) -> Result<bool> {
    match values {
        [value] if ["1", "true", "True", "t", "T", "TRUE"].contains(&value.as_str()) => Ok(true),
        [value] if ["0", "false", "False", "f", "F", "FALSE"].contains(&value.as_str()) => {
            Ok(false)
        }
        _ => Err(Error::invalid(format!(
            "invalid filter '{key}=[{}]'",
            values.join(" ")
        ))),
    }
}

/// `80`, `80/udp`, `8000-8080/tcp`.
fn ports(key: &str, values: &[String]) -> Result<Vec<Ports>> {
    let one = |value: &String| {
        let number = value.split(['/', '-']).next().unwrap_or_default();
        Ports::read(value).ok_or_else(|| {
            Error::invalid(format!(
                "error while looking up for {key} {value}: strconv.ParseUint: parsing {number:?}: invalid syntax"
            ))
        })
    };
    values.iter().map(one).collect()
}

fn covers(ports: &[Ports], number: u16, protocol: &str) -> bool {
    let mut ports = ports.iter();
    ports.any(|p| p.protocol.to_string() == protocol && (p.first..=p.last).contains(&number))
}

#[cfg(test)]
mod tests;
