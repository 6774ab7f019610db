//! A daemon that is killed loses nothing; a shim that is killed leaves nothing.

use engine::{Engine, LogQuery, RemoveOptions, Status, WaitCondition};

use linux::pidfd::PidFd;

use crate::world::{World, closed, command, ended, everything, output_of, request, script, soon};

/// As if the daemon had been killed: nothing is told to anyone.
async fn forget(engine: Engine, world: &World) -> Engine {
    drop(engine);
    closed(world).await;
    world.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_run_on_without_a_daemon() {
    let world = World::new();
    let engine = world.open().await;
    let mut reader = command(&["cat"]);
    reader.open_stdin = true;
    engine.create(request("reader", reader)).await.unwrap();
    engine.start("reader").await.unwrap();
    engine
        .create(request(
            "short",
            script("while test ! -e /tmp/go; do sleep 0.02; done; echo bye; exit 9"),
        ))
        .await
        .unwrap();
    engine.start("short").await.unwrap();
    let before = engine.inspect("reader", false).await.unwrap().state;

    let pid = engine.inspect("short", false).await.unwrap().state.pid;
    drop(engine);
    let process = PidFd::open(pid).unwrap();
    std::fs::write(format!("/proc/{pid}/root/tmp/go"), "").unwrap();
    ended(process).await;
    closed(&world).await;
    let engine = world.open().await;

    let after = engine.inspect("reader", false).await.unwrap().state;
    assert_eq!(
        (after.pid, after.started_at, after.status),
        (before.pid, before.started_at, Status::Running)
    );
    let mut attached = engine.attach("reader", everything()).await.unwrap();
    attached.input.write(b"still there?\n").await.unwrap();
    let piece = soon(attached.output.next()).await.unwrap();
    assert_eq!(&piece.1[..], b"still there?\n");
    drop(attached);
    let short = engine.inspect("short", false).await.unwrap().state;
    assert_eq!((short.status, short.exit_code), (Status::Exited, 9));
    let mut logs = engine
        .logs(
            "short",
            LogQuery {
                stdout: true,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(&soon(logs.next()).await.unwrap().unwrap().1[..], b"bye\n");
    for name in ["reader", "short"] {
        engine
            .remove(
                name,
                RemoveOptions {
                    force: true,
                    ..Default::default()
                },
            )
            .await
            .unwrap();
    }
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn execs_work_after_a_restart() {
    let world = World::new();
    let engine = world.open().await;
    engine
        .create(request("cc", command(&["sleep", "1000"])))
        .await
        .unwrap();
    engine.start("cc").await.unwrap();
    let engine = forget(engine, &world).await;
    let options = engine::ExecOptions {
        cmd: vec!["echo".into(), "hi".into()],
        attach_stdout: true,
        ..Default::default()
    };
    let exec = engine.exec_create("cc", options).await.unwrap();
    let attached = engine
        .exec_start(&exec, Default::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output_of(attached).await.stdout, "hi\n");
    engine
        .remove(
            "cc",
            RemoveOptions {
                force: true,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_takes_its_container_along() {
    let world = World::new();
    let engine = world.open().await;
    engine
        .create(request("cc", script("sleep 1000 & sleep 1000")))
        .await
        .unwrap();
    let wait = engine.wait("cc", WaitCondition::NextExit).await.unwrap();
    engine.start("cc").await.unwrap();
    let pid = engine.inspect("cc", false).await.unwrap().state.pid;
    let (shim, process) = (parent_of(pid), PidFd::open(pid).unwrap());
    linux::signal::kill(shim, linux::signal::Signal::KILL).unwrap();
    assert_eq!(soon(wait.outcome()).await.code, 137);
    ended(process).await;
    engine.remove("cc", RemoveOptions::default()).await.unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_collected_at_open() {
    let world = World::new();
    let engine = world.open().await;
    let id = "ab".repeat(32);
    drop(engine);
    std::fs::create_dir_all(world.data().join("containers").join(&id)).unwrap();
    std::fs::create_dir_all(world.exec().join("containers").join(&id)).unwrap();
    closed(&world).await;
    let engine = world.open().await;
    assert!(engine.list(Default::default()).await.unwrap().is_empty());
    world.assert_clean();
}

fn parent_of(pid: u32) -> i32 {
    let status = crate::world::read(format!("/proc/{pid}/status"));
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .expect("a parent");
    line.trim().parse().expect("a pid")
}
