//! The modes of namespaces, checked once and then types: `host`, `none`, `container:NAME` and so on.

use std::str::FromStr;

use crate::error::{Error, Result};

/// `--network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Network {
    /// A namespace of its own with nothing but loopback.
    None,
    Host,
    Container(String),
    /// A namespace of its own that is connected to this network, and perhaps to others.
    Named(String),
}

/// `--pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pid {
    Private,
    Host,
    Container(String),
}

/// `--ipc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ipc {
    Private,
    /// Private, without /dev/shm.
    None,
    Shareable,
    Host,
    Container(String),
}

/// `--uts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uts {
    Private,
    Host,
}

/// `--cgroupns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupNs {
    Default,
    Private,
    Host,
}

/// `--userns`: user namespaces are not remapped, so `host` is what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserNs;

fn other_container(mode: &str) -> Option<String> {
    mode.strip_prefix("container:")
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "none" => Ok(Self::None),
            "" | "default" => Ok(Self::Named(crate::networks::BRIDGE.to_owned())),
            "host" => Ok(Self::Host),
            _ => match other_container(mode) {
                Some(name) => Ok(Self::Container(name)),
                None if mode.starts_with("container:") => Err(Error::invalid(
                    "Invalid network mode: invalid container format container:<name|id>",
                )),
                None => Ok(Self::Named(mode.to_owned())),
            },
        }
    }
}

impl FromStr for Pid {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "" | "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            _ => other_container(mode)
                .map(Self::Container)
                .ok_or_else(|| Error::invalid("invalid PID mode")),
        }
    }
}

impl FromStr for Ipc {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "" | "private" => Ok(Self::Private),
            "none" => Ok(Self::None),
            "shareable" => Ok(Self::Shareable),
            "host" => Ok(Self::Host),
            _ => other_container(mode)
                .map(Self::Container)
                .ok_or_else(|| Error::invalid(format!("invalid IPC mode: {mode}"))),
        }
    }
}

impl FromStr for Uts {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "" | "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            _ => Err(Error::invalid("invalid UTS mode")),
        }
    }
}

impl FromStr for CgroupNs {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "" => Ok(Self::Default),
            "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            _ => Err(Error::invalid(format!(
                "invalid cgroup namespace mode: {mode}"
            ))),
        }
    }
}

impl FromStr for UserNs {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "" | "host" => Ok(Self),
            _ => Err(Error::invalid("invalid USER mode")),
        }
    }
}
