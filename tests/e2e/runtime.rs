//! tare-runtime under runc's command line, on a bundle of its own; and other OCI runtimes under our engine.
//!
//! In oracle mode the runtime is runc, to prove the tests right.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tests::{Daemon, IMAGE, Leftovers, Options, busybox_layer, daemon_test};

/// A bundle and the runtime's own state folder.
struct Bundle {
    program: PathBuf,
    folder: PathBuf,
    cgroup: String,
}

impl Bundle {
    fn new(d: &Daemon, args: &[&str]) -> Bundle {
        let folder = d.folder().join("bundle");
        fs::create_dir_all(folder.join("rootfs")).expect("mkdir");
        let tar = folder.join("layer.tar");
        fs::write(&tar, busybox_layer().tar).expect("write");
        let unpacked = Command::new("tar")
            .arg("-xf")
            .arg(&tar)
            .arg("-C")
            .arg(folder.join("rootfs"))
            .status();
        assert!(unpacked.is_ok_and(|status| status.success()));
        let program = if tests::oracle().is_some() {
            PathBuf::from("runc")
        } else {
            let link = folder.join("tare-runtime");
            symlink(tests::binary("tare-shim"), &link).expect("symlink");
            link
        };
        let cgroup = format!("/{}", d.name("runtime"));
        let bundle = Bundle {
            program,
            folder,
            cgroup,
        };
        bundle.call(&["spec"]).success();
        bundle.edit(|spec| {
            spec["process"]["args"] = json!(args);
            spec["process"]["terminal"] = json!(false);
            spec["linux"]["cgroupsPath"] = json!(bundle.cgroup);
        });
        bundle
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.folder.join("config.json");
        let mut spec = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
        change(&mut spec);
        fs::write(path, spec.to_string()).expect("write");
    }

    /// Runs the runtime with its state kept apart.
    fn call(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.folder.join("state"))
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        // A container that is created keeps the runtime's streams: files, so that nobody waits for their end.
        let (out, err) = (self.folder.join("out"), self.folder.join("err"));
        let file = |path: &Path| fs::File::create(path).expect("create");
        let status = command
            .stdout(file(&out))
            .stderr(file(&err))
            .status()
            .expect("run the runtime");
        let read = |path: &Path| fs::read(path).expect("read");
        Outcome(
            Output {
                status,
                stdout: read(&out),
                stderr: read(&err),
            },
            args.join(" "),
        )
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for id in ["one", "two"] {
            self.call(&["delete", "-f", id]);
        }
        let leftovers = Leftovers::new(&self.folder, &self.cgroup);
        if !std::thread::panicking() {
            assert!(leftovers.cgroups().is_empty() && leftovers.mounts().is_empty());
        }
        leftovers.remove_parents();
    }
}

struct Outcome(Output, String);

impl Outcome {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout)
            .trim_end()
            .to_owned()
    }

    #[track_caller]
    fn success(&self) -> String {
        self.exits(0);
        self.out()
    }

    #[track_caller]
    fn exits(&self, code: i32) -> String {
        let error = String::from_utf8_lossy(&self.0.stderr).into_owned();
        assert_eq!(
            self.0.status.code(),
            Some(code),
            "{}: {} {error}",
            self.1,
            self.out()
        );
        error
    }

    #[track_caller]
    fn fails(&self) -> String {
        assert!(!self.0.status.success(), "{}: {}", self.1, self.out());
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

daemon_test!(run_gives_output_and_exit_code, |d| {
    let bundle = Bundle::new(d, &["sh", "-c", "echo $$ $(hostname); exit 7"]);
    bundle.edit(|spec| spec["hostname"] = json!("bundle"));
    let run = bundle.call(&["run", "one"]);
    run.exits(7);
    assert_eq!(run.out(), "1 bundle");
    // It is gone by itself.
    bundle.call(&["state", "one"]).fails();
});

daemon_test!(create_start_state_kill_delete, |d| {
    let bundle = Bundle::new(d, &["sleep", "1000"]);
    let folder = bundle.folder.display().to_string();
    bundle
        .call(&["create", "--bundle", &folder, "--pid-file", "pid", "one"])
        .success();
    let state: Value =
        serde_json::from_str(&bundle.call(&["state", "one"]).success()).expect("JSON");
    assert_eq!(
        (&state["id"], &state["status"], &state["bundle"]),
        (&json!("one"), &json!("created"), &json!(folder))
    );
    let pid = fs::read_to_string(bundle.folder.join("pid")).expect("the pid file");
    assert_eq!(state["pid"].to_string(), pid.trim());
    assert!(state["ociVersion"].is_string());
    bundle.call(&["create", "--bundle", &folder, "one"]).fails();
    bundle.call(&["start", "one"]).success();
    bundle.call(&["start", "one"]).fails();
    let state: Value =
        serde_json::from_str(&bundle.call(&["state", "one"]).success()).expect("JSON");
    assert_eq!(state["status"], "running");
    assert!(bundle.call(&["list"]).success().contains("one"));
    let list: Value =
        serde_json::from_str(&bundle.call(&["list", "-f", "json"]).success()).expect("JSON");
    assert_eq!(
        (&list[0]["id"], &list[0]["status"]),
        (&json!("one"), &json!("running"))
    );
    assert!(bundle.call(&["ps", "one"]).success().contains(pid.trim()));
    bundle.call(&["delete", "one"]).fails();
    bundle.call(&["kill", "one", "KILL"]).success();
    let pid: u32 = pid.trim().parse().expect("a pid");
    assert!(tests::process_end(pid, std::time::Duration::from_secs(10)));
    bundle.call(&["delete", "one"]).success();
    bundle.call(&["state", "one"]).fails();
    bundle.call(&["kill", "one", "KILL"]).fails();
});

daemon_test!(exec_pause_resume, |d| {
    let bundle = Bundle::new(d, &["sleep", "1000"]);
    bundle.call(&["run", "--detach", "one"]).success();
    assert_eq!(
        bundle
            .call(&[
                "exec",
                "one",
                "sh",
                "-c",
                "echo in $(ls /proc | grep -c '^1$')"
            ])
            .success(),
        "in 1"
    );
    bundle
        .call(&[
            "exec",
            "--cwd",
            "/tmp",
            "--env",
            "A=b",
            "--user",
            "1000:1000",
            "one",
            "sh",
            "-c",
            "[ $A$(pwd)$(id -u) = b/tmp1000 ]",
        ])
        .success();
    bundle
        .call(&["exec", "one", "sh", "-c", "exit 19"])
        .exits(19);
    let status = || {
        serde_json::from_str::<Value>(&bundle.call(&["state", "one"]).success()).expect("JSON")["status"].clone()
    };
    bundle.call(&["pause", "one"]).success();
    assert_eq!(status(), "paused");
    bundle.call(&["resume", "one"]).success();
    assert_eq!(status(), "running");
    bundle.call(&["delete", "--force", "one"]).success();
});

daemon_test!(two_beside_each_other, |d| {
    let bundle = Bundle::new(d, &["sleep", "1000"]);
    bundle.call(&["run", "-d", "one"]).success();
    let cgroup = format!("{}-two", bundle.cgroup);
    bundle.edit(|spec| spec["linux"]["cgroupsPath"] = json!(cgroup));
    bundle.call(&["run", "-d", "two"]).success();
    let list: Value =
        serde_json::from_str(&bundle.call(&["list", "--format", "json"]).success()).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    bundle.call(&["kill", "two", "KILL"]).success();
    bundle.call(&["delete", "--force", "two"]).success();
    bundle.call(&["delete", "--force", "one"]).success();
});

daemon_test!(what_the_spec_says_is_done, |d| {
    let script = "cat /proc/self/oom_score_adj; ulimit -n; grep NoNewPrivs /proc/self/status; touch /x 2>/dev/null || echo read-only; cat /data/f; ls /hidden | wc -l; id -u; echo $A";
    let bundle = Bundle::new(d, &["sh", "-c", script]);
    let data = bundle.folder.join("data");
    fs::create_dir(&data).expect("mkdir");
    fs::write(data.join("f"), "bound\n").expect("write");
    fs::create_dir(bundle.folder.join("rootfs/hidden")).expect("mkdir");
    fs::write(bundle.folder.join("rootfs/hidden/secret"), "x").expect("write");
    bundle.edit(|spec| {
        spec["process"]["oomScoreAdj"] = json!(123);
        spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "hard": 77, "soft": 77}]);
        spec["process"]["noNewPrivileges"] = json!(true);
        spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        spec["process"]["env"] = json!(["PATH=/bin", "A=b"]);
        spec["root"]["readonly"] = json!(true);
        spec["linux"]["maskedPaths"] = json!(["/hidden"]);
        let mount = json!({"destination": "/data", "type": "bind", "source": data, "options": ["rbind", "ro"]});
        spec["mounts"].as_array_mut().expect("mounts").push(mount);
    });
    assert_eq!(
        bundle.call(&["run", "one"]).success(),
        "123\n77\nNoNewPrivs:\t1\nread-only\nbound\n0\n1000\nb"
    );
});

daemon_test!(hooks_run_in_their_order, |d| {
    let bundle = Bundle::new(d, &["true"]);
    let log = bundle.folder.join("log");
    let hook = |name: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat >/dev/null; echo {name} >>{}", log.display())]}]);
    bundle.edit(|spec| {
        spec["hooks"] = json!({"prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "poststart": hook("poststart"), "poststop": hook("poststop")});
    });
    bundle.call(&["run", "one"]).success();
    assert_eq!(
        fs::read_to_string(&log).expect("the log"),
        "prestart\ncreateRuntime\npoststart\npoststop\n"
    );
});

daemon_test!(bad_bundles_are_refused, |d| {
    let bundle = Bundle::new(d, &["no-such-program"]);
    let error = bundle.call(&["run", "one"]).fails();
    assert!(error.contains("no-such-program"), "{error}");
    bundle.call(&["state", "one"]).fails();
    bundle.edit(|spec| spec["root"]["path"] = json!("no-such-root"));
    bundle.call(&["run", "one"]).fails();
    fs::write(bundle.folder.join("config.json"), "{").expect("write");
    bundle.call(&["run", "one"]).fails();
    bundle.call(&["run", "../../one"]).fails();
    bundle.call(&["nonsense"]).fails();
    assert!(!bundle.folder.join("state/one").exists());
});

daemon_test!(features_and_version, |d| {
    let bundle = Bundle::new(d, &["true"]);
    let features: Value =
        serde_json::from_str(&bundle.call(&["features"]).success()).expect("JSON");
    assert!(
        features["linux"]["namespaces"]
            .as_array()
            .is_some_and(|list| list.contains(&json!("pid"))),
        "{features}"
    );
    assert!(
        bundle.call(&["--version"]).success().contains("spec"),
        "{}",
        bundle.call(&["--version"]).out()
    );
});

/// Another runtime under our engine, by the public command line.
#[test]
fn runc_under_the_engine() {
    if tests::oracle().is_some() {
        return;
    }
    let config = json!({"runtimes": {"runc": {"path": "runc"}}}).to_string();
    Daemon::with(
        Options {
            config: Some(config),
            ..Options::default()
        },
        |d| {
            let cli = d.docker();
            let runtime = "runc";
            {
                cli.run(&[
                    "run",
                    "--rm",
                    "--runtime",
                    runtime,
                    IMAGE,
                    "sh",
                    "-c",
                    "exit 6",
                ])
                .exits(6);
                assert_eq!(
                    cli.command(&["run", "--rm", "-i", "--runtime", runtime, IMAGE, "cat"])
                        .input("in\n")
                        .run()
                        .ok(),
                    "in"
                );
                cli.run(&[
                    "run",
                    "--rm",
                    "--runtime",
                    runtime,
                    IMAGE,
                    "no-such-program",
                ])
                .exits(127);
                let name = d.name(runtime);
                cli.ok(&[
                    "run",
                    "-d",
                    "--name",
                    &name,
                    "--runtime",
                    runtime,
                    IMAGE,
                    "sleep",
                    "1000",
                ]);
                assert_eq!(cli.ok(&["exec", &name, "echo", "inside"]), "inside");
                assert_eq!(
                    cli.ok(&["inspect", "-f", "{{.HostConfig.Runtime}}", &name]),
                    runtime
                );
                cli.ok(&["pause", &name]);
                cli.ok(&["unpause", &name]);
                cli.ok(&["kill", &name]);
                assert_eq!(cli.ok(&["wait", &name]), "137");
            }
            cli.run(&["run", "--rm", "--runtime", "nothing", IMAGE, "true"])
                .fails(125, "nothing");
        },
    );
}
