//! The daemon's life: start, serve, obey signals, end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::options::{LogOptions, Ulimit};
use engine::{Engine, ExternalRuntime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::app::{App, engine_id};
use crate::config::{CommandLine, Config};
use crate::http::serve::{self, Handler};
use crate::listen::{self, Listener};
use crate::logging::Logging;
use crate::pidfile::Pidfile;
use crate::ready;
use crate::{http::failure::chain, routes};

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Pidfile(#[from] crate::pidfile::PidfileError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error("tare-shim was found neither beside {} nor on PATH; name it with --shim", .0.display())]
    NoShim(PathBuf),
    #[error("the seccomp profile {}", .path.display())]
    Seccomp {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("making {}", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("opening the engine: {0}")]
    Engine(String),
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Threads that carry requests. Everything that waits for the disk or the kernel is on threads of its own.
const WORKERS: usize = 2;
/// Their stacks; what is deep here is boxed.
const STACK: usize = 1 << 20;
/// Threads for blocking work go away when they have been idle for this long.
const IDLE: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to stop.
pub(crate) fn daemon(command_line: &CommandLine, config: Config) -> Result<(), String> {
    let logging = Logging::start(&config);
    if config.ready_fd.is_some() {
        ready::leave_session();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_stack_size(STACK)
        .thread_keep_alive(IDLE)
        .enable_all()
        .build()
        .map_err(|source| {
            chain(&StartError::Io {
                what: "starting threads",
                source,
            })
        })?;
    let outcome = runtime
        .block_on(serve(command_line, config, &logging))
        .map_err(|e| chain(&e));
    // What still blocks is work for clients that are gone; records on disk are whole at every moment.
    runtime.shutdown_background();
    outcome
}

/// What `--validate` checks beside the configuration itself: all that would end a start before it touches anything.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let checked = || -> Result<(), StartError> {
        for host in &config.hosts {
            listen::check(&listen::parse(host)?, &config.group)?;
        }
        engine_config(config).map(drop)
    };
    checked().map_err(|e| chain(&e))
}

async fn serve(
    command_line: &CommandLine,
    config: Config,
    logging: &Logging,
) -> Result<(), StartError> {
    let begun = Instant::now();
    let addresses = config
        .hosts
        .iter()
        .map(|h| listen::parse(h))
        .collect::<Result<Vec<_>, _>>()?;
    for folder in [&config.data_root, &config.exec_root] {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|source| StartError::Folder {
            path: folder.clone(),
            source,
        })?;
    }
    let _pidfile = Pidfile::take(&config.pidfile)?;
    // Nor may a daemon with another pid file work on the same data, or collect what another one runs.
    let _data_root = Pidfile::take(&config.data_root.join("daemon.pid"))?;
    let _exec_root = Pidfile::take(&config.exec_root.join("daemon.pid"))?;
    let mut signals = Signals::new().map_err(|source| StartError::Io {
        what: "listening to signals",
        source,
    })?;
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(listen::bind(address, &config.group).await?);
    }
    let id = engine_id(&config.data_root).map_err(|source| StartError::Io {
        what: "the engine's id",
        source,
    })?;
    let engine = Engine::open(engine::Config {
        id: id.clone(),
        ..engine_config(&config)?
    })
    .await
    .map_err(|e| StartError::Engine(e.chain()))?;
    let app = Arc::new(App::new(engine, config, id));
    crate::gc::start(&app).map_err(|source| StartError::Io {
        what: "starting the thread of gc",
        source,
    })?;
    let server = Server::new(routes::handler(Arc::clone(&app)));
    let sockets = listeners
        .iter()
        .filter_map(Listener::path)
        .map(Path::to_owned)
        .collect::<Vec<_>>();
    for listener in listeners {
        tracing::info!("listening on {listener}");
        tokio::spawn(server.clone().accept(listener));
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        milliseconds = begun.elapsed().as_millis(),
        "daemon is ready"
    );
    if let Some(fd) = app.config().ready_fd {
        // Whoever started it may have gone away meanwhile; it is there for others, too.
        if let Err(error) = ready::announce(fd) {
            tracing::warn!(%error, "cannot tell who started it that it is ready");
        }
    }
    while let Received::Reload = signals.next().await {
        reload(command_line, &app, logging);
    }
    server
        .close(Duration::from_secs(u64::from(
            app.config().shutdown_timeout,
        )))
        .await;
    for socket in sockets {
        // A socket that stays behind is replaced by the next daemon.
        drop(std::fs::remove_file(socket));
    }
    app.engine.close().await;
    let running = app.engine.counts().running;
    tracing::info!(running, "daemon ends; running containers stay");
    Ok(())
}

fn reload(command_line: &CommandLine, app: &Arc<App>, logging: &Logging) {
    match command_line.config() {
        Ok(config) => {
            app.reload(&config);
            logging.change(&config);
            if let Err(error) = crate::gc::start(app) {
                tracing::error!(%error, "gc does not work: its thread cannot be started");
            }
            tracing::info!(
                "configuration reloaded: debug, gc, labels, shutdown-timeout and what is about registries; other changes need a restart"
            );
        }
        Err(error) => tracing::error!(%error, "configuration not reloaded"),
    }
}

fn engine_config(config: &Config) -> Result<engine::Config, StartError> {
    let shim = match &config.shim {
        Some(path) => path.clone(),
        None => find_shim()?,
    };
    let mut made = engine::Config::new(&config.data_root, &config.exec_root, shim);
    made.cgroup_parent.clone_from(&config.cgroup_parent);
    made.default_runtime.clone_from(&config.default_runtime);
    made.labels.clone_from(&config.labels);
    made.dns.clone_from(&config.dns);
    made.dns_options.clone_from(&config.dns_options);
    made.dns_search.clone_from(&config.dns_search);
    made.name = crate::host::hostname();
    made.init = config.init;
    made.storage_driver = config.storage_driver;
    made.max_layer_size = config.max_layer_size;
    made.no_new_privileges = config.no_new_privileges;
    made.shm_size = u64::try_from(config.default_shm_size).unwrap_or(0);
    made.stop_timeout = config.default_stop_timeout;
    made.log = LogOptions {
        driver: config.log_driver.clone(),
        options: config.log_opts.clone(),
    };
    made.networking.clone_from(&config.networking);
    made.host_names.clone_from(&config.host_names);
    made.registries.clone_from(&config.registries);
    made.seccomp_profile = seccomp_profile(&config.seccomp_profile)?;
    made.ulimits = config
        .default_ulimits
        .iter()
        .map(|u| Ulimit {
            name: u.name.clone(),
            soft: u.soft,
            hard: u.hard,
        })
        .collect();
    let external = |r: &crate::config::Runtime| ExternalRuntime {
        path: on_path(&r.path),
        args: r.args.clone(),
    };
    made.runtimes = config
        .runtimes
        .iter()
        .map(|(name, runtime)| (name.clone(), external(runtime)))
        .collect();
    Ok(made)
}

/// `None` for the one that is built in.
fn seccomp_profile(setting: &str) -> Result<Option<String>, StartError> {
    match setting {
        "builtin" => Ok(None),
        "unconfined" => Ok(Some(setting.to_owned())),
        path => {
            let failed = |source| StartError::Seccomp {
                path: PathBuf::from(path),
                source,
            };
            std::fs::read_to_string(path).map(Some).map_err(failed)
        }
    }
}

/// A program's own path, or where PATH has it. One that is not there is told when a container wants it.
fn on_path(program: &str) -> PathBuf {
    let named = PathBuf::from(program);
    if program.contains('/') {
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).unwrap_or(named)
}

/// Beside our own file, where it is installed; else on PATH.
fn find_shim() -> Result<PathBuf, StartError> {
    const NAME: &str = "tare-shim";
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tare"));
    let beside = own.parent().map(|folder| folder.join(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).map(|folder| folder.join(NAME)))
        .find(|candidate| candidate.is_file())
        .ok_or(StartError::NoShim(own))
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.hangup.recv() => Received::Reload,
            _ = self.interrupt.recv() => Received::Stop,
            _ = self.terminate.recv() => Received::Stop,
        }
    }
}

/// The connections.
#[derive(Clone)]
struct Server {
    handler: Handler,
    closing: watch::Sender<bool>,
    open: Arc<Open>,
}

/// Counts requests that have not been answered yet.
#[derive(Default)]
struct Open {
    requests: AtomicUsize,
    done: Notify,
}

/// One request that is being worked on.
struct Busy(Arc<Open>);

impl Busy {
    fn new(open: &Arc<Open>) -> Self {
        open.requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(open))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

impl Server {
    fn new(handler: Handler) -> Self {
        let open = Arc::new(Open::default());
        let counted = Arc::clone(&open);
        let handler: Handler = Arc::new(move |request| {
            let (busy, outcome) = (Busy::new(&counted), handler(request));
            Box::pin(async move {
                let _busy = busy;
                outcome.await
            })
        });
        Self {
            handler,
            closing: watch::channel(false).0,
            open,
        }
    }

    async fn accept(self, listener: Listener) {
        let mut closing = self.closing.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept(&self) => accepted,
                _ = closing.wait_for(|now| *now) => return,
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of descriptors: some come back when other connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn take<S: serve::Duplex>(&self, stream: S) {
        tokio::spawn(serve::connection(
            stream,
            self.closing.subscribe(),
            Arc::clone(&self.handler),
        ));
    }

    /// Takes no more requests and gives those that are being worked on some time. Streams that have begun (events,
    /// logs, attached terminals) do not count: they would go on for ever.
    async fn close(&self, patience: Duration) {
        self.closing.send_replace(true);
        let all_done = async {
            loop {
                let done = self.open.done.notified();
                if self.open.requests.load(Ordering::Acquire) == 0 {
                    return;
                }
                done.await;
            }
        };
        if tokio::time::timeout(patience, all_done).await.is_err() {
            tracing::warn!(
                open = self.open.requests.load(Ordering::Acquire),
                "requests were cut off by the end of the daemon"
            );
        }
    }
}

impl Listener {
    async fn accept(&self, server: &Server) -> io::Result<()> {
        match self {
            Listener::Unix(socket, _) => server.take(socket.accept().await?.0),
            Listener::Tcp(socket) => {
                let (stream, _peer) = socket.accept().await?;
                stream.set_nodelay(true)?;
                server.take(stream);
            }
        }
        Ok(())
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Listener::Unix(_, path) => Some(path),
            Listener::Tcp(_) => None,
        }
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listener::Unix(_, path) => write!(f, "unix://{}", path.display()),
            Listener::Tcp(socket) => match socket.local_addr() {
                Ok(address) => write!(f, "tcp://{address}"),
                Err(_) => f.write_str("tcp"),
            },
        }
    }
}
