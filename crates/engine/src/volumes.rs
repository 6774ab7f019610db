//! Local volumes: folders under the data root that outlive containers.
//!
//! ```text
//! <data-root>/volumes/<name>/_data         what containers see
//! <data-root>/volumes/<name>/volume.json   a Record; written last, so a folder without one is half-made and removed at open
//! ```
//!
//! Only this module makes or deletes anything below `volumes/`. Which container uses which volume is the containers'
//! own truth; callers that remove or list bring it along.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use oci::ContainerId;
use serde::{Deserialize, Serialize};

use crate::engine::VolumeView;
use crate::error::{Context, Error, ErrorKind, Result};

/// The version of `volume.json`.
const VERSION: u32 = 1;

/// `volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    name: String,
    created: Timestamp,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    anonymous: bool,
    /// The container that an anonymous volume was made for, until that one goes and leaves it behind. A volume whose
    /// owner is not there was being made or removed with it when a daemon died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<ContainerId>,
}

/// A volume to make.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewVolume {
    /// `None`: an anonymous one.
    pub(crate) name: Option<String>,
    /// The container that an anonymous one is made for.
    pub(crate) owner: Option<ContainerId>,
    /// Empty or `local`.
    pub(crate) driver: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Driver options (`type`, `o`, `device`): none is built yet, so any is refused by name.
    pub(crate) options: BTreeMap<String, String>,
}

/// A volume that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    pub(crate) anonymous: bool,
    /// False when it existed before.
    pub(crate) made: bool,
}

/// All local volumes of one engine.
#[derive(Debug)]
pub(crate) struct Volumes {
    root: PathBuf,
    records: Mutex<BTreeMap<String, Record>>,
}

impl Volumes {
    /// Reads what is there and removes what was being made or deleted when an earlier daemon died.
    pub(crate) fn open(data_root: &Path) -> Result<Self> {
        let root = data_root.join("volumes");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o701)
            .create(&root)
            .context(|| format!("create {}", root.display()))?;
        let mut records = BTreeMap::new();
        let entries = fs::read_dir(&root).context(|| format!("read {}", root.display()))?;
        for entry in entries {
            let folder = entry.context(|| format!("read {}", root.display()))?.path();
            match read_record(&folder)? {
                Some(record) => {
                    records.insert(record.name.clone(), record);
                }
                None => fs::remove_dir_all(&folder)
                    .context(|| format!("remove {}", folder.display()))?,
            }
        }
        Ok(Self {
            root,
            records: Mutex::new(records),
        })
    }

    /// The volume of that name, made if need be.
    pub(crate) fn ensure(&self, new: NewVolume) -> Result<Volume> {
        let anonymous = new.name.is_none();
        let name = new
            .name
            .unwrap_or_else(|| ContainerId::random().as_str().to_owned());
        check_driver(&name, &new.driver)?;
        check_name(&name)?;
        if let Some(option) = new.options.keys().next() {
            return Err(Error::unsupported(format!(
                "create {name}: the volume option {option:?}"
            )));
        }
        let mut records = self.lock();
        let data = self.data_of(&name);
        if let Some(record) = records.get(&name) {
            return Ok(Volume {
                anonymous: record.anonymous,
                name,
                data,
                made: false,
            });
        }
        let record = Record {
            version: VERSION,
            name: name.clone(),
            created: Timestamp::now(),
            labels: new.labels,
            options: BTreeMap::new(),
            anonymous,
            owner: new.owner.filter(|_| anonymous),
        };
        self.make(&record)?;
        records.insert(name.clone(), record);
        Ok(Volume {
            name,
            data,
            anonymous,
            made: true,
        })
    }

    fn make(&self, record: &Record) -> Result<()> {
        let folder = self.root.join(&record.name);
        let private = |mode: u32, path: &Path| {
            fs::DirBuilder::new()
                .mode(mode)
                .create(path)
                .context(|| format!("create {}", path.display()))
        };
        private(0o701, &folder)?;
        private(0o755, &folder.join("_data"))?;
        self.keep(record)
    }

    fn keep(&self, record: &Record) -> Result<()> {
        let path = self.root.join(&record.name).join("volume.json");
        let json = serde_json::to_vec(record).context(|| "encode a volume's record".into())?;
        linux::durable::replace(&path, &json)
            .context(|| format!("keep the record of volume {}", record.name))
    }

    /// Lets an anonymous volume outlive the container that it was made for.
    pub(crate) fn disown(&self, name: &str) -> Result<()> {
        let mut records = self.lock();
        let Some(record) = records.get_mut(name) else {
            return Ok(());
        };
        match record.owner.take() {
            Some(_) => self.keep(record),
            None => Ok(()),
        }
    }

    /// Removes the volumes whose owner is none of `known`; returns their names.
    pub(crate) fn collect(&self, known: &HashSet<ContainerId>) -> Result<Vec<String>> {
        let orphaned = |record: &&Record| {
            let owner = record.owner.as_ref();
            owner.is_some_and(|owner| !known.contains(owner))
        };
        let names: Vec<String> = self
            .lock()
            .values()
            .filter(orphaned)
            .map(|record| record.name.clone())
            .collect();
        for name in &names {
            self.remove(name, true, &[])?;
        }
        Ok(names)
    }

    /// One volume; `size` walks it.
    pub(crate) fn get(&self, name: &str, size: bool, references: usize) -> Result<VolumeView> {
        let record = self
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| no_such(name))?;
        Ok(self.view(record, size, references))
    }

    /// All volumes, by name; `references` counts the containers that mention one.
    pub(crate) fn list(&self, size: bool, references: &dyn Fn(&str) -> usize) -> Vec<VolumeView> {
        let records: Vec<Record> = self.lock().values().cloned().collect();
        let view = |record: Record| {
            let count = references(&record.name);
            self.view(record, size, count)
        };
        records.into_iter().map(view).collect()
    }

    /// Removes a volume that none of `users` (ids of containers) mentions. `force`: one that is not there is no error.
    pub(crate) fn remove(&self, name: &str, force: bool, users: &[ContainerId]) -> Result<()> {
        if !users.is_empty() {
            let ids: Vec<&str> = users.iter().map(ContainerId::as_str).collect();
            let text = format!("remove {name}: volume is in use - [{}]", ids.join(", "));
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let mut records = self.lock();
        if !records.contains_key(name) {
            return if force { Ok(()) } else { Err(no_such(name)) };
        }
        let folder = self.root.join(name);
        // Without its record the folder is rubbish, which a crash from here on leaves to the next start.
        let record = folder.join("volume.json");
        fs::remove_file(&record).context(|| format!("remove {}", record.display()))?;
        records.remove(name);
        fs::remove_dir_all(&folder).context(|| format!("remove volume {name}"))
    }

    fn view(&self, record: Record, size: bool, references: usize) -> VolumeView {
        let mountpoint = self.data_of(&record.name);
        VolumeView {
            size: size.then(|| disk_usage(&mountpoint)),
            name: record.name,
            mountpoint,
            created: record.created,
            labels: record.labels,
            options: record.options,
            anonymous: record.anonymous,
            references,
        }
    }

    fn data_of(&self, name: &str) -> PathBuf {
        self.root.join(name).join("_data")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

fn read_record(folder: &Path) -> Result<Option<Record>> {
    let path = folder.join("volume.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::system(format!("read {}", path.display())).caused_by(error));
        }
    };
    let record: Record = serde_json::from_slice(&bytes)
        .context(|| format!("{} is not a volume's record", path.display()))?;
    if record.version > VERSION {
        return Err(Error::system(format!(
            "{} has format version {}, made by a newer engine; this one knows {VERSION}",
            path.display(),
            record.version
        )));
    }
    Ok(Some(record))
}

fn check_driver(name: &str, driver: &str) -> Result<()> {
    match driver {
        "" | "local" => Ok(()),
        _ => Err(Error::not_found(format!(
            "create {name}: error looking up volume plugin {driver}: plugin {driver:?} not found"
        ))),
    }
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if first && name.len() >= 2 && name.len() <= 255 && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// Bytes that the files below a folder take, hard links once; what vanishes meanwhile counts nothing.
pub(crate) fn disk_usage(root: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut folders = vec![root.to_owned()];
    let mut total = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.nlink() < 2 || seen.insert((found.dev(), found.ino())) {
                total += found.len();
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NewVolume {
        NewVolume {
            name: Some(name.into()),
            ..NewVolume::default()
        }
    }

    #[test]
    fn an_anonymous_volume_goes_with_its_container_unless_it_was_left() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let make = |owner: &ContainerId| {
            let new = NewVolume {
                owner: Some(owner.clone()),
                ..NewVolume::default()
            };
            volumes.ensure(new).unwrap().name
        };
        let (here, gone) = (ContainerId::random(), ContainerId::random());
        let (used, half_made, left) = (make(&here), make(&gone), make(&gone));
        volumes.disown(&left).unwrap();
        // What a new daemon reads is what counts.
        let volumes = Volumes::open(root.path()).unwrap();
        assert_eq!(
            volumes.collect(&HashSet::from([here])).unwrap(),
            [half_made]
        );
        for name in [used, left] {
            assert!(volumes.get(&name, false, 0).is_ok());
        }
    }

    #[test]
    fn volumes_outlive_the_engine() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let made = volumes.ensure(named("data")).unwrap();
        assert!(made.made && !made.anonymous);
        fs::write(made.data.join("file"), "four").unwrap();
        let anonymous = volumes.ensure(NewVolume::default()).unwrap();
        assert!(anonymous.anonymous && anonymous.name.len() == 64);

        let volumes = Volumes::open(root.path()).unwrap();
        assert!(!volumes.ensure(named("data")).unwrap().made);
        let view = volumes.get("data", true, 2).unwrap();
        assert_eq!((view.size, view.references), (Some(4), 2));
        assert_eq!(volumes.list(false, &|_| 0).len(), 2);
    }

    #[test]
    fn removes_only_what_nobody_uses() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        volumes.ensure(named("data")).unwrap();
        let user = ContainerId::random();
        let refused = volumes
            .remove("data", true, std::slice::from_ref(&user))
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("remove data: volume is in use - [{user}]")
        );
        volumes.remove("data", false, &[]).unwrap();
        assert_eq!(
            volumes.remove("data", false, &[]).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        volumes.remove("data", true, &[]).unwrap();
        assert_eq!(
            fs::read_dir(root.path().join("volumes")).unwrap().count(),
            0
        );
    }

    #[test]
    fn half_made_volumes_are_gone_at_open() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("volumes/half/_data")).unwrap();
        Volumes::open(root.path()).unwrap();
        assert!(!root.path().join("volumes/half").exists());
    }

    #[test]
    fn refuses_names_drivers_and_options() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        for name in ["a/b", "..", "", "x", "-ab", "a b", &"x".repeat(256)] {
            let error = volumes.ensure(named(name)).unwrap_err();
            assert!(
                error.to_string().contains("includes invalid characters"),
                "{name}: {error}"
            );
        }
        let plugin = NewVolume {
            driver: "foo".into(),
            ..named("ok")
        };
        assert!(
            volumes
                .ensure(plugin)
                .unwrap_err()
                .to_string()
                .contains("plugin \"foo\" not found")
        );
        let option = NewVolume {
            options: [("type".into(), "nfs".into())].into(),
            ..named("ok")
        };
        assert!(
            volumes
                .ensure(option)
                .unwrap_err()
                .to_string()
                .contains("\"type\"")
        );
    }
}
