//! Processes: ids, exit statuses, the attributes a process gives itself.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

use crate::error::{Context as _, check, last_errno};
use crate::signal::Signal;
use crate::{Errno, Result};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Exited(i32),
    Killed(Signal),
}

impl ExitStatus {
    /// As a shell counts: a signal is 128 and its number.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal.number(),
        }
    }

    pub(crate) fn from_waitid(status: &WaitIdStatus) -> Self {
        match (
            status.exit_status(),
            status.terminating_signal().and_then(Signal::from_number),
        ) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Exited(255),
        }
    }
}

pub(crate) fn pid(pid: u32) -> Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)
        .context(|| format!("pid {pid}"))
}

/// Our own process id, as our pid namespace counts.
#[must_use]
pub fn id() -> u32 {
    rustix::process::getpid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
}

/// Reaps any child that has ended: a subreaper's chore. `None` when no child has, or there is none.
pub fn reap_any() -> Result<Option<(u32, ExitStatus)>> {
    // SAFETY: a zeroed siginfo is a valid output buffer, and WNOHANG leaves it zeroed when nobody has ended.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        match check(libc::waitid(
            libc::P_ALL,
            0,
            &raw mut info,
            libc::WEXITED | libc::WNOHANG,
        )) {
            Err(Errno::CHILD) => return Ok(None),
            result => result.context(|| "waitid(P_ALL)")?,
        };
        if info.si_pid() == 0 {
            return Ok(None);
        }
        let status = match (info.si_code, Signal::from_number(info.si_status())) {
            (libc::CLD_EXITED, _) | (_, None) => ExitStatus::Exited(info.si_status()),
            (_, Some(signal)) => ExitStatus::Killed(signal),
        };
        Ok(Some((info.si_pid().unsigned_abs(), status)))
    }
}

/// Waits for one child by number and reaps it.
pub fn wait(child: u32) -> Result<ExitStatus> {
    let id = WaitId::Pid(pid(child)?);
    loop {
        match rustix::process::waitid(id.clone(), WaitIdOptions::EXITED) {
            Err(Errno::INTR) | Ok(None) => {}
            Ok(Some(status)) => return Ok(ExitStatus::from_waitid(&status)),
            Err(errno) => return Err(errno).context(|| format!("waitid({child})")),
        }
    }
}

/// Ends the process at once: no destructors, no buffers flushed, nothing unwound.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// The end of what `/proc/PID/cmdline` shows, for a process that learns only later what it was started for.
#[derive(Debug)]
pub struct CommandLine {
    memory: std::fs::File,
    end: u64,
}

impl CommandLine {
    pub fn open() -> std::io::Result<Self> {
        /// `arg_end` of proc_pid_stat(5), counted from the field behind the name.
        const ARG_END: usize = 49 - 3;
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let end = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(ARG_END))
            .and_then(|field| field.parse().ok())
            .ok_or(std::io::ErrorKind::InvalidData)?;
        let memory = std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/self/mem")?;
        Ok(Self { memory, end })
    }

    /// Puts `text` in the place of the last argument, which must be as long. Arguments that were read before stay as
    /// they were.
    pub fn replace_last(&self, text: &[u8]) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let begin = self.end.checked_sub(text.len() as u64 + 1);
        self.memory
            .write_all_at(text, begin.ok_or(std::io::ErrorKind::InvalidInput)?)
    }
}

pub fn setsid() -> Result<()> {
    rustix::process::setsid().map(drop).context(|| "setsid()")
}

/// Orphans of our descendants become our children.
pub fn set_child_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Pid::from_raw(1))
        .context(|| "prctl(PR_SET_CHILD_SUBREAPER)")
}

/// The signal this process gets when its parent thread ends. Cleared by an execve that changes credentials.
pub fn set_parent_death_signal(signal: Signal) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, number(signal.number())).context(|| "prctl(PR_SET_PDEATHSIG)")
}

pub fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).context(|| "prctl(PR_SET_NO_NEW_PRIVS)")
}

/// Whether others may look into this process through /proc and ptrace. execve sets it again.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into()).context(|| "prctl(PR_SET_DUMPABLE)")
}

/// Capabilities are kept over the change of uid that follows.
pub fn set_keep_capabilities(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into()).context(|| "prctl(PR_SET_KEEPCAPS)")
}

/// The name in `ps` and /proc/self/comm; cut at 15 bytes.
pub fn set_name(name: &CStr) -> Result<()> {
    rustix::thread::set_name(name).context(|| format!("prctl(PR_SET_NAME, {name:?})"))
}

fn prctl(option: i32, argument: libc::c_ulong) -> rustix::io::Result<()> {
    // SAFETY: the options used in this file take an integer and no memory.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }).map(drop)
}

fn number(value: i32) -> libc::c_ulong {
    libc::c_ulong::from(value.unsigned_abs())
}

pub fn umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Sets real, effective and saved user id of the calling thread: for single-threaded callers.
pub fn set_uid(uid: u32) -> Result<()> {
    let id = rustix::thread::Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(id, id, id)
        .context(|| format!("setresuid({uid}, {uid}, {uid})"))
}

/// Sets real, effective and saved group id of the calling thread: for single-threaded callers.
pub fn set_gid(gid: u32) -> Result<()> {
    let id = rustix::thread::Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(id, id, id)
        .context(|| format!("setresgid({gid}, {gid}, {gid})"))
}

/// Sets the supplementary groups of the calling thread: for single-threaded callers.
pub fn set_groups(gids: &[u32]) -> Result<()> {
    let groups: Vec<_> = gids
        .iter()
        .map(|gid| rustix::thread::Gid::from_raw(*gid))
        .collect();
    rustix::thread::set_thread_groups(&groups).context(|| format!("setgroups({gids:?})"))
}

pub fn chdir(path: &Path) -> Result<()> {
    rustix::process::chdir(path).context(|| format!("chdir({path:?})"))
}

pub fn fchdir(fd: impl AsFd) -> Result<()> {
    rustix::process::fchdir(fd).context(|| "fchdir()")
}

pub fn chroot(path: &Path) -> Result<()> {
    rustix::process::chroot(path).context(|| format!("chroot({path:?})"))
}

/// The current folder; ENOENT when it is not reachable from the root of the process.
pub fn current_dir() -> Result<std::path::PathBuf> {
    let path = rustix::process::getcwd(Vec::new()).context(|| "getcwd()")?;
    // The kernel marks a folder outside of the root so; glibc turns it into ENOENT, the raw call does not.
    if path.as_bytes().starts_with(b"(unreachable)") {
        return Err(Errno::NOENT).context(|| "getcwd()");
    }
    Ok(OsStr::from_bytes(path.as_bytes()).into())
}

pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).context(|| format!("sethostname({name:?})"))
}

pub fn set_domainname(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).context(|| format!("setdomainname({name:?})"))
}

/// `personality(2)`: the execution domain, `0` for Linux and `8` for a 32-bit one.
pub fn set_personality(persona: libc::c_ulong) -> Result<()> {
    // SAFETY: personality has no memory arguments.
    check(unsafe { libc::personality(persona) })
        .map(drop)
        .context(|| format!("personality({persona:#x})"))
}

/// A new session keyring, so that the container does not share its creator's.
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is a C string that outlives the call.
    let code =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(code)
        .map(drop)
        .context(|| format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})"))
}

/// `ioprio_set(2)` on this process; `class` 1 is real-time, 2 best-effort, 3 idle.
pub fn set_io_priority(class: u16, priority: u16) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    let value = libc::c_int::from(class) << 13 | libc::c_int::from(priority);
    // SAFETY: ioprio_set has no memory arguments.
    let code = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) };
    check(code)
        .map(drop)
        .context(|| format!("ioprio_set({class}, {priority})"))
}

/// `sched_attr` of the kernel, as far as every version has it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SchedulerAttributes {
    /// Filled in by [`set_scheduler`].
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// `sched_setattr(2)` on this process.
pub fn set_scheduler(attributes: SchedulerAttributes) -> Result<()> {
    let attributes = SchedulerAttributes {
        size: size_of::<SchedulerAttributes>() as u32,
        ..attributes
    };
    // SAFETY: the structure is the kernel's first version, its size says so, and it outlives the call.
    let code = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    check(code)
        .map(drop)
        .context(|| format!("sched_setattr(policy {})", attributes.policy))
}

/// Pins this process to `cpus`.
pub fn set_cpu_affinity(cpus: &[usize]) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus
        .iter()
        .filter(|cpu| **cpu < rustix::thread::CpuSet::MAX_CPU)
    {
        set.set(*cpu);
    }
    rustix::thread::sched_setaffinity(None, &set).context(|| format!("sched_setaffinity({cpus:?})"))
}

/// Arguments of an execve, ready before anything else changes.
#[derive(Clone, Debug)]
pub struct Program {
    argv: Vec<CString>,
    envp: Vec<CString>,
}

impl Program {
    /// EINVAL when a string holds a NUL.
    pub fn new<S: AsRef<[u8]>>(args: &[S], env: &[S]) -> Result<Self> {
        let convert = |strings: &[S]| -> Result<Vec<CString>> {
            let to_c = |s: &S| CString::new(s.as_ref()).map_err(|_| Errno::INVAL);
            strings
                .iter()
                .map(to_c)
                .collect::<Result<_, Errno>>()
                .context(|| "execve(): NUL in a string")
        };
        Ok(Self {
            argv: convert(args)?,
            envp: convert(env)?,
        })
    }

    /// Becomes the program at `path`; returns only on failure.
    #[must_use]
    pub fn exec(&self, path: &CStr) -> Errno {
        let argv = pointers(&self.argv);
        let envp = pointers(&self.envp);
        // SAFETY: both vectors are null-terminated arrays of C strings that outlive the call.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        last_errno()
    }

    /// Becomes the program behind an open file; returns only on failure. A script cannot be run from a
    /// close-on-exec descriptor (ENOENT).
    #[must_use]
    pub fn exec_fd(&self, file: impl AsFd) -> Errno {
        let argv = pointers(&self.argv);
        let envp = pointers(&self.envp);
        // SAFETY: both vectors are null-terminated arrays of C strings, the path is an empty C string, and all
        // outlive the call.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                file.as_fd().as_raw_fd(),
                c"".as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        last_errno()
    }
}

pub(crate) fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}
