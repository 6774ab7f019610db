//! Which devices a container may use: the devices controller of version 1, a small eBPF program on version 2.

use linux::bpf::{self, Instruction};
use linux::file::{self, Mode, OFlags};
use oci::runtime::{DeviceKind, DeviceRule};

use super::{Cgroup, Folder};
use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// What every container may use, as runc has it, whatever the specification's rules say: making nodes, the default
/// devices, terminals.
const ALWAYS: [(DeviceKind, Option<i64>, Option<i64>, &str); 11] = [
    (DeviceKind::Char, None, None, "m"),
    (DeviceKind::Block, None, None, "m"),
    (DeviceKind::Char, Some(1), Some(3), "rwm"),
    (DeviceKind::Char, Some(1), Some(5), "rwm"),
    (DeviceKind::Char, Some(1), Some(7), "rwm"),
    (DeviceKind::Char, Some(1), Some(8), "rwm"),
    (DeviceKind::Char, Some(1), Some(9), "rwm"),
    (DeviceKind::Char, Some(5), Some(0), "rwm"),
    (DeviceKind::Char, Some(5), Some(2), "rwm"),
    (DeviceKind::Char, Some(10), Some(200), "rwm"), // /dev/net/tun
    (DeviceKind::Char, Some(136), None, "rwm"),
];

pub(super) fn set(cgroup: &Cgroup, rules: &[DeviceRule]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let rules = &with_always_allowed(rules);
    if let Some(folder) = cgroup.controller("devices") {
        return set_v1(folder, rules);
    }
    let Some(folder) = &cgroup.unified else {
        return Err(Error::new(
            Kind::Invalid,
            "cannot set device rules: no cgroup hierarchy for them is mounted",
        ));
    };
    let program = compile(rules)?;
    let loaded = bpf::load_device_program(&program).context(|| "load the device rules")?;
    bpf::attach_device_program(&folder.fd, loaded).context(|| "attach the device rules")
}

/// One write a rule, into files that are opened once.
fn set_v1(folder: &Folder, rules: &[DeviceRule]) -> Result<()> {
    let open = |name: &str| {
        file::open_at(&folder.fd, name, OFlags::WRONLY, Mode::empty())
            .context(|| format!("failed to open {name}"))
    };
    let (allow, deny) = (open("devices.allow")?, open("devices.deny")?);
    for rule in rules {
        let line = line(rule);
        file::write_once(if rule.allow { &allow } else { &deny }, line.as_bytes())
            .context(|| format!("failed to set the device rule {line:?}"))?;
    }
    Ok(())
}

/// The rules with those of [`ALWAYS`] that they do not say already.
fn with_always_allowed(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut all = rules.to_vec();
    for (kind, major, minor, access) in ALWAYS {
        let rule = DeviceRule {
            allow: true,
            kind: Some(kind),
            major,
            minor,
            access: access.to_owned(),
        };
        let is_said = |said: &DeviceRule| said.allow && line(said) == line(&rule);
        if !rules.iter().any(is_said) {
            all.push(rule);
        }
    }
    all
}

/// The line of `devices.allow`: `c 1:3 rwm`, or `a` for all.
fn line(rule: &DeviceRule) -> String {
    let number = |number: Option<i64>| match number {
        Some(number) if number >= 0 => number.to_string(),
        _ => "*".to_owned(),
    };
    let access = if rule.access.is_empty() {
        "rwm"
    } else {
        &rule.access
    };
    let kind = match rule.kind {
        Some(DeviceKind::Char) => "c",
        Some(DeviceKind::Block) => "b",
        _ => "a",
    };
    format!(
        "{kind} {}:{} {access}",
        number(rule.major),
        number(rule.minor)
    )
}

const ALLOW: i32 = 1;
const DENY: i32 = 0;

/// `struct bpf_cgroup_dev_ctx` in registers: r2 type, r3 access, r4 major, r5 minor. The rules are tried from the
/// last to the first, since later ones win.
fn compile(rules: &[DeviceRule]) -> Result<Vec<Instruction>> {
    let mut program = vec![
        load(2, 0),
        and(2, 0xffff),
        load(3, 0),
        shift_right(3, 16),
        load(4, 4),
        load(5, 8),
    ];
    for rule in rules.iter().rev() {
        let block = rule_block(rule)?;
        let is_final = block.len() == 2;
        program.extend(block);
        if is_final {
            return Ok(program);
        }
    }
    program.extend(answer(DENY));
    Ok(program)
}

/// Conditions that jump over the answer when they do not hold.
fn rule_block(rule: &DeviceRule) -> Result<Vec<Instruction>> {
    let mut conditions = Vec::new();
    match rule.kind {
        None | Some(DeviceKind::All) => {}
        Some(DeviceKind::Block) => conditions.push(vec![jump_unless_equal(2, 1)]),
        Some(DeviceKind::Char) => conditions.push(vec![jump_unless_equal(2, 2)]),
        Some(DeviceKind::Fifo) => {
            return Err(Error::new(
                Kind::Invalid,
                "a device rule cannot be for a FIFO",
            ));
        }
    }
    let access = access_bits(&rule.access)?;
    if access != 7 && rule.allow {
        // Allowed when nothing else is asked for.
        conditions.push(vec![
            copy(1, 3),
            and(1, !access & 7),
            jump_unless_equal(1, 0),
        ]);
    } else if access != 7 {
        // Denied when any of it is asked for.
        conditions.push(vec![copy(1, 3), and(1, access), jump_if_equal(1, 0)]);
    }
    for (register, number) in [(4, rule.major), (5, rule.minor)] {
        if let Some(number) = number.filter(|number| *number >= 0) {
            let number = i32::try_from(number)
                .map_err(|_| Error::new(Kind::Invalid, "device number too large"))?;
            conditions.push(vec![jump_unless_equal(register, number)]);
        }
    }
    let mut block = conditions.concat();
    block.extend(answer(if rule.allow { ALLOW } else { DENY }));
    let end = block.len();
    for (index, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL) {
            instruction.offset = i16::try_from(end - index - 1).unwrap_or(i16::MAX);
        }
    }
    Ok(block)
}

fn access_bits(access: &str) -> Result<i32> {
    if access.is_empty() {
        return Ok(7);
    }
    access.chars().try_fold(0, |bits, letter| match letter {
        'm' => Ok(bits | 1),
        'r' => Ok(bits | 2),
        'w' => Ok(bits | 4),
        _ => Err(Error::new(
            Kind::Invalid,
            format!("invalid device access {access:?}"),
        )),
    })
}

const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_UNLESS_EQUAL: u8 = 0x55;

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

/// A word of the context, which r1 points to; valid until r1 is used for something else.
const fn load(register: u8, offset: i16) -> Instruction {
    instruction(0x61, register | 1 << 4, offset, 0)
}

const fn and(register: u8, mask: i32) -> Instruction {
    instruction(0x54, register, 0, mask)
}

const fn shift_right(register: u8, bits: i32) -> Instruction {
    instruction(0x74, register, 0, bits)
}

const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbc, to | from << 4, 0, 0)
}

const fn jump_if_equal(register: u8, value: i32) -> Instruction {
    instruction(JUMP_IF_EQUAL, register, 0, value)
}

const fn jump_unless_equal(register: u8, value: i32) -> Instruction {
    instruction(JUMP_UNLESS_EQUAL, register, 0, value)
}

const fn answer(value: i32) -> [Instruction; 2] {
    [instruction(0xb7, 0, 0, value), instruction(0x95, 0, 0, 0)]
}

#[cfg(test)]
mod tests;
