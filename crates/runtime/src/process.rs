//! What a process is before it executes its program, for the container's first one and for those that come later:
//! rights, limits, ids, standard streams.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use linux::caps::{self, Sets};
use linux::file::{self, OFlags};
use linux::process as kernel;
use linux::rlimit::{self, Limit};
use linux::tty::{self, Size};
use linux::{Errno, seccomp as kernel_seccomp};
use oci::runtime::{Capabilities, Linux, Process, Rlimit, User};

use crate::error::Context as _;
use crate::seccomp::{self, Filter};
use crate::{Error, Result, program, scheduling};

/// `process` of the specification, checked.
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) filter: Option<Rc<Filter>>,
    user: User,
    capabilities: CapabilityMasks,
    rlimits: Vec<(Limit, Rlimit)>,
    no_new_privileges: bool,
    oom_score_adj: Option<i32>,
    apparmor_profile: Option<String>,
    scheduling: scheduling::Scheduling,
    personality: Option<u32>,
}

#[derive(Default)]
struct CapabilityMasks {
    bounding: u64,
    ambient: u64,
    sets: Sets,
}

impl ProcessPlan {
    /// `filters`: a folder of filters that were compiled before.
    pub(crate) fn new(process: &Process, linux: &Linux, filters: Option<&Path>) -> Result<Self> {
        let filter = seccomp::filter(linux.seccomp.as_ref(), filters)?;
        Self::with_filter(process, linux, filter.map(Rc::new))
    }

    /// With a filter that has been compiled before.
    pub(crate) fn with_filter(
        process: &Process,
        linux: &Linux,
        filter: Option<Rc<Filter>>,
    ) -> Result<Self> {
        if process.args.is_empty() {
            return Err(Error::invalid("process.args must not be empty"));
        }
        if !process.cwd.is_absolute() {
            return Err(Error::invalid("Cwd must be an absolute path"));
        }
        if !process.selinux_label.is_empty() {
            return Err(Error::invalid(
                "selinuxLabel needs SELinux, which is not supported",
            ));
        }
        Ok(Self {
            args: process.args.clone(),
            env: process.env.clone(),
            cwd: process.cwd.clone(),
            filter,
            user: process.user.clone(),
            capabilities: masks(process.capabilities.as_ref())?,
            rlimits: rlimits(&process.rlimits)?,
            no_new_privileges: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            apparmor_profile: Some(process.apparmor_profile.clone())
                .filter(|profile| !profile.is_empty()),
            scheduling: scheduling::Scheduling::new(process)?,
            personality: personality(linux)?,
        })
    }

    pub(crate) fn uid(&self) -> u32 {
        self.user.uid
    }

    /// First of all, while the process is still dumpable: otherwise the file would be the host's root's alone.
    pub(crate) fn set_oom_score(&self) -> Result<()> {
        let Some(adjustment) = self.oom_score_adj else {
            return Ok(());
        };
        file::write_at(
            file::CURRENT,
            "/proc/self/oom_score_adj",
            adjustment.to_string().as_bytes(),
        )
        .context(|| "failed to set oom_score_adj")
    }

    /// Limits, and what goes through the host's `/proc` before it is out of sight.
    pub(crate) fn apply_limits(&self) -> Result<()> {
        if let Some(profile) = &self.apparmor_profile {
            set_apparmor_profile(profile)?;
        }
        for (limit, value) in &self.rlimits {
            limit.set(value.soft, value.hard).context(|| {
                format!(
                    "error setting rlimits for ready process: error setting rlimit type {}",
                    value.kind
                )
            })?;
        }
        self.scheduling.apply()
    }

    /// Gives away every right that the program is not to have. Afterwards only [`ProcessPlan::finish`] is left.
    pub(crate) fn drop_privileges(&self) -> Result<()> {
        if let Some(persona) = self.personality {
            kernel::set_personality(persona.into()).context(|| "failed to set the personality")?;
        }
        if self.no_new_privileges {
            kernel::set_no_new_privileges().context(|| "failed to set no_new_privileges")?;
        } else {
            // Without it, loading needs CAP_SYS_ADMIN, which may be about to go.
            self.load_filter()?;
        }
        caps::limit_bounding(self.capabilities.bounding)
            .context(|| "unable to apply bounding set")?;
        kernel::set_keep_capabilities(true).context(|| "unable to set keep caps")?;
        // Root may enter folders that the user may not, and the other way round on a network filesystem.
        let entered = program::enter_folder(&self.cwd);
        self.become_user()?;
        if entered.is_err() {
            program::enter_folder(&self.cwd)?;
        }
        program::check_folder()?;
        kernel::set_keep_capabilities(false).context(|| "unable to clear keep caps")?;
        caps::set(self.capabilities.sets).context(|| "unable to apply caps")?;
        caps::set_ambient(self.capabilities.ambient).context(|| "unable to apply ambient caps")
    }

    fn become_user(&self) -> Result<()> {
        kernel::umask(self.user.umask.unwrap_or(0o022));
        match kernel::set_groups(&self.user.additional_gids) {
            // A user namespace whose maker may not.
            Err(error) if error.errno() == Errno::PERM && self.user.additional_gids.is_empty() => {}
            result => result.context(|| "unable to set supplementary groups")?,
        }
        kernel::set_gid(self.user.gid).context(|| "unable to set gid")?;
        kernel::set_uid(self.user.uid).context(|| "unable to set uid")
    }

    /// The filter comes last, so that it need allow as little as possible besides execve.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.no_new_privileges {
            self.load_filter()
        } else {
            Ok(())
        }
    }

    fn load_filter(&self) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        kernel_seccomp::load(&filter.program, filter.flags)
            .map(drop)
            .context(|| "unable to init seccomp")
    }
}

fn masks(capabilities: Option<&Capabilities>) -> Result<CapabilityMasks> {
    let Some(capabilities) = capabilities else {
        return Ok(CapabilityMasks::default());
    };
    let mask = |names: &[String]| {
        names.iter().try_fold(0, |mask, name| {
            let bit = caps::bit(name)
                .ok_or_else(|| Error::invalid(format!("unknown capability {name:?}")))?;
            Ok::<_, Error>(mask | bit)
        })
    };
    // A capability that this machine does not give us is passed over, as runc does: Docker's --privileged asks for all.
    let ours = caps::bounding();
    Ok(CapabilityMasks {
        bounding: mask(&capabilities.bounding)?,
        ambient: mask(&capabilities.ambient)? & ours,
        sets: Sets {
            effective: mask(&capabilities.effective)? & ours,
            permitted: mask(&capabilities.permitted)? & ours,
            inheritable: mask(&capabilities.inheritable)? & ours,
        },
    })
}

fn rlimits(rlimits: &[Rlimit]) -> Result<Vec<(Limit, Rlimit)>> {
    let check = |limit: &Rlimit| {
        let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or(&limit.kind);
        let resource = rlimit::resource(name)
            .ok_or_else(|| Error::invalid(format!("invalid rlimit type: {}", limit.kind)))?;
        Ok((resource, limit.clone()))
    };
    rlimits.iter().map(check).collect()
}

fn personality(linux: &Linux) -> Result<Option<u32>> {
    let Some(personality) = &linux.personality else {
        return Ok(None);
    };
    if let Some(flag) = personality.flags.first() {
        return Err(Error::invalid(format!(
            "personality flag {flag:?} is not supported"
        )));
    }
    match personality.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        domain => Err(Error::invalid(format!(
            "unknown personality domain {domain:?}"
        ))),
    }
}

/// On the next execve, the process gets the profile.
fn set_apparmor_profile(profile: &str) -> Result<()> {
    if profile == "unconfined" {
        return Ok(());
    }
    let describe = || format!("unable to apply apparmor profile {profile:?}");
    for path in ["/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"] {
        let fd = match file::open_at(
            file::CURRENT,
            path,
            file::OFlags::WRONLY,
            file::Mode::empty(),
        ) {
            Err(error) if error.errno() == Errno::NOENT => continue,
            result => result.context(describe)?,
        };
        if file::filesystem_magic(&fd).context(describe)? != file::PROC_MAGIC {
            return Err(Error::invalid(format!(
                "{}: {path} is not on procfs",
                describe()
            )));
        }
        return match file::write_once(fd, format!("exec {profile}").as_bytes()) {
            Err(error) if error.errno() == Errno::INVAL => Err(Error::invalid(format!(
                "{}: AppArmor is not enabled on this machine",
                describe()
            ))),
            result => result.context(describe),
        };
    }
    Err(Error::invalid(format!(
        "{}: AppArmor is not enabled on this machine",
        describe()
    )))
}

/// Standard streams, ready to be put in place.
pub(crate) enum Streams {
    Fds([OwnedFd; 3]),
    Terminal(Option<Size>),
}

/// Makes three descriptors the standard streams.
pub(crate) fn place(fds: &[impl AsFd; 3]) -> Result<()> {
    for (fd, target) in fds.iter().zip(0..) {
        linux::fd::place(fd.as_fd(), target).context(|| "failed to set up the standard streams")?;
    }
    Ok(())
}

/// The master and slave of a terminal of the container's own devpts, which `ptmx` was opened on.
pub(crate) fn make_terminal(ptmx: OwnedFd, size: Option<Size>) -> Result<(OwnedFd, OwnedFd)> {
    let describe = || "failed to make the terminal";
    if file::filesystem_magic(&ptmx).context(describe)? != file::DEVPTS_MAGIC {
        return Err(Error::invalid(
            "the container's /dev/ptmx is not of a devpts",
        ));
    }
    let slave = tty::unlock_and_open_slave(&ptmx).context(describe)?;
    if let Some(size) = size {
        tty::set_size(&ptmx, size).context(describe)?;
    }
    Ok((ptmx, slave))
}

/// Who has the host's /dev/null as a standard stream can change the mode and owner of the host's inode through
/// `/proc/self/fd`: it gets the container's own in its place. Called inside the container; one that has no null device
/// of its own gets an empty pipe, which reads the same.
pub(crate) fn replace_null_streams() -> Result<()> {
    let describe = || "failed to open the container's /dev/null";
    let mut own = None;
    for number in 0..3 {
        let is_hosts = linux::fd::standard(number)
            .and_then(|fd| file::stat(fd).ok())
            .is_some_and(|stat| is_null(&stat));
        if !is_hosts {
            continue;
        }
        let own = match &mut own {
            Some(own) => own,
            none => none.insert(containers_null().context(describe)?),
        };
        linux::fd::place(own.as_fd(), number).context(describe)?;
    }
    Ok(())
}

fn containers_null() -> linux::Result<OwnedFd> {
    // Whatever it is: it is not to be waited for, and not to become the terminal.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    if let Ok(found) = file::open(Path::new("/dev/null"), flags)
        && file::stat(&found).is_ok_and(|stat| is_null(&stat))
    {
        linux::fd::set_nonblocking(&found, false)?;
        return Ok(found);
    }
    linux::fd::pipe().map(|(reader, _)| reader)
}

fn is_null(stat: &file::Stat) -> bool {
    file::is_char_device(stat) && file::device_numbers(stat.st_rdev) == (1, 3)
}

/// The user may reopen its standard streams by `/dev/stdout`: they are given to it, but for the null device, which
/// is everybody's. What cannot be given away stays as it is.
pub(crate) fn give_streams_to(uid: u32) {
    for number in 0..3 {
        let Some(fd) = linux::fd::standard(number) else {
            continue;
        };
        let Ok(stat) = file::stat(fd) else { continue };
        if !is_null(&stat) && stat.st_uid != uid {
            let _ = file::change_owner_of(fd, uid, stat.st_gid);
        }
    }
}
