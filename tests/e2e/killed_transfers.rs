//! The daemon is killed while images come, go and are cleared away.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Connection, Daemon, Entry, Image, Layer, Options, OwnRegistry};

use crate::killed::{Moments, noise};
use crate::lost::{AtEnd, entries};

/// How often it is killed, unless the machine is so slow that this takes too long.
const KILLS: usize = 100;
const LONGEST: Duration = Duration::from_secs(45);
/// Images that come and go; the lowest layer is in all of them.
const IMAGES: usize = 3;

/// Has the images at the registry, and none here.
fn publish(d: &Daemon, repository: &str) {
    let shared = Layer::new(&[Entry::file("shared", noise(300_000))]);
    for number in 0..IMAGES {
        let name = format!("{repository}:{number}");
        let own = Entry::file("own", noise(100_000 + number));
        let layers = vec![shared.clone(), Layer::new(&[own])];
        d.load(&Image::new(&name, layers, json!({"Cmd": ["x"]})).docker_archive());
        d.tare().ok(&["push", "-q", &name]);
        d.tare().ok(&["rmi", &name]);
    }
}

/// Makes requests until told to stop; the daemon may go away within any of them.
fn insist(d: &Daemon, stop: &AtomicBool, method: &str, path: impl Fn(usize) -> String) {
    let (mut moments, mut number) = (Moments::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        match Connection::try_open(d.host()) {
            Ok(mut connection) => {
                let _cut_off = connection.request(method, &path(number % IMAGES), &[], b"");
            }
            // Whoever asks on and on while nobody is there only takes the processor from the one who starts.
            Err(_) => drop(moments.pass(5_000)),
        }
        number += 1;
    }
}

fn kill_often(d: &Daemon, repository: &str) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = AtEnd(&stop);
        let stop = &stop;
        scope.spawn(move || {
            insist(d, stop, "POST", |n| {
                format!("/images/create?fromImage={repository}&tag={n}")
            });
        });
        scope.spawn(move || {
            insist(d, stop, "POST", |n| {
                format!("/images/{repository}/push?tag={n}")
            });
        });
        scope.spawn(move || {
            insist(d, stop, "DELETE", |n| format!("/images/{repository}:{n}"));
        });
        let (mut moments, begun) = (Moments::new(), Instant::now());
        for _ in 0..KILLS {
            if begun.elapsed() > LONGEST {
                return;
            }
            moments.pass(120_000);
            d.crash();
        }
    });
}

#[test]
fn a_hundred_kills_leave_the_store_whole() {
    if tests::oracle().is_some() {
        return;
    }
    let root = tempfile::tempdir().expect("a root");
    let registry = OwnRegistry::serve(root.path(), &[]);
    // More than any disk has: what nobody uses goes as soon as it is there.
    let gc =
        json!({"gc": {"enabled": true, "keep-free": "99%", "min-age": "0s", "policy": "dangling"}});
    let options = Options {
        config: Some(gc.to_string()),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let repository = format!("{}/team/app", registry.address());
        publish(d, &repository);
        let layers = entries(&d.data_root().join("overlay2"));
        kill_often(d, &repository);
        let checked = d.api("POST", "/system/check", "").json();
        assert_eq!(checked["Problems"], json!([]));
        fs::write(d.folder().join("daemon.json"), "{}").expect("write daemon.json");
        d.crash();
        let cli = d.tare();
        for number in 0..IMAGES {
            let name = format!("{repository}:{number}");
            cli.ok(&["pull", "-q", &name]);
            cli.ok(&["push", "-q", &name]);
        }
        let checked = d.api("POST", "/system/check", "").json();
        assert_eq!(checked["Problems"], json!([]));
        // All that came in between can be cleared away.
        for number in 0..IMAGES {
            cli.ok(&["rmi", &format!("{repository}:{number}")]);
        }
        cli.ok(&["image", "prune", "-f"]);
        assert_eq!(entries(&d.data_root().join("overlay2")), layers);
        assert_eq!(entries(&d.data_root().join("image/ingest")), [""; 0]);
        assert_eq!(entries(&d.data_root().join("tmp")), [""; 0]);
    });
}
