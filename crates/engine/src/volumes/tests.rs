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
        assert!(volumes.get(&name, 0).is_ok());
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
    let view = volumes.get("data", 2).unwrap();
    assert_eq!((disk_usage(&view.mountpoint), view.references), (4, 2));
    assert_eq!(volumes.list(&|_| 0).len(), 2);
    let view = volumes.get(&anonymous.name, 0).unwrap();
    assert_eq!(view.labels[ANONYMOUS], "");
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
    for name in ["a/b", "..", "", "-ab", "a b", &"x".repeat(256)] {
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
    let short = volumes.ensure(named("x")).unwrap_err();
    assert_eq!(
        short.to_string(),
        "create x: volume name is too short, names should be at least two alphanumeric characters"
    );
}

#[test]
fn a_folder_deleted_by_hand_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let volumes = Volumes::open(root.path()).unwrap();
    let made = volumes.ensure(named("data")).unwrap();
    fs::remove_dir_all(&made.data).unwrap();
    volumes.enter("data", "user").unwrap();
    assert!(made.data.is_dir());
    fs::remove_dir_all(made.data.parent().unwrap()).unwrap();
    volumes.enter("data", "user").unwrap();
    assert!(made.data.is_dir());
    // The record too, or the next daemon would take the folder for rubbish.
    let volumes = Volumes::open(root.path()).unwrap();
    assert!(volumes.get("data", 0).is_ok());
    fs::remove_dir_all(made.data.parent().unwrap()).unwrap();
    assert!(volumes.remove("data", false, &[]).unwrap());
}
