use super::*;
use crate::ingest::PulledImage;
use crate::{ListQuery, PruneQuery, RemoveOptions, Removed};
use oci::media_type;

const NAME: &str = "reg:5000/a:1";

/// Pulls an image without layers, which came out of the index `index`.
fn pulled(store: &Store, platform: &str, index: &str) -> Digest {
    let (os, architecture) = platform.split_once('/').unwrap();
    let config = serde_json::json!({
        "architecture": architecture, "os": os, "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let descriptor = |text: &str| Descriptor::of(media_type::OCI_INDEX, text.as_bytes());
    let name: Reference = NAME.parse().unwrap();
    let by_digest = name.clone().without_tag();
    let image = PulledImage {
        config: config.to_string().into_bytes(),
        manifest: None,
        index: Some((descriptor(index), index.as_bytes().to_vec())),
        names: vec![by_digest.with_digest(descriptor(index).digest), name],
    };
    store.pull().finish(image).unwrap().id
}

fn opened() -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    (root, store)
}

/// This machine's platform, and one that it is not.
fn platforms() -> (String, String) {
    let host = Platform::host();
    let own = format!("{}/{}", host.os, host.architecture);
    (own, "linux/s390x".to_owned())
}

#[test]
fn platforms_of_one_index_share_the_name() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let mine = pulled(&store, &own, "i");
    let others = pulled(&store, &other, "i");
    assert_eq!(store.resolve(NAME).unwrap().id, mine);
    let is = |text: &str, id: &Digest| {
        let found = store.resolve_for(NAME, Some(&text.parse().unwrap()));
        assert_eq!(found.unwrap().id, *id, "{text}");
    };
    is(&own, &mine);
    is(&other, &others);
    is("linux/riscv64", &mine);
    let tags = store.image(&others).unwrap().tags;
    assert_eq!(tags, [NAME.parse().unwrap()]);
    // A name given anew is given to all of them.
    store.tag(NAME, &"b:2".parse().unwrap()).unwrap();
    assert_eq!(store.variants("b:2").unwrap().len(), 2);
    // The same again changes nothing.
    assert_eq!(pulled(&store, &other, "i"), others);
    assert_eq!(store.variants(NAME).unwrap().len(), 2);
    assert!(
        store
            .check(false, &|_| Vec::new())
            .unwrap()
            .problems
            .is_empty()
    );
}

#[test]
fn a_list_has_each_name_once() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let others = pulled(&store, &other, "i");
    let mine = pulled(&store, &own, "i");
    let rows = |query: &ListQuery| {
        let listed = store.list_by_name(query).unwrap().into_iter();
        let row = |l: Listed| {
            let names: Vec<String> = l.image.tags.iter().map(Reference::familiar).collect();
            let platforms: Vec<Digest> = l.platforms.into_iter().map(|i| i.id).collect();
            (names.join(" "), platforms)
        };
        let mut rows: Vec<_> = listed.map(row).collect();
        rows.sort();
        rows
    };
    let all = ListQuery::default();
    let both = vec![mine.clone(), others.clone()];
    assert_eq!(rows(&all), [(NAME.to_owned(), both.clone())]);
    // A name of its own is a row of its own.
    store.tag(others.as_str(), &"b:2".parse().unwrap()).unwrap();
    let second = ("b:2".to_owned(), vec![others]);
    assert_eq!(rows(&all), [second, (NAME.to_owned(), both)]);
    let none = ListQuery {
        dangling: Some(true),
        ..ListQuery::default()
    };
    assert_eq!(rows(&none), []);
}

#[test]
fn another_index_takes_the_name() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let mine = pulled(&store, &own, "i");
    let others = pulled(&store, &other, "newer");
    assert_eq!(store.resolve(NAME).unwrap().id, others);
    assert_eq!(store.variants(NAME).unwrap().len(), 1);
    let left = store.image(&mine).unwrap();
    assert!(left.tags.is_empty());
}

#[test]
fn a_name_goes_with_all_its_platforms() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    for platform in [&own, &other] {
        pulled(&store, platform, "i");
    }
    let removed = store
        .remove(NAME, RemoveOptions::default(), &|_| Vec::new())
        .unwrap();
    let untagged = |line: &&Removed| matches!(line, Removed::Untagged(..));
    let deleted = |line: &&Removed| matches!(line, Removed::Deleted(_));
    assert_eq!(removed.iter().filter(untagged).count(), 2, "{removed:?}");
    assert_eq!(removed.iter().filter(deleted).count(), 2, "{removed:?}");
    assert!(store.list(&ListQuery::default()).unwrap().is_empty());
    assert!(
        store
            .check(false, &|_| Vec::new())
            .unwrap()
            .problems
            .is_empty()
    );
}

#[test]
fn one_platform_goes_by_its_id() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let (mine, others) = (pulled(&store, &own, "i"), pulled(&store, &other, "i"));
    let removed = store.remove(mine.hex(), RemoveOptions::default(), &|_| Vec::new());
    assert_eq!(removed.unwrap(), [Removed::Deleted(mine)]);
    assert_eq!(store.resolve(NAME).unwrap().id, others);
}

#[test]
fn pruning_keeps_what_bears_a_name() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    for platform in [&own, &other] {
        pulled(&store, platform, "i");
    }
    let prune = |dangling_only| {
        let query = PruneQuery {
            dangling_only,
            ..PruneQuery::default()
        };
        store.prune(&query, &|_| Vec::new()).unwrap().removed.len()
    };
    assert_eq!(prune(true), 0);
    assert_eq!(prune(false), 4);
    assert!(store.list(&ListQuery::default()).unwrap().is_empty());
}

#[test]
fn a_name_without_a_registry_is_looked_for_where_the_administrator_says() {
    let (_root, store) = opened();
    let (own, _) = platforms();
    let id = pulled(&store, &own, "i");
    assert!(store.resolve("a:1").is_err());
    store.look_at(&["other".to_owned() + ":1", "reg:5000".to_owned()]);
    assert_eq!(store.resolve("a:1").unwrap().id, id);
    assert!(store.resolve("docker.io/library/a:1").is_err());
    let mut saved = Vec::new();
    store.save(&["a"], &mut saved).unwrap();
    assert!(String::from_utf8_lossy(&saved).contains(NAME));
    store.tag("a:1", &"b:1".parse().unwrap()).unwrap();
    let removed = store.remove("a:1", RemoveOptions::default(), &|_| Vec::new());
    assert!(
        removed
            .unwrap()
            .contains(&Removed::Untagged(NAME.to_owned(), id))
    );
    assert!(
        store.resolve("b:1").is_ok(),
        "what is tagged without a registry is Docker Hub's"
    );
}

#[test]
fn what_is_saved_of_several_platforms_comes_back() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let (mine, others) = (pulled(&store, &own, "i"), pulled(&store, &other, "i"));
    let saved = |store: &Store, platform: Option<&str>| {
        let platforms = Vec::from_iter(platform.map(|text| text.parse().unwrap()));
        let mut archive = Vec::new();
        store.save_for(&[NAME], &platforms, &mut archive).unwrap();
        archive
    };
    let load = |store: &Store, archive: &[u8], platform: Option<&str>| {
        let platforms = Vec::from_iter(platform.map(|text| text.parse().unwrap()));
        let loaded = store.load(archive, &platforms, &mut |_| {}).unwrap();
        assert_eq!(loaded.len(), 1, "one name: {loaded:?}");
    };
    let ids = |store: &Store| -> Vec<Digest> {
        let variants = store.variants(NAME).unwrap().into_iter();
        variants.map(|image| image.id).collect()
    };
    let (all, one) = (saved(&store, None), saved(&store, Some(&other)));

    let (_root, there) = opened();
    load(&there, &all, None);
    assert_eq!(ids(&there), [mine.clone(), others.clone()]);
    assert_eq!(saved(&there, None), all, "the same bytes");
    assert_eq!(saved(&there, Some(&other)), one);
    // Again, and over what was pulled.
    load(&there, &all, None);
    load(&store, &all, None);
    assert_eq!(ids(&store), ids(&there));
    assert_eq!(there.check(false, &|_| Vec::new()).unwrap().problems, []);
    assert_eq!(store.check(false, &|_| Vec::new()).unwrap().problems, []);

    let (_root, there) = opened();
    load(&there, &one, None);
    assert_eq!(ids(&there), std::slice::from_ref(&others));

    // One by one they join.
    let (_root, there) = opened();
    load(&there, &all, Some(&other));
    assert_eq!(ids(&there), std::slice::from_ref(&others));
    load(&there, &all, Some(&own));
    assert_eq!(ids(&there), [mine, others]);
    let strange = ["linux/riscv64".parse().unwrap()];
    there.load(&all[..], &strange, &mut |_| {}).unwrap_err();
}

#[test]
fn one_platform_of_a_name_is_removed() {
    let (_root, store) = opened();
    let (own, other) = platforms();
    let (mine, others) = (pulled(&store, &own, "i"), pulled(&store, &other, "i"));
    let remove = |platforms: &[&str]| {
        let platforms: Vec<Platform> = platforms.iter().map(|p| p.parse().unwrap()).collect();
        let options = RemoveOptions::default();
        store.remove_platforms(NAME, &platforms, options, &|_| Vec::new())
    };
    let error = remove(&["linux/riscv64"]).unwrap_err();
    assert!(
        error.to_string().contains("does not provide the specified"),
        "{error}"
    );
    assert_eq!(remove(&[&other]).unwrap(), [Removed::Deleted(others)]);
    assert_eq!(store.variants(NAME).unwrap().len(), 1);
    let error = remove(&[&other]).unwrap_err().to_string();
    let words = format!("its platform ({own}) does not match the specified platform ({other})");
    assert!(error.contains(&words), "{error}");
    let gone = remove(&[&own]).unwrap();
    assert_eq!(gone.last(), Some(&Removed::Deleted(mine)));
    assert!(store.resolve(NAME).is_err());
    assert_eq!(store.check(false, &|_| Vec::new()).unwrap().problems, []);
}

#[test]
fn an_index_belongs_to_the_name_that_came_from_it() {
    let (_root, store) = opened();
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let pull = |name: &str, index: Option<&str>| {
        let descriptor = |text: &str| Descriptor::of(media_type::OCI_INDEX, text.as_bytes());
        let image = PulledImage {
            config: config.to_vec(),
            manifest: None,
            index: index.map(|text| (descriptor(text), text.as_bytes().to_vec())),
            names: vec![name.parse().unwrap()],
        };
        store.pull().finish(image).unwrap().id
    };
    let index_of = |name: &str| {
        let index = store.variants(name).unwrap().remove(0).index?;
        let bytes = store.document(&index.digest).unwrap();
        Some(String::from_utf8(bytes.unwrap()).unwrap())
    };
    let own = |text: &str| Some(text.to_owned());
    let id = pull("x:1", None);
    pull("y:1", Some("stranger's"));
    pull("w:1", Some("w's"));
    assert_eq!(index_of("x:1"), None);
    assert_eq!(index_of("y:1"), own("stranger's"));
    assert_eq!(index_of("w:1"), own("w's"));
    for (source, target, index) in [
        ("x:1", "z:1", None),
        ("y:1", "z:1", own("stranger's")),
        (id.hex(), "z:1", None),
    ] {
        store.tag(source, &target.parse().unwrap()).unwrap();
        assert_eq!(index_of(target), index, "{source}");
    }
    // Pulled as a plain manifest, a name has no index any more, and nobody keeps that.
    pull("y:1", None);
    assert_eq!(index_of("y:1"), None);
    assert_eq!(index_of("w:1"), own("w's"));
    let gone = Digest::sha256(b"stranger's");
    assert_eq!(store.document(&gone).unwrap(), None);
    assert_eq!(store.check(false, &|_| Vec::new()).unwrap().problems, []);
}

#[test]
fn a_name_that_reads_like_a_digest_is_refused_wherever_it_comes_from() {
    let (_root, store) = opened();
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let image = PulledImage {
        config: config.to_vec(),
        manifest: None,
        index: None,
        names: vec!["sha256:abc".parse().unwrap()],
    };
    let error = store.pull().finish(image).unwrap_err();
    assert!(error.to_string().contains("ambiguous tag"), "{error}");
    assert_eq!(store.image_count().unwrap(), 0);
}
