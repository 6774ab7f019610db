//! Limits, as the process inside and its cgroup see them. Each reads cgroup v1 or v2, whichever holds the controller.

use tests::{IMAGE, both};

both!(memory, |d, cli| {
    let read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(
        cli.ok(&["run", "--rm", "-m", "32m", IMAGE, "sh", "-c", read]),
        "33554432"
    );
    let name = d.name("a");
    cli.ok(&[
        "create",
        "--name",
        &name,
        "-m",
        "32m",
        "--memory-swap",
        "48m",
        "--memory-reservation",
        "16m",
        IMAGE,
        "true",
    ]);
    let format =
        "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.MemoryReservation}}";
    assert_eq!(
        cli.ok(&["inspect", "-f", format, &name]),
        "33554432 50331648 16777216"
    );
    // False where there is such a switch, null where there is none.
    let version = cli.ok(&["info", "-f", "{{.CgroupVersion}}"]);
    let expect = if version == "1" { "false" } else { "null" };
    let format = "{{json .HostConfig.OomKillDisable}}";
    assert_eq!(cli.ok(&["inspect", "-f", format, &name]), expect);
    cli.run(&[
        "run",
        "--rm",
        "-m",
        "32m",
        "--memory-swap",
        "16m",
        IMAGE,
        "true",
    ])
    .fails(
        125,
        "Minimum memoryswap limit should be larger than memory limit",
    );
});

both!(processor_time, |_d, cli| {
    let read = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max";
    let out = cli.ok(&["run", "--rm", "--cpus", "0.5", IMAGE, "sh", "-c", read]);
    assert_eq!(
        out.split_whitespace().collect::<Vec<_>>(),
        ["50000", "100000"]
    );
    let read = "cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/cpu.weight";
    let out = cli.ok(&[
        "run",
        "--rm",
        "--cpu-shares",
        "512",
        IMAGE,
        "sh",
        "-c",
        read,
    ]);
    assert!(out == "512" || out == "20" || out == "59", "{out}");
    assert_eq!(
        cli.ok(&["run", "--rm", "--cpuset-cpus", "0", IMAGE, "nproc"]),
        "1"
    );
    cli.run(&["run", "--rm", "--cpus", "4096", IMAGE, "true"])
        .fails(125, "range of CPUs is from 0.01 to");
    cli.run(&["run", "--rm", "--cpuset-cpus", "4000", IMAGE, "true"])
        .fails(125, "Requested CPUs are not available");
});

both!(number_of_processes, |_d, cli| {
    let read = "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
    assert_eq!(
        cli.ok(&["run", "--rm", "--pids-limit", "77", IMAGE, "sh", "-c", read]),
        "77"
    );
    // It forks to its limit, is refused, and ends as it likes.
    let script = "n=0; while [ $n -lt 50 ]; do sleep 1000 & n=$((n+1)); done";
    let run = cli.run(&[
        "run",
        "--rm",
        "--pids-limit",
        "20",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    assert_ne!(run.code, 0);
    assert!(run.err().contains("can't fork"), "{}", run.err());
});

both!(shared_memory, |_d, cli| {
    let size = |args: &[&str]| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(args);
        all.extend_from_slice(&[
            IMAGE,
            "sh",
            "-c",
            "df -k /dev/shm | tail -1 | awk '{print $2}'",
        ]);
        cli.ok(&all)
    };
    assert_eq!(size(&[]), "65536");
    assert_eq!(size(&["--shm-size", "3m"]), "3072");
});

both!(limits_of_a_process, |d, cli| {
    let out = cli.ok(&[
        "run",
        "--rm",
        "--ulimit",
        "nofile=123:456",
        "--ulimit",
        "core=0",
        IMAGE,
        "sh",
        "-c",
        "ulimit -Sn; ulimit -Hn; ulimit -c",
    ]);
    assert_eq!(out, "123\n456\n0");
    let name = d.name("a");
    cli.ok(&[
        "create", "--name", &name, "--ulimit", "nproc=7", IMAGE, "true",
    ]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{json .HostConfig.Ulimits}}", &name]),
        r#"[{"Name":"nproc","Hard":7,"Soft":7}]"#
    );
    cli.run(&["run", "--rm", "--ulimit", "nofile=5:3", IMAGE, "true"])
        .fails(125, "soft limit must be less than or equal to hard limit");
    cli.run(&["run", "--rm", "--ulimit", "nothing=5", IMAGE, "true"])
        .fails(125, "invalid ulimit type: nothing");
});

both!(kernel_parameters, |_d, cli| {
    let out = cli.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--sysctl",
        "net.ipv4.ip_default_ttl=77",
        "--sysctl",
        "kernel.msgmax=9000",
        IMAGE,
        "cat",
        "/proc/sys/net/ipv4/ip_default_ttl",
        "/proc/sys/kernel/msgmax",
    ]);
    assert_eq!(out, "77\n9000");
    cli.run(&["run", "--rm", "--sysctl", "vm.swappiness=1", IMAGE, "true"])
        .fails(125, "vm.swappiness");
});

both!(out_of_memory_score, |_d, cli| {
    assert_eq!(
        cli.ok(&[
            "run",
            "--rm",
            "--oom-score-adj",
            "321",
            IMAGE,
            "cat",
            "/proc/self/oom_score_adj"
        ]),
        "321"
    );
    cli.run(&["run", "--rm", "--oom-score-adj", "2000", IMAGE, "true"])
        .fails(
            125,
            "Invalid value 2000, range for oom score adj is [-1000, 1000]",
        );
});
