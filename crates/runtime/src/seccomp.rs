//! The compiler from `linux.seccomp` to classic BPF, in the terms of the kernel's seccomp(2).
//!
//! For each architecture the numbers are cut into ranges with one outcome each, and a binary search finds the range:
//! about eight comparisons for Docker's profile of some 400 calls. Only calls with conditions look at arguments. As
//! in runc, a call that is newer than every call the profile knows fails with ENOSYS, so that programs fall back.

mod conditions;
mod kept;
mod numbers;
mod ranges;

use std::path::Path;

use linux::seccomp::{Instruction, MAX_INSTRUCTIONS, flags};
use oci::runtime::{Seccomp, SeccompAction, SeccompText};

use crate::{Error, Result};
use ranges::Architecture;

/// A filter ready to load.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) program: Vec<Instruction>,
    pub(crate) flags: u32,
}

/// `SECCOMP_RET_*`.
mod outcome {
    pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(super) const KILL_THREAD: u32 = 0;
    pub(super) const TRAP: u32 = 0x0003_0000;
    pub(super) const ERRNO: u32 = 0x0005_0000;
    pub(super) const TRACE: u32 = 0x7ff0_0000;
    pub(super) const LOG: u32 = 0x7ffc_0000;
    pub(super) const ALLOW: u32 = 0x7fff_0000;
}

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const MAX_ERRNO: u32 = 4095;

/// The filter of a profile: from `folder`, or else compiled and kept there for the next container.
pub(crate) fn filter(
    profile: Option<&SeccompText>,
    folder: Option<&Path>,
) -> Result<Option<Filter>> {
    let Some(profile) = profile else {
        return Ok(None);
    };
    if let Some(kept) = folder.and_then(|folder| kept::find(folder, profile.text())) {
        return Ok(Some(kept));
    }
    let seccomp = profile
        .read()
        .map_err(|error| Error::invalid(format!("linux.seccomp is not understood: {error}")))?;
    let filter = compile(&seccomp)?;
    if let Some(folder) = folder {
        // Without it, the next container takes a millisecond more.
        let _ = kept::keep(folder, profile.text(), &filter);
    }
    Ok(Some(filter))
}

fn compile(seccomp: &Seccomp) -> Result<Filter> {
    if !seccomp.listener_path.as_os_str().is_empty() || !seccomp.listener_metadata.is_empty() {
        return Err(Error::invalid("seccomp listenerPath is not supported"));
    }
    let default = outcome_of(seccomp.default_action, seccomp.default_errno_ret)?;
    let mut program = vec![load(ARCHITECTURE_AT)];
    for architecture in architectures(&seccomp.architectures)? {
        let section = architecture.section(seccomp, default)?;
        program.extend(unless_equal_skip(architecture.audit(), section.len()));
        program.extend(section);
    }
    // Another architecture's numbers mean other calls.
    program.push(answer(outcome::KILL_THREAD));
    if program.len() > MAX_INSTRUCTIONS {
        let message = format!(
            "the seccomp profile is too long: {} of {MAX_INSTRUCTIONS} instructions",
            program.len()
        );
        return Err(Error::invalid(message));
    }
    Ok(Filter {
        program,
        flags: flags_of(&seccomp.flags)?,
    })
}

fn outcome_of(action: SeccompAction, errno: Option<u32>) -> Result<u32> {
    let errno = errno.unwrap_or(EPERM);
    if errno > MAX_ERRNO {
        return Err(Error::invalid(format!(
            "seccomp errnoRet {errno} is no errno"
        )));
    }
    Ok(match action {
        SeccompAction::Kill | SeccompAction::KillThread => outcome::KILL_THREAD,
        SeccompAction::KillProcess => outcome::KILL_PROCESS,
        SeccompAction::Trap => outcome::TRAP,
        SeccompAction::Errno => outcome::ERRNO | errno,
        SeccompAction::Trace => outcome::TRACE | errno,
        SeccompAction::Log => outcome::LOG,
        SeccompAction::Allow => outcome::ALLOW,
        SeccompAction::Notify => {
            return Err(Error::invalid(
                "seccomp action SCMP_ACT_NOTIFY is not supported",
            ));
        }
    })
}

fn flags_of(names: &[String]) -> Result<u32> {
    if names.is_empty() {
        return Ok(flags::SPEC_ALLOW);
    }
    names.iter().try_fold(0, |all, name| match name.as_str() {
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(all | flags::TSYNC),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(all | flags::LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(all | flags::SPEC_ALLOW),
        _ => Err(Error::invalid(format!(
            "seccomp flag {name:?} is not supported"
        ))),
    })
}

/// Our own first, then those the profile names and this machine can execute.
fn architectures(names: &[String]) -> Result<Vec<Architecture>> {
    let named = |wanted: &str| {
        names
            .iter()
            .any(|name| name.strip_prefix("SCMP_ARCH_").unwrap_or(name) == wanted)
    };
    const KNOWN: [&str; 20] = [
        "X86",
        "X86_64",
        "X32",
        "ARM",
        "AARCH64",
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "MIPSEL",
        "MIPSEL64",
        "MIPSEL64N32",
        "PPC",
        "PPC64",
        "PPC64LE",
        "S390",
        "S390X",
        "PARISC",
        "PARISC64",
        "RISCV64",
        "LOONGARCH64",
    ];
    let is_known =
        |name: &&String| !KNOWN.contains(&name.strip_prefix("SCMP_ARCH_").unwrap_or(name));
    if let Some(name) = names.iter().find(is_known) {
        return Err(Error::invalid(format!(
            "unknown seccomp architecture {name:?}"
        )));
    }
    if cfg!(target_arch = "aarch64") {
        return Ok(vec![Architecture::Aarch64]);
    }
    let mut all = vec![Architecture::X86_64 { x32: named("X32") }];
    if named("X86") {
        all.push(Architecture::X86);
    }
    Ok(all)
}

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`, `| BPF_JEQ | BPF_K`, `| BPF_JGT | BPF_K`, `| BPF_JGE | BPF_K`.
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_GREATER_OR_EQUAL: u16 = 0x35;
/// `BPF_RET | BPF_K`.
const ANSWER: u16 = 0x06;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn load(offset: u32) -> Instruction {
    instruction(LOAD, 0, 0, offset)
}

const fn answer(outcome: u32) -> Instruction {
    instruction(ANSWER, 0, 0, outcome)
}

/// Goes on if the accumulator is `value`, else over the next `length` instructions, however many they are.
fn unless_equal_skip(value: u32, length: usize) -> Vec<Instruction> {
    match u8::try_from(length) {
        Ok(near) => vec![instruction(IF_EQUAL, 0, near, value)],
        Err(_) => vec![instruction(IF_EQUAL, 1, 0, value), jump(length)],
    }
}

fn jump(length: usize) -> Instruction {
    instruction(JUMP, 0, 0, u32::try_from(length).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
