//! Our registry beside docker-registry: one large blob up and down, and many small ones at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::{Connection, OwnRegistry};

use crate::table::Table;
use crate::{Contestant, Field, alternate};

const LARGE: usize = 128 << 20;
const SMALL: usize = 4 << 10;
const PULLS: usize = 1_000;
const AT_ONCE: usize = 50;

/// A registry somewhere on loopback.
struct Rival<'a> {
    name: &'static str,
    address: &'a str,
}

impl Rival<'_> {
    fn connect(&self) -> Connection {
        Connection::try_open(&format!("tcp://{}", self.address)).expect("connect to the registry")
    }

    /// Pushes a blob as docker does: POST, then PUT of all of it.
    fn push(&self, name: &str, bytes: &[u8], digest: &str) {
        let mut connection = self.connect();
        let path = format!("/v2/{name}/blobs/uploads/");
        let begun = connection
            .request("POST", &path, &[], b"")
            .expect("an answer");
        let location = begun.header("location").expect("a location");
        // A whole URL, or a path.
        let path = location.find("/v2/").map_or(location, |at| &location[at..]);
        let mark = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{mark}digest={digest}");
        let headers = [("Content-Type", "application/octet-stream")];
        let ended = connection
            .request("PUT", &target, &headers, bytes)
            .expect("an answer");
        assert_eq!(ended.status, 201, "{}: {}", self.name, ended.text());
    }

    fn pull(&self, connection: &mut Connection, name: &str, digest: &str, size: usize) {
        let path = format!("/v2/{name}/blobs/{digest}");
        let got = connection
            .request("GET", &path, &[], b"")
            .expect("an answer");
        assert_eq!((got.status, got.body.len()), (200, size), "{}", self.name);
    }
}

pub(crate) fn rivals(field: &Field<'_>, table: &mut Table) {
    let root = tempfile::tempdir().expect("a root");
    let ours = OwnRegistry::serve(root.path(), &["--log-level", "info"]);
    let mut all = vec![Rival {
        name: "tare registry",
        address: ours.address(),
    }];
    if let Some(address) = field.registry.as_deref() {
        all.push(Rival {
            name: "docker-registry",
            address,
        });
    }
    large(field, &all, table);
    small(field, &all, table);
}

fn large(field: &Field<'_>, all: &[Rival<'_>], table: &mut Table) {
    let bytes = vec![0x5a; LARGE];
    // Every push has content of its own; hashing it is not what is measured, so it is done before.
    let runs = field.runs(7);
    let fresh: Vec<(Vec<u8>, String)> = (0..=runs).map(|n| distinct(&bytes, n)).collect();
    let counters: Vec<Cell<usize>> = all.iter().map(|_| Cell::new(0)).collect();
    let push = |rival: &Rival<'_>, counter: &Cell<usize>| {
        let (bytes, digest) = &fresh[counter.get()];
        counter.set(counter.get() + 1);
        rival.push("bench/large", bytes, digest);
    };
    let mut pushes: Vec<Contestant<'_>> = all
        .iter()
        .zip(&counters)
        .map(|(rival, counter)| -> Contestant<'_> {
            (rival.name, Box::new(move || push(rival, counter)))
        })
        .collect();
    table.times(
        "registry: push of a 128 MB blob",
        &alternate(runs, &mut pushes),
    );
    let digest = &fresh[0].1;
    let mut pulls: Vec<Contestant<'_>> = all
        .iter()
        .map(|rival| -> Contestant<'_> {
            let mut connection = rival.connect();
            let pull = move || rival.pull(&mut connection, "bench/large", digest, LARGE);
            (rival.name, Box::new(pull))
        })
        .collect();
    table.times(
        "registry: pull of a 128 MB blob",
        &alternate(field.runs(20), &mut pulls),
    );
}

fn small(field: &Field<'_>, all: &[Rival<'_>], table: &mut Table) {
    let bytes = vec![0x3c; SMALL];
    let digest = tests::digest(&bytes);
    for rival in all {
        rival.push("bench/small", &bytes, &digest);
    }
    let pull_many = |rival: &Rival<'_>| {
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while done.fetch_add(1, Ordering::Relaxed) < PULLS {
                        rival.pull(&mut rival.connect(), "bench/small", &digest, SMALL);
                    }
                });
            }
        });
    };
    let mut contestants: Vec<Contestant<'_>> = all
        .iter()
        .map(|rival| -> Contestant<'_> { (rival.name, Box::new(move || pull_many(rival))) })
        .collect();
    let times = alternate(field.runs(10), &mut contestants);
    table.times("registry: 1,000 pulls of 4 kB, 50 at once", &times);
}

fn distinct(bytes: &[u8], number: usize) -> (Vec<u8>, String) {
    let mut bytes = bytes.to_vec();
    let end = bytes.len() - 8;
    bytes[end..]
        .copy_from_slice(&(number as u64 + u64::from(std::process::id()) * 1_000).to_le_bytes());
    let digest = tests::digest(&bytes);
    (bytes, digest)
}
