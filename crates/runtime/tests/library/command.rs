//! runc's command line, through the example `tare-runtime`, which cargo builds beside the tests.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::fixture::Bundle;

struct Runtime<'a> {
    bundle: &'a Bundle,
}

impl Runtime<'_> {
    fn program() -> PathBuf {
        let test = std::env::current_exe().unwrap();
        test.parent()
            .and_then(std::path::Path::parent)
            .unwrap()
            .join("examples/tare-runtime")
    }

    fn call(&self, args: &[&str]) -> Output {
        let root = self.bundle.dir.path().join("root");
        Command::new(Self::program())
            .arg("--root")
            .arg(root)
            .args(args)
            .output()
            .expect("the example is built")
    }

    /// Standard output of a call that succeeds.
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fail(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.call(args);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

fn write_config(bundle: &Bundle, script: &str) -> String {
    let config = serde_json::to_vec(&bundle.spec(script)).unwrap();
    std::fs::write(bundle.dir.path().join("config.json"), config).unwrap();
    bundle.dir.path().to_str().unwrap().to_owned()
}

#[test]
fn a_container_from_create_to_delete() {
    let bundle = Bundle::new("command");
    let runtime = Runtime { bundle: &bundle };
    let dir = write_config(&bundle, "sleep 100");
    let id = bundle.id.as_str();
    let pid_file = format!("{dir}/pid");
    // Its output would be the container's as well, and never end.
    let root = format!("{dir}/root");
    let create = [
        "--root",
        &root,
        "create",
        "--bundle",
        &dir,
        "--pid-file",
        &pid_file,
        id,
    ];
    let status = Command::new(Runtime::program())
        .args(create)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let state: oci::runtime::State =
        serde_json::from_str(&runtime.succeed(&["state", id])).unwrap();
    assert_eq!(state.status, oci::runtime::Status::Created);
    assert_eq!(
        std::fs::read_to_string(&pid_file).unwrap(),
        state.pid.unwrap().to_string()
    );
    assert!(
        runtime
            .fail(&["create", "--bundle", &dir, id])
            .1
            .contains("already exists")
    );
    runtime.succeed(&["start", id]);
    assert!(runtime.fail(&["start", id]).1.contains("already running"));
    assert_eq!(
        runtime.succeed(&[
            "exec",
            "--cwd",
            "/tmp",
            "-e",
            "A=5",
            id,
            "sh",
            "-c",
            "echo $A; pwd"
        ]),
        "5\n/tmp\n"
    );
    assert_eq!(runtime.fail(&["exec", id, "sh", "-c", "exit 9"]).0, Some(9));
    let (code, message) = runtime.fail(&["exec", id, "nope"]);
    assert_eq!(code, Some(255));
    assert!(
        message.contains(r#"exec: "nope": executable file not found in $PATH"#),
        "{message}"
    );
    runtime.succeed(&["pause", id]);
    assert!(runtime.succeed(&["list"]).contains("paused"));
    runtime.succeed(&["resume", id]);
    assert!(
        runtime
            .succeed(&["ps", "-f", "json", id])
            .contains(&state.pid.unwrap().to_string())
    );
    assert!(runtime.fail(&["delete", id]).1.contains("not stopped"));
    runtime.succeed(&["delete", "--force", id]);
    assert_eq!(runtime.succeed(&["list", "-q"]), "");
    runtime.succeed(&["delete", "--force", id]);
    assert!(runtime.fail(&["state", id]).1.contains("does not exist"));
}

#[test]
fn run_has_the_programs_code_and_errors_go_to_the_log() {
    let bundle = Bundle::new("command-run");
    let runtime = Runtime { bundle: &bundle };
    let dir = write_config(&bundle, "echo out; exit 6");
    let output = runtime.call(&["run", "--bundle", &dir, &bundle.id]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(6), b"out\n".as_slice()),
        "{output:?}"
    );
    std::fs::remove_file(bundle.rootfs().join("bin/sh")).unwrap();
    let log = format!("{dir}/log");
    let (code, _) = runtime.fail(&[
        "--log",
        &log,
        "--log-format",
        "json",
        "run",
        "--bundle",
        &dir,
        &bundle.id,
    ]);
    assert_eq!(code, Some(1));
    let line: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"]
            .as_str()
            .unwrap()
            .contains(r#"exec: "sh": executable file not found in $PATH"#)
    );
    assert_eq!(runtime.succeed(&["list", "-q"]), "");
    bundle.assert_no_mounts();
}

#[test]
fn what_is_missing_is_named() {
    let bundle = Bundle::new("command-missing");
    let runtime = Runtime { bundle: &bundle };
    assert!(
        runtime
            .fail(&["--systemd-cgroup", "list"])
            .1
            .contains("--systemd-cgroup")
    );
    assert!(runtime.fail(&["checkpoint", "x"]).1.contains("checkpoint"));
    assert!(runtime.fail(&["create", "--nope", "x"]).1.contains("-nope"));
    assert!(
        runtime
            .fail(&["state", "../x"])
            .1
            .contains("invalid container ID")
    );
    assert!(runtime.succeed(&["features"]).contains("SCMP_ACT_ERRNO"));
}
