//! The daemon is killed within its own longer works, and shims within a churn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tests::{Archive, Daemon, Entry, IMAGE, Image, Layer, busybox_layer, own_test};

use crate::lost::{AtEnd, churn, entries, invariants, nothing_is_left};

/// Moments between 0 and `limit` microseconds, with nothing happening in them.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn new() -> Self {
        Self(u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn pass(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (_quiet, never) = channel::<()>();
        let number = self.0 >> 33;
        let _ = never.recv_timeout(Duration::from_micros(number % limit));
        number
    }
}

/// Bytes that no compression and no sharing makes fewer.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next)
        .flatten()
        .take(length)
        .collect()
}

/// Sends the same request again and again until told to stop; the daemon may go away within any of them.
fn insist(d: &Daemon, stop: &AtomicBool, method: &str, path: &str, body: &[u8]) {
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut connection) = tests::Connection::try_open(d.host()) {
            let headers = [("Content-Type", "application/x-tar")];
            let _cut_off = connection.request(method, path, &headers, body);
        }
    }
}

/// Kills the daemon at so many moments while a request is made.
fn kill_within(d: &Daemon, times: usize, method: &str, path: &str, body: &[u8]) {
    let stop = AtomicBool::new(false);
    let mut moments = Moments::new();
    std::thread::scope(|scope| {
        let _end = AtEnd(&stop);
        scope.spawn(|| insist(d, &stop, method, path, body));
        for _ in 0..times {
            moments.pass(120_000);
            d.crash();
        }
    });
}

own_test!(a_load_that_is_killed_leaves_all_or_nothing, |d| {
    let before = entries(&d.data_root().join("overlay2"));
    let name = format!("{}:latest", d.name("big"));
    let files: Vec<Entry> = (0..40)
        .map(|n| Entry::file(&format!("f{n}"), noise(100_000 + n)))
        .collect();
    let layers = vec![busybox_layer(), Layer::new(&files)];
    let archive = Image::new(&name, layers, json!({"Cmd": ["ls", "/f39"]})).docker_archive();
    kill_within(d, 15, "POST", "/images/load?quiet=1", &archive);
    // What was half done is gone; what is there works.
    assert_eq!(entries(&d.data_root().join("tmp")), [""; 0]);
    let cli = d.docker();
    if d.api("GET", &format!("/images/{name}/json"), "").status == 200 {
        assert_eq!(cli.ok(&["run", "--rm", &name]), "/f39");
        cli.ok(&["rmi", &name]);
    }
    d.crash();
    assert_eq!(entries(&d.data_root().join("overlay2")), before);
    d.load(&archive);
    assert_eq!(cli.ok(&["run", "--rm", &name]), "/f39");
});

own_test!(a_copy_that_is_killed_leaves_the_container_whole, |d| {
    let (cli, running, stopped) = (d.docker(), d.name("running"), d.name("stopped"));
    cli.ok(&["run", "-d", "--name", &running, IMAGE, "sleep", "1000"]);
    cli.ok(&["create", "--name", &stopped, IMAGE, "echo", "fine"]);
    let files: Vec<Entry> = (0..40)
        .map(|n| Entry::file(&format!("f{n}"), noise(100_000)))
        .collect();
    let archive = Archive::new(&files).finish();
    for name in [&running, &stopped] {
        kill_within(
            d,
            8,
            "PUT",
            &format!("/containers/{name}/archive?path=/tmp"),
            &archive,
        );
        assert_eq!(d.leftovers().mounts(), [""; 0]);
    }
    assert_eq!(cli.ok(&["exec", &running, "echo", "fine"]), "fine");
    assert_eq!(cli.ok(&["start", "-a", &stopped]), "fine");
});

own_test!(shims_killed_during_a_churn_leave_nothing, |d| {
    let layers = entries(&d.data_root().join("overlay2"));
    let stop = AtomicBool::new(false);
    let mut moments = Moments::new();
    let mut killed = 0;
    std::thread::scope(|scope| {
        let _end = AtEnd(&stop);
        for worker in 0..3 {
            let stop = &stop;
            scope.spawn(move || churn(d, worker, stop));
        }
        while killed < 30 {
            let number = moments.pass(30_000);
            let mut shims = d.leftovers().processes();
            shims.retain(|(_, words)| words.contains("tare-shim --id"));
            if shims.is_empty() {
                continue;
            }
            let (pid, _) = shims[usize::try_from(number).unwrap_or(0) % shims.len()];
            let pid = i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .expect("a pid");
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
            killed += 1;
        }
    });
    invariants(d);
    let cli = d.docker();
    for id in cli.ok(&["ps", "-aq"]).lines() {
        cli.ok(&["rm", "-f", "-v", id]);
    }
    d.crash();
    nothing_is_left(d, &layers);
    assert_eq!(cli.ok(&["run", "--rm", IMAGE, "echo", "fine"]), "fine");
});

own_test!(who_follows_a_log_sees_the_kill_and_goes_on_after_it, |d| {
    let (cli, name) = (d.docker(), d.name("a"));
    let script = "i=0; while :; do i=$((i+1)); echo $i; usleep 1000; done";
    cli.ok(&["run", "-d", "--name", &name, IMAGE, "sh", "-c", script]);
    let mut follower = cli.spawn(&["logs", "-f", &name]);
    let mut attached = cli.spawn(&["attach", "--no-stdin", "--sig-proxy=false", &name]);
    follower.line_with("20");
    let from: u64 = attached
        .line()
        .and_then(|line| line.parse().ok())
        .expect("a number");
    d.stop(Signal::KILL);
    // Both end, and what they have seen has no hole.
    let seen = attached.end().out();
    let seen: Vec<u64> = seen.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(
        seen.iter()
            .zip(from + 1..)
            .all(|(number, expect)| *number == expect),
        "{seen:?}"
    );
    follower.end();
    d.start();
    let mut follower = cli.spawn(&["logs", "-f", &name]);
    for expect in 1..=200 {
        assert_eq!(follower.line(), Some(expect.to_string()));
    }
    let mut attached = cli.spawn(&["attach", "--no-stdin", "--sig-proxy=false", &name]);
    assert!(attached.line().is_some());
});
