//! Mounts, volumes and the files the engine makes.

use std::collections::BTreeMap;

use engine::options::MountOption;
use engine::{LogQuery, RemoveOptions, WaitCondition};

use crate::world::{World, request, run, script, soon};

#[tokio::test(flavor = "multi_thread")]
async fn binds_volumes_and_tmpfs() {
    let world = World::new();
    let engine = world.open().await;
    let source = world.root.path().join("source");
    let mut options = script(
        "cat /stuff/file; echo x > /stuff/new; echo y > /b/out; echo z > /ro/f; grep -c ' /t tmpfs ' /proc/mounts; \
         stat -c %a /stuff; cat /proc/mounts | head -1 > /dev/null; echo done",
    );
    options.host.binds = vec![
        "named:/stuff".into(),
        format!("{}:/b", source.display()),
        format!("{}:/ro:ro", source.display()),
    ];
    options.host.tmpfs.insert("/t".into(), "size=1m".into());
    let ran = run(&engine, options).await.unwrap();
    assert!(
        ran.stdout.starts_with("from the image\n") && ran.stdout.ends_with("750\ndone\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("Read-only file system"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(source.join("out")).unwrap(), "y\n");
    let again = {
        let mut options = script("cat /v/new /v/file");
        options.host.binds = vec!["named:/v".into()];
        run(&engine, options).await.unwrap()
    };
    assert_eq!(again.stdout, "x\nfrom the image\n");
    let volumes = engine.volumes(BTreeMap::new()).await.unwrap();
    assert_eq!(
        volumes.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(),
        ["named"]
    );
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_volumes_go_with_the_container() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = script("true");
    options.volumes.insert("/data".into());
    let id = engine
        .create(request("", options))
        .await
        .unwrap()
        .id
        .to_string();
    assert_eq!(engine.volumes(BTreeMap::new()).await.unwrap().len(), 1);
    engine
        .remove(
            &id,
            RemoveOptions {
                volumes: true,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert!(engine.volumes(BTreeMap::new()).await.unwrap().is_empty());
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_create_leaves_nothing() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = script("true");
    options.host.mounts.push(MountOption {
        kind: "bind".into(),
        source: "/nonexist".into(),
        target: "/x".into(),
        ..Default::default()
    });
    let error = engine.create(request("once", options)).await.unwrap_err();
    assert_eq!(
        error.chain(),
        "invalid mount config for type \"bind\": bind source path does not exist: /nonexist"
    );
    let id = engine
        .create(request("once", script("true")))
        .await
        .unwrap()
        .id
        .to_string();
    engine.remove(&id, RemoveOptions::default()).await.unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_back() {
    let world = World::new();
    let engine = world.open().await;
    engine
        .create(request(
            "talk",
            script("echo one; echo two >&2; echo three"),
        ))
        .await
        .unwrap();
    let wait = engine.wait("talk", WaitCondition::NextExit).await.unwrap();
    engine.start("talk").await.unwrap();
    soon(wait.outcome()).await;
    let query = LogQuery {
        stdout: true,
        ..Default::default()
    };
    let mut stream = engine.logs("talk", query).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = soon(stream.next()).await {
        text.push_str(&String::from_utf8_lossy(&piece.unwrap().1));
    }
    assert_eq!(text, "one\nthree\n");
    engine
        .remove("talk", RemoveOptions::default())
        .await
        .unwrap();
    world.assert_clean();
}
