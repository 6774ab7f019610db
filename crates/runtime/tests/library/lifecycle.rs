use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use oci::runtime::{Hook, Hooks, Mount, Rlimit};
use runtime::Kind;

use crate::fixture::{Bundle, streams};

#[test]
fn runs_with_namespaces_of_its_own() {
    let bundle = Bundle::new("run");
    let outcome = bundle
        .run(&bundle.spec("echo $$; hostname; id -u; id -G; pwd; echo $HOME; exit 7"))
        .unwrap();
    assert_eq!(
        outcome.stdout, "1\nbox\n0\n0 10\n/\n/root\n",
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, 7);
}

#[test]
fn has_devices_links_and_no_foreign_descriptors() {
    let bundle = Bundle::new("dev");
    let script = "echo x >/dev/null; dd if=/dev/zero bs=1 count=3 2>/dev/null | wc -c; ls /dev; echo /proc/self/fd/*; \
                  stat -c %a /dev/null; cat /dev/full >/dev/null & echo $(ls -l /dev/ptmx | grep -c pts/ptmx)";
    let outcome = bundle.run(&bundle.spec(script)).unwrap();
    let names = "3\ncore\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";
    assert!(
        outcome
            .stdout
            .replace("core\n", "")
            .starts_with(&names.replace("core\n", "")),
        "{outcome:?}"
    );
    assert!(
        outcome
            .stdout
            .contains("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"),
        "{outcome:?}"
    );
    assert!(!outcome.stdout.contains("/proc/self/fd/4"), "{outcome:?}");
    assert!(outcome.stdout.ends_with("666\n1\n"), "{outcome:?}");
}

#[test]
fn a_program_that_cannot_run_is_told_in_dockers_words() {
    let bundle = Bundle::new("missing");
    std::fs::write(bundle.rootfs().join("bin/plain"), "x").unwrap();
    let check = |program: &str, kind: Kind, message: &str| {
        let mut spec = bundle.spec("");
        spec.process.as_mut().unwrap().args = vec![program.to_owned()];
        let error = bundle.run(&spec).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        bundle.assert_no_mounts();
        assert!(
            !Path::new("/sys/fs/cgroup/memory/tare-runtime-test")
                .join(&bundle.id)
                .exists()
        );
    };
    check(
        "nope",
        Kind::NotFound,
        r#"exec: "nope": executable file not found in $PATH"#,
    );
    check(
        "/nope",
        Kind::NotFound,
        r#"exec: "/nope": stat /nope: no such file or directory"#,
    );
    check(
        "/bin/plain",
        Kind::PermissionDenied,
        r#"exec: "/bin/plain": permission denied"#,
    );
    check(
        "/etc",
        Kind::PermissionDenied,
        r#"exec: "/etc": is a directory: permission denied"#,
    );
}

#[test]
fn an_execve_that_fails_is_its_own_failure() {
    let bundle = Bundle::new("execve");
    let script = bundle.rootfs().join("bin/script");
    std::fs::write(&script, "#!/no/such/shell\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = bundle.spec("");
    spec.process.as_mut().unwrap().args = vec!["/bin/script".to_owned()];
    // It was there and could be executed, so the container started; the rest is on its stderr, as with runc.
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.code, 255);
    assert_eq!(
        outcome.stderr,
        "exec /bin/script: no such file or directory\n"
    );
}

#[test]
fn users_rights_and_limits_are_as_asked() {
    let bundle = Bundle::new("user");
    let mut spec = bundle.spec(
        "id; umask; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n; pwd; touch /x",
    );
    let process = spec.process.as_mut().unwrap();
    (process.user.uid, process.user.gid, process.user.umask) = (1000, 1000, Some(0o27));
    process.no_new_privileges = true;
    process.cwd = "/home/new/deep".into();
    process.rlimits = vec![Rlimit {
        kind: "RLIMIT_NOFILE".into(),
        soft: 100,
        hard: 200,
    }];
    let outcome = bundle.run(&spec).unwrap();
    let has = |text: &str| assert!(outcome.stdout.contains(text), "{text}: {outcome:?}");
    has("uid=1000(user) gid=1000");
    has("0027\n");
    has("CapEff:\t0000000000000000");
    has("CapBnd:\t00000000a80425fb");
    has("NoNewPrivs:\t1");
    has("100\n/home/new/deep");
    assert!(outcome.stderr.contains("Permission denied"), "{outcome:?}");
}

#[test]
fn the_seccomp_profile_holds() {
    let bundle = Bundle::new("seccomp");
    let mut spec = bundle.spec("mkdir /tmp/x; echo $?; grep Seccomp: /proc/self/status");
    spec.linux.as_mut().unwrap().seccomp = Some(
        serde_json::from_str(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
                {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":77}]}"#,
        )
        .unwrap(),
    );
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.stdout, "1\nSeccomp:\t2\n", "{outcome:?}");
    spec.process.as_mut().unwrap().no_new_privileges = true;
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.stdout, "1\nSeccomp:\t2\n", "{outcome:?}");
}

#[test]
fn masked_and_readonly_paths_hold() {
    let bundle = Bundle::new("paths");
    let mut spec = bundle.spec("cat /proc/interrupts | wc -c; ls /sys/firmware | wc -l; echo 1 >/proc/sys/kernel/panic; touch /x; touch /tmp/x");
    spec.root.as_mut().unwrap().readonly = true;
    spec.mounts.push(Mount {
        destination: "/tmp".into(),
        kind: "tmpfs".into(),
        ..Mount::default()
    });
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.stdout, "0\n0\n", "{outcome:?}");
    assert_eq!(
        outcome.stderr.matches("Read-only file system").count(),
        2,
        "{outcome:?}"
    );
}

#[test]
fn binds_follow_links_inside_the_root_only() {
    let bundle = Bundle::new("bind");
    let outside = bundle.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "from outside\n").unwrap();
    std::os::unix::fs::symlink(
        "/../../../../../../../../etc/made",
        bundle.rootfs().join("link"),
    )
    .unwrap();
    let mut spec = bundle.spec(
        "cat /link/file /etc/one; echo x >/link/new; echo x >/etc/one; mount | grep -c ' /etc/'",
    );
    let bind = |source: &Path, destination: &str, options: &[&str]| Mount {
        destination: destination.into(),
        kind: "bind".into(),
        source: source.into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    };
    spec.mounts.push(bind(&outside, "/link", &["rbind", "rro"]));
    spec.mounts
        .push(bind(&outside.join("file"), "/etc/one", &["bind", "ro"]));
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(
        outcome.stdout, "from outside\nfrom outside\n2\n",
        "{outcome:?}"
    );
    assert_eq!(
        outcome.stderr.matches("Read-only file system").count(),
        2,
        "{outcome:?}"
    );
    assert!(bundle.rootfs().join("etc/made").is_dir());
    assert!(!Path::new("/etc/made").exists());
}

#[test]
fn proc_is_not_to_be_mounted_into_or_through_links() {
    let bundle = Bundle::new("proc");
    let mut spec = bundle.spec("true");
    spec.mounts.push(Mount {
        destination: "/proc/sys/x".into(),
        kind: "tmpfs".into(),
        ..Mount::default()
    });
    assert!(bundle.run(&spec).unwrap_err().chain().contains("/proc"));
    std::fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    std::os::unix::fs::symlink("tmp", bundle.rootfs().join("proc")).unwrap();
    let error = bundle.run(&bundle.spec("true")).unwrap_err();
    assert!(error.to_string().contains("ordinary directory"), "{error}");
}

#[test]
fn a_tmpfs_where_no_folder_was_is_for_everybody() {
    let bundle = Bundle::new("tmpfs-mode");
    let mut spec = bundle.spec("stat -c %a /scratch /etc");
    for destination in ["/scratch", "/etc"] {
        spec.mounts.push(Mount {
            destination: destination.into(),
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            ..Mount::default()
        });
    }
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.stdout, "1777\n755\n", "{outcome:?}");
}

#[test]
fn a_tmpfs_can_start_with_what_it_covers() {
    let bundle = Bundle::new("copyup");
    let mut spec = bundle.spec("cat /etc/passwd | wc -l; touch /etc/x; stat -c %a /etc");
    spec.mounts.push(Mount {
        destination: "/etc".into(),
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        options: vec!["tmpcopyup".into()],
        ..Mount::default()
    });
    let outcome = bundle.run(&spec).unwrap();
    assert_eq!(outcome.stdout, "2\n755\n", "{outcome:?}");
    assert!(!bundle.rootfs().join("etc/x").exists());
}

#[test]
fn limits_are_in_the_cgroup_and_seen_inside() {
    let bundle = Bundle::new("limits");
    let mut spec = bundle.spec("read -r line </proc/self/cgroup; echo $line; exec sleep 100");
    let resources = spec.linux.as_mut().unwrap().resources.as_mut().unwrap();
    *resources = serde_json::from_str(
        r#"{"memory":{"limit":67108864},"cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0"},"pids":{"limit":50}}"#,
    )
    .unwrap();
    let (container, output) = bundle.start(&spec).unwrap();
    let read = |controller: &str, v1: &str, v2: &str| {
        let paths = container.cgroup_paths();
        let find = |part: &str| {
            paths
                .iter()
                .find(|path| path.to_str().unwrap().contains(part))
                .cloned()
        };
        let path = find(&format!("/{controller}/")).map(|path| path.join(v1));
        let path = path.unwrap_or_else(|| paths[paths.len() - 1].join(v2));
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    };
    assert_eq!(
        read("memory", "memory.limit_in_bytes", "memory.max"),
        "67108864"
    );
    assert_eq!(read("pids", "pids.max", "pids.max"), "50");
    assert_eq!(read("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    let quota = read("cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "50000" || quota == "50000 100000");
    assert!(
        output.line().ends_with(":/"),
        "the cgroup namespace hides the path"
    );
    assert_eq!(container.pids().unwrap(), [container.pid()]);
    container.delete().unwrap();
}

#[test]
fn a_process_too_large_is_reported() {
    let bundle = Bundle::new("oom");
    let mut spec = bundle.spec("dd if=/dev/zero of=/dev/null bs=200M count=1");
    let resources = spec.linux.as_mut().unwrap().resources.as_mut().unwrap();
    resources.memory = serde_json::from_str(r#"{"limit":16777216,"swap":16777216}"#).unwrap();
    let (container, _output) = bundle.start(&spec).unwrap();
    container.pidfd().wait().unwrap();
    assert!(container.oom_killed());
    container.delete().unwrap();
}

#[test]
fn every_hook_runs_in_its_place() {
    let bundle = Bundle::new("hooks");
    let log = bundle.dir.path().join("log");
    std::fs::write(&log, "").unwrap();
    let hook = |name: &str, file: &str| Hook {
        path: "/bin/sh".into(),
        args: vec![
            "sh".into(),
            "-c".into(),
            format!("read state; echo {name} $STATE ${{state%%:*}} >>{file}"),
        ],
        env: vec!["STATE=set".into(), "PATH=/bin".into()],
        timeout: Some(5),
    };
    let outside = |name: &str| vec![hook(name, log.to_str().unwrap())];
    let mut spec = bundle.spec("cat /tmp/log");
    spec.hooks = Some(Hooks {
        prestart: outside("prestart"),
        create_runtime: outside("createRuntime"),
        create_container: outside("createContainer"),
        start_container: vec![hook("startContainer", "/tmp/log")],
        poststart: outside("poststart"),
        poststop: outside("poststop"),
    });
    let outcome = bundle.run(&spec).unwrap();
    let line = |name: &str| format!("{name} set {{\"ociVersion\"\n");
    assert_eq!(outcome.stdout, line("startContainer"), "{outcome:?}");
    let names = [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ];
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        names.map(line).concat()
    );
    spec.hooks.as_mut().unwrap().create_container[0].args[2] = "echo broken >&2; exit 4".into();
    let error = bundle.run(&spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error running createContainer hook #0: exit status 4, stdout: , stderr: broken"
    );
}

#[test]
fn a_user_namespace_maps_root_away() {
    let bundle = Bundle::new("userns");
    for path in [bundle.dir.path(), &bundle.rootfs()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut spec = bundle.spec("id -u; cat /proc/self/uid_map; echo x >/dev/null; hostname");
    let linux = spec.linux.as_mut().unwrap();
    linux.namespaces.push(oci::runtime::Namespace {
        kind: oci::runtime::NamespaceKind::User,
        path: "".into(),
    });
    let mapping = oci::runtime::IdMapping {
        container_id: 0,
        host_id: 100_000,
        size: 65536,
    };
    (linux.uid_mappings, linux.gid_mappings) = (vec![mapping], vec![mapping]);
    let outcome = bundle.run(&spec).unwrap();
    let fields: Vec<_> = outcome.stdout.split_whitespace().collect();
    assert_eq!(fields, ["0", "0", "100000", "65536", "box"], "{outcome:?}");
}

#[test]
fn an_overlay_is_seen_by_the_container_only() {
    let bundle = Bundle::new("overlay");
    let dir = bundle.dir.path();
    for folder in ["upper", "work", "more"] {
        std::fs::create_dir(dir.join(folder)).unwrap();
    }
    std::fs::write(dir.join("more/extra"), "extra\n").unwrap();
    let overlay = runtime::Overlay {
        lower: vec![dir.join("more"), bundle.rootfs()],
        upper: dir.join("upper"),
        work: dir.join("work"),
        scratch: false,
    };
    let (io, output) = streams();
    let spec = bundle.spec("cat /extra; echo x >/new");
    let launch = runtime::Launch {
        id: &bundle.id,
        spec: &spec,
        bundle: dir,
        rootfs: runtime::Rootfs::Overlay(&overlay),
        io,
        preserved: Vec::new(),
        no_pivot: false,
        filters: None,
        network: None,
    };
    let container = runtime::create(launch).unwrap().start().unwrap();
    assert_eq!(output.read().stdout, "extra\n");
    container.pidfd().wait().unwrap();
    bundle.assert_no_mounts();
    container.delete().unwrap();
    assert!(dir.join("upper/new").exists() && !bundle.rootfs().join("new").exists());
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let bundle = Bundle::new("refused");
    let check = |change: fn(&mut oci::runtime::Spec), word: &str| {
        let mut spec = bundle.spec("true");
        change(&mut spec);
        let error = bundle.run(&spec).unwrap_err();
        assert!(error.chain().contains(word), "{word}: {}", error.chain());
        assert!(
            !Path::new("/sys/fs/cgroup/memory/tare-runtime-test")
                .join(&bundle.id)
                .exists()
        );
    };
    check(
        |spec| spec.process.as_mut().unwrap().selinux_label = "x".into(),
        "selinuxLabel",
    );
    check(
        |spec| spec.process.as_mut().unwrap().apparmor_profile = "docker-default".into(),
        "AppArmor",
    );
    check(
        |spec| spec.linux.as_mut().unwrap().mount_label = "x".into(),
        "mountLabel",
    );
    check(
        |spec| {
            spec.process
                .as_mut()
                .unwrap()
                .capabilities
                .as_mut()
                .unwrap()
                .bounding
                .push("CAP_X".into());
        },
        "CAP_X",
    );
    check(
        |spec| {
            let rlimit = Rlimit {
                kind: "RLIMIT_NOFILE".into(),
                soft: 1 << 30,
                hard: 1 << 30,
            };
            spec.process.as_mut().unwrap().rlimits = vec![rlimit];
        },
        "error setting rlimit type RLIMIT_NOFILE",
    );
    check(
        |spec| {
            drop(
                spec.linux
                    .as_mut()
                    .unwrap()
                    .sysctl
                    .insert("kernel.panic".into(), "1".into()),
            );
        },
        "not in a separate kernel namespace",
    );
    check(|spec| spec.oci_version = "2.0".into(), "ociVersion");
}
