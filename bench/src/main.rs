//! Benchmarks side by side: Tare and the real Docker, in one run on one machine, with their ratios.
//!
//! `cargo xtask bench [--peer unix:///run/peers/docker.sock] [--inside 'COMMAND PREFIX'] [--registry 127.0.0.1:5000] [--only WORD] [--quick]`; the method stands in
//! bench/README.md. Times are medians of runs that alternate between the contestants, so that whatever else the
//! machine does hits all of them alike. `bench image FILE SALT` only writes the image that archives and registries are
//! measured with, another one for each salt.
#![forbid(unsafe_code)]

mod archives;
mod commands;
mod image;
mod logs;
mod many;
mod memory;
mod names;
mod raw;
mod registry;
mod runtimes;
mod table;
mod traffic;
mod transfers;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tests::{Cli, Client, Daemon, Options};

use table::Table;

/// What the command line asked for.
struct Args {
    /// Where the real Docker listens.
    peer: Option<String>,
    /// A command under which crun and runc are found, such as a chroot.
    inside: Option<String>,
    /// Where docker-registry listens, `address:port`.
    registry: Option<String>,
    /// Only the benchmarks whose names hold this.
    only: String,
    /// A tenth of the runs, to try the benchmark itself.
    quick: bool,
}

/// Both engines, each with its clients.
pub(crate) struct Field<'a> {
    pub(crate) daemon: &'a Daemon,
    /// Our client and our daemon.
    pub(crate) tare: Cli,
    /// The docker client and our daemon.
    pub(crate) docker: Cli,
    /// The docker client and the real Docker.
    pub(crate) peer: Option<Cli>,
    pub(crate) peer_host: Option<String>,
    pub(crate) inside: Option<String>,
    pub(crate) registry: Option<String>,
    pub(crate) quick: bool,
}

impl Field<'_> {
    /// How often to measure, where `full` is the thorough number.
    pub(crate) fn runs(&self, full: usize) -> usize {
        if self.quick { (full / 10).max(3) } else { full }
    }

    /// The contestants by name.
    pub(crate) fn contestants(&self) -> Vec<(&'static str, &Cli)> {
        let ours = [
            ("tare client, tare", &self.tare),
            ("docker client, tare", &self.docker),
        ];
        ours.into_iter()
            .chain(
                self.peer
                    .as_ref()
                    .map(|peer| ("docker client, Docker", peer)),
            )
            .collect()
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [command, file, salt] = &words[..]
        && command == "image"
    {
        return image::write(file.as_ref(), salt.parse().context("the salt is a number")?);
    }
    let args = parse(words.into_iter())?;
    let home = tempfile::tempdir().context("make a home")?;
    let mut table = Table::default();
    let options = Options {
        at_full_speed: true,
        ..Options::default()
    };
    Daemon::with(options, |daemon| {
        let peer = args
            .peer
            .as_deref()
            .filter(|host| tests::Connection::try_open(host).is_ok());
        let field = Field {
            daemon,
            tare: daemon.tare(),
            docker: daemon.docker(),
            peer: peer.map(|host| Cli::new(Client::Docker, host, home.path().to_owned())),
            peer_host: peer.map(str::to_owned),
            inside: args.inside.clone(),
            registry: args.registry.clone(),
            quick: args.quick,
        };
        measure(&field, &args.only, &mut table);
    });
    print!("{table}");
    Ok(())
}

/// What is measured, with the name of who does it.
pub(crate) type Contestant<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// A benchmark: fills in its rows.
type Benchmark = fn(&Field<'_>, &mut Table);

fn measure(field: &Field<'_>, only: &str, table: &mut Table) {
    let benchmarks: [(&str, Benchmark); 15] = [
        ("memory-idle", memory::idle),
        ("run", commands::run),
        ("exec", commands::exec),
        ("raw", raw::cycle),
        ("registry", registry::rivals),
        ("runtime", runtimes::alone),
        ("at-once", many::at_once),
        ("leave", many::leave),
        ("memory-shim", memory::shims),
        ("logs", logs::write_and_read),
        ("names", names::answers),
        ("ps", many::list_of_a_thousand),
        ("archives", archives::load_and_save),
        ("transfers", transfers::push_and_pull),
        ("traffic", traffic::published_and_beside),
    ];
    if let Some(peer) = &field.peer {
        // Both run the very same image.
        let archive = peer.run(&["save", tests::IMAGE]);
        if archive.code != 0 {
            let host = field.peer_host.as_deref().unwrap_or_default();
            let mut connection = tests::Connection::try_open(host).expect("connect to the peer");
            let headers = [("Content-Type", "application/x-tar")];
            connection
                .request("POST", "/images/load", &headers, &tests::busybox())
                .expect("load the image");
        }
    }
    for (name, benchmark) in benchmarks {
        if name.contains(only) {
            eprintln!("measuring {name}");
            benchmark(field, table);
        }
    }
}

/// How long the machine rests before each command, so that what one contestant leaves to be done after its end (a network namespace
/// taken apart, a supervisor that ends) is not counted to whoever comes next.
const REST: Duration = Duration::from_millis(50);

/// Runs every contestant `runs` times, in turn, and returns each one's median.
#[expect(clippy::disallowed_methods, reason = "the rest is the point")]
pub(crate) fn alternate(
    runs: usize,
    contestants: &mut [Contestant<'_>],
) -> Vec<(&'static str, Duration)> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); contestants.len()];
    for round in 0..=runs {
        for ((_, contestant), times) in contestants.iter_mut().zip(&mut times) {
            std::thread::sleep(REST);
            let begun = Instant::now();
            contestant();
            // The first round warms up.
            if round > 0 {
                times.push(begun.elapsed());
            }
        }
    }
    contestants
        .iter()
        .zip(times)
        .map(|((name, _), times)| (*name, median(times)))
        .collect()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args> {
    let mut parsed = Args {
        peer: None,
        inside: None,
        registry: None,
        only: String::new(),
        quick: false,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--peer" => parsed.peer = Some(value()?),
            "--inside" => parsed.inside = Some(value()?),
            "--registry" => parsed.registry = Some(value()?),
            "--only" => parsed.only = value()?,
            "--quick" => parsed.quick = true,
            _ => bail!("unknown argument {arg}"),
        }
    }
    Ok(parsed)
}
