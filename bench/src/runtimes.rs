//! The OCI runtimes alone, on one bundle: a shell loop of `RUNTIME run`, less the loop itself.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::busybox_layer;

use crate::Field;
use crate::table::Table;

pub(crate) fn alone(field: &Field<'_>, table: &mut Table) {
    let folder = field.daemon.folder().join("bundle");
    fs::create_dir_all(folder.join("rootfs")).expect("mkdir");
    fs::write(folder.join("layer.tar"), busybox_layer().tar).expect("write");
    shell(
        None,
        &format!("cd {} && tar -xf layer.tar -C rootfs", folder.display()),
    );
    // Copied, because only /tmp may be shared with the root in which the other runtimes live.
    fs::copy(tests::binary("tare-shim"), folder.join("tare-runtime")).expect("copy");
    shell(
        None,
        &format!("cd {} && ./tare-runtime spec", folder.display()),
    );
    let config = folder.join("config.json");
    let mut spec: serde_json::Value =
        serde_json::from_slice(&fs::read(&config).expect("read")).expect("JSON");
    spec["process"]["args"] = json!(["true"]);
    spec["process"]["terminal"] = json!(false);
    spec["linux"]["cgroupsPath"] = json!("/tare-bench");
    fs::write(&config, spec.to_string()).expect("write");

    // crun refuses machines with both kinds of cgroups unless none of version 2 is in use. Without any it does less work
    // than the others do.
    let ours = format!("{}/tare-runtime", folder.display());
    let inside = field.inside.as_deref();
    let names = [
        ("tare-runtime", ours.as_str()),
        ("runc", "runc"),
        ("crun", "crun"),
        ("crun without cgroups", "crun --cgroup-manager=disabled"),
    ];
    let there = |program: &str| {
        let name = program.split(' ').next().unwrap_or_default();
        shell(inside, &format!("command -v {name}")).is_some()
    };
    let present: Vec<(&str, &str)> = names
        .into_iter()
        .filter(|(_, program)| there(program))
        .collect();
    let runs = field.runs(100);
    let mut values = Vec::new();
    for (name, program) in present {
        let loop_of = |command: &str| {
            format!(
                "cd {}; i=0; while [ $i -lt {runs} ]; do {command} || exit 1; i=$((i+1)); done",
                folder.display()
            )
        };
        let empty = shell(inside, &loop_of("/bin/true")).expect("the empty loop");
        let state = folder.join("state");
        let command = format!(
            "{program} --root {} run bench$i </dev/null",
            state.display()
        );
        // The better of three loops: a mean has no median's calm.
        let times: Vec<Duration> = (0..3)
            .filter_map(|_| shell(inside, &loop_of(&command)))
            .collect();
        let Some(best) = times.into_iter().min() else {
            eprintln!("  {name} failed here");
            continue;
        };
        values.push((
            name,
            best.saturating_sub(empty) / u32::try_from(runs).expect("few runs"),
        ));
    }
    table.times("runtime alone: `run` of a bundle with `true`", &values);
    for hierarchy in fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        let _ = fs::remove_dir(hierarchy.path().join("tare-bench"));
    }
}

/// Runs a script, under the prefix if there is one; how long it took, if it went well.
fn shell(prefix: Option<&str>, script: &str) -> Option<Duration> {
    let mut words = prefix
        .unwrap_or_default()
        .split_whitespace()
        .chain(["sh", "-c", script]);
    let mut command = Command::new(words.next()?);
    command
        .args(words)
        .current_dir("/tmp")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().ok()?;
    status.success().then(|| begun.elapsed())
}
