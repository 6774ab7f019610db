//! A daemon of a test's own: ours with its own roots, or the real Docker as oracle.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::cli::{Cli, Client};
use crate::http::{Connection, Response};
use crate::leftovers::Leftovers;
use crate::network::OwnNetwork;
use crate::wait::until_change;
use crate::{IMAGE, busybox, lacking, oracle, skip};

/// After this long a test is taken to hang.
const HANG: Duration = Duration::from_secs(100);

/// How a test wants its daemon.
#[derive(Debug, Default)]
pub struct Options {
    /// Further arguments of `tare daemon`.
    pub args: Vec<String>,
    /// Leaves out the busybox image.
    pub empty: bool,
    /// The text of daemon.json.
    pub config: Option<String>,
    /// Another tare-shim than the one beside `tare`.
    pub shim: Option<PathBuf>,
    /// The daemon gets a network namespace of its own, so that its bridges and rules meet nobody else's. Not for the oracle.
    pub own_network: bool,
    /// For benchmarks: no log of every request, no end after a while, and the exec root in memory, as /run is.
    pub at_full_speed: bool,
}

/// A daemon and the folder that everything of it lies in.
pub struct Daemon {
    host: String,
    prefix: String,
    folder: TempDir,
    args: Vec<String>,
    process: Mutex<Option<Child>>,
    network: Option<OwnNetwork>,
    leftovers: Leftovers,
    /// The exec root, where it is not in the folder.
    _exec_root: Option<TempDir>,
}

impl Daemon {
    /// Checks a daemon that is a host of its own, in a network namespace that has nothing yet; never the oracle, which is elsewhere.
    pub fn in_own_network(args: &[&str], check: impl FnOnce(&Daemon)) {
        if crate::oracle().is_some() {
            return;
        }
        let options = Options {
            own_network: true,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..Options::default()
        };
        Daemon::with(options, check);
    }

    /// Runs `check` with a daemon made after `options`, takes the daemon down and asserts that nothing is left.
    pub fn with(options: Options, check: impl FnOnce(&Daemon)) {
        if let Some(why) = lacking() {
            return skip(&why);
        }
        let endless = options.at_full_speed;
        let daemon = Daemon::new(options);
        let _watchdog = (!endless).then(|| daemon.watchdog());
        check(&daemon);
        daemon.finish();
    }

    fn new(options: Options) -> Daemon {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!(
            "e2e-{}-{}-",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        // Under /tmp, because the real Docker of the oracle shares that one with us.
        let folder = tempfile::Builder::new()
            .prefix(&format!("tare-{prefix}"))
            .tempdir_in("/tmp")
            .expect("a folder");
        let cgroup = format!("/tare-{}", prefix.trim_end_matches('-'));
        let leftovers = Leftovers::new(folder.path(), &cgroup);
        fs::create_dir(folder.path().join("home")).expect("a home");
        if let Some(host) = oracle() {
            let process = Mutex::new(None);
            let daemon = Daemon {
                host,
                prefix,
                folder,
                args: Vec::new(),
                process,
                network: None,
                leftovers,
                _exec_root: None,
            };
            if daemon
                .api("GET", &format!("/images/{IMAGE}/json"), "")
                .status
                != 200
            {
                daemon.load(&busybox());
            }
            return daemon;
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let in_memory = options.at_full_speed.then(|| {
            tempfile::Builder::new()
                .prefix(&format!("tare-{prefix}"))
                .tempdir_in("/dev/shm")
                .expect("a folder in memory")
        });
        let exec_root = match &in_memory {
            Some(folder) => folder.path().display().to_string(),
            None => at("run"),
        };
        fs::write(at("daemon.json"), options.config.as_deref().unwrap_or("{}"))
            .expect("write daemon.json");
        let host = format!("unix://{}", at("tare.sock"));
        let mut args = [
            "daemon",
            "-H",
            &host,
            "--data-root",
            &at("data"),
            "--exec-root",
            &exec_root,
        ]
        .map(String::from)
        .to_vec();
        args.extend(
            [
                "--pidfile",
                &at("tare.pid"),
                "--config-file",
                &at("daemon.json"),
            ]
            .map(String::from),
        );
        let level = if options.at_full_speed {
            "info"
        } else {
            "debug"
        };
        args.extend(["--cgroup-parent", &cgroup, "--log-level", level].map(String::from));
        let shim = options.shim.unwrap_or_else(|| binary("tare-shim"));
        args.extend(["--shim", &shim.display().to_string()].map(String::from));
        args.extend(options.args);
        let daemon = Daemon {
            host,
            prefix,
            folder,
            args,
            process: Mutex::new(None),
            network: options.own_network.then(OwnNetwork::new),
            leftovers,
            _exec_root: in_memory,
        };
        daemon.start();
        if !options.empty {
            daemon.load(&busybox());
        }
        daemon
    }

    /// Starts the daemon's process and waits until it answers.
    pub fn start(&self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("open the log");
        let mut command = match &self.network {
            None => std::process::Command::new(binary("tare")),
            Some(network) => network.command(binary("tare")),
        };
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log);
        let mut child = command.spawn().expect("start tare daemon");
        until_change(self.folder.path(), || {
            if let Some(status) = child.try_wait().expect("look at the daemon") {
                panic!(
                    "the daemon ended at its start: {status}\n{}",
                    self.log_tail()
                );
            }
            let mut connection = Connection::try_open(&self.host).ok()?;
            connection
                .request("GET", "/_ping", &[], b"")
                .ok()
                .filter(|answer| answer.status == 200)
        });
        *self.process.lock().expect("lock") = Some(child);
    }

    /// Ends the daemon by `signal` and waits for its end. Containers run on.
    pub fn stop(&self, signal: Signal) {
        let Some(mut child) = self.process.lock().expect("lock").take() else {
            return;
        };
        kill_process(Pid::from_child(&child), signal).expect("signal the daemon");
        child.wait().expect("wait for the daemon");
    }

    /// Kills the daemon and starts it again, with nothing in between.
    pub fn crash(&self) {
        self.stop(Signal::KILL);
        self.start();
    }

    /// The pid of the daemon's process. Not for the oracle.
    pub fn pid(&self) -> u32 {
        self.process
            .lock()
            .expect("lock")
            .as_ref()
            .expect("the daemon runs")
            .id()
    }

    /// The daemon's network namespace, if it has one of its own.
    pub fn network(&self) -> Option<&OwnNetwork> {
        self.network.as_ref()
    }

    /// A name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The folder of this test; `data` and `run` in it are the daemon's, the rest is the test's.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the daemon listens, as `DOCKER_HOST` says it.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn leftovers(&self) -> &Leftovers {
        &self.leftovers
    }

    pub fn cli(&self, client: Client) -> Cli {
        Cli::new(client, &self.host, self.folder.path().join("home"))
    }

    /// The real docker client.
    pub fn docker(&self) -> Cli {
        self.cli(Client::Docker)
    }

    /// Our own client.
    pub fn tare(&self) -> Cli {
        self.cli(Client::Tare)
    }

    /// A connection for raw HTTP.
    pub fn connect(&self) -> Connection {
        Connection::try_open(&self.host).expect("connect to the daemon")
    }

    /// One request with a JSON body (none when empty) on a connection of its own.
    pub fn api(&self, method: &str, path: &str, body: &str) -> Response {
        let headers = [("Content-Type", "application/json")];
        let headers = if body.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        self.connect()
            .request(method, path, headers, body.as_bytes())
            .expect("an answer")
    }

    /// Loads an image archive through the API.
    #[track_caller]
    pub fn load(&self, archive: &[u8]) -> String {
        let headers = [("Content-Type", "application/x-tar")];
        let answer = self
            .connect()
            .request("POST", "/images/load?quiet=1", &headers, archive)
            .expect("an answer");
        assert_eq!(answer.status, 200, "load: {}", answer.text());
        answer.text()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    fn log_tail(&self) -> String {
        tail(&self.log())
    }

    /// A test that hangs is ended from within, so that it can say why and take its processes along. Dropping what this
    /// returns calls it off.
    fn watchdog(&self) -> Sender<()> {
        let (keep, dropped) = channel();
        let (log, leftovers) = (self.log(), self.leftovers.clone());
        std::thread::spawn(move || {
            if dropped.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
                eprintln!("the test hangs; the daemon's log:\n{}", tail(&log));
                for (pid, words) in leftovers.processes() {
                    eprintln!("ending {words}");
                    kill(pid);
                }
                std::process::abort();
            }
        });
        keep
    }

    /// Removes every container, ends the daemon, and asserts that nothing is left.
    fn finish(self) {
        self.remove_containers();
        if oracle().is_some() {
            return;
        }
        self.stop(Signal::TERM);
        self.leftovers.assert_none();
        let remains = self.network_remains();
        assert!(remains.is_empty(), "the daemon leaves {remains:?}");
        if let Some(network) = &self.network {
            assert_eq!(network.devices(), ["lo"], "the daemon leaves devices");
            let tables = network.tables();
            assert!(
                tables.is_empty(),
                "the daemon leaves tables of rules: {tables:?}"
            );
        }
        let parents = self.leftovers.parents();
        assert!(parents.is_empty(), "the daemon leaves {parents:?}");
    }

    /// What is in the kernel with the mark of this daemon: network devices, tables of the firewall. The pairs of containers that
    /// have just ended may be among them.
    pub fn network_remains(&self) -> Vec<String> {
        let Ok(id) = fs::read_to_string(self.data_root().join("engine-id")) else {
            return Vec::new();
        };
        let look = || {
            let host = network::Host::open(network::Owner::of(id.trim()))?;
            host.remains()
        };
        let found = match &self.network {
            None => look(),
            Some(network) => network.inside(look),
        };
        found.expect("look at devices and tables")
    }

    /// Removes the containers of this test: all of our own daemon, those with our prefix of the oracle.
    fn remove_containers(&self) {
        let Ok(mut connection) = Connection::try_open(&self.host) else {
            return;
        };
        let Ok(list) = connection.request("GET", "/containers/json?all=1", &[], b"") else {
            return;
        };
        for container in list.json().as_array().into_iter().flatten() {
            let name = container["Names"][0].as_str().unwrap_or_default();
            if oracle().is_some() && !name.contains(&self.prefix) {
                continue;
            }
            let id = container["Id"].as_str().unwrap_or_default();
            let _ = self.connect().request(
                "DELETE",
                &format!("/containers/{id}?force=1&v=1"),
                &[],
                b"",
            );
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if oracle().is_none() {
                eprintln!("the daemon's log:\n{}", self.log_tail());
            }
            self.remove_containers();
        }
        if let Ok(mut process) = self.process.lock()
            && let Some(mut child) = process.take()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for (pid, _) in self.leftovers.processes() {
                kill(pid);
            }
        }
        for cgroup in self.leftovers.cgroups() {
            let _ = fs::remove_dir(cgroup);
        }
        self.leftovers.remove_parents();
    }
}

/// The end of a log.
fn tail(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let from = log.len().saturating_sub(6000);
    String::from_utf8_lossy(&log[from..]).into_owned()
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A binary of this build: where `cargo xtask test` says, or beside the test's own.
pub fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("TARE_TEST_BIN") {
        return Path::new(&folder).join(name);
    }
    let own = std::env::current_exe().expect("our own path");
    own.parent()
        .and_then(Path::parent)
        .expect("target/<host>/<profile>/deps")
        .join(name)
}
