//! Capabilities, seccomp, masked and read-only paths, devices, privileges.

use std::fs;

use tests::{Cli, IMAGE, both};

fn status(cli: &Cli, args: &[&str], field: &str) -> String {
    let mut all = vec!["run", "--rm", "--network", "none"];
    all.extend_from_slice(args);
    let pattern = format!("^{field}:");
    all.extend_from_slice(&[IMAGE, "grep", &pattern, "/proc/self/status"]);
    cli.ok(&all)
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

both!(capabilities, |_d, cli| {
    assert_eq!(status(cli, &[], "CapEff"), "00000000a80425fb");
    assert_eq!(status(cli, &[], "CapBnd"), "00000000a80425fb");
    assert_eq!(status(cli, &[], "CapInh"), "0000000000000000");
    assert_eq!(
        status(cli, &["--cap-drop", "ALL"], "CapEff"),
        "0000000000000000"
    );
    assert_eq!(
        status(cli, &["--cap-drop", "ALL", "--cap-add", "chown"], "CapEff"),
        "0000000000000001"
    );
    assert_eq!(
        status(cli, &["--cap-add", "CAP_SYS_ADMIN"], "CapEff"),
        "00000000a82425fb"
    );
    assert_eq!(
        status(cli, &["--cap-drop", "NET_RAW"], "CapEff"),
        "00000000a80405fb"
    );
    assert_eq!(status(cli, &["-u", "user"], "CapEff"), "0000000000000000");
    assert_eq!(status(cli, &["-u", "user"], "CapBnd"), "00000000a80425fb");
    cli.run(&["run", "--rm", "--cap-add", "NONSENSE", IMAGE, "true"])
        .fails(125, r#"invalid CapAdd: unknown capability: "CAP_NONSENSE""#);
});

both!(privileged, |_d, cli| {
    let own = fs::read_to_string("/proc/self/status").expect("status");
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:\t"))
        .expect("CapBnd")
        .to_owned();
    assert_eq!(status(cli, &["--privileged"], "CapEff"), own);
    assert_eq!(status(cli, &["--privileged"], "Seccomp"), "0");
    let out = cli.ok(&["run", "--rm", "--privileged", "--network", "none", IMAGE, "sh", "-c", "mount -t tmpfs none /mnt 2>/dev/null || mount -t tmpfs none /home && [ -w /proc/sys/kernel/hostname ] && ls /dev | wc -l"]);
    assert!(
        out.parse::<u32>().is_ok_and(|devices| devices > 20),
        "{out}"
    );
});

both!(seccomp, |d, cli| {
    assert_eq!(status(cli, &[], "Seccomp"), "2");
    assert_eq!(
        status(cli, &["--security-opt", "seccomp=unconfined"], "Seccomp"),
        "0"
    );
    cli.run(&["run", "--rm", IMAGE, "unshare", "-U", "true"])
        .fails(1, "Operation not permitted");
    let profile = d.folder().join("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#;
    fs::write(&profile, text).expect("write");
    let option = format!("seccomp={}", profile.display());
    cli.run(&[
        "run",
        "--rm",
        "--security-opt",
        &option,
        IMAGE,
        "mkdir",
        "/tmp/x",
    ])
    .fails(1, "Operation not supported");
    cli.run(&[
        "run",
        "--rm",
        "--security-opt",
        "seccomp=/no/such",
        IMAGE,
        "true",
    ])
    .fails(125, "opening seccomp profile (/no/such) failed");
    fs::write(&profile, "{").expect("write");
    cli.run(&["run", "--rm", "--security-opt", &option, IMAGE, "true"])
        .exits(125);
});

both!(no_new_privileges, |_d, cli| {
    assert_eq!(status(cli, &[], "NoNewPrivs"), "0");
    assert_eq!(
        status(cli, &["--security-opt", "no-new-privileges"], "NoNewPrivs"),
        "1"
    );
    assert_eq!(
        status(
            cli,
            &["--security-opt", "no-new-privileges:true"],
            "NoNewPrivs"
        ),
        "1"
    );
    assert_eq!(
        status(
            cli,
            &["--security-opt", "no-new-privileges=false"],
            "NoNewPrivs"
        ),
        "0"
    );
});

both!(masked_and_read_only_paths, |_d, cli| {
    let out = cli.ok(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", "ls /proc/acpi 2>/dev/null | wc -l; ls /sys/firmware | wc -l; wc -c </proc/keys; echo 1 2>/dev/null >/proc/sysrq-trigger || echo refused; echo x 2>/dev/null >/proc/sys/kernel/hostname || echo read-only"]);
    assert_eq!(out, "0\n0\n0\nrefused\nread-only");
    let script =
        "grep -c ' /proc/[a-z]' /proc/mounts; echo box >/proc/sys/kernel/hostname && hostname";
    let free = [
        "--network",
        "none",
        "--security-opt",
        "systempaths=unconfined",
        "--cap-add",
        "SYS_ADMIN",
    ];
    let out = cli
        .run(&[&["run", "--rm"], &free[..], &[IMAGE, "sh", "-c", script]].concat())
        .ok();
    assert_eq!(out, "0\nbox");
});

both!(sys_and_cgroups_are_read_only, |_d, cli| {
    let script = "touch /sys/x; mkdir /sys/fs/cgroup/memory/x 2>&1 || mkdir /sys/fs/cgroup/x";
    let run = cli.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    let said = format!("{}{}", run.out(), run.err());
    assert!(said.matches("Read-only file system").count() >= 2, "{said}");
});

both!(devices, |_d, cli| {
    let out = cli.ok(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", "cd /dev; for d in null zero full random urandom tty ptmx pts shm mqueue fd stdin stdout stderr; do [ -e $d -o -L $d ] || echo no $d; done; echo x >null; head -c 2 zero | wc -c"]);
    assert!(out == "2", "{out}");
    let out = cli.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--device",
        "/dev/null:/dev/other:rw",
        IMAGE,
        "stat",
        "-c",
        "%t:%T",
        "/dev/other",
    ]);
    assert_eq!(out, "1:3");
    // A device that was not given cannot be opened, though it can be made.
    let run = cli.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg",
    ]);
    run.fails(1, "Operation not permitted");
    let run = cli.run(&["run", "--rm", "--device", "/dev/no-such", IMAGE, "true"]);
    let words = r#"error gathering device information while adding custom device "/dev/no-such""#;
    // The real one's words make a missing executable of it.
    run.fails(if tests::oracle().is_some() { 127 } else { 125 }, words);
});

both!(unknown_options_are_refused_by_name, |_d, cli| {
    cli.run(&["run", "--rm", "--security-opt", "nonsense=1", IMAGE, "true"])
        .fails(125, "nonsense");
});
