//! Resource limits of a process.

use rustix::process::{Resource, Rlimit};

use crate::Result;
use crate::error::Context as _;

/// What `RLIM_INFINITY` is in the OCI specification, too.
pub const UNLIMITED: u64 = u64::MAX;

/// One limit, by its name without `RLIMIT_`: `NOFILE`. `None` for a name the kernel lacks.
#[must_use]
pub fn resource(name: &str) -> Option<Limit> {
    Some(Limit(match name {
        "AS" => Resource::As,
        "CORE" => Resource::Core,
        "CPU" => Resource::Cpu,
        "DATA" => Resource::Data,
        "FSIZE" => Resource::Fsize,
        "LOCKS" => Resource::Locks,
        "MEMLOCK" => Resource::Memlock,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "NOFILE" => Resource::Nofile,
        "NPROC" => Resource::Nproc,
        "RSS" => Resource::Rss,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        "SIGPENDING" => Resource::Sigpending,
        "STACK" => Resource::Stack,
        _ => return None,
    }))
}

/// A kind of limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Resource);

impl Limit {
    /// Sets the calling process's limit. EPERM when `hard` is raised without CAP_SYS_RESOURCE.
    pub fn set(self, soft: u64, hard: u64) -> Result<()> {
        let option = |value| (value != UNLIMITED).then_some(value);
        rustix::process::setrlimit(
            self.0,
            Rlimit {
                current: option(soft),
                maximum: option(hard),
            },
        )
        .context(|| format!("prlimit64({:?}, {soft}, {hard})", self.0))
    }

    /// The calling process's soft and hard limit.
    #[must_use]
    pub fn get(self) -> (u64, u64) {
        let limit = rustix::process::getrlimit(self.0);
        (
            limit.current.unwrap_or(UNLIMITED),
            limit.maximum.unwrap_or(UNLIMITED),
        )
    }
}
