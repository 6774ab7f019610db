use linux::file::OFlags;
use linux::process::ExitStatus;
use linux::signal::Signal;
use oci::runtime::Process;
use runtime::{Kind, ProcessIo};

use crate::fixture::{Bundle, streams};

#[test]
fn pauses_resumes_and_kills_all() {
    let bundle = Bundle::new("pause");
    let (container, output) = bundle
        .start(&bundle.spec("sleep 100 & echo ready; wait"))
        .unwrap();
    assert_eq!(output.line(), "ready");
    container.pause().unwrap();
    assert!(container.is_paused());
    let (io, _output) = streams();
    assert_eq!(
        container.exec(&process("true"), io).unwrap_err().kind(),
        Kind::WrongState
    );
    container.resume().unwrap();
    assert!(!container.is_paused());
    assert_eq!(container.pids().unwrap().len(), 2);
    container.kill_all().unwrap();
    assert_eq!(
        container.pidfd().wait().unwrap(),
        ExitStatus::Killed(Signal::KILL)
    );
    container.delete().unwrap();
}

fn process(script: &str) -> Process {
    Process {
        args: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec!["PATH=/bin".into()],
        cwd: "/tmp".into(),
        ..Process::default()
    }
}

#[test]
fn further_processes_are_inside() {
    let bundle = Bundle::new("exec");
    let (container, first) = bundle.start(&bundle.spec("echo ready; sleep 100")).unwrap();
    first.line();
    let (io, output) = streams();
    let script = "hostname; pwd; cat /proc/self/cgroup; ls /proc/self/fd | wc -l; grep CapEff /proc/self/status; exit 9";
    let exec = container.exec(&process(script), io).unwrap();
    assert!(container.pids().unwrap().contains(&exec.pid) || exec.pidfd.exists().unwrap());
    let outcome = output.read();
    assert_eq!(exec.pidfd.wait().unwrap(), ExitStatus::Exited(9));
    assert!(outcome.stdout.starts_with("box\n/tmp\n"), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .lines()
            .filter(|line| line.contains(':') && line.ends_with('/'))
            .count()
            > 0,
        "{outcome:?}"
    );
    assert!(
        outcome.stdout.ends_with("4\nCapEff:\t0000000000000000\n"),
        "{outcome:?}"
    );
    let mut missing = process("");
    missing.args = vec!["nope".into()];
    let error = container.exec(&missing, streams().0).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let mut nowhere = process("true");
    nowhere.cwd = "/nowhere".into();
    let error = container.exec(&nowhere, streams().0).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"chdir to cwd ("/nowhere") set in config.json failed: no such file or directory"#
    );
    container.signal(Signal::KILL).unwrap();
    container.pidfd().wait().unwrap();
    assert_eq!(
        container
            .exec(&process("true"), streams().0)
            .unwrap_err()
            .kind(),
        Kind::NoSuchContainer
    );
    container.delete().unwrap();
}

#[test]
fn terminals_are_the_containers_own() {
    use runtime::ProcessIo;
    let bundle = Bundle::new("tty");
    let size = Some(linux::tty::Size {
        rows: 33,
        columns: 99,
    });
    let spec = bundle.spec("tty; stty size; ls -l /dev/console | wc -l; sleep 100");
    let mut created = bundle.create(&spec, ProcessIo::Terminal { size }).unwrap();
    let console = created.console().unwrap();
    let container = created.start().unwrap();
    let read = |console: &std::os::fd::OwnedFd, wanted: &str| {
        let mut text = String::new();
        while !text.contains(wanted) {
            text.push_str(
                &String::from_utf8(linux::file::read_some(console, 4096).unwrap()).unwrap(),
            );
        }
        text
    };
    assert!(read(&console, "33 99").contains("/dev/pts/0"));
    let exec = container
        .exec(&process("tty; exit 3"), ProcessIo::Terminal { size })
        .unwrap();
    assert!(read(exec.console.as_ref().unwrap(), "\n").contains("/dev/pts/1"));
    assert_eq!(exec.pidfd.wait().unwrap().code(), 3);
    container.delete().unwrap();
}

/// `chmod` on a masked path, or on a standard input that was the host's, changed the host's /dev/null.
#[test]
fn the_hosts_null_device_is_out_of_reach() {
    use std::os::unix::fs::MetadataExt as _;
    let hosts = std::fs::metadata("/dev/null").unwrap().dev();
    let bundle = Bundle::new("null");
    let null = || {
        let open = |flags| linux::file::open("/dev/null".as_ref(), flags).unwrap();
        let (output, stdout) = linux::fd::pipe().unwrap();
        let (stdin, stderr) = (open(OFlags::RDONLY), open(OFlags::WRONLY));
        let io = ProcessIo::Fds {
            stdin,
            stdout,
            stderr,
        };
        // Not to the end of file: the first process lives on.
        let lines = move || -> Vec<String> {
            let mut seen = Vec::new();
            while seen.iter().filter(|byte| **byte == b'\n').count() < 3 {
                let more = linux::file::read_some(&output, 512).unwrap();
                assert!(!more.is_empty(), "{}", String::from_utf8_lossy(&seen));
                seen.extend(more);
            }
            let text = String::from_utf8(seen).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        (io, lines)
    };
    let look = "stat -L -c %t,%T,%d /proc/self/fd/0 /proc/self/fd/2; grep -c '/null /proc/.* ro,' /proc/self/mountinfo";
    let (io, output) = null();
    let spec = bundle.spec(&format!("{look}; exec sleep 100"));
    let container = bundle.create(&spec, io).unwrap().start().unwrap();
    let first = output();
    let (io, output) = null();
    let exec = container.exec(&process(look), io).unwrap();
    let second = output();
    exec.pidfd.wait().unwrap();
    container.signal(Signal::KILL).unwrap();
    container.pidfd().wait().unwrap();
    container.delete().unwrap();
    for seen in [first, second] {
        for stream in &seen[..2] {
            assert!(stream.starts_with("1,3,"), "{seen:?}");
            assert!(!stream.ends_with(&format!(",{hosts}")), "{seen:?}");
        }
        assert_ne!(seen[2], "0", "{seen:?}");
    }
}
