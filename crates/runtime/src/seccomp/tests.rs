use linux::seccomp::Instruction;
use oci::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};
use proptest::prelude::*;

use super::*;

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const X32: u32 = 0x4000_0000;

/// The few instructions of classic BPF that the compiler uses, as the kernel runs them.
fn run(program: &[Instruction], architecture: u32, number: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend([0; 8]);
    args.iter().for_each(|arg| data.extend(arg.to_le_bytes()));
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let mut branch = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            LOAD => accumulator = u32::from_le_bytes(data[k as usize..][..4].try_into().unwrap()),
            AND => accumulator &= k,
            JUMP => at += k as usize,
            IF_EQUAL => branch(accumulator == k),
            IF_GREATER => branch(accumulator > k),
            IF_GREATER_OR_EQUAL => branch(accumulator >= k),
            ANSWER => return k,
            _ => panic!("code {code:#x}"),
        }
    }
}

fn profile(rules: Vec<SeccompRule>) -> Seccomp {
    Seccomp {
        default_action: SeccompAction::Errno,
        default_errno_ret: None,
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
            .map(str::to_owned)
            .to_vec(),
        flags: Vec::new(),
        listener_path: std::path::PathBuf::new(),
        listener_metadata: String::new(),
        syscalls: rules,
    }
}

fn rule(names: &[&str], action: SeccompAction, args: &[SeccompArg]) -> SeccompRule {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    SeccompRule {
        names,
        action,
        errno_ret: None,
        args: args.to_vec(),
    }
}

fn arg(index: u32, op: SeccompOperator, value: u64, value_two: u64) -> SeccompArg {
    SeccompArg {
        index,
        value,
        value_two,
        op,
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn each_architecture_has_its_numbers() {
    let seccomp = profile(vec![rule(
        &["read", "getpid", "statx", "no_such_call"],
        SeccompAction::Allow,
        &[],
    )]);
    let program = compile(&seccomp).unwrap().program;
    let outcome = |architecture, number| run(&program, architecture, number, [0; 6]);
    assert_eq!(outcome(X86_64, 0), outcome::ALLOW);
    assert_eq!(outcome(X86_64, 39), outcome::ALLOW);
    assert_eq!(outcome(X86_64, 1), outcome::ERRNO | EPERM);
    assert_eq!(outcome(X86, 3), outcome::ALLOW);
    assert_eq!(outcome(X86, 0), outcome::ERRNO | EPERM);
    assert_eq!(outcome(X86_64, X32), outcome::ALLOW);
    assert_eq!(outcome(X86_64, X32 | 1), outcome::ERRNO | EPERM);
    assert_eq!(outcome(0xc000_00b7, 0), outcome::KILL_THREAD);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_newer_than_the_profile_do_not_exist() {
    let seccomp = profile(vec![rule(&["read", "statx"], SeccompAction::Allow, &[])]);
    let program = compile(&seccomp).unwrap().program;
    assert_eq!(run(&program, X86_64, 331, [0; 6]), outcome::ERRNO | EPERM);
    assert_eq!(run(&program, X86_64, 332, [0; 6]), outcome::ALLOW);
    assert_eq!(run(&program, X86_64, 333, [0; 6]), outcome::ERRNO | ENOSYS);
    assert_eq!(run(&program, X86_64, 9999, [0; 6]), outcome::ERRNO | ENOSYS);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn without_x32_its_calls_are_fatal() {
    let mut seccomp = profile(vec![rule(&["read"], SeccompAction::Allow, &[])]);
    seccomp.architectures.clear();
    let program = compile(&seccomp).unwrap().program;
    assert_eq!(run(&program, X86_64, X32, [0; 6]), outcome::KILL_THREAD);
    assert_eq!(run(&program, X86, 3, [0; 6]), outcome::KILL_THREAD);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn docker_keeps_clone_from_making_namespaces() {
    let namespaces = arg(0, SeccompOperator::MaskedEqual, 2_114_060_288, 0);
    let mut enosys = rule(&["clone3"], SeccompAction::Errno, &[]);
    enosys.errno_ret = Some(38);
    let rules = vec![
        rule(&["clone"], SeccompAction::Allow, &[namespaces]),
        enosys,
    ];
    let program = compile(&profile(rules)).unwrap().program;
    let clone = |flags| run(&program, X86_64, 56, [flags, 0, 0, 0, 0, 0]);
    assert_eq!(clone(0x11), outcome::ALLOW);
    assert_eq!(clone(0x1000_0000), outcome::ERRNO | EPERM);
    assert_eq!(run(&program, X86_64, 435, [0; 6]), outcome::ERRNO | 38);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn repeated_arguments_mean_either_and_earlier_rules_win() {
    let either = [
        arg(0, SeccompOperator::Equal, 1, 0),
        arg(0, SeccompOperator::Equal, 8, 0),
    ];
    let rules = vec![
        rule(&["personality"], SeccompAction::Allow, &either),
        rule(
            &["personality"],
            SeccompAction::KillProcess,
            &[arg(0, SeccompOperator::Equal, 8, 0)],
        ),
        rule(&["personality"], SeccompAction::Log, &[]),
        rule(
            &["personality"],
            SeccompAction::Trap,
            &[arg(0, SeccompOperator::Equal, 9, 0)],
        ),
    ];
    let program = compile(&profile(rules)).unwrap().program;
    let personality = |value| run(&program, X86_64, 135, [value, 0, 0, 0, 0, 0]);
    assert_eq!(
        [1, 8, 9].map(personality),
        [outcome::ALLOW, outcome::ALLOW, outcome::LOG]
    );
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refusal = |change: fn(&mut Seccomp)| {
        let mut seccomp = profile(Vec::new());
        change(&mut seccomp);
        compile(&seccomp).unwrap_err().to_string()
    };
    assert!(
        refusal(|seccomp| seccomp.default_action = SeccompAction::Notify)
            .contains("SCMP_ACT_NOTIFY")
    );
    assert!(
        refusal(|seccomp| seccomp.flags = vec!["SECCOMP_FILTER_FLAG_NEW".into()])
            .contains("FLAG_NEW")
    );
    assert!(
        refusal(|seccomp| seccomp.architectures = vec!["SCMP_ARCH_Z80".into()]).contains("Z80")
    );
    assert!(refusal(|seccomp| seccomp.listener_path = "/x".into()).contains("listenerPath"));
    assert!(refusal(|seccomp| seccomp.default_errno_ret = Some(5000)).contains("5000"));
    let far = rule(
        &["read"],
        SeccompAction::Allow,
        &[arg(6, SeccompOperator::Equal, 0, 0)],
    );
    assert!(compile(&profile(vec![far])).is_err());
}

#[test]
fn the_kernel_takes_it() {
    let names: Vec<&str> = numbers::NUMBERS.iter().map(|row| row.0).collect();
    let allow = rule(&names, SeccompAction::Allow, &[]);
    let filter = compile(&profile(vec![allow])).unwrap();
    linux::process::set_no_new_privileges().unwrap();
    linux::seccomp::load(&filter.program, filter.flags).unwrap();
}

fn holds(arg: &SeccompArg, value: u64) -> bool {
    match arg.op {
        SeccompOperator::Equal => value == arg.value,
        SeccompOperator::NotEqual => value != arg.value,
        SeccompOperator::Less => value < arg.value,
        SeccompOperator::LessOrEqual => value <= arg.value,
        SeccompOperator::Greater => value > arg.value,
        SeccompOperator::GreaterOrEqual => value >= arg.value,
        SeccompOperator::MaskedEqual => value & arg.value == arg.value_two,
    }
}

fn operator() -> impl Strategy<Value = SeccompOperator> {
    prop_oneof![
        Just(SeccompOperator::Equal),
        Just(SeccompOperator::NotEqual),
        Just(SeccompOperator::Less),
        Just(SeccompOperator::LessOrEqual),
        Just(SeccompOperator::Greater),
        Just(SeccompOperator::GreaterOrEqual),
        Just(SeccompOperator::MaskedEqual),
    ]
}

/// Near each other in both halves, so that every comparison is met from both sides.
fn value() -> impl Strategy<Value = u64> {
    (0..3u64, 0..3u64).prop_map(|(high, low)| high << 32 | low)
}

proptest! {
    /// The program decides as the words of the profile do.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn conditions_mean_what_they_say(
        conditions in prop::collection::vec((operator(), value(), value()), 1..=6),
        args in prop::array::uniform6(value()),
    ) {
        let conditions: Vec<_> =
            conditions.into_iter().zip(0..).map(|((op, one, two), index)| arg(index, op, one, two)).collect();
        let program = compile(&profile(vec![rule(&["read"], SeccompAction::Allow, &conditions)])).unwrap().program;
        let expected = conditions.iter().all(|arg| holds(arg, args[arg.index as usize]));
        let expected = if expected { outcome::ALLOW } else { outcome::ERRNO | EPERM };
        prop_assert_eq!(run(&program, X86_64, 0, args), expected);
    }

    /// Whatever calls a profile names, those are allowed and no others.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn exactly_the_named_calls_are_allowed(rows in prop::collection::btree_set(0..numbers::NUMBERS.len(), 1..150)) {
        let names: Vec<_> = rows.iter().map(|row| numbers::NUMBERS[*row].0).collect();
        let program = compile(&profile(vec![rule(&names, SeccompAction::Allow, &[])])).unwrap().program;
        for (name, columns) in numbers::NUMBERS {
            let Ok(number) = u32::try_from(columns[0]) else { continue };
            let is_allowed = run(&program, X86_64, number, [0; 6]) == outcome::ALLOW;
            prop_assert_eq!(is_allowed, names.contains(name), "{}", name);
        }
    }
}
