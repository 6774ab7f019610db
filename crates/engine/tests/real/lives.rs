//! Lives of containers: what runs, how it ends, what may be done when.

use engine::{
    ErrorKind, ExecOptions, ExecStart, RemoveOptions, Status, StopOptions, WaitCondition,
};

use crate::world::{World, command, everything, output_of, request, run, script, soon};

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_leaves_nothing() {
    let world = World::new();
    let engine = world.open().await;
    let ran = run(&engine, script("echo out; echo err >&2; exit 7"))
        .await
        .unwrap();
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (7, "out\n", "err\n")
    );
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_sees_what_docker_shows() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = script("id -u; id -G; echo $HOME $FROM_IMAGE $X; hostname; pwd; echo $$");
    options.user = "ann".into();
    options.env = vec!["X=1".into()];
    options.hostname = "here".into();
    options.working_dir = "/made/up".into();
    let ran = run(&engine, options).await.unwrap();
    assert_eq!(
        ran.stdout, "7\n8 9\n/home/ann yes 1\nhere\n/made/up\n1\n",
        "{}",
        ran.stderr
    );
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_to_start_have_docker_s_words_and_codes() {
    let world = World::new();
    let engine = world.open().await;
    for (word, text, code) in [
        (
            "nosuch",
            "exec: \"nosuch\": executable file not found in $PATH",
            127,
        ),
        (
            "/nosuch",
            "exec: \"/nosuch\": stat /nosuch: no such file or directory",
            127,
        ),
        (
            "/etc/notexec",
            "exec: \"/etc/notexec\": permission denied",
            126,
        ),
    ] {
        let id = engine
            .create(request("", command(&[word])))
            .await
            .unwrap()
            .id
            .to_string();
        let error = engine.start(&id).await.unwrap_err();
        assert!(error.chain().contains(text), "{}", error.chain());
        let view = engine.inspect(&id, false).await.unwrap();
        assert_eq!(
            (view.state.status, view.state.exit_code),
            (Status::Created, code)
        );
        assert!(view.state.error.contains(text));
        engine.remove(&id, RemoveOptions::default()).await.unwrap();
    }
    let mut options = command(&["true"]);
    options.user = "nobodyx".into();
    let error = run(&engine, options).await.unwrap_err();
    assert_eq!(
        error.chain(),
        "unable to find user nobodyx: no matching entries in passwd file"
    );
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_kill_pause_and_their_refusals() {
    let world = World::new();
    let engine = world.open().await;
    let id = engine
        .create(request(
            "one",
            script("trap 'exit 3' TERM; while :; do sleep 0.05; done"),
        ))
        .await
        .unwrap()
        .id
        .to_string();
    soon(engine.start("one")).await.unwrap();
    assert_eq!(
        soon(engine.start("one")).await.unwrap_err().kind(),
        ErrorKind::NotModified
    );
    let refusal = soon(engine.remove("one", RemoveOptions::default()))
        .await
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "cannot remove container \"one\": container is running: stop the container before removing or force remove"
    );
    soon(engine.pause("one")).await.unwrap();
    assert_eq!(
        soon(engine.inspect("one", false))
            .await
            .unwrap()
            .state
            .status,
        Status::Paused
    );
    assert_eq!(
        soon(engine.pause("one")).await.unwrap_err().to_string(),
        format!("Container {id} is already paused")
    );
    assert_eq!(
        soon(engine.start("one")).await.unwrap_err().to_string(),
        "cannot start a paused container, try unpause instead"
    );
    soon(engine.unpause("one")).await.unwrap();
    soon(engine.stop("one", StopOptions::default()))
        .await
        .unwrap();
    let state = soon(engine.inspect("one", false)).await.unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 3));
    assert_eq!(
        soon(engine.stop("one", StopOptions::default()))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotModified
    );
    assert_eq!(
        soon(engine.kill("one", None)).await.unwrap_err().chain(),
        format!("cannot kill container: one: container {id} is not running")
    );
    soon(engine.start("one")).await.unwrap();
    soon(engine.pause("one")).await.unwrap();
    soon(engine.kill("one", None)).await.unwrap();
    assert_eq!(
        soon(engine.inspect("one", false))
            .await
            .unwrap()
            .state
            .exit_code,
        137
    );
    soon(engine.rename("one", "two")).await.unwrap();
    assert_eq!(
        soon(engine.inspect(&id[..8], false)).await.unwrap().name,
        "two"
    );
    soon(engine.remove("two", RemoveOptions::default()))
        .await
        .unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ignores_sigterm_is_killed() {
    let world = World::new();
    let engine = world.open().await;
    engine
        .create(request(
            "deaf",
            script("trap '' TERM; while :; do sleep 0.05; done"),
        ))
        .await
        .unwrap();
    engine.start("deaf").await.unwrap();
    let options = StopOptions {
        timeout: Some(0),
        ..Default::default()
    };
    soon(engine.stop("deaf", options)).await.unwrap();
    assert_eq!(
        engine.inspect("deaf", false).await.unwrap().state.exit_code,
        137
    );
    soon(engine.restart("deaf", StopOptions::default()))
        .await
        .unwrap();
    soon(engine.remove(
        "deaf",
        RemoveOptions {
            force: true,
            ..Default::default()
        },
    ))
    .await
    .unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_is_awaited_and_waits_see_the_code() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = script("exit 5");
    options.host.auto_remove = true;
    let id = engine
        .create(request("", options))
        .await
        .unwrap()
        .id
        .to_string();
    let wait = engine.wait(&id, WaitCondition::Removed).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(soon(wait.outcome()).await.code, 5);
    assert_eq!(
        engine.inspect(&id, false).await.unwrap_err().to_string(),
        format!("No such container: {id}")
    );
    // Its files go in the background.
    engine.close().await;
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn input_arrives_and_ends() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = command(&["cat"]);
    options.open_stdin = true;
    options.stdin_once = true;
    let id = engine
        .create(request("", options))
        .await
        .unwrap()
        .id
        .to_string();
    let mut attached = engine.attach(&id, everything()).await.unwrap();
    engine.start(&id).await.unwrap();
    attached.input.write(b"ping\n").await.unwrap();
    attached.input.close().await.unwrap();
    assert_eq!(output_of(attached).await.stdout, "ping\n");
    let wait = engine.wait(&id, WaitCondition::NotRunning).await.unwrap();
    assert_eq!(soon(wait.outcome()).await.code, 0);
    engine.remove(&id, RemoveOptions::default()).await.unwrap();
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn execs_run_beside_the_first_process() {
    let world = World::new();
    let engine = world.open().await;
    engine
        .create(request("cc", command(&["sleep", "1000"])))
        .await
        .unwrap();
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let options = ExecOptions {
        cmd: words(&["sh", "-c", "echo $E; id -u; exit 4"]),
        env: words(&["E=exec"]),
        user: "7".into(),
        attach_stdout: true,
        attach_stderr: true,
        ..Default::default()
    };
    assert_eq!(
        engine
            .exec_create("cc", options.clone())
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Conflict
    );
    engine.start("cc").await.unwrap();
    let exec = engine.exec_create("cc", options).await.unwrap();
    let attached = engine
        .exec_start(&exec, ExecStart::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output_of(attached).await.stdout, "exec\n7\n");
    // The output ends when the code is known.
    assert_eq!(engine.exec_inspect(&exec).unwrap().exit_code, Some(4));
    let missing = ExecOptions {
        cmd: words(&["nosuch"]),
        attach_stdout: true,
        ..Default::default()
    };
    let exec = engine.exec_create("cc", missing).await.unwrap();
    let error = engine
        .exec_start(&exec, ExecStart::default())
        .await
        .unwrap_err();
    assert!(
        error.chain().contains("executable file not found in $PATH"),
        "{}",
        error.chain()
    );
    assert_eq!(engine.exec_inspect(&exec).unwrap().exit_code, Some(127));
    let table = engine.top("cc", None).await.unwrap();
    assert_eq!(table.processes.len(), 1);
    assert_eq!(table.processes[0][7], "sleep 1000");
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
async fn forty_start_at_once() {
    let world = World::new();
    let engine = world.open().await;
    let starts = (0..40).map(|number| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let name = format!("many{number}");
            engine
                .create(request(&name, command(&["sleep", "1000"])))
                .await?;
            engine.start(&name).await
        })
    });
    for start in starts.collect::<Vec<_>>() {
        soon(start).await.unwrap().unwrap();
    }
    assert_eq!(engine.counts().running, 40);
    let removals = (0..40).map(|number| {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine
                .remove(
                    &format!("many{number}"),
                    RemoveOptions {
                        force: true,
                        ..Default::default()
                    },
                )
                .await
        })
    });
    for removal in removals.collect::<Vec<_>>() {
        soon(removal).await.unwrap().unwrap();
    }
    world.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn init_passes_signals_on_and_reaps() {
    let world = World::new();
    let engine = world.open().await;
    let mut options = script(
        "trap 'exit 6' TERM; echo ready; sh -c 'sleep 0.01 & exit' ; while :; do sleep 0.05; done",
    );
    options.host.init = Some(true);
    engine.create(request("with-init", options)).await.unwrap();
    let mut attached = engine.attach("with-init", everything()).await.unwrap();
    engine.start("with-init").await.unwrap();
    assert_eq!(
        &soon(attached.output.next()).await.unwrap().1[..],
        b"ready\n"
    );
    let rows = || async { engine.top("with-init", None).await.unwrap().processes };
    let first = soon(rows()).await;
    assert!(
        first
            .iter()
            .any(|row| row[7].starts_with("/sbin/docker-init -- sh -c")),
        "{first:?}"
    );
    soon(engine.stop("with-init", StopOptions::default()))
        .await
        .unwrap();
    assert_eq!(
        engine
            .inspect("with-init", false)
            .await
            .unwrap()
            .state
            .exit_code,
        6
    );
    engine
        .remove("with-init", RemoveOptions::default())
        .await
        .unwrap();
    let mut missing = command(&["nosuch"]);
    missing.host.init = Some(true);
    let ran = run(&engine, missing).await.unwrap();
    assert_eq!(ran.code, 127, "{ran:?}");
    world.assert_clean();
}
