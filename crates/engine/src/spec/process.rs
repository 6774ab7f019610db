//! The process of a container, and the further ones of `exec`.

use oci::runtime::{Capabilities, ConsoleSize, Process, Rlimit, SeccompText, User};

use super::{Surroundings, wants_init};
use crate::error::{Error, Result};
use crate::exec::ExecOptions;
use crate::options::{HostOptions, Ulimit};
use crate::seccomp::{self, Profile, Target};
use crate::state::Birth;
use crate::users::Identity;

/// Where our init is bound, as Docker has it.
pub(super) const INIT: &str = "/sbin/docker-init";

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's first process.
pub(super) fn first(
    birth: &Birth,
    capabilities: Vec<String>,
    around: &Surroundings<'_>,
) -> Result<Process> {
    let options = &birth.options;
    let host = &options.host;
    let mut args = vec![birth.path.clone()];
    args.extend(birth.args.iter().cloned());
    if wants_init(options, around.config) {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let cwd = match options.working_dir.as_str() {
        "" => "/",
        dir => dir,
    };
    let (height, width) = host.console_size;
    Ok(Process {
        terminal: options.tty,
        console_size: (options.tty && height > 0 && width > 0)
            .then_some(ConsoleSize { height, width }),
        user: user(&around.identity),
        args,
        env: environment(
            [around.linked, &options.env],
            around.hostname,
            options.tty,
            around.identity.home.as_deref(),
        ),
        cwd: cwd.into(),
        capabilities: Some(capability_sets(capabilities, &around.identity)),
        rlimits: rlimits(&host.resources.ulimits, &around.config.ulimits),
        no_new_privileges: no_new_privileges(host)?
            .unwrap_or(around.config.no_new_privileges && !host.privileged),
        oom_score_adj: i32::try_from(host.oom_score_adj).ok(),
        ..Default::default()
    })
}

/// A process of `exec`, on the model of the first one.
pub(crate) fn for_exec(
    model: &Process,
    options: &ExecOptions,
    identity: &Identity,
    all_capabilities: &[String],
) -> Process {
    let mut env: Vec<String> = model
        .env
        .iter()
        .filter(|e| !e.starts_with("HOME="))
        .cloned()
        .collect();
    if options.tty && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    override_environment(&mut env, &options.env);
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", home(identity.home.as_deref())));
    }
    let bounding = if options.privileged {
        all_capabilities.to_vec()
    } else {
        model
            .capabilities
            .as_ref()
            .map(|c| c.bounding.clone())
            .unwrap_or_default()
    };
    Process {
        terminal: options.tty,
        console_size: options
            .console_size
            .filter(|_| options.tty)
            .map(|(height, width)| ConsoleSize { height, width }),
        user: user(identity),
        args: options.cmd.clone(),
        env,
        cwd: if options.working_dir.is_empty() {
            model.cwd.clone()
        } else {
            options.working_dir.clone().into()
        },
        capabilities: Some(capability_sets(bounding, identity)),
        ..model.clone()
    }
}

fn user(identity: &Identity) -> User {
    User {
        uid: identity.uid,
        gid: identity.gid,
        additional_gids: identity.additional_gids.clone(),
        ..Default::default()
    }
}

/// Only root gets more than the bounding set: it is what execve leaves to others anyway.
fn capability_sets(names: Vec<String>, identity: &Identity) -> Capabilities {
    let held = if identity.uid == 0 {
        names.clone()
    } else {
        Vec::new()
    };
    Capabilities {
        bounding: names,
        effective: held.clone(),
        permitted: held,
        ..Default::default()
    }
}

/// PATH, HOSTNAME, TERM and HOME below what links and then the options set.
pub(crate) fn environment(
    set: [&[String]; 2],
    hostname: &str,
    tty: bool,
    user_home: Option<&str>,
) -> Vec<String> {
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    for set in set {
        override_environment(&mut env, set);
    }
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", home(user_home)));
    }
    env
}

fn home(of_user: Option<&str>) -> &str {
    of_user.filter(|home| !home.is_empty()).unwrap_or("/")
}

/// Later assignments win and stay in the earlier one's place; a bare name removes.
pub(crate) fn override_environment(env: &mut Vec<String>, set: &[String]) {
    for entry in set {
        let (name, has_value) = entry
            .split_once('=')
            .map_or((entry.as_str(), false), |(name, _)| (name, true));
        let same = |e: &String| e.split_once('=').map_or(e.as_str(), |(n, _)| n) == name;
        if !has_value {
            env.retain(|e| !same(e));
        } else if let Some(there) = env.iter_mut().find(|e| same(e)) {
            there.clone_from(entry);
        } else {
            env.push(entry.clone());
        }
    }
}

/// The container's limits over the daemon's.
fn rlimits(own: &[Ulimit], default: &[Ulimit]) -> Vec<Rlimit> {
    let extra = default
        .iter()
        .filter(|d| !own.iter().any(|o| o.name == d.name));
    let value = |v: i64| u64::try_from(v).unwrap_or(u64::MAX);
    own.iter()
        .chain(extra)
        .map(|limit| Rlimit {
            kind: format!("RLIMIT_{}", limit.name.to_ascii_uppercase()),
            soft: value(limit.soft),
            hard: value(limit.hard),
        })
        .collect()
}

/// What `--security-opt` says on new privileges.
fn no_new_privileges(host: &HostOptions) -> Result<Option<bool>> {
    Ok(SecurityOptions::parse(host)?.no_new_privileges)
}

/// The filter in force; none for privileged or unconfined containers.
pub(super) fn seccomp(
    host: &HostOptions,
    capabilities: &[String],
    around: &Surroundings<'_>,
) -> Result<Option<SeccompText>> {
    let asked = SecurityOptions::parse(host)?.seccomp;
    let target = Target {
        capabilities,
        kernel: around.host.kernel,
        machine: std::env::consts::ARCH,
    };
    let profile = match (asked, around.config.seccomp_profile.as_deref()) {
        (Some("unconfined"), _) => return Ok(None),
        (None, _) if host.privileged => return Ok(None),
        (None | Some("builtin"), None | Some("builtin")) | (Some("builtin"), _) => {
            return Ok(Some(seccomp::builtin(target)));
        }
        (None, Some("unconfined")) => return Ok(None),
        (Some(json), _) | (None, Some(json)) => Profile::parse(json)?,
    };
    Ok(Some(SeccompText::from(&profile.resolve(target))))
}

/// Whether the container has a seccomp profile that is not this engine's.
pub(crate) fn brings_seccomp(host: &HostOptions) -> Result<bool> {
    let asked = SecurityOptions::parse(host)?.seccomp;
    Ok(asked.is_some_and(|profile| profile != "builtin"))
}

/// `--security-opt`, taken apart.
#[derive(Debug, Default)]
pub(crate) struct SecurityOptions<'a> {
    /// `unconfined`, `builtin`, or a profile's JSON.
    pub(crate) seccomp: Option<&'a str>,
    pub(crate) no_new_privileges: Option<bool>,
}

impl<'a> SecurityOptions<'a> {
    /// Refuses what is unknown, and AppArmor and SELinux beyond switching them off.
    pub(crate) fn parse(host: &'a HostOptions) -> Result<Self> {
        let mut parsed = Self::default();
        for option in &host.security_opt {
            let (name, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
                Some((name, value)) => (name, value),
                None => (option.as_str(), ""),
            };
            match (name, value) {
                ("no-new-privileges", "" | "true") => parsed.no_new_privileges = Some(true),
                ("no-new-privileges", "false") => parsed.no_new_privileges = Some(false),
                ("seccomp", profile) if !profile.is_empty() => parsed.seccomp = Some(profile),
                ("systempaths", "unconfined")
                | ("apparmor", "unconfined")
                | ("label", "disable") => {}
                ("apparmor" | "label" | "writable-cgroups", _) => {
                    return Err(Error::unsupported(format_args!("--security-opt {option}")));
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "invalid --security-opt 2: {option:?}"
                    )));
                }
            }
        }
        Ok(parsed)
    }

    /// Checks everything at creation, profiles included.
    pub(crate) fn check(host: &'a HostOptions) -> Result<()> {
        match Self::parse(host)?.seccomp {
            None | Some("unconfined" | "builtin") => Ok(()),
            Some(json) => Profile::parse(json).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_overridden_in_place() {
        let set = ["A=1", "PATH=/x", "A=2", "HOSTNAME"].map(str::to_owned);
        assert_eq!(
            environment([&[], &set], "h", true, None),
            ["PATH=/x", "TERM=xterm", "A=2", "HOME=/"]
        );
    }

    #[test]
    fn security_options() {
        let parse = |options: &[&str]| {
            let security_opt = options.iter().map(|o| (*o).to_owned()).collect();
            let host = HostOptions {
                security_opt,
                ..Default::default()
            };
            SecurityOptions::check(&host).map_err(|e| e.to_string())
        };
        assert!(parse(&["no-new-privileges", "seccomp=unconfined", "label=disable"]).is_ok());
        assert_eq!(
            parse(&["foo=bar"]).unwrap_err(),
            "invalid --security-opt 2: \"foo=bar\""
        );
        assert!(
            parse(&["apparmor=mine"])
                .unwrap_err()
                .contains("not supported")
        );
        assert!(
            parse(&["seccomp={"])
                .unwrap_err()
                .contains("decoding seccomp profile failed")
        );
    }
}
