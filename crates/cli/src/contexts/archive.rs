//! Contexts as archives, in Docker's form: `meta.json`, and `tls/ENDPOINT/FILE` for the key material.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Archive, Builder, EntryType, Header};

use super::{Store, Stored, read_meta};
use crate::failure::{Failure, errno_text};
use crate::format::json::Html;

const META: &str = "meta.json";
const TLS: &str = "tls/";

/// Docker's bound on what an archive may hold.
const LIMIT: u64 = 10 * 1024 * 1024;

/// How a zip file begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// Key material: files by endpoint and name.
type Keys = BTreeMap<(String, String), Vec<u8>>;

/// Writes a context as a tar archive.
pub(crate) fn export(store: &Store, context: &Stored, out: impl Write) -> Result<(), Failure> {
    let mut builder = Builder::new(out);
    let meta = context.json().compact(Html::Escaped);
    file(&mut builder, META, 0o644, meta.as_bytes())?;
    folder(&mut builder, TLS)?;
    let mut endpoint = "";
    let keys = keys(store, &context.name)?;
    for ((of, name), bytes) in &keys {
        if endpoint != of {
            folder(&mut builder, &format!("{TLS}{of}/"))?;
            endpoint = of;
        }
        file(&mut builder, &format!("{TLS}{of}/{name}"), 0o600, bytes)?;
    }
    builder.finish()?;
    Ok(())
}

fn file(builder: &mut Builder<impl Write>, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, path, bytes)
}

fn folder(builder: &mut Builder<impl Write>, path: &str) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o700);
    header.set_size(0);
    builder.append_data(&mut header, path.trim_end_matches('/'), io::empty())
}

fn keys(store: &Store, name: &str) -> Result<Keys, Failure> {
    let mut keys = Keys::new();
    for endpoint in entries(&store.tls(name))? {
        for key in entries(&store.tls(name).join(&endpoint))? {
            let path = store.tls(name).join(&endpoint).join(&key);
            keys.insert((endpoint.clone(), key), fs::read(path)?);
        }
    }
    Ok(keys)
}

/// Names in a folder; none if it is not there.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads an archive and stores what it holds under `name`. Nothing is stored unless all of it is right.
pub(crate) fn import(store: &Store, name: &str, archive: impl Read) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    archive.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::new("read exceeds the defined limit"));
    }
    if bytes.starts_with(ZIP) {
        return Err(Failure::new(
            "zip archives of contexts are not read: give the tar archive that 'context export' writes",
        ));
    }
    let (meta, keys) = contents(&bytes)?;
    let meta = meta.ok_or_else(|| Failure::new("invalid context: no metadata found"))?;
    let context = read_meta(&meta)
        .map_err(|error| Failure::new(format!("invalid context: {META}: {error}")))?;
    let context = Stored {
        name: name.to_owned(),
        ..context
    };
    put_keys(&store.tls(name), &keys).map_err(|error| {
        let folder = store.tls(name);
        Failure::new(format!("{}: {}", folder.display(), errno_text(&error)))
    })?;
    store.put(&context)
}

fn contents(bytes: &[u8]) -> Result<(Option<Vec<u8>>, Keys), Failure> {
    let (mut meta, mut keys) = (None, Keys::new());
    for entry in Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        check_path(&path).map_err(|told| Failure::new(format!("{path}: {told}")))?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        if path == META {
            meta = Some(content);
            continue;
        }
        let (endpoint, name) = key_of(&path)
            .ok_or_else(|| Failure::new(format!("{path}: archive format is invalid")))?;
        keys.insert((endpoint.to_owned(), name.to_owned()), content);
    }
    Ok((meta, keys))
}

/// Docker's refusals; what is left cannot lead out of the context's folder.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path != META && !path.starts_with(TLS) {
        return Err("unexpected context file");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("unexpected path format");
    }
    if path.contains(['\\', '\0']) {
        return Err("unexpected '\\' in path");
    }
    Ok(())
}

/// `tls/docker/ca.pem` as endpoint and file.
fn key_of(path: &str) -> Option<(&str, &str)> {
    let (endpoint, name) = path.strip_prefix(TLS)?.split_once('/')?;
    (!name.contains('/')).then_some((endpoint, name))
}

fn put_keys(folder: &Path, keys: &Keys) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    for ((endpoint, name), bytes) in keys {
        let folder = folder.join(endpoint);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(name))?;
        file.write_all(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_exported_can_be_imported() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let context = Stored::new("one", "d", "tcp://h:1");
        store.put(&context).unwrap();
        let keys = Keys::from([(("docker".into(), "key.pem".into()), b"secret".to_vec())]);
        put_keys(&store.tls("one"), &keys).unwrap();
        let mut archive = Vec::new();
        export(&store, &context, &mut archive).unwrap();
        import(&store, "two", archive.as_slice()).unwrap();
        assert_eq!(store.get("two").unwrap().host(), "tcp://h:1");
        let key = store.tls("two").join("docker/key.pem");
        assert_eq!(fs::read(&key).unwrap(), b"secret");
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn hostile_archives_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let check = |path: &str, expected: &str| {
            let mut builder = Builder::new(Vec::new());
            let mut header = Header::new_ustar();
            // The builder itself would refuse such a path.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(1);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, b"x".as_slice()).unwrap();
            let archive = builder.into_inner().unwrap();
            let told = import(&store, "x", archive.as_slice()).unwrap_err().message;
            assert_eq!(told, expected, "{path}");
        };
        check("other", "other: unexpected context file");
        check("../meta.json", "../meta.json: unexpected context file");
        check("tls/../../x", "tls/../../x: unexpected path format");
        check("tls/a/../../x", "tls/a/../../x: unexpected path format");
        check("tls/a\\b/c", "tls/a\\b/c: unexpected '\\' in path");
        check("tls/a", "tls/a: archive format is invalid");
        check("tls/a/b/c", "tls/a/b/c: archive format is invalid");
        check("tls/a/b", "invalid context: no metadata found");
        assert!(import(&store, "x", io::empty()).is_err());
        assert!(import(&store, "x", b"PK\x03\x04".as_slice()).is_err());
        assert!(import(&store, "x", io::repeat(0).take(LIMIT + 1)).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
