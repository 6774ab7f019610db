//! `create`, `start`, `run`.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use linux::file::{self, OFlags};
use linux::process as kernel;
use linux::tty::Size;
use oci::runtime::{Process, Spec, Status};

use super::args::{Args, Flag};
use super::state::{self, Saved};
use super::{Context, foreground};
use crate::error::Context as _;
use crate::init::Gate;
use crate::launch::{self, Terms};
use crate::{Container, Error, Kind, Launch, ProcessIo, Result, Rootfs, hooks};

pub(super) const FLAGS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::value("console-socket", None),
    Flag::value("pidfd-socket", None),
    Flag::value("pid-file", None),
    Flag::switch("no-pivot", None),
    Flag::switch("no-new-keyring", None),
    Flag::value("preserve-fds", None),
];

pub(super) const RUN_FLAGS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::value("console-socket", None),
    Flag::value("pidfd-socket", None),
    Flag::value("pid-file", None),
    Flag::switch("no-pivot", None),
    Flag::switch("no-new-keyring", None),
    Flag::value("preserve-fds", None),
    Flag::switch("detach", Some('d')),
    Flag::switch("keep", None),
    Flag::switch("no-subreaper", None),
];

pub(super) fn create(context: &Context, args: &Args) -> Result<u8> {
    seal()?;
    let request = Request::new(args, true)?;
    let (container, _) = make(context, &request)?;
    request.tell_pid(&container)?;
    Ok(0)
}

pub(super) fn start(context: &Context, args: &Args) -> Result<u8> {
    let saved = context.store.load(args.id()?)?;
    match context.store.status(&saved)? {
        Status::Created => {}
        Status::Stopped => {
            return Err(Error::new(
                Kind::WrongState,
                "cannot start a container that has stopped",
            ));
        }
        _ => {
            return Err(Error::new(
                Kind::WrongState,
                "cannot start an already running container",
            ));
        }
    }
    let dir = context.store.dir(&saved.id)?;
    open_gate(&dir)?;
    context.store.container(saved)?.run_poststart()?;
    Ok(0)
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8> {
    seal()?;
    let is_detached = args.has("detach");
    let request = Request::new(args, is_detached)?;
    let (container, console) = make(context, &request)?;
    let started = request.tell_pid(&container).and_then(|()| {
        open_gate(&context.store.dir(&request.id)?)?;
        container.run_poststart()
    });
    if let Err(error) = started {
        container.destroy();
        context.store.remove(&request.id)?;
        return Err(error);
    }
    if is_detached {
        return Ok(0);
    }
    let code = foreground::wait(container.pidfd(), console)?;
    if !args.has("keep") {
        container.delete()?;
        context.store.remove(&request.id)?;
    }
    Ok(code)
}

/// What is asked for, before anything is made.
struct Request {
    id: String,
    bundle: PathBuf,
    rootfs: PathBuf,
    spec: Spec,
    console_socket: Option<OwnedFd>,
    pidfd_socket: Option<OwnedFd>,
    pid_file: Option<PathBuf>,
    no_pivot: bool,
    new_keyring: bool,
    preserved: u32,
    is_detached: bool,
}

impl Request {
    fn new(args: &Args, is_detached: bool) -> Result<Self> {
        let id = args.id()?.to_owned();
        let bundle = absolute(Path::new(args.value("bundle").unwrap_or(".")))?;
        let mut spec = load_spec(&bundle)?;
        let root = spec
            .root
            .as_ref()
            .ok_or_else(|| Error::invalid("root is not set in config.json"))?;
        let rootfs = bundle.join(&root.path);
        let console_socket = args.value("console-socket").map(connect).transpose()?;
        let wants_terminal = spec
            .process
            .as_ref()
            .is_some_and(|process| process.terminal);
        check_terminal(wants_terminal, is_detached, console_socket.is_some())?;
        let preserved =
            args.number("preserve-fds")?.unwrap_or(0) + pass_listen_fds(spec.process.as_mut());
        Ok(Self {
            id,
            bundle,
            rootfs,
            spec,
            console_socket,
            pidfd_socket: args.value("pidfd-socket").map(connect).transpose()?,
            pid_file: args
                .value("pid-file")
                .map(|path| absolute(Path::new(path)))
                .transpose()?,
            no_pivot: args.has("no-pivot"),
            new_keyring: !args.has("no-new-keyring"),
            preserved,
            is_detached,
        })
    }

    fn tell_pid(&self, container: &Container) -> Result<()> {
        if let Some(socket) = &self.pidfd_socket {
            linux::socket::send_fds(socket, b"pidfd", &[container.pidfd().as_fd()])
                .context(|| "failed to send the pidfd")?;
        }
        self.pid_file
            .as_deref()
            .map_or(Ok(()), |path| write_pid_file(path, container.pid()))
    }
}

/// The container, held by its gate, and the terminal if it is ours to serve.
fn make(context: &Context, request: &Request) -> Result<(Container, Option<OwnedFd>)> {
    let preserved = preserved(request.preserved)?;
    let dir = context.store.reserve(&request.id)?;
    let made = make_in(&dir, request, preserved).and_then(|(container, console)| {
        let saved = Saved::new(
            &container,
            &request.id,
            &request.bundle,
            &request.rootfs,
            &request.spec,
        );
        match context.store.save(&saved) {
            Ok(()) => Ok((container, console)),
            Err(error) => {
                container.destroy();
                Err(error)
            }
        }
    });
    if made.is_err() {
        // The error that is told is the one that matters.
        let _ = context.store.remove(&request.id);
    }
    made
}

fn make_in(
    dir: &Path,
    request: &Request,
    preserved: Vec<OwnedFd>,
) -> Result<(Container, Option<OwnedFd>)> {
    let (fifo, failure) = state::make_gate(dir)?;
    let process = request.spec.process.as_ref();
    let io = match process {
        Some(process) if process.terminal => ProcessIo::Terminal {
            size: size(process),
        },
        _ => inherited_io()?,
    };
    let launch = Launch {
        id: &request.id,
        spec: &request.spec,
        bundle: &request.bundle,
        rootfs: Rootfs::Dir(&request.rootfs),
        io,
        preserved,
        no_pivot: request.no_pivot,
        filters: None,
        network: None,
    };
    let terms = Terms {
        gate: Gate::Fifo { fifo, failure },
        follows_creator: false,
        new_keyring: request.new_keyring,
    };
    let mut created = launch::create_on(launch, terms)
        .map_err(|error| error.within(|| "unable to start container process".to_owned()))?;
    let console = match (created.console(), &request.console_socket) {
        (Some(master), Some(socket)) => match send_console(socket, &master) {
            Ok(()) => None,
            Err(error) => {
                created.abort();
                return Err(error);
            }
        },
        (console, _) => console.filter(|_| !request.is_detached),
    };
    Ok((created.leave(), console))
}

/// Lets the process go on, and learns from the FIFO's end whether it became its program.
fn open_gate(dir: &Path) -> Result<()> {
    let describe = || "failed to start the container";
    let path = dir.join(state::FIFO);
    let gate = match file::open(&path, OFlags::WRONLY | OFlags::NONBLOCK) {
        Err(error) if error.errno() == linux::Errno::NXIO => {
            return Err(Error::new(
                Kind::WrongState,
                "cannot start a container that has stopped",
            ));
        }
        result => result.context(describe)?,
    };
    file::write_once(&gate, b"S").context(describe)?;
    linux::fd::wait_unread(&gate, None).context(describe)?;
    let failure =
        file::read_at(file::CURRENT, dir.join(state::FAILURE), 1 << 20).context(describe)?;
    // Without the gate the container counts as running.
    for name in [state::FIFO, state::FAILURE] {
        file::remove_file(file::CURRENT, dir.join(name)).context(describe)?;
    }
    if failure.is_empty() {
        Ok(())
    } else {
        Err(Error::decode(&failure))
    }
}

/// Runs this program again from a file that no container can write to, unless it already is; see [`linux::exe`].
pub(super) fn seal() -> Result<()> {
    const MARK: &str = "_TARE_RUNTIME_SEALED";
    let describe = || "failed to protect the runtime's own program file";
    if std::env::var_os(MARK).is_some() || linux::exe::is_sealed().context(describe)? {
        return Ok(());
    }
    let file = linux::exe::sealed(Path::new("/proc/self/exe")).context(describe)?;
    let args: Vec<Vec<u8>> = std::env::args_os()
        .map(std::os::unix::ffi::OsStringExt::into_vec)
        .collect();
    let pair = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
        [key.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat()
    };
    let env: Vec<Vec<u8>> = std::env::vars_os()
        .map(pair)
        .chain([format!("{MARK}=1").into_bytes()])
        .collect();
    let program = kernel::Program::new(&args, &env).context(describe)?;
    let errno = program.exec_fd(&file);
    Err(linux::Error::new("execveat()", errno)).context(describe)
}

fn load_spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = match file::read_at(file::CURRENT, &path, 16 << 20) {
        Err(error) if error.errno() == linux::Errno::NOENT => {
            return Err(Error::invalid(format!(
                "JSON specification file {} not found",
                path.display()
            )));
        }
        result => result.context(|| format!("failed to read {}", path.display()))?,
    };
    serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

pub(super) fn check_terminal(wanted: bool, is_detached: bool, has_socket: bool) -> Result<()> {
    match (wanted, is_detached, has_socket) {
        (true, true, false) => Err(Error::invalid(
            "cannot allocate tty if runc will detach without setting console socket",
        )),
        (false, _, true) | (_, false, true) => Err(Error::invalid(
            "cannot use console socket if runc will not detach or allocate tty",
        )),
        _ => Ok(()),
    }
}

pub(super) fn size(process: &Process) -> Option<Size> {
    let size = process
        .console_size
        .filter(|size| size.height != 0 && size.width != 0)?;
    Some(Size {
        rows: size.height,
        columns: size.width,
    })
}

/// The process gets our own standard streams.
pub(super) fn inherited_io() -> Result<ProcessIo> {
    let stream = |number| match linux::fd::standard(number) {
        Some(fd) => linux::fd::duplicate(fd),
        None => file::open(Path::new("/dev/null"), OFlags::RDWR),
    };
    let open = || {
        Ok(ProcessIo::Fds {
            stdin: stream(0)?,
            stdout: stream(1)?,
            stderr: stream(2)?,
        })
    };
    open().context(|| "failed to pass the standard streams on")
}

/// Descriptors 3 to 2 + `count`.
pub(super) fn preserved(count: u32) -> Result<Vec<OwnedFd>> {
    let take = |number: u32| {
        linux::fd::inherited(number.cast_signed())
            .context(|| format!("please check that preserved-fd {number} is open"))
    };
    (3..3u32.saturating_add(count)).map(take).collect()
}

/// Socket activation (sd_listen_fds(3)): the descriptors come before those of `--preserve-fds`.
fn pass_listen_fds(process: Option<&mut Process>) -> u32 {
    let count: u32 = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    if let (Some(process), 1..) = (process, count) {
        process.env.push(format!("LISTEN_FDS={count}"));
        process.env.push("LISTEN_PID=1".to_owned());
    }
    count
}

pub(super) fn connect(path: &str) -> Result<OwnedFd> {
    linux::socket::connect(Path::new(path)).context(|| format!("failed to connect to {path}"))
}

pub(super) fn send_console(socket: &OwnedFd, master: &OwnedFd) -> Result<()> {
    linux::socket::send_fds(socket, b"/dev/ptmx", &[master.as_fd()])
        .map(drop)
        .context(|| "failed to send the terminal to the console socket")
}

pub(super) fn write_pid_file(path: &Path, pid: u32) -> Result<()> {
    let describe = || format!("failed to write {}", path.display());
    let dir = path.parent().unwrap_or_else(|| Path::new("/"));
    let name = path.file_name().ok_or_else(|| Error::invalid(describe()))?;
    let dir = file::open(dir, OFlags::DIRECTORY | OFlags::RDONLY).context(describe)?;
    linux::durable::replace_in(dir, Path::new(name), pid.to_string().as_bytes(), 0o644)
        .context(describe)
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

/// Also for `delete`: hooks that run when all is over.
pub(super) fn run_poststop(saved: &Saved) -> Result<()> {
    let Some(hooks) = &saved.spec.hooks else {
        return Ok(());
    };
    let state =
        crate::container::state(&saved.id, &saved.bundle, &saved.spec, Status::Stopped, None);
    hooks::run("poststop", &hooks.poststop, &state)
}
