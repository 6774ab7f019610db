use oci::{Descriptor, Manifest, Platform, media_type};

use super::entry::{Entry, list_document};
use super::*;

fn entry(reference: &str, architecture: &str) -> Entry {
    let config = Descriptor::of(media_type::DOCKER_CONFIG, architecture.as_bytes());
    let layer = Descriptor::of(media_type::DOCKER_LAYER_GZIP, b"layer");
    let manifest = Manifest {
        media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
        ..Manifest::new(config, vec![layer])
    };
    let raw = manifest.to_bytes();
    let descriptor = Descriptor {
        platform: Some(Platform::linux(architecture)),
        ..Descriptor::of(media_type::DOCKER_MANIFEST, &raw)
    };
    Entry {
        reference: reference.to_owned(),
        descriptor,
        raw,
    }
}

fn store(folder: &Path) -> Store {
    Store {
        folder: folder.join("manifests"),
    }
}

#[test]
fn lists_are_kept_as_docker_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let list = reference("h:5000/a/b:all").unwrap();
    assert_eq!(store.list(&list), Ok(None));
    for (name, architecture) in [("h:5000/a/b:z", "arm64"), ("h:5000/a/b:y", "amd64")] {
        let image = reference(name).unwrap();
        store
            .put(&list, &image, &entry(name, architecture))
            .unwrap();
    }
    assert!(
        folder
            .path()
            .join("manifests/h-5000_a_b-all/h-5000_a_b-y")
            .exists()
    );
    let entries = store.list(&list).unwrap().unwrap();
    let names: Vec<_> = entries
        .iter()
        .map(|entry| entry.reference.as_str())
        .collect();
    assert_eq!(names, ["h:5000/a/b:y", "h:5000/a/b:z"]);
    let image = reference("h:5000/a/b:y").unwrap();
    assert_eq!(
        store.get(&list, &image),
        Ok(Some(entry("h:5000/a/b:y", "amd64")))
    );
    assert_eq!(store.get(&image, &image), Ok(None));
    assert_eq!(
        (store.remove(&list), store.remove(&list)),
        (Ok(true), Ok(false))
    );
}

#[test]
fn an_entry_whose_bytes_were_changed_is_refused() {
    let mut changed = entry("x", "amd64");
    changed.raw.push(b' ');
    let told = Entry::parse(changed.compact().as_bytes()).unwrap_err();
    assert_eq!(told, "its bytes have another digest than its descriptor");
    for bad in ["", "{}", "[]", r#"{"Ref":"x","Descriptor":{},"Raw":"!"}"#] {
        assert!(Entry::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_list_has_dockers_bytes() {
    let descriptor = Descriptor {
        platform: Some(Platform {
            os_version: Some("1".to_owned()),
            os_features: vec!["a".to_owned()],
            variant: Some("v8".to_owned()),
            ..Platform::linux("arm64")
        }),
        ..Descriptor::of(media_type::DOCKER_MANIFEST, b"x")
    };
    let (kind, document) = list_document(&[descriptor]);
    assert_eq!(kind, media_type::DOCKER_MANIFEST_LIST);
    let expected = r#"{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
   "manifests": [
      {
         "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
         "size": 1,
         "digest": "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
         "platform": {
            "architecture": "arm64",
            "os": "linux",
            "os.version": "1",
            "os.features": [
               "a"
            ],
            "variant": "v8"
         }
      }
   ]
}"#;
    assert_eq!(document, expected);
    let empty = list_document(&[Descriptor::of(media_type::OCI_MANIFEST, b"x")]);
    assert_eq!(empty.0, media_type::OCI_INDEX);
}
