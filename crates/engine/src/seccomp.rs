//! Seccomp profiles in Docker's JSON schema, resolved for one container.
//!
//! A profile names system calls under conditions (capabilities, architecture, kernel version); [`Profile::resolve`] weighs
//! those and leaves what the runtime loads. `seccomp/default.json` allows and refuses what Docker's default profile does.

use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use oci::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompRule, SeccompText};
use serde::Deserialize;

use crate::error::{Error, Result};

/// What a container gets that asked for nothing else.
pub(crate) static DEFAULT: LazyLock<Profile> = LazyLock::new(|| {
    Profile::parse(include_str!("seccomp/default.json")).expect("the built-in profile parses")
});

/// The built-in profile for a container. Nearly all have the same capabilities, so the last answer is remembered.
pub(crate) fn builtin(target: Target<'_>) -> SeccompText {
    static LAST: Mutex<Option<(Vec<String>, SeccompText)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((capabilities, text)) = &*last
        && capabilities == target.capabilities
    {
        return text.clone();
    }
    let text = SeccompText::from(&DEFAULT.resolve(target));
    *last = Some((target.capabilities.to_vec(), text.clone()));
    text
}

/// A profile as `--security-opt seccomp=FILE` brings it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    default_action: SeccompAction,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<Architecture>>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    listener_path: String,
    #[serde(default)]
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: SeccompAction,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<SeccompArg>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    min_kernel: Option<KernelVersion>,
}

/// The machine and the container a profile is resolved for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The container's bounding set, as `CAP_CHOWN`.
    pub(crate) capabilities: &'a [String],
    pub(crate) kernel: KernelVersion,
    /// As Rust names it: `x86_64`, `aarch64`.
    pub(crate) machine: &'a str,
}

/// The first two numbers of a kernel release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KernelVersion(pub(crate) u32, pub(crate) u32);

impl Profile {
    /// Reads a profile; the errors are Docker's.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let profile: Self = serde_json::from_str(json)
            .map_err(|e| Error::invalid("decoding seccomp profile failed").caused_by(e))?;
        let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        if filled(&profile.architectures)
            && profile.arch_map.as_ref().is_some_and(|m| !m.is_empty())
        {
            return Err(Error::invalid(
                "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
            ));
        }
        if profile
            .rules()
            .any(|rule| !rule.name.is_empty() && filled(&rule.names))
        {
            return Err(Error::invalid(
                "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'",
            ));
        }
        if !profile.listener_path.is_empty() {
            return Err(Error::unsupported("listenerPath in a seccomp profile"));
        }
        Ok(profile)
    }

    /// What the runtime loads for a container.
    pub(crate) fn resolve(&self, target: Target<'_>) -> Seccomp {
        Seccomp {
            default_action: self.default_action,
            default_errno_ret: self.default_errno_ret,
            architectures: self.architectures_of(target.machine),
            flags: self.flags.clone(),
            listener_path: Default::default(),
            listener_metadata: String::new(),
            syscalls: self
                .rules()
                .filter(|rule| rule.applies(target))
                .map(Rule::resolved)
                .collect(),
        }
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.syscalls.iter().flatten()
    }

    fn architectures_of(&self, machine: &str) -> Vec<String> {
        let native = match machine {
            "x86_64" => "SCMP_ARCH_X86_64",
            "aarch64" => "SCMP_ARCH_AARCH64",
            _ => "",
        };
        let mapped = self
            .arch_map
            .iter()
            .flatten()
            .find(|a| a.architecture == native);
        match mapped {
            Some(entry) => std::iter::once(&entry.architecture)
                .chain(entry.sub_architectures.iter().flatten())
                .cloned()
                .collect(),
            None => self.architectures.clone().unwrap_or_default(),
        }
    }
}

impl Rule {
    fn applies(&self, target: Target<'_>) -> bool {
        self.includes.as_ref().is_none_or(|c| c.includes(target))
            && !self.excludes.as_ref().is_some_and(|c| c.excludes(target))
    }

    fn resolved(&self) -> SeccompRule {
        let names = match &self.names {
            Some(names) if !names.is_empty() => names.clone(),
            _ => vec![self.name.clone()],
        };
        SeccompRule {
            names,
            action: self.action,
            errno_ret: self.errno_ret,
            args: self.args.clone().unwrap_or_default(),
        }
    }
}

impl Condition {
    /// Every part that is given must hold.
    fn includes(&self, target: Target<'_>) -> bool {
        let arch = self
            .arches
            .as_deref()
            .is_none_or(|a| a.is_empty() || names(a, target.machine));
        let caps = self
            .caps
            .iter()
            .flatten()
            .all(|c| target.capabilities.contains(c));
        arch && caps && self.min_kernel.is_none_or(|least| target.kernel >= least)
    }

    /// Any part that is given suffices.
    fn excludes(&self, target: Target<'_>) -> bool {
        self.arches
            .as_deref()
            .is_some_and(|a| names(a, target.machine))
            || self
                .caps
                .iter()
                .flatten()
                .any(|c| target.capabilities.contains(c))
            || self.min_kernel.is_some_and(|least| target.kernel >= least)
    }
}

/// Profiles name architectures as Go does.
fn names(arches: &[String], machine: &str) -> bool {
    let go = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    arches.iter().any(|a| a == go)
}

impl FromStr for KernelVersion {
    type Err = Error;

    /// Reads the numbers before anything else in `6.18.3-cloud-amd64`.
    fn from_str(release: &str) -> Result<Self> {
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Ok(Self(major, minor)),
            _ => Err(Error::invalid(format!(
                "invalid kernel version {release:?}"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for KernelVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
