//! Creates, starts and deletes the container of a bundle a number of times and says how long each step takes:
//! `cycle BUNDLE [ROUNDS]`. For measuring; see bench/.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linux::file::{self, OFlags};
use oci::runtime::Spec;
use runtime::{Launch, ProcessIo, Rootfs};

const STEPS: [&str; 4] = ["create", "start", "exit", "delete"];

fn main() {
    let mut args = std::env::args().skip(1);
    let bundle = PathBuf::from(args.next().expect("a bundle"));
    let rounds: usize = args
        .next()
        .map_or(200, |rounds| rounds.parse().expect("a number of rounds"));
    let config = std::fs::read(bundle.join("config.json")).expect("config.json");
    let spec: Spec = serde_json::from_slice(&config).expect("a specification");
    let times: Vec<[Duration; 4]> = (0..rounds).map(|_| cycle(&bundle, &spec)).collect();
    for (step, name) in STEPS.iter().enumerate() {
        println!(
            "{name:>8} {:?}",
            median(times.iter().map(|round| round[step]).collect())
        );
    }
    println!(
        "{:>8} {:?}",
        "all",
        median(times.iter().map(|round| round.iter().sum()).collect())
    );
}

fn cycle(bundle: &Path, spec: &Spec) -> [Duration; 4] {
    let null = || file::open(Path::new("/dev/null"), OFlags::RDWR).expect("/dev/null");
    let rootfs = bundle.join("rootfs");
    let started = Instant::now();
    let created = runtime::create(Launch {
        id: "cycle",
        spec,
        bundle,
        rootfs: Rootfs::Dir(&rootfs),
        io: ProcessIo::Fds {
            stdin: null(),
            stdout: null(),
            stderr: null(),
        },
        preserved: Vec::new(),
        no_pivot: false,
        filters: None,
        network: None,
    })
    .unwrap_or_else(|error| panic!("{}", error.chain()));
    let create = started.elapsed();
    let container = created
        .start()
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let start = started.elapsed() - create;
    container.pidfd().wait().expect("an exit");
    let exit = started.elapsed() - create - start;
    container
        .delete()
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    [
        create,
        start,
        exit,
        started.elapsed() - create - start - exit,
    ]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
