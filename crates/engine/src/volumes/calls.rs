//! What clients ask about volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::NewVolume;
use crate::blocking;
use crate::engine::{Engine, Pruned, VolumeRequest, VolumeView};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Subject, has_label};
use crate::shared::Shared;

impl Engine {
    /// Makes a volume; one of that name that is there already is given back as it is, as Docker does.
    pub async fn create_volume(&self, request: VolumeRequest) -> Result<VolumeView> {
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let volume = shared.volumes.ensure(NewVolume {
                name: Some(request.name).filter(|name| !name.is_empty()),
                owner: None,
                driver: request.driver,
                labels: request.labels,
                options: request.options,
            })?;
            if volume.made {
                shared.announce_volume("create", &volume.name);
            }
            shared.volumes.get(&volume.name, 0)
        })
        .await
    }

    /// The volumes by name. Filters: `dangling`, `driver`, `label`, `name`.
    pub async fn volumes(&self, filters: BTreeMap<String, Vec<String>>) -> Result<Vec<VolumeView>> {
        let shared = Arc::clone(self.shared());
        let filter = ListFilter::read(&filters)?;
        let listed = blocking(move || list(&shared)).await;
        Ok(listed
            .into_iter()
            .filter(|view| filter.matches(view))
            .collect())
    }

    /// For `system df`: the volumes with their sizes. What is mounted from elsewhere takes nothing of this disk.
    pub async fn sized_volumes(&self) -> Vec<VolumeView> {
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let mut views = list(&shared);
            views.retain(|view| view.options.is_empty());
            views.iter_mut().for_each(measure);
            views
        })
        .await
    }

    /// One volume.
    pub async fn volume(&self, name: &str) -> Result<VolumeView> {
        let users = self.shared().users_of_volume(name).len();
        self.shared().volumes.get(name, users)
    }

    /// Removes a volume that no container mentions. `force`: one that is not there is no error.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let (shared, name) = (Arc::clone(self.shared()), name.to_owned());
        blocking(move || {
            let users = shared.users_of_volume(&name);
            if shared.volumes.remove(&name, force, &users)? {
                shared.announce_volume("destroy", &name);
            }
            Ok(())
        })
        .await
    }

    /// Removes volumes that no container mentions: anonymous ones, or those with a name too. Filters: `all`, `label`,
    /// `label!`.
    pub async fn prune_volumes(
        &self,
        filters: BTreeMap<String, Vec<String>>,
        all: bool,
    ) -> Result<Pruned> {
        let filter = PruneFilter::read(&filters, all)?;
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let mut pruned = Pruned::default();
            for mut view in list(&shared).into_iter().filter(|v| filter.matches(v)) {
                measure(&mut view);
                // A container may have come for it meanwhile.
                let users = shared.users_of_volume(&view.name);
                match shared.volumes.remove(&view.name, true, &users) {
                    Ok(true) => {
                        shared.announce_volume("destroy", &view.name);
                        pruned.reclaimed += view.size.unwrap_or(0);
                        pruned.deleted.push(view.name);
                    }
                    Ok(false) => {}
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
            shared.announce_prune(Subject::Volume, pruned.reclaimed);
            Ok(pruned)
        })
        .await
    }
}

fn list(shared: &Shared) -> Vec<VolumeView> {
    let users = |name: &str| shared.users_of_volume(name).len();
    shared.volumes.list(&users)
}

fn measure(view: &mut VolumeView) {
    view.size = Some(super::disk_usage(&view.mountpoint));
}

/// Which volumes are listed.
#[derive(Debug, Default)]
struct ListFilter {
    dangling: Option<bool>,
    drivers: Vec<String>,
    labels: Vec<String>,
    names: Vec<String>,
}

impl ListFilter {
    fn read(filters: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            match key.as_str() {
                "dangling" => filter.dangling = Some(switch(key, values)?),
                "driver" => filter.drivers.clone_from(values),
                "label" => filter.labels.clone_from(values),
                "name" => filter.names.clone_from(values),
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    fn matches(&self, view: &VolumeView) -> bool {
        let any = |wanted: &[String], matches: &dyn Fn(&String) -> bool| {
            wanted.is_empty() || wanted.iter().any(matches)
        };
        self.dangling
            .is_none_or(|wanted| (view.references == 0) == wanted)
            && any(&self.drivers, &|driver| driver == "local")
            && any(&self.names, &|name| view.name.contains(name.as_str()))
            && self
                .labels
                .iter()
                .all(|label| has_label(&view.labels, label))
    }
}

/// A filter that is true or false.
fn switch(key: &str, values: &[String]) -> Result<bool> {
    let said = |words: [&str; 2]| values.iter().any(|value| words.contains(&value.as_str()));
    match (said(["1", "true"]), said(["0", "false"])) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => Err(Error::invalid(format!(
            "invalid filter '{key}=[{}]'",
            values.join(" ")
        ))),
    }
}

/// Which volumes are pruned.
#[derive(Debug, Default)]
struct PruneFilter {
    all: bool,
    labels: Vec<String>,
    without: Vec<String>,
}

impl PruneFilter {
    fn read(filters: &BTreeMap<String, Vec<String>>, all: bool) -> Result<Self> {
        let mut filter = Self {
            all,
            ..Self::default()
        };
        for (key, values) in filters {
            match key.as_str() {
                "all" => filter.all = go_bool(values)?,
                "label" => filter.labels.clone_from(values),
                "label!" => filter.without.clone_from(values),
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    /// What has options lies elsewhere, and Docker leaves it alone.
    fn matches(&self, view: &VolumeView) -> bool {
        view.references == 0
            && view.options.is_empty()
            && (self.all || view.anonymous)
            && self
                .labels
                .iter()
                .all(|label| has_label(&view.labels, label))
            && !self
                .without
                .iter()
                .any(|label| has_label(&view.labels, label))
    }
}

/// `strconv.ParseBool`, with its words.
fn go_bool(values: &[String]) -> Result<bool> {
    let value = values.first().map_or("", String::as_str);
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::invalid(format!(
            "invalid filter 'all': strconv.ParseBool: parsing {value:?}: invalid syntax"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(key: &str, value: &str) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(key.to_owned(), vec![value.to_owned()])])
    }

    #[test]
    fn dockers_texts_about_filters() {
        let list = |key, value| {
            ListFilter::read(&filters(key, value))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(list("foo", "x"), "invalid filter 'foo'");
        assert_eq!(list("dangling", "x"), "invalid filter 'dangling=[x]'");
        assert_eq!(list("label!", "x"), "invalid filter 'label!'");
        let prune = |key, value| {
            PruneFilter::read(&filters(key, value), false)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(prune("until", "1h"), "invalid filter 'until'");
        assert_eq!(prune("dangling", "true"), "invalid filter 'dangling'");
        assert_eq!(
            prune("all", "x"),
            "invalid filter 'all': strconv.ParseBool: parsing \"x\": invalid syntax"
        );
    }

    #[test]
    fn a_prune_takes_anonymous_ones_or_all() {
        let view = |anonymous| VolumeView {
            name: "v".into(),
            mountpoint: "/v".into(),
            created: jiff::Timestamp::UNIX_EPOCH,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            options: BTreeMap::new(),
            anonymous,
            size: None,
            references: 0,
        };
        let matches = |filters, all, anonymous| {
            PruneFilter::read(&filters, all)
                .unwrap()
                .matches(&view(anonymous))
        };
        assert!(matches(BTreeMap::new(), false, true));
        assert!(!matches(BTreeMap::new(), false, false));
        assert!(matches(BTreeMap::new(), true, false));
        assert!(matches(filters("all", "1"), false, false));
        assert!(!matches(filters("label", "a=c"), true, true));
        assert!(!matches(filters("label!", "a"), true, true));
        let used = VolumeView {
            references: 1,
            ..view(true)
        };
        let none = PruneFilter::read(&BTreeMap::new(), true).unwrap();
        assert!(!none.matches(&used));
    }
}
