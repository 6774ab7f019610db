//! Conditions on a call's 64-bit arguments, by a machine whose words have 32 bits.

use linux::seccomp::Instruction;
use oci::runtime::{SeccompArg, SeccompOperator};

use super::{
    AND, ARGUMENTS_AT, IF_EQUAL, IF_GREATER, IF_GREATER_OR_EQUAL, answer, instruction, load,
};
use crate::{Error, Result};

pub(super) fn check(args: &[SeccompArg]) -> Result<()> {
    match args.iter().find(|arg| arg.index > 5) {
        Some(arg) => Err(Error::invalid(format!(
            "seccomp argument index {} is not 0 to 5",
            arg.index
        ))),
        None => Ok(()),
    }
}

/// Where a comparison goes.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// The condition holds.
    Pass,
    /// It does not.
    Fail,
}

/// One instruction whose jumps are not numbers yet.
struct Step {
    code: u16,
    k: u32,
    jumps: (To, To),
}

/// The outcome if all conditions hold, else on to what follows. At most six conditions of five instructions each,
/// so every jump is a short one.
pub(super) fn rule(args: &[SeccompArg], outcome: u32) -> Vec<Instruction> {
    let blocks: Vec<Vec<Step>> = args.iter().map(condition).collect();
    let total = blocks.iter().map(Vec::len).sum::<usize>() + 1;
    let mut code = Vec::with_capacity(total);
    let mut pass = 0;
    for block in &blocks {
        pass += block.len();
        for step in block {
            let here = code.len() + 1;
            let distance = |to: To| match to {
                To::Next => 0,
                To::Pass => u8::try_from(pass - here).unwrap_or(u8::MAX),
                To::Fail => u8::try_from(total - here).unwrap_or(u8::MAX),
            };
            code.push(instruction(
                step.code,
                distance(step.jumps.0),
                distance(step.jumps.1),
                step.k,
            ));
        }
    }
    code.push(answer(outcome));
    code
}

fn condition(arg: &SeccompArg) -> Vec<Step> {
    let (low_at, high_at) = (
        ARGUMENTS_AT + 8 * arg.index,
        ARGUMENTS_AT + 8 * arg.index + 4,
    );
    let (low, high) = halves(arg.value);
    let plain = |instruction: Instruction| Step {
        code: instruction.code,
        k: instruction.k,
        jumps: (To::Next, To::Next),
    };
    let compare = |code: u16, k: u32, yes: To, no: To| Step {
        code,
        k,
        jumps: (yes, no),
    };
    let (get_low, get_high) = (|| plain(load(low_at)), || plain(load(high_at)));
    match arg.op {
        SeccompOperator::Equal => vec![
            get_high(),
            compare(IF_EQUAL, high, To::Next, To::Fail),
            get_low(),
            compare(IF_EQUAL, low, To::Pass, To::Fail),
        ],
        SeccompOperator::NotEqual => vec![
            get_high(),
            compare(IF_EQUAL, high, To::Next, To::Pass),
            get_low(),
            compare(IF_EQUAL, low, To::Fail, To::Pass),
        ],
        SeccompOperator::MaskedEqual => {
            let (wanted_low, wanted_high) = halves(arg.value_two);
            let mask = |k: u32| plain(instruction(AND, 0, 0, k));
            vec![
                get_high(),
                mask(high),
                compare(IF_EQUAL, wanted_high, To::Next, To::Fail),
                get_low(),
                mask(low),
                compare(IF_EQUAL, wanted_low, To::Pass, To::Fail),
            ]
        }
        SeccompOperator::Greater | SeccompOperator::GreaterOrEqual => {
            let code = if arg.op == SeccompOperator::Greater {
                IF_GREATER
            } else {
                IF_GREATER_OR_EQUAL
            };
            vec![
                get_high(),
                compare(IF_GREATER, high, To::Pass, To::Next),
                compare(IF_EQUAL, high, To::Next, To::Fail),
                get_low(),
                compare(code, low, To::Pass, To::Fail),
            ]
        }
        SeccompOperator::Less | SeccompOperator::LessOrEqual => {
            let code = if arg.op == SeccompOperator::Less {
                IF_GREATER_OR_EQUAL
            } else {
                IF_GREATER
            };
            vec![
                get_high(),
                compare(IF_GREATER, high, To::Fail, To::Next),
                compare(IF_EQUAL, high, To::Next, To::Pass),
                get_low(),
                compare(code, low, To::Fail, To::Pass),
            ]
        }
    }
}

fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}
