//! A fresh machine: the client starts the daemon itself, and an image named hello is built in.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tests::{Client, IMAGE, own_test, process_end};

own_test!(the_hello_image_is_built_in, |d| {
    let cli = d.tare();
    let out = cli.ok(&["run", "--rm", "-h", "greeted", "-m", "64m", "hello"]);
    assert!(out.to_lowercase().contains("hello"), "{out}");
    assert!(out.contains("greeted") && out.contains("64"), "{out}");
    assert!(
        cli.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .lines()
            .any(|name| name == "hello:latest")
    );
    // It is as old as the program, which does not say.
    for told in [cli.ok(&["images", "hello"]), cli.ok(&["history", "hello"])] {
        assert!(told.contains("N/A") && !told.contains("years"), "{told}");
    }
    let id = cli.ok(&["image", "inspect", "-f", "{{.Id}}", "hello"]);
    cli.ok(&["image", "prune", "-a", "-f"]);
    cli.run(&["run", "--rm", "--pull", "never", "hello"])
        .fails(125, "No such image");
    // No registry is asked for what is built in.
    let again = cli.run(&["run", "--rm", "hello"]);
    again.exits(0);
    assert!(again.err().contains("is built in"), "{}", again.err());
    cli.ok(&["rmi", "hello"]);
    d.crash();
    assert_eq!(cli.ok(&["image", "inspect", "-f", "{{.Id}}", "hello"]), id);
});

/// Runs `script` in a mount namespace where the default folders are this test's own. It prints the daemon's pid last.
fn fresh_machine(d: &tests::Daemon, script: &str) -> std::process::Output {
    let lib = d.folder().join("lib");
    fs::create_dir_all(&lib).expect("mkdir");
    let made: Vec<&str> = ["/run/tare", "/var/lib/tare"]
        .into_iter()
        .filter(|folder| !Path::new(folder).exists())
        .collect();
    let script = format!(
        "set -e; mkdir -p /run/tare /var/lib/tare; mount -t tmpfs none /run/tare; mount --bind {} /var/lib/tare; set +e\n{script}\necho; cat /run/tare/tare.pid\nkill $(cat /run/tare/tare.pid)",
        lib.display()
    );
    let mut command = d.cli(Client::Tare).command(&[]).into_inner();
    let program = command.get_program().to_owned();
    command = std::process::Command::new("unshare");
    command
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .env("TARE", program);
    command
        .env_remove("DOCKER_HOST")
        .env_remove("TARE_AUTOSTART")
        .env("HOME", d.folder().join("home"));
    let output = command.output().expect("run unshare");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(pid) = text.lines().last().and_then(|line| line.parse().ok()) {
        assert!(
            process_end(pid, Duration::from_secs(30)),
            "the daemon goes on: {text}"
        );
    }
    made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    output
}

own_test!(the_client_starts_the_daemon, |d| {
    let output = fresh_machine(
        d,
        "\"$TARE\" run --rm hello; \"$TARE\" run --rm hello >/dev/null",
    );
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(out.to_lowercase().contains("hello"), "{out}\n{err}");
    // It says so once, in one line, with the log's place.
    assert_eq!(err.trim().lines().count(), 1, "{err}");
    assert!(err.contains("daemon") && err.contains(".log"), "{err}");
});

own_test!(the_client_does_not_when_told, |d| {
    let output = fresh_machine(
        d,
        "TARE_AUTOSTART=0 \"$TARE\" run --rm hello; echo code $?; \"$TARE\" ps >/dev/null 2>&1; true",
    );
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(out.contains("code 125"), "{out}\n{err}");
    assert!(err.contains("Cannot connect to the Docker daemon"), "{err}");
});

own_test!(
    a_second_daemon_is_kept_from_the_pid_file_and_both_roots,
    |d| {
        let refused = |pidfile: &Path, data_root: &Path, exec_root: &str| {
            let (program, folder) = (d.tare().command(&[]).into_inner(), d.folder());
            let output = std::process::Command::new(program.get_program())
                .arg("daemon")
                .args(["-H", &format!("unix://{}/second.sock", folder.display())])
                .arg("--data-root")
                .arg(data_root)
                .arg("--exec-root")
                .arg(folder.join(exec_root))
                .arg("--pidfile")
                .arg(pidfile)
                .output()
                .expect("run a daemon");
            assert_eq!(output.status.code(), Some(1));
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            let who = format!("process with PID {} is still running", d.pid());
            assert!(err.contains(&who), "{err}");
        };
        let pidfile = d.folder().join("tare.pid");
        let second = d.folder().join("second.pid");
        refused(&pidfile, &d.data_root(), "run2");
        refused(&second, &d.data_root(), "run2");
        refused(&second, &d.folder().join("data2"), "run");
        // A lock is not lost when the daemon itself opens and closes the file.
        let name = d.name("a");
        let folder = format!("{}:/host", d.folder().display());
        let cli = d.docker();
        cli.ok(&[
            "run", "-d", "--name", &name, "-v", &folder, IMAGE, "sleep", "1000",
        ]);
        cli.ok(&["cp", &format!("{name}:/host/tare.pid"), "-"]);
        refused(&pidfile, &d.data_root(), "run2");
        // And it has left the first one's file alone.
        assert_eq!(
            fs::read_to_string(&pidfile).expect("the pid file").trim(),
            d.pid().to_string()
        );
        assert_eq!(d.api("GET", "/_ping", "").status, 200);
    }
);
