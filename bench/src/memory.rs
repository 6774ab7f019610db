//! Memory that is resident: the idle daemon, and what one running container costs beside its own processes.

use std::fs;

use tests::{Cli, IMAGE};

use crate::Field;
use crate::table::Table;

pub(crate) fn idle(field: &Field<'_>, table: &mut Table) {
    let mut values = vec![(
        "tare daemon",
        megabytes(field.daemon.pid(), "status", "VmRSS:"),
    )];
    if let Some(host) = &field.peer_host {
        let socket = host.trim_start_matches("unix://");
        let rss = |words: &str| find(words).map_or(0.0, |pid| megabytes(pid, "status", "VmRSS:"));
        let sum = rss(socket) + rss("containerd --config");
        values.push(("dockerd and containerd", sum));
    }
    table.values("an idle daemon, resident", "MB", &values);
}

/// Megabytes that a process had resident at most.
pub(crate) fn most(pid: u32) -> f64 {
    megabytes(pid, "status", "VmHWM:")
}

pub(crate) fn shims(field: &Field<'_>, table: &mut Table) {
    let mut values = Vec::new();
    for (who, cli) in [
        ("tare-shim", Some(&field.tare)),
        ("containerd-shim", field.peer.as_ref()),
    ] {
        if let Some(cli) = cli {
            values.push((who, of_one_shim(field, cli)));
        }
    }
    table.values(
        "the shim of a running container, proportional (PSS), mean of 10",
        "MB",
        &values,
    );
}

fn of_one_shim(field: &Field<'_>, cli: &Cli) -> f64 {
    let names: Vec<String> = (0..10)
        .map(|number| field.daemon.name(&format!("shim{number}")))
        .collect();
    let mut sum = 0.0;
    for name in &names {
        cli.ok(&[
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            name,
            IMAGE,
            "sleep",
            "100000",
        ]);
    }
    for name in &names {
        let first: u32 = cli
            .ok(&["inspect", "-f", "{{.State.Pid}}", name])
            .parse()
            .expect("a pid");
        sum += megabytes(parent(first), "smaps_rollup", "Pss:");
    }
    for name in &names {
        cli.ok(&["rm", "-f", name]);
    }
    sum / 10.0
}

fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields = stat.rsplit(") ").next().expect("fields");
    fields
        .split(' ')
        .nth(1)
        .and_then(|parent| parent.parse().ok())
        .expect("a parent")
}

/// A field of a file of /proc/PID that is given in kB.
fn megabytes(pid: u32, file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

/// A child of a process, by its name.
pub(crate) fn child(parent_of: u32, name: &str) -> Option<u32> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        comm.trim() == name && parent(*pid) == parent_of
    })
}

/// The first process whose command line holds these words and is a daemon's.
pub(crate) fn find(words: &str) -> Option<u32> {
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.starts_with("dockerd") || line.starts_with("containerd --")) && line.contains(words)
    })
}
