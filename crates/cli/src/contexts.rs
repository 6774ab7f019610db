//! Contexts: named daemons, kept as Docker keeps them, so that both clients see the same ones.
//!
//! ```text
//! ~/.docker/contexts/meta/<sha256 of the name>/meta.json    written by `context create` and `update`, removed by `context rm`
//! ~/.docker/contexts/tls/<sha256 of the name>/              key material; this client writes none, `context rm` removes it
//! ```

pub(crate) mod archive;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, errno_text};
use crate::format::json::{Html, Json};
use crate::host::DEFAULT_SOCKET;

/// The context that stands for `DOCKER_HOST` and the daemon's own socket.
pub(crate) const DEFAULT: &str = "default";

const DEFAULT_DESCRIPTION: &str = "Current DOCKER_HOST based configuration";

/// The contexts below a configuration folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// One context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// Its name.
    pub(crate) name: String,
    /// What `context create` was told about it, with members of other tools.
    pub(crate) metadata: Json,
    /// Ways to reach what it names, by kind.
    pub(crate) endpoints: Json,
}

impl Store {
    /// The store in a configuration folder.
    pub(crate) fn new(config_folder: &Path) -> Self {
        Self {
            folder: config_folder.join("contexts"),
        }
    }

    /// Reads one; `default` is always there.
    pub(crate) fn get(&self, name: &str) -> Result<Stored, Failure> {
        if name == DEFAULT {
            return Ok(Stored::default_context());
        }
        let path = self.meta(name).join("meta.json");
        let absent = |error: &io::Error| {
            let (path, reason) = (path.display(), errno_text(error));
            Failure::new(format!(
                "context {name:?}: context not found: open {path}: {reason}"
            ))
        };
        read(&path).map_err(|error| absent(&error))
    }

    /// Whether one of this name is stored.
    pub(crate) fn has(&self, name: &str) -> bool {
        name == DEFAULT || self.meta(name).join("meta.json").exists()
    }

    /// All of them by name, `default` too.
    pub(crate) fn list(&self) -> Result<Vec<Stored>, Failure> {
        let mut all = vec![Stored::default_context()];
        let entries = match fs::read_dir(self.folder.join("meta")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let path = entry?.path().join("meta.json");
            if path.exists() {
                all.push(
                    read(&path)
                        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
                );
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Writes one, in place of the one of that name.
    pub(crate) fn put(&self, context: &Stored) -> Result<(), Failure> {
        let folder = self.meta(&context.name);
        fs::create_dir_all(&folder)?;
        let beside = folder.join(format!(".meta.json.{}", std::process::id()));
        fs::write(&beside, context.json().compact(Html::Escaped))?;
        fs::rename(&beside, folder.join("meta.json"))?;
        Ok(())
    }

    /// Removes one with its keys.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        for folder in [self.meta(name), self.tls(name)] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// What `context inspect` shows.
    pub(crate) fn document(&self, context: &Stored) -> Json {
        let place = |path: PathBuf| match context.name.as_str() {
            DEFAULT => "<IN MEMORY>".to_owned(),
            _ => path.display().to_string(),
        };
        let storage = Json::object([
            ("MetadataPath", Json::text(place(self.meta(&context.name)))),
            ("TLSPath", Json::text(place(self.tls(&context.name)))),
        ]);
        let metadata = if context.name == DEFAULT {
            Json::object([])
        } else {
            context.metadata.clone()
        };
        Json::object([
            ("Name", Json::text(&context.name)),
            ("Metadata", metadata),
            ("Endpoints", context.endpoints.clone()),
            ("TLSMaterial", Json::object([])),
            ("Storage", storage),
        ])
    }

    fn meta(&self, name: &str) -> PathBuf {
        self.folder.join("meta").join(folder_name(name))
    }

    fn tls(&self, name: &str) -> PathBuf {
        self.folder.join("tls").join(folder_name(name))
    }
}

fn folder_name(name: &str) -> String {
    oci::Digest::sha256(name.as_bytes()).hex().to_owned()
}

fn read(path: &Path) -> io::Result<Stored> {
    read_meta(&fs::read(path)?)
}

fn read_meta(text: &[u8]) -> io::Result<Stored> {
    let json: Json = serde_json::from_slice(text)?;
    let member = |name: &str| json.get(name).cloned().unwrap_or_else(|| Json::object([]));
    let Json::Text(name) = member("Name") else {
        return Err(io::Error::other("the context has no name"));
    };
    Ok(Stored {
        name: name.to_string(),
        metadata: member("Metadata"),
        endpoints: member("Endpoints"),
    })
}

impl Stored {
    /// A context that leads to this address.
    pub(crate) fn new(name: &str, description: &str, host: &str) -> Self {
        Self {
            name: name.to_owned(),
            metadata: metadata(description),
            endpoints: endpoints(host),
        }
    }

    fn default_context() -> Self {
        let host = std::env::var("DOCKER_HOST")
            .ok()
            .filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| format!("unix://{DEFAULT_SOCKET}"));
        Self::new(DEFAULT, DEFAULT_DESCRIPTION, &host)
    }

    /// What it is for.
    pub(crate) fn description(&self) -> &str {
        text(self.metadata.get("Description"))
    }

    /// The daemon's address; empty if it has none.
    pub(crate) fn host(&self) -> &str {
        text(
            self.endpoints
                .get("docker")
                .and_then(|endpoint| endpoint.get("Host")),
        )
    }

    /// The same with another description.
    pub(crate) fn described(mut self, description: &str) -> Self {
        self.metadata = metadata(description);
        self
    }

    /// The same with another address.
    pub(crate) fn at(mut self, host: &str) -> Self {
        self.endpoints = endpoints(host);
        self
    }

    fn json(&self) -> Json {
        Json::object([
            ("Name", Json::text(&self.name)),
            ("Metadata", self.metadata.clone()),
            ("Endpoints", self.endpoints.clone()),
        ])
    }
}

fn metadata(description: &str) -> Json {
    Json::object((!description.is_empty()).then(|| ("Description", Json::text(description))))
}

fn endpoints(host: &str) -> Json {
    let endpoint = Json::object([
        ("Host", Json::text(host)),
        ("SkipTLSVerify", Json::Bool(false)),
    ]);
    Json::object([("docker", endpoint)])
}

fn text(json: Option<&Json>) -> &str {
    match json {
        Some(Json::Text(text)) => text,
        _ => "",
    }
}

/// Whether a name may be given to a context.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if name == DEFAULT {
        return Err(Failure::new("\"default\" is a reserved context name"));
    }
    let later = |letter: char| letter.is_ascii_alphanumeric() || "_.+-".contains(letter);
    let fine = name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(later);
    if fine {
        return Ok(());
    }
    Err(Failure::new(format!(
        "context name {name:?} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_stored_as_docker_stores_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.list().unwrap().len(), 1);
        store
            .put(&Stored::new("xx", "d", "tcp://1.2.3.4:5"))
            .unwrap();
        let meta = "contexts/meta/5dde896887f6754c9b15bfe3a441ae4806df2fde94001311e08bf110622e0bbe/meta.json";
        let text = fs::read_to_string(folder.path().join(meta)).unwrap();
        assert_eq!(
            text,
            r#"{"Name":"xx","Metadata":{"Description":"d"},"Endpoints":{"docker":{"Host":"tcp://1.2.3.4:5","SkipTLSVerify":false}}}"#
        );
        let read = store.get("xx").unwrap();
        assert_eq!((read.description(), read.host()), ("d", "tcp://1.2.3.4:5"));
        assert_eq!(store.list().unwrap().len(), 2);
        store.remove("xx").unwrap();
        let message = store.get("xx").unwrap_err().message;
        assert!(
            message.starts_with("context \"xx\": context not found: open "),
            "{message}"
        );
        assert!(
            message.ends_with("meta.json: no such file or directory"),
            "{message}"
        );
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("my-context.1").is_ok());
        for name in ["", "x", "a b", "../x", "-x", "default"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
