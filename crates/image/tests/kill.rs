//! A process that is killed at any moment leaves a store in which nothing is wrong.
//!
//! The test starts itself as a worker that loads, commits, pulls, tags, removes, collects and prunes as fast as it can,
//! kills it, opens the store and looks; a hundred times on the same root.

mod archives;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use archives::*;
use image::{
    CommitOptions, Expendable, GcPolicy, Ingested, KeepFree, PruneQuery, PulledImage,
    RemoveOptions, Store,
};
use oci::{ContainerId, Descriptor, Digest, media_type};

const WORKER: &str = "TARE_KILL_WORKER";
const ROUNDS: u64 = 100;

/// xorshift64*; the seed is printed when a round fails.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

#[test]
fn a_hundred_kills_leave_nothing_wrong() {
    if let Some(root) = std::env::var_os(WORKER) {
        return work(Path::new(&root));
    }
    let root = scratch();
    let mut random = Random(u64::from(std::process::id()) + 1);
    let seed = random.0;
    let mut seen = 0;
    for round in 0..ROUNDS {
        seen += kill_once(root.path(), round, &mut random);
        let store = Store::open(root.path()).unwrap();
        let report = store.check(false, &|_| Vec::new()).unwrap();
        assert_eq!(report.problems, [], "round {round}, seed {seed}");
        // What the worker's containers were is nobody's any more.
        store.retain_snapshots(&[].into()).unwrap();
    }
    assert!(seen > ROUNDS, "the workers got nothing done");
}

/// Runs a worker for a moment; gives how many things it did.
fn kill_once(root: &Path, round: u64, random: &mut Random) -> u64 {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_hundred_kills_leave_nothing_wrong",
            "--nocapture",
        ])
        .env(WORKER, root)
        .env("TARE_KILL_SEED", (round + 1).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let (told, done) = channel();
    let reading = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .filter(|line| line.contains("did:"))
            .for_each(|line| drop(told.send(line)));
    });
    let wanted = random.below(12);
    let mut count = 0;
    while count < wanted && done.recv().is_ok() {
        count += 1;
    }
    // Anywhere in the middle of what comes next.
    let moment = Duration::from_micros(random.below(30_000));
    let outcome = done.recv_timeout(moment);
    let ended = outcome == Err(RecvTimeoutError::Disconnected);
    worker.kill().unwrap();
    worker.wait().unwrap();
    reading.join().unwrap();
    assert!(!ended, "the worker ended by itself");
    count
}

fn work(root: &Path) {
    let seed: u64 = std::env::var("TARE_KILL_SEED").unwrap().parse().unwrap();
    let mut random = Random(seed * 7919 + 1);
    let store = Store::open(root).unwrap();
    loop {
        let image = random.below(6);
        let name = format!("x:{image}");
        match random.below(8) {
            0 | 1 => load(&store, image),
            2 => commit(&store, &name),
            3 => pull(&store, image, random.below(3) == 0),
            4 => drop(store.remove(&name, RemoveOptions::default(), &|_| Vec::new())),
            5 => drop(store.tag(&name, &"y:1".parse().unwrap())),
            6 => collect(&store),
            _ => drop(store.prune(&PruneQuery::default(), &|_| Vec::new())),
        }
        println!("did:");
    }
}

/// Images share layers with their neighbours.
fn layers(image: u64) -> Vec<Vec<u8>> {
    let text = |n: u64| format!("{n} ").repeat(20_000);
    let files = |n: u64| {
        [
            ("a", text(n)),
            ("d/b", text(n + 100)),
            ("d/c", text(n + 200)),
        ]
    };
    let layer_of = |n: u64| {
        let files = files(n);
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, &**t)).collect();
        layer(&files)
    };
    vec![layer_of(image), layer_of(image + 1)]
}

fn load(store: &Store, image: u64) {
    let archive = docker_archive(&format!("x:{image}"), &layers(image));
    store.load(&archive[..], &[], &mut |_| {}).unwrap();
}

fn commit(store: &Store, name: &str) {
    let Ok(base) = store.resolve(name) else {
        return;
    };
    let container = ContainerId::random();
    let upper = store.prepare(&container, Some(&base.id)).unwrap().upper;
    std::fs::write(upper.join("made"), container.as_str()).unwrap();
    let options = CommitOptions {
        base: Some(base.id),
        reference: Some("made:1".parse().unwrap()),
        ..CommitOptions::default()
    };
    store.commit_container(&container, options).unwrap();
    store.release(&container).unwrap();
}

fn pull(store: &Store, image: u64, cut: bool) {
    let plain = layers(image);
    let pull = store.pull();
    for tar in plain.iter().rev() {
        let bytes = gzip(tar);
        let blob = Descriptor::of(media_type::OCI_LAYER_GZIP, &bytes);
        match pull.layer(&blob, &Digest::sha256(tar)).unwrap() {
            Ingested::Present => {}
            Ingested::Busy(_) => unreachable!("one thread"),
            Ingested::Fetch(mut ingest) => {
                let from = usize::try_from(ingest.have()).unwrap();
                let end = if cut { bytes.len() / 2 } else { bytes.len() };
                for chunk in bytes[from.min(end)..end].chunks(500) {
                    ingest.write(chunk).unwrap();
                }
                if cut {
                    return ingest.suspend();
                }
                ingest.finish().unwrap();
            }
        }
    }
    let image = PulledImage {
        config: config(&plain),
        manifest: Some((
            Descriptor::of(media_type::OCI_MANIFEST, b"m"),
            b"m".to_vec(),
        )),
        index: None,
        names: vec![format!("x:{image}").parse().unwrap()],
    };
    pull.finish(image).unwrap();
}

fn collect(store: &Store) {
    let policy = GcPolicy {
        keep_free: KeepFree::Bytes(u64::MAX),
        expendable: Expendable::Unused,
        min_age: Duration::ZERO,
    };
    store.collect(&policy, &|_| Vec::new()).unwrap();
}
