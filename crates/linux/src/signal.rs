//! Signals: names as Docker and runc accept them, masks, dispositions.

use crate::error::{Context as _, check};
use crate::{Errno, Result};

/// A signal number that the kernel knows, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("IOT", libc::SIGABRT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGIO),
];

/// glibc keeps 32 and 33 for its threads; users count real-time signals from here, as Docker does.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    pub const HUP: Self = Self(libc::SIGHUP);
    pub const INT: Self = Self(libc::SIGINT);
    pub const QUIT: Self = Self(libc::SIGQUIT);
    pub const KILL: Self = Self(libc::SIGKILL);
    pub const TERM: Self = Self(libc::SIGTERM);
    pub const CHLD: Self = Self(libc::SIGCHLD);
    pub const PIPE: Self = Self(libc::SIGPIPE);
    pub const WINCH: Self = Self(libc::SIGWINCH);
    pub const STOP: Self = Self(libc::SIGSTOP);
    pub const CONT: Self = Self(libc::SIGCONT);

    /// `None` for what is no signal.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        if number >= 1 && number <= RTMAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// A number, or a name in any case with or without `SIG`: `9`, `KILL`, `sigkill`, `RTMIN+3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(&(_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Self(number));
        }
        Self::parse_realtime(name)
    }

    fn parse_realtime(name: &str) -> Option<Self> {
        let number = match name {
            "RTMIN" => RTMIN,
            "RTMAX" => RTMAX,
            _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
                (Some(up), _) => RTMIN.checked_add(up.parse().ok()?)?,
                (_, Some(down)) => RTMAX.checked_sub(down.parse().ok()?)?,
                _ => return None,
            },
        };
        (RTMIN..=RTMAX).contains(&number).then_some(Self(number))
    }

    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// `SIGTERM`; a real-time signal as `SIGRTMIN+n`.
    #[must_use]
    pub fn name(self) -> String {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => format!("SIG{name}"),
            None if self.0 >= RTMIN => format!("SIGRTMIN+{}", self.0 - RTMIN),
            None => format!("SIG{}", self.0),
        }
    }
}

/// A set of signals, for [`block`] and signalfd.
#[derive(Clone, Copy)]
pub struct SignalSet(pub(crate) libc::sigset_t);

impl std::fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignalSet")
    }
}

impl SignalSet {
    #[must_use]
    pub fn of(signals: &[Signal]) -> Self {
        let mut set = Self::empty();
        for signal in signals {
            // SAFETY: the set is initialised and the number valid by construction of `Signal`.
            unsafe { libc::sigaddset(&raw mut set.0, signal.0) };
        }
        set
    }

    #[must_use]
    pub fn empty() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the whole set it is pointed to.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    #[must_use]
    pub fn all() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the whole set it is pointed to.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }
}

/// Adds to the calling thread's mask and returns the mask before.
pub fn block(set: &SignalSet) -> Result<SignalSet> {
    change_mask(libc::SIG_BLOCK, set)
}

/// Replaces the calling thread's mask and returns the one before.
pub fn set_mask(set: &SignalSet) -> Result<SignalSet> {
    change_mask(libc::SIG_SETMASK, set)
}

fn change_mask(how: i32, set: &SignalSet) -> Result<SignalSet> {
    let mut old = SignalSet::empty();
    // SAFETY: both sets are initialised and outlive the call.
    let code = unsafe { libc::pthread_sigmask(how, &raw const set.0, &raw mut old.0) };
    match code {
        0 => Ok(old),
        code => Err(Errno::from_raw_os_error(code)).context(|| "rt_sigprocmask()"),
    }
}

/// Ignores a signal in this process, or sets its default disposition.
pub fn set_ignored(signal: Signal, ignored: bool) -> Result<()> {
    let handler = if ignored {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: SIG_IGN and SIG_DFL install no handler code.
    let old = unsafe { libc::signal(signal.0, handler) };
    if old == libc::SIG_ERR {
        return Err(crate::error::last_errno())
            .context(|| format!("rt_sigaction({})", signal.name()));
    }
    Ok(())
}

/// Sets every signal of this process to its default, as a program expects to be started. SIGKILL, SIGSTOP and
/// glibc's own two cannot be set and are passed over.
pub fn reset_all() {
    for number in 1..=RTMAX {
        // SAFETY: SIG_DFL installs no handler code; an error only means that the signal cannot be changed.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Signals a process by number. Prefer [`crate::pidfd`], which cannot hit a recycled pid.
pub fn kill(pid: i32, signal: Signal) -> Result<()> {
    // SAFETY: kill has no memory arguments.
    check(unsafe { libc::kill(pid, signal.0) })
        .map(drop)
        .context(|| format!("kill({pid}, {})", signal.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_as_docker_does() {
        let check = |text: &str, number: Option<i32>| {
            assert_eq!(Signal::parse(text).map(Signal::number), number, "{text}");
        };
        check("9", Some(9));
        check("KILL", Some(9));
        check("sigterm", Some(15));
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-14", Some(50));
        check("RTMAX-999999999999", None);
        check("RTMIN+31", None);
        check("0", None);
        check("65", None);
        check("SIGNOPE", None);
        check("", None);
        check("-1", None);
    }

    #[test]
    fn names_round_trip() {
        for number in (1..32).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(
                Signal::parse(&signal.name()),
                Some(signal),
                "{}",
                signal.name()
            );
        }
    }
}
