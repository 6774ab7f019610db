//! Starting a shim: everything between the decision to start and the frames that say so.
//!
//! Nothing here waits for the shim: the bundle is written, attached clients are connected to the listening socket, then
//! the shim learns its container, and hello and start lie in the control connection. What follows is one round trip.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::ContainerId;
use oci::runtime::{Process, Spec};
use shim::protocol::{self, Hello, Kind, Op, Request, Role, RootfsSetup, Setup, encode};

use crate::attach::WaitingAttach;
use crate::container::Container;
use crate::error::{Context as _, Error, Result};
use crate::mode::{Ipc, Network, Pid};
use crate::mounts::{self, MountPoint};
use crate::networks::Connection;
use crate::shared::Shared;
use crate::shims::{Assigned, Wants};
use crate::spec::{self, Joined, Surroundings};
use crate::state::{Birth, PhaseRecord};
use crate::{links, logging, lookup, naming, netfiles, ports};

/// The number of the request that starts the container.
pub(crate) const START: u64 = 1;

/// The file in the bundle that is the shim's stderr: what it says there is why it ended before it could answer.
const ERRORS: &str = "shim.err";

/// What a shim said before it ended.
pub(crate) fn last_words(bundle: &Path) -> String {
    let text = fs::read_to_string(bundle.join(ERRORS)).unwrap_or_default();
    text.trim().chars().take(2000).collect()
}

/// A shim on its way.
#[derive(Debug)]
pub(crate) struct Launched {
    /// Hello and start have been written to it.
    pub(crate) control: UnixStream,
    /// The first process as it will be.
    pub(crate) model: Process,
    /// Clients and the connections for them.
    pub(crate) attached: Vec<(WaitingAttach, UnixStream)>,
    /// Whether the container is in its networks; if not, the shim does not start the program.
    pub(crate) network: Result<()>,
}

/// Whose namespaces a container joins.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) joined: Joined,
    /// The folder of the container whose network is joined: its host files are this one's too.
    pub(crate) files_of: Option<ContainerId>,
    pub(crate) hostname_of: Option<String>,
}

/// Finds the containers whose namespaces are joined; they must run.
pub(crate) fn company(shared: &Shared, container: &Container) -> Result<Company> {
    let host = &container.birth.options.host;
    let mut company = Company {
        joined: Joined::default(),
        files_of: None,
        hostname_of: None,
    };
    if let Network::Container(name) = host.network_mode.parse()? {
        let other = shared.find(&name).map_err(|e| {
            Error::new(e.kind(), "joining network namespace of container").caused_by(e)
        })?;
        company.joined.network = Some(running_pid(&other, "network")?);
        company.files_of = Some(other.birth.id.clone());
        company.hostname_of = Some(hostname(&other, None, &shared.host));
    }
    if let Pid::Container(name) = host.pid_mode.parse()? {
        company.joined.pid = Some(running_pid(&*shared.find(&name)?, "PID")?);
    }
    if let Ipc::Container(name) = host.ipc_mode.parse()? {
        let other = shared.find(&name)?;
        match other.birth.options.host.ipc_mode.parse()? {
            Ipc::Shareable | Ipc::Host | Ipc::Container(_) => {}
            Ipc::Private | Ipc::None => {
                let id = &other.birth.id;
                return Err(Error::invalid(format!(
                    "can't join IPC of container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                     container)"
                )));
            }
        }
        company.joined.ipc = Some(running_pid(&other, "IPC")?);
    }
    Ok(company)
}

fn running_pid(other: &Container, what: &str) -> Result<u32> {
    other.phase().pid().ok_or_else(|| {
        Error::conflict(format!(
            "cannot join {what} namespace of a non running container: {}",
            other.birth.id
        ))
    })
}

/// The host name in force.
pub(crate) fn hostname(
    container: &Container,
    network_of: Option<&str>,
    host: &spec::Host,
) -> String {
    let options = &container.birth.options;
    let of_host = options.host.network_mode == "host" || options.host.uts_mode == "host";
    match (options.hostname.as_str(), network_of) {
        (_, Some(other)) => other.to_owned(),
        ("", None) if of_host => host.hostname.clone(),
        ("", None) => container.birth.id.short().to_owned(),
        (name, None) => name.to_owned(),
    }
}

/// Launches; blocks for the disk, never for the shim. On an error nothing runs, but the bundle may be there.
pub(crate) fn launch(
    shared: &Arc<Shared>,
    container: &Container,
    company: &Company,
    waiting: Vec<WaitingAttach>,
) -> Result<Launched> {
    let birth = &container.birth;
    let hostname = hostname(container, company.hostname_of.as_deref(), &shared.host);
    let own_folder = shared.paths.container(&birth.id);
    let linked = links::resolve(shared, container)?;
    let joined = join(shared, container)?;
    let folder = match &company.files_of {
        Some(other) => shared.paths.container(other),
        None => {
            netfiles::write(&own_folder, (&hostname, &linked.hosts), container, shared)?;
            own_folder.clone()
        }
    };
    prepare_sources(shared, birth)?;
    if birth.options.host.auto_remove {
        linux::mount::allow_again(&container.snapshot.work)
            .context(|| "prepare the container's writable layer".to_owned())?;
    }
    let around = Surroundings {
        config: &shared.config,
        host: &shared.host,
        folder: &folder,
        identity: lookup::identity(
            &container.snapshot,
            &birth.options.user,
            &birth.options.host.group_add,
        )?,
        hostname: &hostname,
        joined: company.joined,
        linked: &linked.variables,
        init_path: spec::wants_init(&birth.options, &shared.config)
            .then_some(shared.config.shim_path.as_path()),
    };
    let spec = spec::build(birth, &around)?;
    remove_file(&shared.paths.exit_record(&birth.id))?;
    let bundle = Bundle::make(shared.paths.bundle(&birth.id))?;
    bundle.write(protocol::SPEC_FILE, &spec)?;
    bundle.write(protocol::SETUP_FILE, &setup(shared, container)?)?;
    let mut record = container.record();
    record.life.phase = PhaseRecord::Running;
    record.life.started_at = Some(jiff::Timestamp::now());
    let path = shared.paths.record(&birth.id);
    if record.is_transient() {
        // ext4 starts writing out a file that replaces another; this one is not to see the disk at all. Without a record
        // there is no container, but nothing of it runs yet.
        remove_file(&path)?;
    }
    record.save(&path)?;
    spawn(shared, &bundle, &spec, (container, &joined), waiting)
}

/// Gives the container its endpoints.
fn join(shared: &Shared, container: &Container) -> Result<Vec<Connection>> {
    let mut places = container.live().places.clone();
    let joined = shared.networks.join(&container.birth.id, &mut places);
    let mut joined = joined.map_err(|error| crate::owner::network_failed(&error))?;
    if let Err(error) = ports::publish(shared, container, &mut places, &mut joined) {
        for one in &joined {
            let id = &container.birth.id;
            shared
                .networks
                .leave(id, &one.network.id, &one.endpoint, None)?;
        }
        return Err(crate::owner::network_failed(&error));
    }
    container.live().places = places;
    Ok(joined)
}

fn spawn(
    shared: &Shared,
    bundle: &Bundle,
    spec: &Spec,
    (container, joined): (&Container, &[Connection]),
    waiting: Vec<WaitingAttach>,
) -> Result<Launched> {
    let socket = bundle.socket();
    let listener = UnixListener::bind(&socket).context(|| "make the shim's socket".to_owned())?;
    let attached = waiting
        .into_iter()
        .filter(|client| !client.is_abandoned())
        .map(|client| {
            let stream = greet(&socket, &client.hello())?;
            Ok((client, stream))
        })
        .collect::<io::Result<_>>()
        .context(|| "attach to the shim".to_owned())?;
    let errors = fs::File::create(bundle.path.join(ERRORS))
        .context(|| "make the shim's stderr".to_owned())?;
    let fds = [bundle.folder.as_fd(), listener.as_fd(), errors.as_fd()];
    let id = &container.birth.id;
    let (gate, opener) = io::pipe().context(|| "make a pipe to the shim".to_owned())?;
    let wants = match container.birth.options.host.network_mode.parse()? {
        Network::Host | Network::Container(_) => Wants::Nothing,
        Network::None => Wants::Namespace,
        Network::Named(_) => Wants::Connected(gate.as_fd()),
    };
    let Assigned {
        mut control,
        network,
    } = shared.shims.assign(id.as_str(), &fds, wants)?;
    control
        .write_all(&opening())
        .context(|| "write to the control connection".to_owned())?;
    let is_gated = matches!(wants, Wants::Connected(_));
    drop(gate);
    // The shim makes mounts and cgroups meanwhile.
    let network = match network.filter(|_| !joined.is_empty()) {
        Some(netns) => connect(shared, container, joined, &netns),
        None => Ok(()),
    };
    if network.is_ok() && is_gated {
        // A shim that is gone is told by its connection.
        let _told = (&opener).write_all(&[1]);
    }
    Ok(Launched {
        network,
        control,
        model: spec.process.clone().unwrap_or_default(),
        attached,
    })
}

fn connect(
    shared: &Shared,
    container: &Container,
    joined: &[Connection],
    netns: &OwnedFd,
) -> Result<()> {
    let host = shared.networks.host()?;
    let mut names = None;
    for one in joined {
        let connected = host.connect(&one.network, &one.endpoint, netns.as_fd())?;
        names = connected.names.or(names);
    }
    naming::joined(shared, container, names, netns.as_fd())?;
    links::started(shared, container)?;
    for place in &container.live().places {
        crate::owner::announce(shared, "connect", container, place);
    }
    Ok(())
}

/// Hello and start.
fn opening() -> Vec<u8> {
    let mut frames = Vec::new();
    encode(Kind::Hello, &Hello::new(Role::Control), &mut frames);
    encode(
        Kind::Request,
        &Request {
            seq: START,
            op: Op::Start,
        },
        &mut frames,
    );
    frames
}

fn rootfs(snapshot: &image::Snapshot) -> RootfsSetup {
    if snapshot.is_plain() {
        return RootfsSetup::Dir {
            path: snapshot.upper.clone(),
        };
    }
    RootfsSetup::Overlay {
        lower: snapshot.lower.clone(),
        upper: snapshot.upper.clone(),
        work: snapshot.work.clone(),
    }
}

fn setup(shared: &Shared, container: &Container) -> Result<Setup> {
    let birth = &container.birth;
    let options = &birth.options;
    let snapshot = &container.snapshot;
    let (height, width) = options.host.console_size;
    let external =
        shared
            .config
            .runtimes
            .get(&birth.runtime)
            .map(|runtime| protocol::ExternalRuntime {
                path: runtime.path.clone(),
                args: runtime.args.clone(),
                root: shared.paths.exec.join("runtime").join(&birth.runtime),
            });
    Ok(Setup {
        version: protocol::VERSION,
        id: birth.id.to_string(),
        rootfs: rootfs(snapshot),
        tty: options.tty,
        console_size: (options.tty && height > 0 && width > 0).then_some((width, height)),
        open_stdin: options.open_stdin,
        stdin_once: options.stdin_once,
        log: logging::writer(
            &birth.log,
            &birth.id,
            &container.name(),
            options,
            &shared.paths,
        )?,
        exit_record: shared.paths.exit_record(&birth.id),
        exec_exits: Some(shared.paths.exec_exits(&birth.id)),
        auto_remove: options.host.auto_remove,
        filters: (!spec::brings_seccomp(&options.host)?).then(|| shared.paths.filters()),
        external_runtime: external,
    })
}

/// Makes volumes ready and missing sources of `-v`, refuses missing ones of `--mount`, and keeps subpaths inside their
/// volume.
fn prepare_sources(shared: &Shared, birth: &Birth) -> Result<()> {
    let points = birth.mounts.iter();
    for point in points.filter(|p| p.kind != mounts::Kind::Tmpfs) {
        let source = Path::new(&point.source);
        if point.kind == mounts::Kind::Volume {
            shared.enter_volume(point, &birth.id)?;
        }
        if point.create_source && fs::symlink_metadata(source).is_err() {
            fs::create_dir_all(source)
                .context(|| format!("error while creating mount source path '{}'", point.source))?;
        } else if point.kind == mounts::Kind::Bind && fs::metadata(source).is_err() {
            return Err(missing_source(point));
        }
        if !point.subpath.is_empty() {
            check_subpath(source, &point.subpath)?;
        }
    }
    Ok(())
}

/// A folder or file in a volume, which no link may lead out of. This is for the message: the runtime looks the path up
/// once more, and cannot be led out.
fn check_subpath(volume: &Path, subpath: &str) -> Result<()> {
    let describe = || format!("cannot access path {}", volume.join(subpath).display());
    let found = fs::canonicalize(volume.join(subpath)).context(describe)?;
    if found.starts_with(fs::canonicalize(volume).context(describe)?) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "path concatenation escapes the base directory, base: {}, subpath: {subpath}",
        volume.display()
    )))
}

/// Docker's error for a bind whose source is not there.
pub(crate) fn missing_source(point: &MountPoint) -> Error {
    let source = &point.source;
    Error::invalid(format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
    ))
}

/// The folder a shim works in.
struct Bundle {
    path: PathBuf,
    /// Open, so that the socket has a short path however long the folder's is (108 bytes, unix(7)).
    folder: fs::File,
}

impl Bundle {
    fn make(path: PathBuf) -> Result<Self> {
        remove_folder(&path)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .context(|| format!("make {}", path.display()))?;
        let folder = fs::File::open(&path).context(|| format!("open {}", path.display()))?;
        Ok(Self { path, folder })
    }

    fn write<T: serde::Serialize>(&self, name: &str, document: &T) -> Result<()> {
        let path = self.path.join(name);
        let bytes = serde_json::to_vec(document).context(|| format!("encode {name}"))?;
        fs::write(&path, bytes).context(|| format!("write {}", path.display()))
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/self/fd/{}/{}",
            self.folder.as_raw_fd(),
            protocol::SOCKET_FILE
        ))
    }
}

/// Connects to a shim and says what for.
pub(crate) fn greet(socket: &Path, hello: &[u8]) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(hello)?;
    Ok(stream)
}

/// Connects to the shim of a container that runs.
pub(crate) fn greet_shim(bundle: &Path, hello: &[u8]) -> io::Result<UnixStream> {
    let folder = fs::File::open(bundle)?;
    let socket = format!(
        "/proc/self/fd/{}/{}",
        folder.as_raw_fd(),
        protocol::SOCKET_FILE
    );
    greet(Path::new(&socket), hello)
}

pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
