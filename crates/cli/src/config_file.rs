//! `~/.docker/config.json`: what the user has set up once. It is read when a command first needs it, and written by
//! `context use`, `context rm`, `login` and `logout`, which keep everything in it that they do not know.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, errno_text};

/// The members that this client has a use for.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ConfigFile {
    /// The context to use unless another is named.
    pub(crate) current_context: String,
    /// The keys that leave a container.
    pub(crate) detach_keys: String,
    /// `--format` of `ps`.
    pub(crate) ps_format: String,
    /// `--format` of `images`.
    pub(crate) images_format: String,
    /// `--format` of `network ls`.
    pub(crate) networks_format: String,
    /// `--format` of `volume ls`.
    pub(crate) volumes_format: String,
    /// Proxies that containers are told of, by the daemon's address or `default`.
    pub(crate) proxies: BTreeMap<String, Proxies>,
    /// Headers for every request.
    #[serde(rename = "HttpHeaders")]
    pub(crate) http_headers: BTreeMap<String, String>,
    /// Credentials of registries, as `login` stores them where there is no better place.
    pub(crate) auths: BTreeMap<String, StoredAuth>,
    /// The program that keeps the credentials: `docker-credential-` and this.
    pub(crate) creds_store: String,
    /// The programs that keep those of single registries.
    pub(crate) cred_helpers: BTreeMap<String, String>,
}

/// One registry's credentials in the file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct StoredAuth {
    /// `username:password` in base64.
    pub(crate) auth: String,
    /// As [`api::types::registry::AuthConfig`] has it.
    #[serde(rename = "identitytoken")]
    pub(crate) identity_token: String,
    /// As before.
    #[serde(rename = "registrytoken")]
    pub(crate) registry_token: String,
    /// Very old files have them in clear.
    pub(crate) username: String,
    /// As before.
    pub(crate) password: String,
}

/// The proxies of one daemon's containers.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Proxies {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    ftp_proxy: String,
    all_proxy: String,
}

impl ConfigFile {
    /// The variables that tell a container of `host` about proxies, in both spellings; those that `given` names are left alone.
    pub(crate) fn proxy_variables<'a>(
        &self,
        host: &str,
        given: impl Iterator<Item = &'a str>,
    ) -> Vec<String> {
        let Some(proxies) = self
            .proxies
            .get(host)
            .or_else(|| self.proxies.get("default"))
        else {
            return Vec::new();
        };
        let given: Vec<_> = given.filter_map(|text| text.split('=').next()).collect();
        let named = [
            ("HTTP_PROXY", &proxies.http_proxy),
            ("HTTPS_PROXY", &proxies.https_proxy),
            ("NO_PROXY", &proxies.no_proxy),
            ("FTP_PROXY", &proxies.ftp_proxy),
            ("ALL_PROXY", &proxies.all_proxy),
        ];
        let set = named.into_iter().filter(|(_, value)| !value.is_empty());
        set.flat_map(|(name, value)| [(name.to_owned(), value), (name.to_lowercase(), value)])
            .filter(|(name, _)| !given.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

/// The folder: `--config`, then `DOCKER_CONFIG`, then `~/.docker`.
pub(crate) fn folder(flag: Option<&str>) -> PathBuf {
    let from_environment = || {
        std::env::var_os("DOCKER_CONFIG")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || {
        std::env::var_os("HOME")
            .map_or_else(PathBuf::new, PathBuf::from)
            .join(".docker")
    };
    flag.map(PathBuf::from)
        .or_else(from_environment)
        .unwrap_or_else(home)
}

/// Reads the file; one that is not there is empty, one that is broken is told and taken as empty, as Docker does.
pub(crate) fn load(folder: &Path) -> ConfigFile {
    let path = folder.join("config.json");
    let Ok(text) = std::fs::read(&path) else {
        return ConfigFile::default();
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        let path = path.display();
        let _ = writeln!(
            std::io::stderr(),
            "WARNING: Error parsing config file ({path}): {error}"
        );
        ConfigFile::default()
    })
}

/// A document of which only some members are known.
pub(crate) type Document = serde_json::Map<String, serde_json::Value>;

/// Sets the current context, or takes it out.
pub(crate) fn set_current_context(folder: &Path, name: Option<&str>) -> Result<(), Failure> {
    edit(folder, |document| match name {
        Some(name) => drop(document.insert("currentContext".to_owned(), name.into())),
        None => drop(document.remove("currentContext")),
    })
}

/// Sets the credentials of one registry, or takes them out. Returns whether that changed anything.
pub(crate) fn set_auth(
    folder: &Path,
    registry: &str,
    entry: Option<&Document>,
) -> Result<bool, Failure> {
    let mut changed = false;
    edit(folder, |document| {
        let auths = document
            .entry("auths")
            .or_insert_with(|| serde_json::json!({}));
        if !auths.is_object() {
            *auths = serde_json::json!({});
        }
        let Some(auths) = auths.as_object_mut() else {
            return;
        };
        let before = match entry {
            Some(entry) => auths.insert(registry.to_owned(), entry.clone().into()),
            None => auths.remove(registry),
        };
        changed = before != entry.cloned().map(serde_json::Value::Object);
    })?;
    Ok(changed)
}

/// Changes the file; what `change` leaves alone stays as it is.
fn edit(folder: &Path, change: impl FnOnce(&mut Document)) -> Result<(), Failure> {
    // A configuration that is a link into the user's dotfiles stays one.
    let path = folder.join("config.json");
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let told = |error: &std::io::Error| {
        Failure::new(format!("open {}: {}", path.display(), errno_text(error)))
    };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => b"{\"auths\":{}}".to_vec(),
        Err(error) => return Err(told(&error)),
    };
    let mut document: Document = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    change(&mut document);
    make_private(folder).map_err(|error| told(&error))?;
    write_replacing(&path, &tabbed(&document)).map_err(|error| told(&error))
}

/// The folder may come to hold credentials, so nobody else enters one that we make.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// With tabs, as Docker writes it.
fn tabbed(document: &Document) -> Vec<u8> {
    use serde::Serialize;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // A map of JSON values always can be written.
    let _ = document.serialize(&mut serializer);
    out
}

/// A reader sees the old file or the new one. The file may hold credentials, so nobody else reads it.
fn write_replacing(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension(format!("json.{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file
        .write_all(text)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_changes_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("config.json"),
            r#"{"auths":{"x":{"auth":"y"}},"other":1,"psFormat":"p"}"#,
        )
        .unwrap();
        set_current_context(folder.path(), Some("c")).unwrap();
        let config = load(folder.path());
        assert_eq!(
            (config.current_context.as_str(), config.ps_format.as_str()),
            ("c", "p")
        );
        set_current_context(folder.path(), None).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
        assert!(
            text.contains("\t\"other\": 1")
                && text.contains("\"auth\": \"y\"")
                && !text.contains("currentContext"),
            "{text}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn containers_are_told_of_proxies() {
        let config: ConfigFile =
            serde_json::from_str(r#"{"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"x"},"tcp://h:1":{"allProxy":"a"}}}"#).unwrap();
        let all = config.proxy_variables("unix:///s", ["HTTP_PROXY=mine", "no_proxy"].into_iter());
        assert_eq!(all, ["http_proxy=http://p:1", "NO_PROXY=x"]);
        assert_eq!(
            config.proxy_variables("tcp://h:1", std::iter::empty()),
            ["ALL_PROXY=a", "all_proxy=a"]
        );
    }
}
