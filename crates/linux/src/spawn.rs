//! Starting a program from a process with threads: `clone(CLONE_VM | CLONE_VFORK)`, never fork.

use std::ffi::{CString, OsStr, c_void};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::error::{Context as _, check, last_errno};
use crate::process::pointers;
use crate::signal::{self, Signal, SignalSet};
use crate::{Errno, Error, Result, clone, pidfd::PidFd};

/// A program to start. It begins with an empty environment, no descriptors but those given (0 to 2 are /dev/null
/// unless given), every signal at its default and unblocked.
#[derive(Debug)]
pub struct Command {
    program: Program,
    args: Vec<CString>,
    env: Vec<CString>,
    fds: Vec<(OwnedFd, RawFd)>,
    dir: Option<CString>,
    new_session: bool,
    death_signal: Option<Signal>,
    invalid: bool,
}

#[derive(Debug)]
enum Program {
    Path(CString),
    File(OwnedFd),
}

impl Command {
    /// `path` is not looked up in any PATH. It is the first argument, too, until [`Command::arg0`].
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().as_os_str();
        let mut command = Self {
            program: Program::Path(CString::default()),
            args: Vec::new(),
            env: Vec::new(),
            fds: Vec::new(),
            dir: None,
            new_session: false,
            death_signal: None,
            invalid: false,
        };
        let path = command.string(path);
        command.program = Program::Path(path.clone());
        command.args.push(path);
        command
    }

    /// Executes an open file (such as [`crate::exe::sealed`]) in place of the path.
    #[must_use]
    pub fn executable(mut self, file: OwnedFd) -> Self {
        self.program = Program::File(file);
        self
    }

    /// What the program sees as its own name.
    #[must_use]
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.args[0] = self.string(name.as_ref());
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = self.string(arg.as_ref());
        self.args.push(arg);
        self
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let mut pair = std::ffi::OsString::from(key);
        pair.push("=");
        pair.push(value.as_ref());
        let pair = self.string(&pair);
        self.env.push(pair);
        self
    }

    /// The program finds the file of `fd` at number `target`.
    #[must_use]
    pub fn fd(mut self, fd: OwnedFd, target: RawFd) -> Self {
        self.fds.push((fd, target));
        self
    }

    /// The program's current folder.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        let dir = self.string(dir.as_ref().as_os_str());
        self.dir = Some(dir);
        self
    }

    /// The program leads a session of its own, away from the caller's terminal and process group.
    #[must_use]
    pub fn new_session(mut self) -> Self {
        self.new_session = true;
        self
    }

    /// The program gets this signal when the **thread** that spawns it ends.
    #[must_use]
    pub fn death_signal(mut self, signal: Signal) -> Self {
        self.death_signal = Some(signal);
        self
    }

    /// A string with a NUL is noticed here and refused by [`Command::spawn`].
    fn string(&mut self, text: &OsStr) -> CString {
        CString::new(text.as_bytes()).unwrap_or_else(|_| {
            self.invalid = true;
            CString::default()
        })
    }

    /// Starts the program. Returns once it has been executed, or says why it could not.
    pub fn spawn(mut self) -> Result<clone::Child> {
        let name = self.args[0].clone();
        if self.invalid || self.fds.iter().any(|(_, target)| *target < 0) {
            return Err(Errno::INVAL).context(|| format!("spawn({name:?})"));
        }
        self.add_missing_standard_fds()?;
        let mut plan = Plan::new(&self);
        let outcome = plan.run();
        outcome.map_err(|(step, errno)| Error::new(format!("spawn({name:?}): {step}"), errno))
    }

    fn add_missing_standard_fds(&mut self) -> Result<()> {
        for target in 0..3 {
            if !self.fds.iter().any(|(_, taken)| *taken == target) {
                let null = crate::file::open(Path::new("/dev/null"), crate::file::OFlags::RDWR)?;
                self.fds.push((null, target));
            }
        }
        Ok(())
    }
}

/// Everything the child needs, made before: it shares our memory and must not allocate.
struct Plan<'a> {
    command: &'a Command,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// The numbers the descriptors have in the child before they are put in place.
    moved: Vec<RawFd>,
    first_free: RawFd,
    failure: Option<(&'static str, Errno)>,
}

impl<'a> Plan<'a> {
    fn new(command: &'a Command) -> Self {
        let highest = command
            .fds
            .iter()
            .map(|(_, target)| *target)
            .max()
            .unwrap_or(2);
        Self {
            command,
            argv: pointers(&command.args),
            envp: pointers(&command.env),
            moved: vec![-1; command.fds.len()],
            first_free: highest.saturating_add(1),
            failure: None,
        }
    }

    fn run(&mut self) -> Result<clone::Child, (&'static str, Errno)> {
        const STACK: usize = 64 * 1024;
        let mut stack: Vec<u128> = vec![0; STACK / size_of::<u128>()];
        let mut pidfd: libc::c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mask =
            signal::block(&SignalSet::all()).map_err(|error| ("sigprocmask", error.errno()))?;
        // SAFETY: the stack is large enough, aligned and not used by anyone else; CLONE_VFORK suspends this thread
        // until the child has executed or ended, so the stack, `self` and `pidfd` outlive its use of them. The child
        // has its own descriptors and signal handlers and calls only what needs no lock.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(stack.len()).cast::<c_void>();
            libc::clone(
                child,
                top,
                flags,
                std::ptr::from_mut(self).cast(),
                &raw mut pidfd,
            )
        };
        let result = check(pid);
        // Blocking all signals has just worked, so has to putting the mask back.
        let _ = signal::set_mask(&mask);
        let pid = result.map_err(|errno| ("clone", errno))?;
        // SAFETY: CLONE_PIDFD has stored a new descriptor that nobody else owns.
        let pidfd = PidFd::from_fd(unsafe { OwnedFd::from_raw_fd(pidfd) });
        if let Some(failure) = self.failure {
            // It has ended already; reaping it is all that is left.
            let _ = pidfd.wait();
            return Err(failure);
        }
        Ok(clone::Child {
            pid: u32::try_from(pid).unwrap_or(0),
            pidfd,
        })
    }

    /// In the child: becomes the program, or says which step failed.
    fn execute(&mut self) -> (&'static str, Errno) {
        if let Err(failure) = self.prepare() {
            return failure;
        }
        // SAFETY: argv and envp are null-terminated arrays of C strings owned by the command.
        unsafe {
            match &self.command.program {
                Program::Path(path) => {
                    libc::execve(path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr())
                }
                Program::File(file) => libc::syscall(
                    libc::SYS_execveat,
                    file.as_raw_fd(),
                    c"".as_ptr(),
                    self.argv.as_ptr(),
                    self.envp.as_ptr(),
                    libc::AT_EMPTY_PATH,
                ) as libc::c_int,
            };
        }
        ("execve", last_errno())
    }

    fn prepare(&mut self) -> Result<(), (&'static str, Errno)> {
        let step =
            |name: &'static str, code: i64| check(code).map(drop).map_err(|errno| (name, errno));
        signal::reset_all();
        // SAFETY: calls on numbers and on C strings that outlive them; the descriptors are the child's own.
        unsafe {
            if self.command.new_session {
                step("setsid", libc::setsid().into())?;
            }
            if let Some(signal) = self.command.death_signal {
                step(
                    "prctl",
                    libc::prctl(libc::PR_SET_PDEATHSIG, signal.number() as libc::c_ulong).into(),
                )?;
            }
            if let Some(dir) = &self.command.dir {
                step("chdir", libc::chdir(dir.as_ptr()).into())?;
            }
            // Before Linux 5.11 this is EINVAL; our own descriptors are close-on-exec anyway.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 4);
            for ((fd, _), moved) in self.command.fds.iter().zip(&mut self.moved) {
                *moved = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, self.first_free);
                step("fcntl", (*moved).into())?;
            }
            for ((_, target), moved) in self.command.fds.iter().zip(&self.moved) {
                step("dup2", libc::dup2(*moved, *target).into())?;
            }
        }
        signal::set_mask(&SignalSet::empty())
            .map(drop)
            .map_err(|error| ("sigprocmask", error.errno()))
    }
}

extern "C" fn child(plan: *mut c_void) -> libc::c_int {
    // SAFETY: `run` passes its own plan, which nobody else touches while the parent is suspended.
    let plan = unsafe { &mut *plan.cast::<Plan<'_>>() };
    plan.failure = Some(plan.execute());
    crate::process::exit_now(127)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ExitStatus;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn gives_descriptors_even_crossed_ones_and_nothing_else() {
        let (reader, writer) = crate::fd::pipe().unwrap();
        let (a, b) = (reader.as_raw_fd(), writer.as_raw_fd());
        let child = shell(&format!("echo hi >&{a}; exec ls -l /proc/self/fd >&{a}"));
        let keep = crate::fd::duplicate(&reader).unwrap();
        let child = child.fd(writer, a).fd(reader, b).spawn().unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), ExitStatus::Exited(0));
        let said = String::from_utf8(crate::file::read_all(keep, 4096).unwrap()).unwrap();
        assert!(said.starts_with("hi\n"), "{said}");
        // Its own output is the third.
        assert_eq!(said.matches("pipe:").count(), 3, "{said}");
    }

    #[test]
    fn says_why_it_could_not() {
        let error = Command::new("/nonexistent").spawn().unwrap_err();
        assert_eq!(error.errno(), Errno::NOENT);
        assert_eq!(
            error.to_string(),
            r#"spawn("/nonexistent"): execve: no such file or directory"#
        );
        assert!(Command::new("/bin/true").arg("a\0b").spawn().is_err());
    }

    #[test]
    fn starts_with_its_own_environment_name_session_and_sealed_file() {
        let (reader, writer) = crate::fd::pipe().unwrap();
        let sealed = crate::exe::sealed(Path::new("/bin/sh")).unwrap();
        let command = shell("echo $0 $A $HOME; cut -d' ' -f6 /proc/$$/stat; echo $$")
            .arg("me")
            .env("A", "b");
        let child = command
            .executable(sealed)
            .new_session()
            .fd(writer, 1)
            .spawn()
            .unwrap();
        let pid = child.pid;
        child.pidfd.wait().unwrap();
        let output = crate::file::read_all(reader, 100).unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            format!("me b\n{pid}\n{pid}\n")
        );
    }
}
