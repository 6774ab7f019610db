//! The shim as the engine meets it. Needs root and busybox-static. With `TARE_TEST_RUNTIME=/usr/bin/crun` the same
//! tests prove the shim over another OCI runtime.
#![forbid(unsafe_code)]

mod full_disk;
mod rig;

use std::io::Write;

use rig::{Rig, exec};
use shim::protocol::{
    Attach, ErrorKind, Hello, INIT, Kind, Message, Op, Phase, Role, VERSION, Value,
};

#[test]
fn output_reaches_the_log_and_the_client_and_the_code_everyone() {
    let mut rig = Rig::new("echo out; echo err >&2; exit 7");
    let mut control = rig.spawn();
    let mut attached = rig.attach(INIT);
    control.call(Op::Start).unwrap();
    let seen = attached.drain();
    assert_eq!(
        (seen.stdout, seen.stderr, seen.code),
        (b"out\n".to_vec(), b"err\n".to_vec(), Some(7))
    );
    assert_eq!(control.init_exited(), 7);
    let record = rig.finish();
    assert_eq!(
        (record.code, record.version, &record.id, record.oom_killed),
        (7, VERSION, &rig.id, false)
    );
    let mut lines: Vec<_> = rig.logged().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

#[test]
fn a_container_lives_and_ends_without_a_daemon() {
    let mut rig = Rig::new("echo first; cat; echo last; exit 3");
    rig.setup.open_stdin = true;
    drop(rig.start());
    let mut later = rig.control();
    let Value::State(state) = later.call(Op::State).unwrap() else {
        panic!()
    };
    assert_eq!((state.phase, &state.id), (Phase::Running, &rig.id));
    assert!(state.pid > 0 && state.started_at.is_some());
    later
        .call(Op::CloseStdin {
            process: INIT.to_owned(),
        })
        .unwrap();
    drop(later);
    assert_eq!(rig.finish().code, 3);
    assert_eq!(rig.logged(), "first\nlast\n");
}

#[test]
fn a_container_to_be_removed_leaves_its_record_too() {
    let mut rig = Rig::new("exit 9");
    rig.setup.auto_remove = true;
    drop(rig.start());
    assert_eq!(rig.finish().code, 9);
}

#[test]
fn input_goes_in_and_ends_once() {
    let mut rig = Rig::new("cat; echo end");
    rig.setup.open_stdin = true;
    rig.setup.stdin_once = true;
    let mut control = rig.spawn();
    let mut attached = rig.attach(INIT);
    // Sent before the start, more than a pipe holds.
    let text = "0123456789\n".repeat(50_000);
    let mut writer = rig::Client::over(attached.socket.try_clone().unwrap());
    let sent = std::thread::spawn({
        let text = text.clone();
        move || {
            writer.raw(Kind::Stdin, text.as_bytes());
            writer.raw(Kind::StdinClosed, &[]);
        }
    });
    control.call(Op::Start).unwrap();
    let seen = attached.drain();
    sent.join().unwrap();
    assert_eq!(String::from_utf8(seen.stdout).unwrap(), text + "end\n");
    assert_eq!(rig.finish().code, 0);
}

#[test]
fn input_without_once_outlives_its_client() {
    let mut rig = Rig::new("read a; echo got $a; read b; echo got $b");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    let mut one = rig.attach(INIT);
    one.raw(Kind::Stdin, b"one\n");
    one.raw(Kind::StdinClosed, &[]);
    one.until("got one");
    drop(one);
    let mut two = rig.attach(INIT);
    two.raw(Kind::Stdin, b"two\n");
    two.until("got two");
    assert_eq!(control.init_exited(), 0);
    rig.finish();
}

#[test]
fn a_client_that_vanishes_stops_nothing() {
    let mut rig = Rig::new("seq 1 100000; read x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    // One never reads and goes, one reads everything.
    let mut lazy = rig.attach(INIT);
    let mut eager = rig.attach(INIT);
    lazy.until("1");
    drop(lazy);
    control
        .call(Op::CloseStdin {
            process: INIT.to_owned(),
        })
        .unwrap();
    assert!(eager.drain().ended);
    assert_eq!(rig.finish().code, 1);
    assert_eq!(rig.logged().lines().count(), 100_000);
}

#[test]
fn many_lines_reach_every_client_whole() {
    let mut rig = Rig::new("seq 1 100000");
    let mut control = rig.spawn();
    let (mut one, mut two) = (rig.attach(INIT), rig.attach(INIT));
    control.request(Op::Start);
    let reader = std::thread::spawn(move || two.drain());
    let seen = one.drain();
    let expect: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(seen.code, Some(0));
    assert!(String::from_utf8(seen.stdout).unwrap() == expect);
    assert!(String::from_utf8(reader.join().unwrap().stdout).unwrap() == expect);
    rig.finish();
    assert!(rig.logged() == expect);
}

#[test]
fn a_slow_client_holds_output_back_and_loses_nothing() {
    let mut rig = Rig::new("head -c 8000000 /dev/zero | tr '\\0' x; echo done >&2");
    let mut control = rig.spawn();
    let mut slow = rig.attach(INIT);
    control.call(Op::Start).unwrap();
    // The container cannot end while its output has no room, so this reply comes from a running one.
    let Value::State(state) = control.call(Op::State).unwrap() else {
        panic!()
    };
    assert_eq!(state.phase, Phase::Running);
    assert_eq!(slow.drain().stdout.len(), 8_000_000);
    assert_eq!(control.init_exited(), 0);
    rig.finish();
}

#[test]
fn execs_have_codes_and_streams_of_their_own() {
    let mut rig = Rig::new("read x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    let mut attached = rig.attach("e1");
    control
        .call(exec("e1", "cat; echo err >&2; exit 5"))
        .unwrap();
    attached.raw(Kind::Stdin, b"hello");
    attached.raw(Kind::StdinClosed, &[]);
    let seen = attached.drain();
    assert_eq!(
        (seen.stdout, seen.stderr, seen.code),
        (b"hello".to_vec(), b"err\n".to_vec(), Some(5))
    );
    assert_eq!(control.exited("e1"), 5);

    control.call(exec("e2", "sleep 1000")).unwrap();
    let Value::State(state) = control.call(Op::State).unwrap() else {
        panic!()
    };
    assert!(state.execs.len() == 1 && state.execs[0].0 == "e2");
    assert_eq!(
        control.call(exec("e2", "true")).unwrap_err().kind,
        ErrorKind::Invalid
    );
    let Value::Pids { pids } = control.call(Op::Pids).unwrap() else {
        panic!()
    };
    assert!(
        pids.contains(&state.pid) && pids.contains(&state.execs[0].1),
        "{pids:?}"
    );
    control
        .call(Op::Signal {
            process: "e2".to_owned(),
            signal: 15,
            all: false,
        })
        .unwrap();
    assert_eq!(control.exited("e2"), 143);

    let missing = control
        .call(serde_json::from_value(no_such_program()).unwrap())
        .unwrap_err();
    assert_eq!(missing.kind, ErrorKind::ExecutableNotFound, "{missing}");
    assert_eq!(rig.logged(), "", "execs do not write the log");
    control
        .call(Op::Signal {
            process: INIT.to_owned(),
            signal: 9,
            all: false,
        })
        .unwrap();
    assert_eq!(control.init_exited(), 137);
    assert_eq!(rig.finish().code, 137);
}

fn no_such_program() -> serde_json::Value {
    let process = serde_json::json!({ "user": { "uid": 0, "gid": 0 }, "args": ["nosuch"], "env": ["PATH=/bin"], "cwd": "/" });
    serde_json::json!({ "type": "exec", "id": "e3", "process": process })
}

#[test]
fn clients_stay_until_the_code_is_known() {
    let mut rig = Rig::new("read x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    // It closes its output long before it ends.
    let mut attached = rig.attach("e1");
    control
        .call(exec(
            "e1",
            "exec >/dev/null 2>&1 </dev/null; until [ -e /tmp/go ]; do :; done; exit 5",
        ))
        .unwrap();
    control.call(exec("e2", "echo >/tmp/go")).unwrap();
    assert_eq!(attached.drain().code, Some(5));
    // Something else holds its output open.
    let mut attached = rig.attach("e3");
    control
        .call(exec("e3", "sleep 1000 & echo hi; exit 3"))
        .unwrap();
    let seen = attached.drain();
    assert_eq!((seen.stdout, seen.code), (b"hi\n".to_vec(), Some(3)));
    control
        .call(Op::CloseStdin {
            process: INIT.to_owned(),
        })
        .unwrap();
    rig.finish();
}

#[test]
fn execs_end_with_the_container() {
    let mut rig = Rig::new("read x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    control.call(exec("e1", "sleep 1000")).unwrap();
    control
        .call(Op::CloseStdin {
            process: INIT.to_owned(),
        })
        .unwrap();
    assert_eq!(control.exited("e1"), 137);
    control.init_exited();
    rig.finish();
}

#[test]
fn a_terminal_is_a_terminal() {
    let mut rig = Rig::new("stty size; read x; echo got $x; stty size");
    rig.setup.tty = true;
    rig.setup.open_stdin = true;
    rig.setup.console_size = Some((91, 33));
    rig.spec["process"]["terminal"] = true.into();
    let mut control = rig.spawn();
    let mut attached = rig.attach(INIT);
    control.call(Op::Start).unwrap();
    attached.until("33 91\r\n");
    control
        .call(Op::Resize {
            process: INIT.to_owned(),
            columns: 120,
            rows: 40,
        })
        .unwrap();
    attached.raw(Kind::Stdin, b"word\n");
    let seen = attached.drain();
    let text = String::from_utf8(seen.stdout).unwrap();
    assert!(
        text.contains("word\r\n") && text.contains("got word\r\n") && text.contains("40 120\r\n"),
        "{text:?}"
    );
    assert_eq!(control.init_exited(), 0);
    rig.finish();
}

#[test]
fn a_paused_container_goes_on() {
    let mut rig = Rig::new("read x; echo $x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    assert_eq!(
        control.call(Op::Resume).unwrap_err().kind,
        ErrorKind::Conflict
    );
    control.call(Op::Pause).unwrap();
    assert_eq!(
        control.call(Op::Pause).unwrap_err().kind,
        ErrorKind::Conflict
    );
    assert_eq!(
        control.call(exec("e1", "true")).unwrap_err().kind,
        ErrorKind::Conflict
    );
    let Value::State(state) = control.call(Op::State).unwrap() else {
        panic!()
    };
    assert_eq!(state.phase, Phase::Paused);
    control.call(Op::Resume).unwrap();
    let mut attached = rig.attach(INIT);
    attached.raw(Kind::Stdin, b"on\n");
    assert_eq!(attached.drain().stdout, b"on\n");
    rig.finish();
}

#[test]
fn a_launch_that_fails_says_why_and_leaves_nothing() {
    for (args, kind) in [
        (["nosuch"], ErrorKind::ExecutableNotFound),
        (["/etc/plain"], ErrorKind::PermissionDenied),
        (["/no/such"], ErrorKind::ExecutableNotFound),
    ] {
        let mut rig = Rig::with_args(&args);
        let mut control = rig.spawn();
        let error = control.call(Op::Start).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(args[0]), "{error}");
        rig.wait();
        assert!(!rig.path("exit.json").exists());
    }
}

#[test]
fn a_shim_that_is_left_before_the_start_ends() {
    let mut rig = Rig::new("true");
    drop(rig.spawn());
    rig.wait();
    let mut rig = Rig::new("true");
    rig.spawn().call(Op::Shutdown).unwrap();
    rig.wait();
}

#[test]
fn operations_out_of_place_are_refused() {
    let mut rig = Rig::new("read x");
    rig.setup.open_stdin = true;
    let mut control = rig.spawn();
    let kind = |result: Result<Value, shim::protocol::OpError>| result.unwrap_err().kind;
    assert_eq!(kind(control.call(Op::Pause)), ErrorKind::Conflict);
    assert_eq!(
        kind(control.call(Op::Signal {
            process: INIT.to_owned(),
            signal: 9,
            all: false
        })),
        ErrorKind::NoSuchProcess
    );
    assert_eq!(kind(control.call(Op::Unknown)), ErrorKind::Unsupported);
    control.call(Op::Start).unwrap();
    assert_eq!(kind(control.call(Op::Start)), ErrorKind::Conflict);
    assert_eq!(kind(control.call(Op::Shutdown)), ErrorKind::Conflict);
    assert_eq!(
        kind(control.call(Op::Resize {
            process: INIT.to_owned(),
            columns: 1,
            rows: 1
        })),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(control.call(Op::Signal {
            process: INIT.to_owned(),
            signal: 99,
            all: false
        })),
        ErrorKind::Invalid
    );
    control
        .call(Op::Signal {
            process: INIT.to_owned(),
            signal: 9,
            all: true,
        })
        .unwrap();
    assert_eq!(rig.finish().code, 137);
}

#[test]
fn strange_clients_are_sent_away() {
    let mut rig = Rig::new("read x");
    rig.setup.open_stdin = true;
    let mut control = rig.start();
    let refused = |client: &mut rig::Client| {
        client.next(|message| {
            if let Message::Refused(error) = message {
                Some(error.kind)
            } else {
                None
            }
        })
    };
    let mut garbage = rig.connect();
    garbage.socket.write_all(&[0xff; 64]).unwrap();
    assert_eq!(refused(&mut garbage), Some(ErrorKind::Invalid));
    assert!(garbage.next(|_| None::<()>).is_none(), "closed");
    let mut early = rig.connect();
    early.send(
        Kind::Request,
        &serde_json::json!({"seq": 1, "op": {"type": "state"}}),
    );
    assert_eq!(refused(&mut early), Some(ErrorKind::Invalid));
    let mut ancient = rig.connect();
    ancient.send(
        Kind::Hello,
        &Hello {
            version: 0,
            role: Role::Control,
        },
    );
    assert_eq!(refused(&mut ancient), Some(ErrorKind::Unsupported));
    let mut misplaced = rig.attach(INIT);
    misplaced.send(
        Kind::Request,
        &serde_json::json!({"seq": 1, "op": {"type": "state"}}),
    );
    assert_eq!(refused(&mut misplaced), Some(ErrorKind::Invalid));
    let mut later = rig.connect();
    later.send(
        Kind::Hello,
        &serde_json::json!({"version": 7, "role": "control", "colour": "red"}),
    );
    assert!(matches!(later.call(Op::State), Ok(Value::State(_))));
    later.raw_kind(200, b"of a later version");
    assert!(matches!(later.call(Op::State), Ok(Value::State(_))));
    control
        .call(Op::CloseStdin {
            process: String::new(),
        })
        .unwrap();
    control.init_exited();
    rig.finish();
}

#[test]
fn an_attach_may_leave_streams_out() {
    let mut rig = Rig::new("echo out; echo err >&2");
    let mut control = rig.spawn();
    let mut client = rig.connect();
    client.hello(Role::Attach(Attach {
        stderr: true,
        ..Attach::default()
    }));
    control.call(Op::Start).unwrap();
    let seen = client.drain();
    assert_eq!((seen.stdout, seen.stderr), (Vec::new(), b"err\n".to_vec()));
    rig.finish();
}
