//! One architecture's part of a filter: which number has which outcome.

use std::collections::BTreeMap;

use linux::seccomp::Instruction;
use oci::runtime::{Seccomp, SeccompAction, SeccompArg};

use super::numbers::NUMBERS;
use super::{
    ENOSYS, IF_GREATER_OR_EQUAL, NUMBER_AT, answer, conditions, instruction, jump, load, outcome,
    outcome_of,
};
use crate::Result;

/// What the kernel tells apart by `AUDIT_ARCH_*`. The calls of x32 are x86-64's with a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    X86_64 { x32: bool },
    X86,
    Aarch64,
}

const X32_BIT: u32 = 0x4000_0000;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Sealed(u32),
    /// The first rule whose conditions all hold decides, then the last outcome.
    Depends(Vec<(Vec<SeccompArg>, u32)>, u32),
}

/// Ranges by their first number; each ends where the next begins.
type Ranges = BTreeMap<u32, Fate>;

impl Architecture {
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 { .. } => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    pub(super) fn section(self, seccomp: &Seccomp, default: u32) -> Result<Vec<Instruction>> {
        let mut ranges = Ranges::new();
        match self {
            Self::X86_64 { x32 } => {
                add_column(&mut ranges, seccomp, default, 0, 0)?;
                if x32 {
                    add_column(&mut ranges, seccomp, default, 2, X32_BIT)?;
                } else {
                    ranges.insert(X32_BIT, Fate::Sealed(outcome::KILL_THREAD));
                }
            }
            Self::X86 => add_column(&mut ranges, seccomp, default, 1, 0)?,
            Self::Aarch64 => add_column(&mut ranges, seccomp, default, 3, 0)?,
        }
        let mut merged: Vec<(u32, Fate)> = Vec::new();
        for (start, fate) in ranges {
            if merged.last().is_none_or(|(_, last)| *last != fate) {
                merged.push((start, fate));
            }
        }
        let mut section = vec![load(NUMBER_AT)];
        section.extend(search(&merged));
        Ok(section)
    }
}

/// The numbers of one column of the table, `base` added.
fn add_column(
    ranges: &mut Ranges,
    seccomp: &Seccomp,
    default: u32,
    column: usize,
    base: u32,
) -> Result<()> {
    let fates = fates(seccomp, default, column)?;
    ranges.insert(base, Fate::Sealed(default));
    for (number, fate) in &fates {
        ranges
            .entry(base + number + 1)
            .or_insert(Fate::Sealed(default));
        ranges.insert(base + number, fate.clone());
    }
    let is_denial = !matches!(
        seccomp.default_action,
        SeccompAction::Allow | SeccompAction::Log
    );
    if let Some(newest) = fates.keys().next_back().filter(|_| is_denial) {
        ranges.insert(base + newest + 1, Fate::Sealed(outcome::ERRNO | ENOSYS));
    }
    Ok(())
}

fn fates(seccomp: &Seccomp, default: u32, column: usize) -> Result<BTreeMap<u32, Fate>> {
    let mut rules: BTreeMap<u32, Rules> = BTreeMap::new();
    for rule in &seccomp.syscalls {
        let outcome = outcome_of(rule.action, rule.errno_ret)?;
        conditions::check(&rule.args)?;
        for number in rule.names.iter().filter_map(|name| number(name, column)) {
            rules.entry(number).or_default().add(&rule.args, outcome);
        }
    }
    Ok(rules
        .into_iter()
        .map(|(number, rules)| (number, rules.fate(default)))
        .collect())
}

/// The rules of one call, in the profile's order; the first whose conditions hold counts.
#[derive(Default)]
struct Rules {
    conditional: Vec<(Vec<SeccompArg>, u32)>,
    /// A rule without conditions; what comes after it does not count.
    last: Option<u32>,
}

impl Rules {
    fn add(&mut self, args: &[SeccompArg], outcome: u32) {
        // Two conditions on one argument mean either, in the profiles that runc made current.
        let is_repeated =
            |arg: &SeccompArg| args.iter().filter(|other| other.index == arg.index).count() > 1;
        match self.last {
            Some(_) => {}
            None if args.is_empty() => self.last = Some(outcome),
            None if args.iter().any(is_repeated) => {
                self.conditional
                    .extend(args.iter().map(|arg| (vec![*arg], outcome)));
            }
            None => self.conditional.push((args.to_vec(), outcome)),
        }
    }

    fn fate(self, default: u32) -> Fate {
        let last = self.last.unwrap_or(default);
        if self.conditional.iter().all(|(_, outcome)| *outcome == last) {
            return Fate::Sealed(last);
        }
        Fate::Depends(self.conditional, last)
    }
}

impl Fate {
    fn code(&self) -> Vec<Instruction> {
        match self {
            Self::Sealed(outcome) => vec![answer(*outcome)],
            Self::Depends(rules, last) => {
                let mut code: Vec<_> = rules
                    .iter()
                    .flat_map(|(args, outcome)| conditions::rule(args, *outcome))
                    .collect();
                code.push(answer(*last));
                code
            }
        }
    }
}

fn number(name: &str, column: usize) -> Option<u32> {
    let row = NUMBERS
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    u32::try_from(NUMBERS[row].1[column]).ok()
}

/// A binary search for the range that the accumulator is in, down to its outcome.
fn search(ranges: &[(u32, Fate)]) -> Vec<Instruction> {
    match ranges {
        [] => Vec::new(),
        [(_, fate)] => fate.code(),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let low = search(low);
            let mut code = match u8::try_from(low.len()) {
                Ok(near) => vec![instruction(IF_GREATER_OR_EQUAL, near, 0, high[0].0)],
                Err(_) => vec![
                    instruction(IF_GREATER_OR_EQUAL, 0, 1, high[0].0),
                    jump(low.len()),
                ],
            };
            code.extend(low);
            code.extend(search(high));
            code
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(NUMBERS.is_sorted_by(|one, other| one.0 < other.0));
        assert_eq!(number("read", 0), Some(0));
        assert_eq!(number("read", 1), Some(3));
        assert_eq!(number("read", 3), Some(63));
        assert_eq!(number("open", 3), None);
        assert_eq!(number("nope", 0), None);
    }
}
