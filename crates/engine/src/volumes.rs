//! Local volumes: folders under the data root that outlive containers.
//!
//! ```text
//! <data-root>/volumes/<name>/_data         what containers see
//! <data-root>/volumes/<name>/volume.json   a Record; written last, so a folder without one is half-made and removed at open
//! ```
//!
//! A volume with options of the local driver (`type`, `device`, `o`) has what they say mounted on its `_data` while
//! containers that use it run. Only this module makes, mounts or deletes anything below `volumes/`. Which container uses which volume is the containers'
//! own truth; callers that remove or list bring it along.

mod calls;
mod device;
mod users;

pub(crate) use users::HeldVolumes;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind as ErrorOnDisk;
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
    /// Driver options: `type`, `o`, `device`.
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
    mounted: users::Mounted,
}

/// Docker's mark for volumes that were made without a name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

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
                None => {
                    remove_folder(&folder).context(|| format!("remove {}", folder.display()))?;
                }
            }
        }
        Ok(Self {
            root,
            records: Mutex::new(records),
            mounted: users::Mounted::default(),
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
        device::check(&name, &new.options)?;
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
            options: new.options,
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
        make_folder(0o701, &folder)?;
        make_folder(0o755, &folder.join("_data"))?;
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

    /// One volume; `references` is how many containers mention it.
    pub(crate) fn get(&self, name: &str, references: usize) -> Result<VolumeView> {
        let record = self
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| no_such(name))?;
        Ok(self.view(record, references))
    }

    /// All volumes, by name; `references` counts the containers that mention one.
    pub(crate) fn list(&self, references: &dyn Fn(&str) -> usize) -> Vec<VolumeView> {
        let records: Vec<Record> = self.lock().values().cloned().collect();
        let view = |record: Record| {
            let count = references(&record.name);
            self.view(record, count)
        };
        records.into_iter().map(view).collect()
    }

    /// Removes a volume that none of `users` (ids of containers) mentions; says whether it was there. `force`: one that
    /// is not there is no error.
    pub(crate) fn remove(&self, name: &str, force: bool, users: &[ContainerId]) -> Result<bool> {
        if !users.is_empty() {
            let ids: Vec<&str> = users.iter().map(ContainerId::as_str).collect();
            let text = format!("remove {name}: volume is in use - [{}]", ids.join(", "));
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let mut records = self.lock();
        if !records.contains_key(name) {
            return if force { Ok(false) } else { Err(no_such(name)) };
        }
        let folder = self.root.join(name);
        // Without its record the folder is rubbish, which a crash from here on leaves to the next start.
        let record = folder.join("volume.json");
        // Somebody may have deleted it by hand, with the folder or without.
        crate::launch::remove_file(&record)?;
        records.remove(name);
        remove_folder(&folder).context(|| format!("remove volume {name}"))?;
        Ok(true)
    }

    fn view(&self, record: Record, references: usize) -> VolumeView {
        let mut labels = record.labels;
        if record.anonymous {
            labels.insert(ANONYMOUS.to_owned(), String::new());
        }
        VolumeView {
            size: None,
            mountpoint: self.data_of(&record.name),
            name: record.name,
            created: record.created,
            labels,
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

fn make_folder(mode: u32, path: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorOnDisk::AlreadyExists => Ok(()),
        made => made.context(|| format!("create {}", path.display())),
    }
}

/// Removes a volume's folder, never what may be mounted in it.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    users::unmount(&folder.join("_data"));
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorOnDisk::NotFound => Ok(()),
        removed => removed,
    }
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

fn read_record(folder: &Path) -> Result<Option<Record>> {
    let path = folder.join("volume.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorOnDisk::NotFound => return Ok(None),
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
    if name.len() == 1 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
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
mod tests;
